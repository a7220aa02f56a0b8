"""Safetensors: tensors by name and plain texts, written with the same bytes each time and read from anyone's file.

The library checks that the tensors fill the file without gaps and overlaps. What it does not look at is bounded here:
the length of the header, the number and kind of tensors, keys that stand twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.printable import printable
from pisnn_deploy.core.reading import LARGEST_HEADER, parse_plain_json, read_bytes

LARGEST_FILE = 1 << 30
"""Bytes."""
LARGEST_COUNT = 4096
"""Tensors."""
METADATA = "__metadata__"
"""Where the header keeps texts by name."""
_DTYPES = {"F32": "<f4", "F64": "<f8"}
_PREFIX = 8
"""Bytes that hold the header's length."""
_LONGEST_NAME = 64


@dataclass(frozen=True)
class SafeTensors:
    """What a file holds.

    Attributes
    ----------
    texts : mapping of str to str
        The header's metadata.
    arrays : mapping of str to float32 or float64 array
        The tensors.
    """

    texts: Mapping[str, str]
    arrays: Mapping[str, NDArray[Any]]


def safetensors_bytes(arrays: Mapping[str, NDArray[np.float64]], name: str, text: str) -> bytes:
    """Content of a file.

    Parameters
    ----------
    arrays : mapping of str to float64 array
        The tensors.
    name, text : str
        The only metadata: the library writes several in no fixed order.
    """
    from safetensors.numpy import save

    return save({key: np.ascontiguousarray(array, "<f8") for key, array in arrays.items()}, {name: text})


def read_safetensors(path: Path) -> SafeTensors:
    """Read a file.

    Raises
    ------
    FileError
        Not such a file, or one with other than float32 and float64 tensors.
    """
    return parse_safetensors(path, read_bytes(path, LARGEST_FILE))


def parse_safetensors(path: Path, data: bytes) -> SafeTensors:
    """What the bytes of a file hold.

    Parameters
    ----------
    path : Path
        For messages.
    data : bytes
        The file.

    Raises
    ------
    FileError
        As of `read_safetensors`.
    """
    header = _header(path, data)
    texts = header.pop(METADATA, {})
    if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
        raise FileError(path, "must hold texts alone", field=METADATA)
    if len(header) > LARGEST_COUNT:
        raise FileError(path, f"has more than {LARGEST_COUNT} tensors")
    for name, entry in header.items():
        dtype = entry.get("dtype") if isinstance(entry, dict) else None
        if not isinstance(dtype, str) or dtype not in _DTYPES:
            actual = f", it is {dtype[:_LONGEST_NAME]}" if isinstance(dtype, str) else ""
            raise FileError(path, f"must be F32 or F64{actual}", field=name[:_LONGEST_NAME])
    return SafeTensors(texts, _arrays(path, data))


def _header(path: Path, data: bytes) -> dict[str, Any]:
    length = int.from_bytes(data[:_PREFIX], "little")
    if len(data) < _PREFIX or length > len(data) - _PREFIX:
        follow = f"says that its header has {length} bytes, {max(len(data) - _PREFIX, 0)} follow"
        raise FileError(path, f"is damaged, or no safetensors file: it {follow}")
    if length > LARGEST_HEADER:
        raise FileError(path, f"has a header of {length} bytes, more than {LARGEST_HEADER}")
    try:
        header = parse_plain_json(data[_PREFIX : _PREFIX + length].decode())
    except (ValueError, RecursionError) as error:
        raise FileError(path, "is damaged, or no safetensors file: its header is no plain JSON") from error
    if not isinstance(header, dict):
        raise FileError(path, "is damaged, or no safetensors file: its header names no tensors")
    return header


def _arrays(path: Path, data: bytes) -> dict[str, NDArray[Any]]:
    from safetensors import SafetensorError, deserialize

    arrays = {}
    try:
        for name, tensor in deserialize(data):  # type: ignore[no-untyped-call]
            arrays[name] = np.frombuffer(tensor["data"], _DTYPES[tensor["dtype"]]).reshape(tensor["shape"])
    except SafetensorError as error:
        reason = printable(str(error)).removeprefix("Error while deserializing: ")
        raise FileError(path, f"is damaged, or no safetensors file: {reason[: 2 * _LONGEST_NAME]}") from error
    except (ValueError, OverflowError) as error:  # no tensor has as many axes, or one as long
        raise FileError(path, "is damaged, or no safetensors file: a tensor has an impossible shape") from error
    return arrays

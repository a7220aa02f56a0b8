"""Write safetensors files reproducibly, and read untrusted ones: tensors and plain texts by name.

The library checks that tensors fill the file without gaps and overlaps. This module additionally checks the length of
the header, the number and type of tensors, and repeated keys.
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
"""Maximum size of a file in bytes."""
LARGEST_COUNT = 4096
"""Maximum number of tensors."""
METADATA = "__metadata__"
"""Key of the header with texts by name."""
_DTYPES = {"F32": "<f4", "F64": "<f8"}
_PREFIX = 8
"""Number of bytes for the length of the header."""
_LONGEST_NAME = 64


@dataclass(frozen=True)
class SafeTensors:
    """Content of a file.

    Attributes
    ----------
    texts : mapping of str to str
        Metadata of the header.
    arrays : mapping of str to float32 or float64 array
        Tensors by name.
    """

    texts: Mapping[str, str]
    arrays: Mapping[str, NDArray[Any]]


def safetensors_bytes(arrays: Mapping[str, NDArray[np.float64]], name: str, text: str) -> bytes:
    """Format a file with tensors and one text.

    Parameters
    ----------
    arrays : mapping of str to float64 array
        Tensors by name.
    name, text : str
        Single entry of the metadata; the library writes several in random order.
    """
    from safetensors.numpy import save

    return save({key: np.ascontiguousarray(array, "<f8") for key, array in arrays.items()}, {name: text})


def read_safetensors(path: Path) -> SafeTensors:
    """Read a file.

    Raises
    ------
    FileError
        The file is invalid, or has tensors of other types than float32 and float64.
    """
    return parse_safetensors(path, read_bytes(path, LARGEST_FILE))


def parse_safetensors(path: Path, data: bytes) -> SafeTensors:
    """Parse the content of a file.

    Parameters
    ----------
    path : Path
        File for error messages.
    data : bytes
        Content of the file.

    Raises
    ------
    FileError
        As for `read_safetensors`.
    """
    header = _header(path, data)
    texts = header.pop(METADATA, {})
    if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
        raise FileError(path, "must only have texts", field=METADATA)
    if len(header) > LARGEST_COUNT:
        raise FileError(path, f"has more than {LARGEST_COUNT} tensors")
    for name, entry in header.items():
        dtype = entry.get("dtype") if isinstance(entry, dict) else None
        if not isinstance(dtype, str) or dtype not in _DTYPES:
            actual = f", not {dtype[:_LONGEST_NAME]}" if isinstance(dtype, str) else ""
            raise FileError(path, f"must be F32 or F64{actual}", field=name[:_LONGEST_NAME])
    return SafeTensors(texts, _arrays(path, data))


def _header(path: Path, data: bytes) -> dict[str, Any]:
    length = int.from_bytes(data[:_PREFIX], "little")
    if len(data) < _PREFIX or length > len(data) - _PREFIX:
        follow = f"declares a header of {length} bytes, but has only {max(len(data) - _PREFIX, 0)} more"
        raise FileError(path, f"is damaged, or not a safetensors file: it {follow}")
    if length > LARGEST_HEADER:
        raise FileError(path, f"has a header of {length} bytes, more than {LARGEST_HEADER}")
    try:
        header = parse_plain_json(data[_PREFIX : _PREFIX + length].decode())
    except (ValueError, RecursionError) as error:
        raise FileError(path, "is damaged, or not a safetensors file: its header is not plain JSON") from error
    if not isinstance(header, dict):
        raise FileError(path, "is damaged, or not a safetensors file: its header is not an object")
    return header


def _arrays(path: Path, data: bytes) -> dict[str, NDArray[Any]]:
    from safetensors import SafetensorError, deserialize

    arrays = {}
    try:
        for name, tensor in deserialize(data):  # type: ignore[no-untyped-call]
            arrays[name] = np.frombuffer(tensor["data"], _DTYPES[tensor["dtype"]]).reshape(tensor["shape"])
    except SafetensorError as error:
        reason = printable(str(error)).removeprefix("Error while deserializing: ")
        raise FileError(path, f"is damaged, or not a safetensors file: {reason[: 2 * _LONGEST_NAME]}") from error
    except (ValueError, OverflowError) as error:  # too many axes, or too long ones
        raise FileError(path, "is damaged, or not a safetensors file: a tensor has an invalid shape") from error
    return arrays

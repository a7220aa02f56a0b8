"""Arrays in untrusted files: headers are checked before anything is allocated."""

from __future__ import annotations

import io
import math
import struct
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

_FORMAT: Any = np.lib.format
"""numpy has no type hints for this module."""
_READERS: Any = {
    (1, 0): _FORMAT.read_array_header_1_0,
    (2, 0): _FORMAT.read_array_header_2_0,
    (3, 0): _FORMAT.read_array_header_2_0,
}
LARGEST_HEADER = 4096
"""In bytes."""
DAMAGED_ARCHIVE = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, OSError),
    *(KeyError, OverflowError, RuntimeError, ValueError),
)
"""Exceptions that `zipfile` raises for damaged or unsupported archives, and for other files."""


def read_header(
    stream: BinaryIO, versions: tuple[tuple[int, int], ...] = tuple(_READERS)
) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read the header of an array, up to the start of its data.

    Parameters
    ----------
    stream : binary stream
        Read from its position to the end of the header.
    versions : tuple of (int, int)
        Accepted versions of the format.

    Returns
    -------
    shape : tuple of int
        Nonnegative lengths.
    fortran : bool
        Whether the data is in Fortran order.
    dtype : numpy.dtype
        Type of the data.

    Raises
    ------
    ValueError
        The header is invalid.
    """
    try:
        version = _FORMAT.read_magic(stream)
        if version not in versions:
            raise ValueError(f"unsupported version {version} of the npy format")
        with warnings.catch_warnings():
            # numpy warns about headers written by Python 2 even if it then fails to read them.
            warnings.simplefilter("ignore")
            shape, fortran, dtype = _READERS[version](stream, max_header_size=LARGEST_HEADER)
    # numpy evaluates the header as a Python literal, which can raise many kinds of errors.
    except Exception as error:
        raise ValueError("is not a numpy array") from error
    if any(isinstance(length, bool) or length < 0 for length in shape):
        raise ValueError("is not a numpy array")
    return shape, fortran, dtype


def int64_array(content: bytes) -> NDArray[np.int64]:
    """Read the array of a ``.npy`` file with little-endian int64 numbers in C order, format 1.0.

    Parameters
    ----------
    content : bytes
        The whole file.

    Raises
    ------
    ValueError
        The file is invalid; the message is the end of a sentence that starts with its name.
    """
    stream = io.BytesIO(content)
    shape, fortran, dtype = read_header(stream, ((1, 0),))
    if dtype != np.dtype("<i8") or fortran:
        raise ValueError("must be a little-endian int64 array in C order")
    remaining, needed = len(content) - stream.tell(), 8 * math.prod(shape)
    if remaining != needed:
        raise ValueError(f"has {remaining} bytes of data, but its shape {shape} needs {needed}")
    return np.frombuffer(content, "<i8", offset=stream.tell()).reshape(shape).astype(np.int64)


def write_arrays(stream: BinaryIO, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write an ``.npz`` file with the same bytes as `numpy.savez`.

    Unlike here, on a full disk numpy leaves its archive open, and the interpreter complains about it on stderr.

    Parameters
    ----------
    stream : binary stream
        Written from its position on.
    arrays : mapping of str to array
        Arrays without objects; memory-mapped arrays are not loaded as a whole.
    """
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                _FORMAT.write_array(member, np.asanyarray(array), allow_pickle=False)

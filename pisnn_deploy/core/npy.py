"""Arrays in files that may come from anyone: headers are judged before anything is allocated."""

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
"""numpy publishes no types for it."""
_READERS: Any = {
    (1, 0): _FORMAT.read_array_header_1_0,
    (2, 0): _FORMAT.read_array_header_2_0,
    (3, 0): _FORMAT.read_array_header_2_0,
}
LARGEST_HEADER = 4096
"""Bytes."""
DAMAGED_ARCHIVE = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, OSError),
    *(KeyError, OverflowError, RuntimeError, ValueError),
)
"""What Python's reader of zip files raises for those that are none, are damaged, or of a kind that it cannot read."""


def read_header(
    stream: BinaryIO, versions: tuple[tuple[int, int], ...] = tuple(_READERS)
) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read the header of an array; the stream then stands at its numbers.

    Parameters
    ----------
    stream : binary stream
        Read from its position to the end of the header.
    versions : tuple of (int, int)
        Of the format.

    Returns
    -------
    shape : tuple of int
        None negative.
    fortran : bool
        Whether the first index runs fastest.
    dtype : numpy.dtype
        Of the numbers that follow.

    Raises
    ------
    ValueError
        Not such a header.
    """
    try:
        version = _FORMAT.read_magic(stream)
        if version not in versions:
            raise ValueError(f"unknown version {version} of the npy format")
        with warnings.catch_warnings():
            # numpy warns of headers that Python 2 wrote before it refuses those that it cannot read at all.
            warnings.simplefilter("ignore")
            shape, fortran, dtype = _READERS[version](stream, max_header_size=LARGEST_HEADER)
    # numpy evaluates a literal, whose parser raises a dozen kinds of errors.
    except Exception as error:
        raise ValueError("is not a numpy array") from error
    if any(isinstance(length, bool) or length < 0 for length in shape):
        raise ValueError("is not a numpy array")
    return shape, fortran, dtype


def int64_array(content: bytes) -> NDArray[np.int64]:
    """The array of a whole ``.npy`` file of little-endian int64 numbers in C order, format 1.0.

    Parameters
    ----------
    content : bytes
        The whole file.

    Raises
    ------
    ValueError
        Not such a file; the text completes a sentence about it.
    """
    stream = io.BytesIO(content)
    shape, fortran, dtype = read_header(stream, ((1, 0),))
    if dtype != np.dtype("<i8") or fortran:
        raise ValueError("must be a little-endian int64 array in C order")
    remaining, needed = len(content) - stream.tell(), 8 * math.prod(shape)
    if remaining != needed:
        raise ValueError(f"holds {remaining} bytes, its shape {shape} needs {needed}")
    return np.frombuffer(content, "<i8", offset=stream.tell()).reshape(shape).astype(np.int64)


def write_arrays(stream: BinaryIO, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write an ``.npz`` file, with the bytes that `numpy.savez` gives.

    A full disk leaves numpy's archive open, and the interpreter would complain about it on stderr.

    Parameters
    ----------
    stream : binary stream
        Written from its position on.
    arrays : mapping of str to array
        No objects. Arrays that are mapped from files are not held in memory.
    """
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                _FORMAT.write_array(member, np.asanyarray(array), allow_pickle=False)

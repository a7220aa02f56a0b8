"""Which format a file is in: by its first bytes, and by its name where they say nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pisnn_deploy.core.pointers import require_content
from pisnn_deploy.core.reading import SAFETENSORS, START_OF_SAFETENSORS, is_safetensors

Format = Literal["checkpoint", "hdf5", "onnx"]
"""Both netx and NIR are HDF5; their content tells them apart."""

_ZIP = b"PK\x03\x04"
_HDF5 = b"\x89HDF\r\n\x1a\n"
_IR_VERSION = b"\x08"
"""The first field of an ONNX model, as protobuf writes it: ``ir_version``, a number."""
_BY_SUFFIX: dict[str, Format] = {".onnx": "onnx", ".net": "hdf5", ".nir": "hdf5", ".h5": "hdf5", ".hdf5": "hdf5"}


def format_of(path: Path) -> Format:
    """Format of a model's file.

    Returns
    -------
    str
        ``checkpoint`` for whatever is no other: its reader says what is wrong.

    Raises
    ------
    FileError
        It is no regular file, or the pointer of one.
    """
    require_content(path)
    try:
        with path.open("rb") as file:
            start = file.read(START_OF_SAFETENSORS)
    except OSError:
        start = b""
    if start.startswith(_HDF5):
        return "hdf5"
    # A header of 264 bytes begins as an ONNX model does.
    if start.startswith(_ZIP) or is_safetensors(start) or path.suffix.lower() == SAFETENSORS:
        return "checkpoint"
    if start.startswith(_IR_VERSION):
        return "onnx"
    return _BY_SUFFIX.get(path.suffix.lower(), "checkpoint")

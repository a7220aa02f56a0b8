"""Detect the format of a file from its first bytes, or else from its suffix."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pisnn_deploy.core.pointers import require_content
from pisnn_deploy.core.reading import SAFETENSORS, START_OF_SAFETENSORS, is_safetensors

Format = Literal["checkpoint", "hdf5", "onnx"]
"""netx and NIR files are both HDF5, and are distinguished by their content."""

_ZIP = b"PK\x03\x04"
_HDF5 = b"\x89HDF\r\n\x1a\n"
_IR_VERSION = b"\x08"
"""First field of an ONNX model in protobuf: the number ``ir_version``."""
_BY_SUFFIX: dict[str, Format] = {".onnx": "onnx", ".net": "hdf5", ".nir": "hdf5", ".h5": "hdf5", ".hdf5": "hdf5"}


def format_of(path: Path) -> Format:
    """Detect the format of a model file.

    Returns
    -------
    str
        ``checkpoint`` for unknown files, whose reader then reports the problem.

    Raises
    ------
    FileError
        The path is not a regular file, or is a pointer to one.
    """
    require_content(path)
    try:
        with path.open("rb") as file:
            start = file.read(START_OF_SAFETENSORS)
    except OSError:
        start = b""
    if start.startswith(_HDF5):
        return "hdf5"
    # A safetensors header of 264 bytes starts like an ONNX model.
    if start.startswith(_ZIP) or is_safetensors(start) or path.suffix.lower() == SAFETENSORS:
        return "checkpoint"
    if start.startswith(_IR_VERSION):
        return "onnx"
    return _BY_SUFFIX.get(path.suffix.lower(), "checkpoint")

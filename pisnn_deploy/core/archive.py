"""Zip archives that are reproducible byte for byte."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

_DATE = (1980, 1, 1, 0, 0, 0)
"""The earliest that the format has."""


def zip_bytes(files: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Pack files into an archive, sorted by name.

    Parameters
    ----------
    files : mapping of str to bytes
        Content by name.
    compression : int, optional
        A constant of `zipfile`.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in sorted(files.items()):
            info = zipfile.ZipInfo(name, _DATE)
            info.external_attr, info.create_system = 0o644 << 16, 3
            archive.writestr(info, content, compression)
    return buffer.getvalue()

"""Files whose content is elsewhere: what a checkout holds of a large file until that is fetched."""

from __future__ import annotations

import re
import stat
from pathlib import Path

from pisnn_deploy.errors import FileError

LARGEST_POINTER = 1024
"""Bytes, as Git LFS has it."""
_KINDS = (
    (
        re.compile(rb"version https?://[^\n]+\n(ext-[^\n]+\n)*oid sha256:[0-9a-f]{64}\r?\n"),
        "is a Git LFS pointer, not the file itself",
        "fetch the file with git lfs pull",
    ),
    (
        re.compile(rb"/annex/objects/[^\n]+\n"),
        "is a git-annex pointer, not the file itself",
        "fetch the file with git annex get",
    ),
)


def require_content(path: Path) -> None:
    """Refuse a file that stands for another one, which no reader could make sense of.

    Parameters
    ----------
    path : Path
        What cannot be read, and devices and pipes, are left to the reader.

    Raises
    ------
    FileError
        It is a pointer of Git LFS or git-annex.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST_POINTER:
            return
        content = path.read_bytes()
    except (OSError, ValueError):
        return
    for pattern, problem, remedy in _KINDS:
        if pattern.match(content):
            raise FileError(path, problem, remedy=remedy)

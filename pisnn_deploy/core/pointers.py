"""Files that no reader could make sense of: pipes and devices, and pointers, whose content is elsewhere."""

from __future__ import annotations

import re
import stat
from pathlib import Path

from pisnn_deploy.core.errors import FileError

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
    """Refuse what is no regular file, or stands for another one; to be called before a file of a user is opened.

    A pipe without a writer cannot even be opened without waiting, and devices need not end.

    Parameters
    ----------
    path : Path
        What cannot be read, and folders, are left to the reader.

    Raises
    ------
    FileError
        It is a pipe, a device or a socket, or a pointer of Git LFS or git-annex.
    """
    require_regular(path)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST_POINTER:
            return
        content = path.read_bytes()
    except (OSError, ValueError):
        return
    for pattern, problem, remedy in _KINDS:
        if pattern.match(content):
            raise FileError(path, problem, remedy=remedy)


def require_regular(path: Path) -> None:
    """Refuse a pipe, a device or a socket.

    Parameters
    ----------
    path : Path
        What cannot be looked at, and folders, are left to the reader.

    Raises
    ------
    FileError
        It is one of them.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise FileError(path, "is not a regular file")

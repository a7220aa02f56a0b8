"""Refuse files without content of their own: pipes, devices, and pointers of Git LFS or git-annex."""

from __future__ import annotations

import re
import stat
from pathlib import Path

from pisnn_deploy.core.errors import FileError

LARGEST_POINTER = 1024
"""In bytes, as defined by Git LFS."""
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
    """Refuse special files and pointers; to be called before opening a user's file.

    Opening a pipe without a writer would block, and a device may never end.

    Parameters
    ----------
    path : Path
        Folders and unreadable files are left to the caller.

    Raises
    ------
    FileError
        The file is a pipe, a device or a socket, or a pointer of Git LFS or git-annex.
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
        Folders and inaccessible files are left to the caller.

    Raises
    ------
    FileError
        The file is a pipe, a device or a socket.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise FileError(path, "is not a regular file")

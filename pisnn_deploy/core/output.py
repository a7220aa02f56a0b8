"""Write files atomically: at any moment either the old or the new file exists, even if the writer is killed.

1. The content is written to ``.NAME.<16 hexadecimal digits>.part`` in the folder of the file, locked by its writer.
2. It is flushed to the disk and renamed to the file, and the folder is flushed, so neither a kill nor a power failure
   leaves an incomplete file.
3. Links are followed: the target is replaced and the link stays. A replaced file keeps its permissions.
4. Temporary files of killed writers have no lock; the next writer of the same file removes them.
5. Several writers of one file use different temporary names; the last rename wins, and readers always see one complete
   file.
6. Devices and pipes (``/dev/null``, ``/dev/stdout``) cannot be replaced and are written directly.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pisnn_deploy.core.errors import FileError

_NAME_KEPT = 32
"""Maximum number of characters of a file's name in its temporary names, which could otherwise become too long."""
_ATTEMPTS = 16


def write_whole(path: Path, data: bytes) -> None:
    """Write a file atomically.

    Parameters
    ----------
    data : bytes
        The whole content.

    Raises
    ------
    FileError
        The folder is missing or not writable, the disk is full, or a folder has that name.
    """
    with whole_file(path) as stream:
        stream.write(data)


def write_private(path: Path, data: bytes) -> None:
    """Write a new file that only its owner can read; nothing is ever overwritten.

    Raises
    ------
    FileError
        Something of that name exists, or the folder is missing or not writable.
    """
    write_new(path, data, 0o600)


def write_new(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Write a new file; nothing is ever overwritten.

    Parameters
    ----------
    data : bytes
        The whole content.
    mode : int
        Permissions, less those that the process masks.

    Raises
    ------
    FileError
        Something of that name exists, or the folder is missing or not writable.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
    except OSError as error:
        raise _refused(path, error) from error


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file to be written atomically, piece by piece.

    Raises
    ------
    FileError
        The folder is missing or not writable, the disk is full, or a folder has that name.
    """
    try:
        target = _target(path)
        mode = _mode(target)
        with _replacement(target, mode) if mode is None or stat.S_ISREG(mode) else _opened(target) as stream:
            yield stream
    except OSError as error:
        raise _refused(path, error) from error


def require_writable(path: Path) -> None:
    """Check that `whole_file` could write a file, before doing work that would be lost.

    Raises
    ------
    FileError
        As for `whole_file`.
    """
    try:
        target = _target(path)
        mode = _mode(target)
        if mode is None or stat.S_ISREG(mode):
            temporary, descriptor = _temporary(target)
            temporary.unlink()
            os.close(descriptor)
    except OSError as error:
        raise _refused(path, error) from error


def _refused(path: Path, error: OSError) -> FileError:
    return FileError(path, f"cannot be written ({error.strerror or error})")


def _target(path: Path) -> Path:
    """Follow links to the real path of a file, which need not exist yet."""
    mode = _mode(path)
    if mode is not None and (stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)):
        # Keep its name: the resolved name of /dev/stdout may not exist.
        return path
    if mode is not None and not stat.S_ISREG(mode):
        code = errno.EISDIR if stat.S_ISDIR(mode) else errno.ENXIO
        raise OSError(code, os.strerror(code))
    return Path(os.path.realpath(path))


def _mode(path: Path) -> int | None:
    """Type and permissions of a path; None if it does not exist."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


def _opened(target: Path) -> BinaryIO:
    """Open a device or a pipe; fail on a pipe without a reader, where the system would wait for ever."""
    descriptor = os.open(target, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    os.set_blocking(descriptor, True)
    return os.fdopen(descriptor, "wb")


@contextmanager
def _replacement(target: Path, mode: int | None) -> Iterator[BinaryIO]:
    """Open a temporary file that replaces the target at the end."""
    _remove_leftovers(target)
    temporary, descriptor = _temporary(target)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            if mode is not None and mode != os.fstat(descriptor).st_mode:
                os.fchmod(descriptor, mode & 0o777)
            yield stream
            stream.flush()
            os.fsync(descriptor)
            # Renamed while still locked: another writer could remove an unlocked file as a leftover.
            temporary.replace(target)
    except BaseException:  # also an interrupt must leave no part of a file
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _flush_folder(target.parent)


def _temporary(target: Path) -> tuple[Path, int]:
    """Create a locked file next to the target."""
    for _ in range(_ATTEMPTS):
        path = target.with_name(f".{target.name[:_NAME_KEPT]}.{secrets.token_hex(8)}.part")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        if _lock(descriptor) and os.fstat(descriptor).st_nlink:
            return path, descriptor
        # Another writer removed it as a leftover before it was locked.
        os.close(descriptor)
        path.unlink(missing_ok=True)
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def _lock(descriptor: int) -> bool:
    """Lock an open file; False if another process has the lock. On a file system without locks, always succeed."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def is_leftover(name: str, target: str) -> bool:
    """Whether a file name is a temporary name of a target.

    Parameters
    ----------
    name, target : str
        File names without folders.
    """
    pattern = rf"\.{re.escape(target[:_NAME_KEPT])}\.[0-9a-f]{{16}}\.part"
    return re.fullmatch(pattern, name, re.DOTALL) is not None


def _remove_leftovers(target: Path) -> None:
    """Remove unlocked temporary files of this target, left behind by killed writers."""
    try:
        leftovers = [path for path in target.parent.iterdir() if is_leftover(path.name, target.name)]
    except PermissionError:  # a folder that may be written but not listed
        return
    for path in leftovers:
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
            finally:
                os.close(descriptor)


def _flush_folder(folder: Path) -> None:
    """Make a rename survive a power failure, if the file system supports that."""
    with contextlib.suppress(PermissionError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                raise
        finally:
            os.close(descriptor)

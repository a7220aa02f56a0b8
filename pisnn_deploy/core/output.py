"""Writing files: at every moment the old file is there or the new one, whatever kills the writer.

1. The content goes to ``.NAME.<16 hexadecimal digits>.part`` in the folder of the file, under a lock of its writer.
2. It is flushed to the disk, renamed to the file, and the folder is flushed: neither a kill nor a loss of power leaves
   a part of it under the file's name.
3. A link is followed: its target is replaced and the link stays. A file keeps the permissions that it had.
4. What a killed writer left behind has no lock any more; whoever writes that file next removes it.
5. Of several writers of one file each has a temporary name of its own; the last rename stands, and every reader sees
   the whole file of one of them.
6. A device or pipe (``/dev/null``, ``/dev/stdout``) cannot be replaced and takes the bytes as they come.
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
"""Characters of a file's name that its temporary names begin with: longer ones would be too long for some names."""
_ATTEMPTS = 16


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that a crash leaves the old one or the new one.

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


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Write a file piece by piece, so that a crash leaves the old one or the new one.

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
    """Refuse what `whole_file` could not write, before the work that would be lost.

    Raises
    ------
    FileError
        As `whole_file`.
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
    """Where a file really is: links are followed, also to what is not there yet."""
    mode = _mode(path)
    if mode is not None and (stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)):
        # By its own name: that of what /dev/stdout stands for may lead nowhere.
        return path
    if mode is not None and not stat.S_ISREG(mode):
        code = errno.EISDIR if stat.S_ISDIR(mode) else errno.ENXIO
        raise OSError(code, os.strerror(code))
    return Path(os.path.realpath(path))


def _mode(path: Path) -> int | None:
    """Kind and permissions of what has a name; None if nothing has it."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


def _opened(target: Path) -> BinaryIO:
    """A device or a pipe; a pipe that nobody reads is an error, where the system would wait for a reader for ever."""
    descriptor = os.open(target, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    os.set_blocking(descriptor, True)
    return os.fdopen(descriptor, "wb")


@contextmanager
def _replacement(target: Path, mode: int | None) -> Iterator[BinaryIO]:
    """A temporary file that becomes the target."""
    _remove_leftovers(target)
    temporary, descriptor = _temporary(target)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            if mode is not None and mode != os.fstat(descriptor).st_mode:
                os.fchmod(descriptor, mode & 0o777)
            yield stream
            stream.flush()
            os.fsync(descriptor)
            # Renamed while the lock is held: without one it could be taken for a leftover.
            temporary.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _flush_folder(target.parent)


def _temporary(target: Path) -> tuple[Path, int]:
    """A new file beside the target, locked by this process."""
    for _ in range(_ATTEMPTS):
        path = target.with_name(f".{target.name[:_NAME_KEPT]}.{secrets.token_hex(8)}.part")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        if _lock(descriptor) and os.fstat(descriptor).st_nlink:
            return path, descriptor
        # Another writer found it before it was locked and took it for a leftover.
        os.close(descriptor)
        path.unlink(missing_ok=True)
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def _lock(descriptor: int) -> bool:
    """Lock an open file; False if another process has it. A file system may have no locks; then nobody has one."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def is_leftover(name: str, target: str) -> bool:
    """Whether a file's name is one that a writer of a target uses until that is whole.

    Parameters
    ----------
    name, target : str
        Names without folders.
    """
    pattern = rf"\.{re.escape(target[:_NAME_KEPT])}\.[0-9a-f]{{16}}\.part"
    return re.fullmatch(pattern, name, re.DOTALL) is not None


def _remove_leftovers(target: Path) -> None:
    """Remove what killed writers of this file left: temporary names without a lock."""
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
    """Make a rename last through a loss of power, where the file system can."""
    with contextlib.suppress(PermissionError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                raise
        finally:
            os.close(descriptor)

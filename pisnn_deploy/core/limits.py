"""Limits of this process: what memory and how many open files it may still take, and how their lack shows.

Native libraries do not withstand a small address space (``ulimit -v``): OpenBLAS tries for ever, Lava's children wait
for each other, others die. So what a command takes at least was measured, and less is refused before they are loaded.
"""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Mapping
from pathlib import Path

from pisnn_deploy.core.errors import UsageError

MEGABYTE = 10**6
_NUMPY = ("train", "compile", "simulate", "campaign", "verify", "check", "export", "inspect", "doctor")
NEEDED: Mapping[str, int] = {
    **dict.fromkeys(_NUMPY, 215),
    "pictures": 320,
    "backend onnx": 320,
    "backend fast": 360,
    "backend cpu": 1000,
    "cluster": 1200,
    "torch": 3500,
    "training": 3800,
}
"""Megabytes of address space below which a command, a backend or another part hangs or dies, in any of its processes.

Measured with one thread and 16 cells. With 3070 training aborts, with 3580 it hangs. ``doctor`` alone asks for torch:
the `torch` backend says itself when it gets too little.
"""
FILES_OF_LAVA = 128
"""Open files of the worker of the `cpu` backend: channels between processes."""
FILES_OF_CLUSTER, FILES_OF_WORKER = 40, 12
"""Open files of this process with a cluster, and more for each of its workers."""

_SIGNS = (
    "annot allocate memory",
    "can't allocate memory",
    "failed to map segment from shared object",
    "can't start new thread",
    "Unable to allocate",
    "bad_alloc",
    "MemoryError",
)
"""What libraries say that have errors of their own for it."""
_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables that keep libraries from taking address space for each core."""


def live_within_limits() -> None:
    """Have libraries take little memory where the limit is low; to be called before they are loaded."""
    if memory_limit() is not None:
        for name in _ONE_THREAD:
            os.environ[name] = "1"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096 if hard == resource.RLIM_INFINITY else min(hard, 4096)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def require_memory(part: str) -> None:
    """Refuse work that needs more memory than this process may take.

    Parameters
    ----------
    part : str
        A key of `NEEDED`, or anything else.

    Raises
    ------
    UsageError
        The process, and so each of its children, may not take as much memory as that is known to need.
    """
    limit, needed = memory_limit(), NEEDED.get(part, 0) * MEGABYTE
    if limit is not None and limit < needed:
        raise UsageError(
            f"memory ran out before the start: {part} takes at least {needed // MEGABYTE} MB of address space, the "
            f"process may take {limit // MEGABYTE} MB; allow it more (ulimit -v)"
        )


def require_files(part: str, needed: int) -> None:
    """Refuse what opens more files than the process may.

    Raises
    ------
    UsageError
        The message names both numbers.
    """
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed != resource.RLIM_INFINITY and allowed < needed:
        raise UsageError(
            f"{part} opens up to {needed} files at once, the process may open {allowed}; allow it more (ulimit -n)"
        )


def lack_for(part: str, files: int = 0) -> str:
    """Why this process has no room for a part.

    Parameters
    ----------
    part : str
        As for `require_memory`.
    files : int, optional
        Open files that it needs.

    Returns
    -------
    str
        Empty where the limits leave room for it.
    """
    try:
        require_memory(part)
        require_files(part, files)
    except UsageError as error:
        return str(error)
    return ""


def available_memory() -> int | None:
    """Bytes that this process may still take: what is free, within the limit of the process.

    Returns
    -------
    int or None
        None where the system does not tell.
    """
    known = [bytes_ for bytes_ in (_free(), _within_limit()) if bytes_ is not None]
    return min(known, default=None)


def memory_limit() -> int | None:
    """What ``ulimit -v`` allows, in bytes; None where it allows everything."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if limit == resource.RLIM_INFINITY else limit


def _free() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        known = dict(line.split(":") for line in lines)
        return int(known["MemAvailable"].split()[0]) * 1024
    except (OSError, ValueError, KeyError, IndexError):
        return None


def _within_limit() -> int | None:
    """What ``ulimit -v`` leaves."""
    limit = memory_limit()
    if limit is None:
        return None
    try:
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return limit
    return max(0, limit - taken)


def is_lack_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return isinstance(error, ImportError | OSError | RuntimeError) and says_lack_of_memory(str(error))


def says_lack_of_memory(text: str) -> bool:
    """Whether the words of a library, or a traceback, mean that memory ran out."""
    return any(sign in text for sign in _SIGNS)


def is_lack_of_files(error: BaseException) -> bool:
    """Whether an error means that no more files may be opened."""
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return True
    return isinstance(error, ImportError | OSError | RuntimeError) and "Too many open files" in str(error)

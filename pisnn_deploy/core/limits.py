"""Limits of this process: memory and open files that it may use, and how to recognise that they ran out.

Native libraries do not handle a small address space (``ulimit -v``): OpenBLAS retries for ever, Lava's processes
deadlock, others crash. The minimum of each command was therefore measured, and is checked before loading libraries.
"""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Mapping
from pathlib import Path

from pisnn_deploy.core.errors import UsageError

MEGABYTE = 10**6
_NUMPY = (
    "law",
    "train",
    "compile",
    "simulate",
    "converge",
    "campaign",
    "verify",
    "check",
    "export",
    "inspect",
    "doctor",
)
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
"""Megabytes of address space below which a command, backend or other part hangs or crashes, in any of its processes.

Measured with one thread and 16 cells. Training aborts with 3070 MB and hangs with 3580 MB. Only ``doctor`` checks the
entry for torch: the `torch` backend itself reports when memory runs out.
"""
FILES_OF_LAVA, FILES_OF_PROCESS = 128, 12
"""Files that the worker of the `cpu` backend opens for a small network, and for each process of a larger one."""
FILES_OF_CLUSTER, FILES_OF_WORKER = 40, 12
"""Files that this process opens for a cluster, and additionally for each of its workers."""

_SIGNS = (
    "annot allocate memory",
    "can't allocate memory",
    "failed to map segment from shared object",
    "can't start new thread",
    "Unable to allocate",
    "bad_alloc",
    "MemoryError",
)
"""Out-of-memory messages of libraries."""
_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables that keep libraries from reserving address space per core."""


def live_within_limits() -> None:
    """Make libraries use little memory if it is limited, and raise the limit of open files.

    Must be called before the libraries are loaded.
    """
    if memory_limit() is not None:
        for name in _ONE_THREAD:
            os.environ[name] = "1"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = 4096 if hard == resource.RLIM_INFINITY else min(hard, 4096)
    if soft != resource.RLIM_INFINITY and soft < target:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))


def require_memory(part: str) -> None:
    """Refuse work that needs more address space than this process may use.

    Parameters
    ----------
    part : str
        A key of `NEEDED`; other names need nothing.

    Raises
    ------
    UsageError
        The limit is below what the part needs.
    """
    limit, needed = memory_limit(), NEEDED.get(part, 0) * MEGABYTE
    if limit is not None and limit < needed:
        raise UsageError(
            f"memory ran out: {part} needs at least {needed // MEGABYTE} MB of address space, but the limit is "
            f"{limit // MEGABYTE} MB; raise it with ulimit -v"
        )


def require_files(part: str, needed: int) -> None:
    """Refuse work that opens more files than this process may.

    Raises
    ------
    UsageError
        The limit is below `needed`.
    """
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed != resource.RLIM_INFINITY and allowed < needed:
        raise UsageError(
            f"{part} opens up to {needed} files at once, but the limit is {allowed}; raise it with ulimit -n"
        )


def lack_for(part: str, files: int = 0) -> str:
    """Explain which limit of this process is too low for a part.

    Parameters
    ----------
    part : str
        As for `require_memory`.
    files : int, optional
        Number of files that it opens at once.

    Returns
    -------
    str
        Empty if the limits suffice.
    """
    try:
        require_memory(part)
        require_files(part, files)
    except UsageError as error:
        return str(error)
    return ""


def available_memory() -> int | None:
    """Bytes that this process can still allocate: free memory, within the limit of the process.

    Returns
    -------
    int or None
        None if unknown on this system.
    """
    known = [bytes_ for bytes_ in (_free(), _within_limit()) if bytes_ is not None]
    return min(known, default=None)


def memory_limit() -> int | None:
    """Limit of the address space (``ulimit -v``) in bytes; None if unlimited."""
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
    """Bytes left within the limit of the address space; None if unlimited."""
    limit = memory_limit()
    if limit is None:
        return None
    try:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return limit
    return max(0, limit - used)


def is_lack_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return isinstance(error, ImportError | OSError | RuntimeError) and says_lack_of_memory(str(error))


def says_lack_of_memory(text: str) -> bool:
    """Whether a library's message or a traceback means that memory ran out."""
    return any(sign in text for sign in _SIGNS)


def is_lack_of_files(error: BaseException) -> bool:
    """Whether an error means that no more files may be opened."""
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return True
    return isinstance(error, ImportError | OSError | RuntimeError) and "Too many open files" in str(error)

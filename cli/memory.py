"""How much memory this process may still take, and how its lack shows."""

from __future__ import annotations

import errno
import resource
from pathlib import Path

_SIGNS = ("annot allocate memory", "can't allocate memory", "failed to map segment from shared object")
"""What libraries say that have errors of their own for it."""


def available_memory() -> int | None:
    """Bytes that this process may still take: what is free, within the limit of the process.

    Returns
    -------
    int or None
        None where the system does not tell.
    """
    found = [bytes_ for bytes_ in (_free(), _within_limit()) if bytes_ is not None]
    return min(found, default=None)


def _free() -> int | None:
    try:
        known = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        return int(known["MemAvailable"].split()[0]) * 1024
    except (OSError, ValueError, KeyError, IndexError):
        return None


def _within_limit() -> int | None:
    """What ``ulimit -v`` leaves."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return None
    try:
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return limit
    return max(0, limit - taken)


def is_lack_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out.

    Parameters
    ----------
    error : BaseException

    Returns
    -------
    bool
    """
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return isinstance(error, ImportError | OSError | RuntimeError) and any(sign in str(error) for sign in _SIGNS)

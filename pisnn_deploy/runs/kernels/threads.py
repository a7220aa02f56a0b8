"""How many threads a run of the `fast` backend takes."""

from __future__ import annotations

import os

from pisnn_deploy.core.errors import UsageError

VARIABLE = "PISNN_THREADS"
"""Environment variable with the number of threads; without it, the cores that this process may use."""
SMALLEST_SHARE = 1 << 15
"""Cells or faces a thread, below which handing them out costs more than it gains."""


def thread_count(size: int) -> int:
    """Threads for a mesh of so many cells.

    Parameters
    ----------
    size : int

    Returns
    -------
    int
        At least 1. What the environment variable asks for, whatever the size; otherwise as many as pay.

    Raises
    ------
    UsageError
        The environment variable is no positive integer.
    """
    asked = os.environ.get(VARIABLE, "")
    if asked:
        if not asked.isdecimal() or int(asked) < 1:
            raise UsageError(f"{VARIABLE}={asked!r}: not a number of threads; use an integer from 1 on, or unset it")
        return int(asked)
    return max(1, min(available(), size // SMALLEST_SHARE))


def available() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1

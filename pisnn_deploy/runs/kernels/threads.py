"""Number of threads of the `fast` backend."""

from __future__ import annotations

import os

from pisnn_deploy.core.errors import UsageError

VARIABLE = "PISNN_THREADS"
"""Environment variable with the number of threads (default: cores of this process)."""
SMALLEST_SHARE = 1 << 15
"""Smallest number of cells per thread for which threads pay."""


def thread_count(size: int) -> int:
    """Return the number of threads for a mesh.

    Returns
    -------
    int
        Value of the environment variable, or a number by the size of the mesh; at least 1.

    Raises
    ------
    UsageError
        If the environment variable is not a positive integer.
    """
    setting = os.environ.get(VARIABLE, "")
    if setting:
        if not setting.isdecimal() or int(setting) < 1:
            raise UsageError(f"{VARIABLE}={setting!r}: must be a positive integer; correct it, or unset it")
        return int(setting)
    return max(1, min(available(), size // SMALLEST_SHARE))


def available() -> int:
    """Number of cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not available on all systems
        return os.cpu_count() or 1

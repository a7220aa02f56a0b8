"""Shared memory of a network, checked before a run because Lava hangs without enough of it."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from pisnn_deploy.core.errors import UsageError

FOLDER = Path("/dev/shm")
"""Folder of POSIX shared memory on Linux."""

_PAGE = os.sysconf("SC_PAGE_SIZE")


def channel_bytes(executable: Any) -> int:
    """Return the shared memory that the channels of a Lava executable need.

    Returns
    -------
    int
        Bytes, in whole pages; a synchronisation channel takes one page.
    """
    pages = len(executable.sync_channel_builders)
    for builder in executable.channel_builders:
        port = builder.src_port_initializer
        pages += -(-math.prod(port.shape) * np.dtype(port.d_type).itemsize * port.size // _PAGE)
    return pages * _PAGE


def free_shared_memory() -> int:
    """Return the free shared memory in bytes."""
    free = os.statvfs(FOLDER)
    return free.f_bavail * free.f_frsize


def require_shared_memory(needed: int, free: int) -> None:
    """Refuse a network whose channels do not fit.

    Parameters
    ----------
    needed, free : int
        Bytes.

    Raises
    ------
    UsageError
        If too little is free.
    """
    if needed > free:
        raise UsageError(
            f"{FOLDER}: the network needs {needed} bytes of shared memory, but only {free} are free; "
            "enlarge it (docker run --shm-size) or use a smaller mesh"
        )


def remove_segments(prefix: str) -> None:
    """Remove the shared memory of a network whose processes have ended or are about to be killed.

    Parameters
    ----------
    prefix : str
        Start of the names of its segments.
    """
    for segment in FOLDER.glob(f"{prefix}*"):
        segment.unlink(missing_ok=True)

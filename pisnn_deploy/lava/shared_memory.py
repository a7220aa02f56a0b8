"""Shared memory of a network: Lava hangs where there is too little of it, so it is counted before a run."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from pisnn_deploy.core.errors import UsageError

FOLDER = Path("/dev/shm")
"""Where Linux keeps POSIX shared memory."""

_PAGE = os.sysconf("SC_PAGE_SIZE")


def channel_bytes(executable: Any) -> int:
    """Shared memory that the channels of a Lava executable take.

    Parameters
    ----------
    executable : Executable

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
    """Free shared memory in bytes."""
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
        Too little is free.
    """
    if needed > free:
        raise UsageError(
            f"{FOLDER}: the network needs {needed} bytes of shared memory, {free} are free; "
            "enlarge it (docker run --shm-size) or use a smaller mesh"
        )

"""Fields over time, as files have them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import FileError

MOST_BYTES = 1 << 32
"""Most bytes of the values of a trajectory that is read as a whole."""


@dataclass(frozen=True)
class Trajectory:
    """Cell averages at some times.

    Attributes
    ----------
    values : float64 array [n, cells of all fields]
        Field by field.
    time : float64 array [n] or None
        Time of each row; None if the file has one field and no time.
    """

    values: NDArray[np.float64]
    time: NDArray[np.float64] | None = None


def require_rows(rows: int, cells: int, path: Path) -> None:
    """Refuse a trajectory without rows, or one that does not fit in memory.

    Raises
    ------
    FileError
        It is empty, or larger than `MOST_BYTES`.
    """
    if not rows:
        raise FileError(path, "has no time")
    if rows * cells * 8 > MOST_BYTES:
        raise FileError(path, f"holds {rows} times of {cells} cells, more than {MOST_BYTES} bytes; keep fewer times")

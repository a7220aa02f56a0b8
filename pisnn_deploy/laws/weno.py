"""Values at faces from cell averages: fifth-order weighted essentially non-oscillatory reconstruction, and slopes.

WENO-Z of R. Borges et al., J. Comput. Phys. 227 (2008), for each field by itself. Cells are the last axis.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float64]

WENO_CELLS = 3
"""Ghost cells on either side that the reconstruction reads."""
_TINY = 1e-36
_ELEMENTS_AT_ONCE = 1 << 13
"""Cells of a block whose intermediate results stay in the processor's cache."""


def weno5(cells: Field) -> tuple[Field, Field]:
    """Values at both sides of each face.

    Parameters
    ----------
    cells : float64 array [..., count + 6]
        Cell averages with three ghost cells at either end.

    Returns
    -------
    lower, upper : float64 array [..., count + 1]
        Limits at each face from the cell below and from the cell above.
    """
    rows = cells.reshape(-1, cells.shape[-1])
    faces = cells.shape[-1] - 5
    lower, upper = np.empty((len(rows), faces)), np.empty((len(rows), faces))
    at_once = max(1, _ELEMENTS_AT_ONCE // rows.shape[1])
    for first in range(0, len(rows), at_once):
        part = slice(first, first + at_once)
        at_lower_edge, at_upper_edge = _edges(rows[part])
        lower[part], upper[part] = at_upper_edge[:, :-1], at_lower_edge[:, 1:]
    shape = (*cells.shape[:-1], faces)
    return lower.reshape(shape), upper.reshape(shape)


def _edges(cells: Field) -> tuple[Field, Field]:
    """Values at the lower and at the upper edge of each cell but the two outermost ones at either end."""
    a, b, c, d, e = (cells[:, first : cells.shape[1] - 4 + first] for first in range(5))
    steps = np.diff(cells)
    bends = np.diff(steps)
    bend_squared = 13 / 12 * bends * bends
    before, after = steps[:, 1:-2], steps[:, 2:-1]
    # Smoothness of the three parabolas of a cell; the same ones serve both of its edges.
    left = bend_squared[:, :-2] + 0.25 * (2 * before + bends[:, :-2]) ** 2
    middle = bend_squared[:, 1:-1] + 0.25 * (before + after) ** 2
    right = bend_squared[:, 2:] + 0.25 * (2 * after - bends[:, 2:]) ** 2
    spread = np.abs(left - right)
    left = 1 + (spread / (left + _TINY)) ** 2
    middle = 6 * (1 + (spread / (middle + _TINY)) ** 2)
    right = 1 + (spread / (right + _TINY)) ** 2
    at_lower = 3 * left * (-a + 5 * b + 2 * c) + middle * (2 * b + 5 * c - d) + right * (11 * c - 7 * d + 2 * e)
    at_upper = left * (2 * a - 7 * b + 11 * c) + middle * (-b + 5 * c + 2 * d) + 3 * right * (2 * c + 5 * d - e)
    return at_lower / (6 * (3 * left + middle + right)), at_upper / (6 * (left + middle + 3 * right))


def minmod(cells: Field) -> Field:
    """Limited differences across cells.

    Parameters
    ----------
    cells : float64 array [..., count + 2]
        Cell averages with a ghost cell at either end.

    Returns
    -------
    float64 array [..., count]
        The smaller of the differences to both neighbours if they have the same sign, else 0.
    """
    steps = np.diff(cells)
    before, after = steps[..., :-1], steps[..., 1:]
    smaller = np.where(np.abs(before) < np.abs(after), before, after)
    return np.asarray(np.where(before * after > 0, smaller, 0.0), np.float64)

"""Largest absolute eigenvalues of many small matrices at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float64]
Matrix = Sequence[Sequence[Field]]
"""Rows of a matrix; the entries are arrays of one shape, an element for each matrix."""


def blocks(occupied: Sequence[Sequence[bool]]) -> list[list[int]]:
    """Diagonal blocks that have all eigenvalues of a matrix, from its entries that may differ from 0.

    Returns
    -------
    list of list of int
        Sets of rows, each of rows that reach each other through entries.
    """
    reach = np.array(occupied, bool) | np.eye(len(occupied), dtype=bool)
    for middle in range(len(reach)):
        reach |= reach[:, [middle]] & reach[[middle], :]
    mutual = reach & reach.T
    return [np.flatnonzero(row).tolist() for number, row in enumerate(mutual) if np.argmax(row) == number]


def largest_speed(matrix: Matrix) -> Field:
    """Spectral radius of matrices with real eigenvalues.

    Closed forms up to three rows, where an eigenvalue that is complex because of rounding counts by its real part.
    """
    size = len(matrix)
    if size == 1:
        return np.abs(matrix[0][0])
    if size == 2:
        (a, b), (c, d) = matrix
        middle = (a + d) / 2
        root = np.sqrt(np.maximum(((a - d) / 2) ** 2 + b * c, 0.0))
        return np.asarray(np.abs(middle) + root, np.float64)
    if size == 3:
        return _largest_of_three(matrix)
    stacked = np.moveaxis(np.array([list(row) for row in matrix]), (0, 1), (-2, -1))
    return np.asarray(np.abs(np.linalg.eigvals(stacked)).max(axis=-1), np.float64)


def _largest_of_three(matrix: Matrix) -> Field:
    """Roots of the characteristic polynomial by the cosine of a third of an angle."""
    mean = (matrix[0][0] + matrix[1][1] + matrix[2][2]) / 3
    (a, b, c), (d, e, f), (g, h, i) = matrix
    a, e, i = a - mean, e - mean, i - mean
    size = np.sqrt(np.maximum((a * a + e * e + i * i + 2 * (b * d + c * g + f * h)) / 6, 0.0))
    determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    cube = size**3
    ratio = np.divide(determinant, 2 * cube, out=np.zeros_like(cube), where=cube > 0)
    angle = np.arccos(np.clip(ratio, -1.0, 1.0)) / 3
    highest, lowest = mean + 2 * size * np.cos(angle), mean + 2 * size * np.cos(angle + 2 * np.pi / 3)
    return np.asarray(np.maximum(np.abs(highest), np.abs(lowest)), np.float64)

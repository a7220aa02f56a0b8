"""Better integers near a minimum: steps of one unit of one or two weights, judged by a quadratic form.

Rounding one by one leaves the last weights without others that could make up for them. Pairs of steps can: this is a
local search for the closest vector of a lattice, as in integer least squares.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

MOST_STEPS = 400
LEAST_GAIN = 1e-4
"""Part of the quadratic form that a step must save."""
_RIDGE, _FLOOR = 1e-6, 1e-14


def searched(
    parameters: Floats,
    matrix: Floats,
    gradient: Floats,
    loss: float,
    whole: Indices,
    units: Floats,
    limits: Floats,
) -> Iterator[Floats]:
    """Parameters after each step of the search, each with a lower value of the quadratic form.

    Parameters
    ----------
    parameters : float64 array [parameters]
        Those in `whole` are multiples of their units.
    matrix, gradient : float64 array [parameters, parameters], [parameters]
        The form ``loss + 2 gradient d + d matrix d`` around the parameters.
    whole : int64 array
        Parameters that stay multiples of their units; all others, which are at their best, follow.
    units, limits : float64 array [parameters]
        Unit and largest absolute value of each parameter.
    """
    free = np.setdiff1d(np.arange(parameters.size), whole)
    block = matrix[np.ix_(free, free)]
    follow = np.linalg.solve(block + np.diag(_RIDGE * np.diag(block) + _FLOOR), matrix[np.ix_(free, whole)])
    # What the free parameters cannot make up for.
    form = matrix[np.ix_(whole, whole)] - matrix[np.ix_(whole, free)] @ follow
    slope = gradient[whole] - follow.T @ gradient[free]
    unit, limit = units[whole], limits[whole]
    cross = 2 * form * np.outer(unit, unit)
    square = np.diag(form) * unit**2
    moved, left = np.zeros(whole.size), loss
    for _ in range(MOST_STEPS):
        steps = _best(moved, parameters[whole], slope, unit, limit, square, cross)
        if steps is None or -steps[0] < LEAST_GAIN * left:
            return
        gain, changes = steps
        left += gain
        for number, change in changes:
            moved[number] += change
            slope = slope + form[:, number] * change
        result = parameters.copy()
        result[whole] += moved
        result[free] -= follow @ moved
        yield result


def _best(
    moved: Floats, start: Floats, slope: Floats, unit: Floats, limit: Floats, square: Floats, cross: Floats
) -> tuple[float, list[tuple[int, float]]] | None:
    """Change of the form by the best step of one or two weights, and their changes; None if none lowers it."""
    alone = {}
    for sign in (1.0, -1.0):
        gains = 2 * sign * slope * unit + square
        gains[np.abs(start + moved + sign * unit) > limit * (1 + 1e-12)] = np.inf
        alone[sign] = gains
    best: tuple[float, list[tuple[int, float]]] | None = None
    for sign, gains in alone.items():
        number = int(np.argmin(gains))
        if best is None or gains[number] < best[0]:
            best = float(gains[number]), [(number, sign * unit[number])]
    for first, second in ((1.0, 1.0), (1.0, -1.0), (-1.0, -1.0)):
        both = alone[first][:, None] + alone[second][None, :] + first * second * cross
        np.fill_diagonal(both, np.inf)
        row, column = np.unravel_index(int(np.argmin(both)), both.shape)
        if best is None or both[row, column] < best[0]:
            best = (
                float(both[row, column]),
                [(int(row), first * unit[row]), (int(column), second * unit[column])],
            )
    return best if best is not None and best[0] < 0 else None

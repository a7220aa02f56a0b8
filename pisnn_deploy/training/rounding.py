"""Rounding weights one after another, with those that are still free making up for it.

Rounding all weights to the nearest integers at once moves a nonlinear network far from its minimum. Near the minimum
the loss is a quadratic form; each rounded weight is an equality constraint on it, and the best values of the others
follow (B. Hassibi and D. G. Stork, "Optimal brain surgeon", 1993; E. Frantar and D. Alistarh, "Optimal brain
compression", 2022). The order matters: what can be compensated least is rounded first, as V-BLAST receivers do it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

_RIDGE, _FLOOR = 1e-6, 1e-14
_UPDATE_RIDGE, _UPDATE_FLOOR = 3e-6, 1e-13


def rounding_order(matrix: Floats, candidates: Indices, others: Indices) -> Indices:
    """Order in which to round.

    Parameters
    ----------
    matrix : float64 array [parameters, parameters]
        Gauss-Newton matrix.
    candidates : int64 array [n]
        Parameters to round.
    others : int64 array [m]
        Parameters that stay free throughout.

    Returns
    -------
    int64 array [n]
        The one that the rest can compensate least comes first.
    """
    block = matrix[np.ix_(candidates, candidates)]
    if others.size:
        free = matrix[np.ix_(others, others)]
        free = free + np.diag(_RIDGE * np.diag(free) + _FLOOR)
        block = block - matrix[np.ix_(candidates, others)] @ np.linalg.solve(free, matrix[np.ix_(others, candidates)])
    block = block + np.diag(_RIDGE * np.diag(block) + _FLOOR)
    left, last_first = list(range(candidates.size)), []
    while left:
        softest = left[int(np.argmin(block[left, left]))]
        last_first.append(softest)
        left.remove(softest)
        block = block - np.outer(block[:, softest], block[softest, :]) / block[softest, softest]
    return np.asarray(candidates[last_first[::-1]], np.int64)


def round_with_compensation(
    parameters: Floats, matrix: Floats, order: Indices, free: Indices, units: Floats, largest: Floats
) -> Floats:
    """Round parameters in the given order.

    Parameters
    ----------
    parameters : float64 array [parameters]
        Before rounding.
    matrix : float64 array [parameters, parameters]
        Gauss-Newton matrix there.
    order : int64 array [n]
        What to round, a part of `free`.
    free : int64 array [m]
        Parameters that may move.
    units, largest : float64 array [parameters]
        What a parameter is to be a multiple of, and its largest absolute value.

    Returns
    -------
    float64 array [parameters]
        Those in `order` on their grid, the other free ones moved to make up for it.
    """
    block = matrix[np.ix_(free, free)]
    inverse = np.linalg.inv(block + np.diag(_UPDATE_RIDGE * np.diag(block) + _UPDATE_FLOOR))
    place = {int(parameter): position for position, parameter in enumerate(free)}
    values = parameters[free].copy()
    for parameter in order.tolist():
        position = place[parameter]
        unit, limit = units[parameter], largest[parameter]
        wanted = np.clip(np.rint(values[position] / unit) * unit, -limit, limit)
        column = inverse[:, position] / inverse[position, position]
        values = values + column * (wanted - values[position])
        values[position] = wanted
        inverse = inverse - np.outer(column, inverse[position, :])
        inverse[position, :] = inverse[:, position] = 0.0
        inverse[position, position] = 1e-30
    result = parameters.copy()
    result[free] = values
    return result

"""Round weights one by one, and compensate each with the weights that are still free.

Rounding all weights to the nearest integers at once moves a nonlinear network far from its minimum. Near the minimum
the loss is a quadratic form; each rounded weight is an equality constraint on it, which determines the best values of
the others (B. Hassibi and D. G. Stork, "Optimal brain surgeon", 1993; E. Frantar and D. Alistarh, "Optimal brain
compression", 2022). The order matters: weights that can be compensated least come first, as in V-BLAST receivers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

_RIDGE, _FLOOR = 1e-6, 1e-14
_UPDATE_RIDGE, _UPDATE_FLOOR = 3e-6, 1e-13


def rounding_order(matrix: Floats, candidates: Indices, others: Indices) -> Indices:
    """Order in which to round parameters.

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
        `candidates`, those that the rest can compensate least first.
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
        Parameters before rounding.
    matrix : float64 array [parameters, parameters]
        Gauss-Newton matrix at these parameters.
    order : int64 array [n]
        Parameters to round, a subset of `free`.
    free : int64 array [m]
        Parameters that may change.
    units, largest : float64 array [parameters]
        Grid spacing and largest absolute value of each parameter.

    Returns
    -------
    float64 array [parameters]
        Parameters with those in `order` rounded and the other free ones compensating.
    """
    block = matrix[np.ix_(free, free)]
    inverse = np.linalg.inv(block + np.diag(_UPDATE_RIDGE * np.diag(block) + _UPDATE_FLOOR))
    place = {int(parameter): position for position, parameter in enumerate(free)}
    values = parameters[free].copy()
    for parameter in order.tolist():
        position = place[parameter]
        unit, limit = units[parameter], largest[parameter]
        rounded = np.clip(np.rint(values[position] / unit) * unit, -limit, limit)
        column = inverse[:, position] / inverse[position, position]
        values = values + column * (rounded - values[position])
        values[position] = rounded
        inverse = inverse - np.outer(column, inverse[position, :])
        inverse[position, :] = inverse[:, position] = 0.0
        inverse[position, position] = 1e-30
    result = parameters.copy()
    result[free] = values
    return result

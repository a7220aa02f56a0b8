"""Figures of boards that are fitted to measurements: cycles and bytes of an operation, cells of a bit.

Least squares of relative errors, without negative figures. The range of every figure is widened by the largest and the
smallest ratio of a measurement to the fit, so that it holds for every measured graph.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import nnls

Fitted = dict[str, tuple[float, float, float]]


def fitted(
    names: Sequence[str], counts: Sequence[Sequence[float]], low: Sequence[float], high: Sequence[float]
) -> Fitted:
    """Fit one figure for each count.

    Parameters
    ----------
    names : sequence of str
        Names of the figures.
    counts : sequence
        Counts of each graph.
    low, high : sequence of float
        Least and most of what each graph took.

    Returns
    -------
    dict of str to (float, float, float)
        Value, low and high of each figure.
    """
    matrix, ends = np.array(counts, np.float64), np.array([low, high], np.float64)
    middle = ends.mean(axis=0)
    figures, _ = nnls(matrix / middle[:, None], np.ones(middle.size))
    ratios = ends / (matrix @ figures)
    least, most = ratios[0].min(), ratios[1].max()
    return {
        name: (_rounded(figure), _rounded(figure * least, np.floor), _rounded(figure * most, np.ceil))
        for name, figure in zip(names, figures.tolist(), strict=True)
    }


def _rounded(number: float, towards: np.ufunc = np.rint) -> float:
    """Three digits."""
    if number == 0:
        return 0.0
    unit = 10.0 ** (np.floor(np.log10(number)) - 2)
    return float(f"{towards(number / unit) * unit:.6g}")

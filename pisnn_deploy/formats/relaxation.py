"""Bounds of functions of rectified layers, from linear relaxations followed back to the window.

Plain intervals ignore that activations belong to the same window: the difference of two activations that rise together
seems to be as large as either. Here each rectifier is replaced by a line above or below it (CROWN: Zhang et al., 2018,
arXiv 1811.00866), so that terms which cancel in the window also cancel in the bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pisnn_deploy.formats.windows import Floats, Limits

if TYPE_CHECKING:
    from pisnn_deploy.formats.affine import Layer


def relaxed(weight: Floats, bias: Floats, below: Sequence[Layer], limits: Limits) -> tuple[Floats, Floats] | None:
    """Bounds of affine functions of the last layer's activations, over all windows of the operating range.

    Parameters
    ----------
    weight : float64 array [functions, activations]
        Weights of the functions.
    bias : float64 array [functions]
        Constants of the functions.
    below : sequence of Layer
        Rectified layers with their spans.

    Returns
    -------
    lower, upper : float64 arrays [functions], or None
        Bounds; None if the span of a layer is unknown.
    """
    ends = []
    for sign in (-1.0, 1.0):
        rows, constant = sign * weight, sign * bias
        for layer in reversed(below):
            if layer.span is None:
                return None
            rows, constant = _above(rows, constant, *layer.span)
            rows, constant = rows @ layer.weight, constant + rows @ layer.bias
        ends.append(sign * limits.bounds(rows, constant)[1])
    return ends[0], ends[1]


def _above(rows: Floats, constant: Floats, lower: Floats, upper: Floats) -> tuple[Floats, Floats]:
    """Affine upper bound of a function of rectified drives."""
    crosses = (lower < 0) & (upper > 0)
    width = np.where(crosses, upper - lower, 1.0)
    chord = np.where(crosses, upper / width, (upper > 0).astype(np.float64))
    # The lower bound of a rectifier is the identity or 0, whichever leaves the smaller gap.
    floor = np.where(crosses, (upper >= -lower).astype(np.float64), chord)
    rising, falling = np.maximum(rows, 0), np.minimum(rows, 0)
    offset = np.where(crosses, -chord * lower, 0.0)
    return rising * chord + falling * floor, constant + rising @ offset

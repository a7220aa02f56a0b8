"""Bounds of what stands on rectified layers, by following each backwards to the window in linear pieces.

Intervals alone forget that activations belong to one window: a difference of two that rise together seems to be as
large as either. Here a rectifier is replaced by a line above it or below it (CROWN: Zhang et al., 2018, arXiv
1811.00866), so that what cancels in the window cancels in the bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pisnn_deploy.formats.windows import Floats, Limits

if TYPE_CHECKING:
    from pisnn_deploy.formats.affine import Layer


def relaxed(weight: Floats, bias: Floats, below: Sequence[Layer], limits: Limits) -> tuple[Floats, Floats] | None:
    """Bounds of affine functions of the last activations, over all windows of the operating range.

    Parameters
    ----------
    weight : float64 array [functions, activations]
    bias : float64 array [functions]
    below : sequence of Layer
        The rectified layers, with their spans.

    Returns
    -------
    lower, upper : float64 arrays [functions], or None
        None where the span of a layer is not known.
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
    """An affine function of drives that is nowhere below one of their rectified values."""
    crosses = (lower < 0) & (upper > 0)
    width = np.where(crosses, upper - lower, 1.0)
    chord = np.where(crosses, upper / width, (upper > 0).astype(np.float64))
    # Below a rectifier lies the identity or 0, whichever leaves less between.
    floor = np.where(crosses, (upper >= -lower).astype(np.float64), chord)
    rising, falling = np.maximum(rows, 0), np.minimum(rows, 0)
    offset = np.where(crosses, -chord * lower, 0.0)
    return rising * chord + falling * floor, constant + rising @ offset

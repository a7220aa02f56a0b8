"""Inputs of a kernel at each of its places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def seen_at_places(values: Floats, lead: int, spans: Sequence[int], dilation: Sequence[int]) -> Floats:
    """Inputs of a kernel at each place.

    Parameters
    ----------
    values : float64 array [*outer, channels, *cells, ...]
        Tensor that the kernel slides over.
    lead : int
        First axis of cells.
    spans, dilation : sequence of int
        Span (including gaps) and dilation of the kernel along each axis.

    Returns
    -------
    float64 array [*outer, *places, ..., channels * kernel]
        Values under the kernel, flattened.
    """
    axes = tuple(range(lead, lead + len(spans)))
    view: Any = sliding_window_view
    picked = (..., *(slice(None, None, step) for step in dilation))
    windows: Floats = view(values, tuple(spans), axes)[picked]
    last = np.moveaxis(windows, lead - 1, -1 - len(spans))
    return last.reshape(*last.shape[: -1 - len(spans)], -1)

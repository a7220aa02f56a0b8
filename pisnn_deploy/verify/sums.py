"""Weighted sums of intervals; 64-bit words are used only where no sum can wrap."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.graph import Synapse
from pisnn_deploy.verify.stored import rows_of

Whole = NDArray[np.int64] | NDArray[np.object_]
"""Integers in 64-bit words, or Python integers."""
EXACT = 1 << 62
"""Adding two integers below this size does not wrap."""
Ends = tuple[Whole, Whole]
"""Lower and upper ends of an interval for each neuron."""


class Weights:
    """Nonzero stored weights into some neurons, row by row.

    Parameters
    ----------
    synapses : list of Synapse
        Synapses whose weights between two neurons add up.
    neurons : int64 array [rows]
        Number of each row's target neuron.
    """

    def __init__(self, synapses: list[Synapse], neurons: NDArray[np.int64]) -> None:
        total = rows_of(synapses, neurons)
        self.columns, self._weights, self._starts = total.columns, total.values, total.starts

    def sums(self, lows: Whole, highs: Whole, divisors: NDArray[np.int64] | None = None) -> Ends:
        """Interval of each row's weighted sum, from an interval for each weight.

        Divisors divide the products, which are then rounded outwards.
        """
        weights: Whole = self._weights
        ends = [largest(lows), largest(highs)]
        if largest(weights) * max(ends) * max(1, weights.size) >= EXACT:
            weights = weights.astype(np.object_)  # Python integers do not wrap
        products = weights * lows, weights * highs
        low, high = np.minimum(*products), np.maximum(*products)
        if divisors is not None:
            low, high = low // divisors, -(-high // divisors)
        zero = np.zeros(1, low.dtype)
        sums = (np.diff(np.concatenate([zero, np.cumsum(part)])[self._starts]) for part in (low, high))
        lower, upper = sums
        return lower, upper


def largest(values: Whole) -> int:
    """Largest absolute value."""
    return max(-int(values.min()), int(values.max())) if values.size else 0


def narrowed(values: Whole) -> Whole:
    """Convert to 64-bit words if all integers fit."""
    return values.astype(np.int64) if largest(values) < EXACT else values


def added(a: Whole, b: Whole) -> Whole:
    """Sum without wrapping."""
    if largest(a) + largest(b) >= EXACT:
        a, b = a.astype(np.object_), b.astype(np.object_)
    return np.asarray(a + b)

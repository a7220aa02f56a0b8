"""Sums of intervals are those of Python's integers, also where words of 64 bits would wrap."""

from __future__ import annotations

import numpy as np
import pytest
from graphs_by_hand import synapse

from pisnn_deploy.verify.sums import Weights


@pytest.mark.parametrize("size", [10, 1 << 40, 1 << 62])
@pytest.mark.parametrize("divided", [False, True])
def test_weighted_sums_do_not_wrap(size: int, divided: bool) -> None:
    rng = np.random.default_rng(size % 1000)
    matrix = rng.integers(-100, 100, (5, 7)) * 2
    weights = Weights([synapse("a", "b", matrix)] * 2, np.arange(5))
    lows = rng.integers(-size, 0, weights.columns.size)
    highs = rng.integers(0, size, weights.columns.size)
    divisors = rng.integers(1, 9, weights.columns.size) if divided else None
    lower, upper = weights.sums(lows, highs, divisors)
    place = 0
    for row in range(5):
        low = high = 0
        for column in np.flatnonzero(matrix[row]).tolist():
            assert weights.columns[place] == column
            products = [2 * int(matrix[row, column]) * int(end[place]) for end in (lows, highs)]
            divisor = 1 if divisors is None else int(divisors[place])
            low, high = low + min(products) // divisor, high - (-max(products) // divisor)
            place += 1
        assert (int(lower[row]), int(upper[row])) == (low, high)

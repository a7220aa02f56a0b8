"""Rounding with compensation beats rounding to nearest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.training.rounding import round_with_compensation, rounding_order


def quadratic(seed: int, count: int = 12) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A badly conditioned quadratic form, and its minimum."""
    random = np.random.default_rng(seed)
    turned = np.linalg.qr(random.normal(size=(count, count)))[0]
    matrix = turned @ np.diag(np.geomspace(1e-3, 1.0, count)) @ turned.T
    return matrix, random.uniform(-3, 3, count)


def rounded(seed: int) -> tuple[float, float]:
    """Loss of what is rounded with compensation, and to nearest."""
    matrix, minimum = quadratic(seed)
    candidates, others = np.arange(8), np.arange(8, 12)
    order = rounding_order(matrix, candidates, others)
    assert sorted(order.tolist()) == candidates.tolist()
    units, largest = np.full(12, 0.5), np.full(12, 4.0)
    found = round_with_compensation(minimum, matrix, order, np.arange(12), units, largest)
    assert np.array_equal(found[:8] * 2, np.rint(found[:8] * 2))
    nearest = minimum.copy()
    nearest[:8] = np.rint(nearest[:8] * 2) / 2
    losses = [float((values - minimum) @ matrix @ (values - minimum)) for values in (found, nearest)]
    return losses[0], losses[1]


def test_it_is_on_the_grid_and_far_better_than_nearest() -> None:
    losses = np.array([rounded(seed) for seed in range(100)])
    assert losses[:, 0].mean() < losses[:, 1].mean() / 4
    assert (losses[:, 0] < losses[:, 1]).mean() > 0.95, "greedy: not always better"


def test_what_is_not_free_stays_and_limits_hold() -> None:
    matrix, minimum = quadratic(3)
    minimum[0] = 9.0
    free = np.arange(11)
    found = round_with_compensation(minimum, matrix, np.arange(6), free, np.ones(12), np.full(12, 4.0))
    assert found[11] == minimum[11] and found[0] == 4.0 and np.abs(found[:6]).max() <= 4.0

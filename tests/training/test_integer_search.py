"""The search for better integers near a minimum."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.training.integer_search import searched

Floats = NDArray[np.float64]
UNIT = 0.25


def form(random: np.random.Generator, size: int) -> tuple[Floats, Floats]:
    """Matrix and minimum of a random quadratic form."""
    rows = random.normal(size=(size, size))
    return rows.T @ rows, random.normal(size=size)


def test_each_step_lowers_the_form_and_ends_where_no_pair_does() -> None:
    random = np.random.default_rng(5)
    matrix, least = form(random, 6)
    whole, limits = np.arange(4), np.full(6, 1.0)

    def value(parameters: Floats) -> float:
        apart = parameters - least
        free = np.linalg.solve(matrix[4:, 4:], matrix[4:, :4] @ apart[:4])
        apart = np.concatenate([apart[:4], -free])
        return float(apart @ matrix @ apart)

    start = np.concatenate([np.clip(np.rint(least[:4] / UNIT + 3) * UNIT, -1, 1), least[4:]])
    loss, gradient = float((start - least) @ matrix @ (start - least)), matrix @ (start - least)
    steps = [*searched(start, matrix, gradient, loss, whole, np.full(6, UNIT), limits)]
    values = [value(each) for each in (start, *steps)]
    assert steps and all(after < before for before, after in zip(values[:-1], values[1:], strict=True))
    end = steps[-1]
    assert np.array_equal(end[:4] / UNIT, np.rint(end[:4] / UNIT)) and np.abs(end[:4]).max() <= 1
    for first, second in itertools.product(range(4), repeat=2):
        for changes in itertools.product((-UNIT, 0, UNIT), repeat=2):
            moved = end.copy()
            moved[first] += changes[0]
            moved[second] += changes[1] if second != first else 0
            if np.abs(moved[:4]).max() <= 1:
                assert value(moved) > values[-1] * (1 - 2e-4)


def test_free_parameters_stay_at_their_best() -> None:
    matrix, least = form(np.random.default_rng(6), 3)
    best = least[1:] - np.linalg.solve(matrix[1:, 1:], matrix[1:, 0] * (1 - least[0]))
    start = np.array([1.0, *best])
    *_, end = searched(start, matrix, matrix @ (start - least), 9.0, np.arange(1), np.full(3, UNIT), np.full(3, 4.0))
    assert np.allclose((matrix @ (end - least))[1:], 0, atol=1e-4)

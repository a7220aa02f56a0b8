"""Random laws beside a float64 solver: an integer graph must not solve another law."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from drawn_laws import drawn_recipe
from law_recipes import masses_after, total, values

from pisnn_deploy.compiler.construct import construct
from pisnn_deploy.graph.wellformed import defects
from pisnn_deploy.laws.reference import solved
from pisnn_deploy.laws.spec import LawSpec, posedness_flaws

STEPS = 20
CELLS = 48
FARTHEST = 0.05
"""Most mean distance to the solver, as a share of how far the solver moves; both schemes differ by the order."""
LEAST_MOVED = 0.01
"""Less counts as this, in fields of order 1."""


def is_comparable(spec: LawSpec) -> bool:
    """Whether both schemes must agree after a few steps: well-posed, without jumps and stiff sides."""
    text = str(spec.law) + str(spec.domain.boundary)
    return not posedness_flaws(spec) and not any(word in text for word in ("where", "robin"))


def comparable_seeds(count: int) -> list[int]:
    """First seeds of comparable laws on a line."""
    seeds: list[int] = []
    seed = 0
    while len(seeds) < count:
        with contextlib.suppress(ValueError):
            seeds += [seed] if is_comparable(drawn_recipe(seed)) else []
        seed += 2
    return seeds


@pytest.mark.parametrize("seed", comparable_seeds(20))
def test_a_drawn_law_is_conserved_and_near_the_solver(seed: int) -> None:
    spec = drawn_recipe(seed)
    graph = construct(spec, (CELLS,))
    assert defects(graph) == []
    before, after = masses_after(graph, 0), masses_after(graph, STEPS)
    assert total(graph, after) == total(graph, before)
    first, last = values(graph, before), values(graph, after)
    if any(last[name].min() < low or last[name].max() > high for name, (low, high) in spec.range.items()):
        return  # fluxes are clamped there, which `compile` says
    result = solved(spec, (CELLS,), STEPS * graph.time_step)
    for name, state in zip(spec.parsed().fields, result.state, strict=True):
        moved = max(float(np.abs(state - first[name]).mean()), LEAST_MOVED)
        assert np.abs(last[name] - state).mean() < FARTHEST * moved, name

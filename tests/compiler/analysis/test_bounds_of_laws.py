"""No value of any population leaves its bound while masses are in their windows, up to the ends of the windows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from graphs_by_hand import of_a_law, reaction, runnable_graph, sink, two_fields
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from law_recipes import recipe, shallow_water, traffic

from pisnn_deploy.compiler.construct import construct
from pisnn_deploy.compiler.passes.bound import Bounds
from pisnn_deploy.core.errors import DoesNotFit
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.integer import Coding, Integers
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.laws.spec import LawSpec
from pisnn_deploy.verify.ranges import intervals

STEPS = 4
GENEROUS = Bounds(60, 60, 60)


def porous() -> LawSpec:
    return recipe(
        {"fields": ["u"], "diffusion": {"u": "2*u"}, "positive": ["u"]},
        {"left": {"held": 1.0}, "right": "outflow"},
        initial={"u": "0.5"},
        range={"u": [0, 1]},
    )


def bistable() -> LawSpec:
    return recipe(
        {
            "fields": ["u", "v"],
            "parameters": {"k": 0.7},
            "diffusion": {"u": "0.01", "v": "0.02"},
            "sources": {"u": {"feed": "0.04*(1 - u)"}, "v": {"kill": "-0.1*v"}},
            "exchange": [{"from": "u", "to": "v", "rate": "k*u*v**2"}],
        },
        initial={"u": "1", "v": "0"},
        range={"u": [0, 1], "v": [0, 1]},
    )


def masses_in_windows(graph: IntegerGraph, rng: np.random.Generator, ends: float) -> dict[str, Integers]:
    """Masses of the cells of every field: the ends of its window for a part of them, else anything between."""
    masses = {}
    for field in graph.fields:
        low, high = field.window.lower, field.window.upper
        inside = rng.integers(low, high + 1, field.cells)
        masses[field.holder] = np.where(rng.random(field.cells) < ends, rng.choice([low, high], field.cells), inside)
    return masses


def assert_within_bounds(
    graph: IntegerGraph, rng: np.random.Generator, ends: float = 0.5
) -> dict[tuple[str, str], tuple[int, int]]:
    """Every value of a few PDE steps is within its bound; the smallest and largest values seen."""
    limits = {(bound.population, bound.quantity): bound for bound in graph.bounds}
    seen: dict[tuple[str, str], tuple[int, int]] = {}
    semantics = Semantics(replace(graph, bounds=()))
    states = semantics.begin(masses_in_windows(graph, rng, ends))
    sent: dict[str, list[Integers]] = {}
    for step in range(STEPS):
        held = {f.holder: next(iter(states[f.holder].values()))[: f.cells] for f in graph.fields}
        if any(
            (held[f.holder] < f.window.lower).any() or (held[f.holder] > f.window.upper).any() for f in graph.fields
        ):
            break
        states, results = semantics.advance(states, step)
        for name, result in results.items():
            population = graph.population(name)
            for value, array in result.values.items():
                key = name, population.quantity(value)
                if key in limits and array.size:
                    low, high = int(array.min()), int(array.max())
                    assert limits[key].lower <= low <= high <= limits[key].upper, key
                    before = seen.get(key, (low, high))
                    seen[key] = min(before[0], low), max(before[1], high)
            changes = [now - last for now, last in zip(result.sends, sent.get(name, result.sends), strict=True)]
            payload = limits.get((name, "payload"))
            if payload is not None:
                outputs = {s.output for s in graph.synapses if s.source == name and s.target not in graph.holders} or {
                    0
                }
                is_change = {o: graph.coding == "delta" or (name, o) in graph.heard_again for o in outputs}
                payloads = [(changes if is_change[output] else result.sends)[output] for output in outputs]
                assert all(payload.lower <= int(p.min()) <= int(p.max()) <= payload.upper for p in payloads if p.size)
            sent[name] = list(result.sends)
    return seen


@given(st.integers(0, 2**40), st.sampled_from(["delta", "dense"]), st.integers(1, 2000))
@settings(deadline=None, max_examples=25)
def test_random_graphs_stay_within_their_bounds(seed: int, coding: Coding, reach: int) -> None:
    graph = of_a_law(runnable_graph(seed), -reach, reach)
    try:
        graph = GENEROUS(replace(graph, coding=coding, period=1 + max(graph.depths.values())))
    except DoesNotFit:  # products of products may need more bits than any target has
        assume(False)
    rng = np.random.default_rng(seed)
    for _ in range(4):
        assert_within_bounds(graph, rng)


@given(st.integers(0, 2**40), st.sampled_from(["delta", "dense"]))
@settings(deadline=None, max_examples=20)
def test_the_checker_finds_the_bounds_of_random_graphs_or_tighter_ones(seed: int, coding: Coding) -> None:
    graph = of_a_law(runnable_graph(seed), -300, 300)
    graph = GENEROUS(replace(graph, coding=coding, period=1 + max(graph.depths.values())))
    mine = intervals(graph)
    assert set(mine) == {(bound.population, bound.quantity) for bound in graph.bounds}
    for bound in graph.bounds:
        low, high = mine[bound.population, bound.quantity]
        assert bound.lower <= low <= high <= bound.upper, bound


@pytest.mark.parametrize("make", [traffic, shallow_water, porous, bistable])
@pytest.mark.parametrize("coding", ["delta", "dense"])
def test_constructed_laws_stay_within_their_bounds(make: Callable[[], LawSpec], coding: Coding) -> None:
    graph = construct(make(), (12,))
    graph = GENEROUS(replace(graph, coding=coding, period=1 + max(graph.depths.values())))
    rng = np.random.default_rng(1)
    for _ in range(30):
        assert_within_bounds(graph, rng)


@pytest.mark.parametrize("make", [lambda: two_fields(3), sink, reaction])
def test_ends_of_bounds_are_reached(make: Callable[[], IntegerGraph]) -> None:
    """Bounds of sums, products and levels are exact: masses at the ends of the windows reach them."""
    graph = of_a_law(make(), -500, 500)
    graph = GENEROUS(replace(graph, coding="dense", period=1 + max(graph.depths.values())))
    rng = np.random.default_rng(1)
    seen: dict[tuple[str, str], tuple[int, int]] = {}
    for _ in range(400):
        for key, (low, high) in assert_within_bounds(graph, rng, 1.0).items():
            before = seen.get(key, (low, high))
            seen[key] = min(before[0], low), max(before[1], high)
    exact = [b for b in graph.bounds if b.quantity in ("drive", "level", "first", "second", "product")]
    assert exact
    for bound in exact:
        if (bound.population, bound.quantity) in seen:
            assert seen[bound.population, bound.quantity] == (bound.lower, bound.upper), bound

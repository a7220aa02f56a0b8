"""Bounds of graphs that no pass builds: several fields, exchange, sinks, populations of several ports and outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from graphs_by_hand import random_graph, reaction, sink, two_fields

from pisnn_deploy.compiler.passes.bound import Bounds
from pisnn_deploy.core.errors import CompileError, DoesNotFit
from pisnn_deploy.graph import IntegerGraph, OperatingWindow
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.verify.ranges import intervals

RANGE = 3000


def bounded(graph: IntegerGraph, coding: str) -> IntegerGraph:
    """The graph over a window of its own, with bounds, and without widths that the reference would stop at."""
    fields = tuple(replace(field, window=OperatingWindow(-RANGE, RANGE, None)) for field in graph.fields)
    return Bounds(60, 60, 60)(replace(graph, fields=fields, coding=coding, period=4))  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [two_fields, sink, reaction])
@pytest.mark.parametrize("coding", ["dense", "delta"])
def test_no_run_inside_the_window_leaves_a_bound(make: Callable[[], IntegerGraph], coding: str) -> None:
    graph = bounded(make(), coding)
    limits = {(bound.population, bound.quantity): bound for bound in graph.bounds}
    assert {(field.holder, name) for field in graph.fields for name in ("mass", "payload")} <= set(limits)
    semantics, rng, seen = Semantics(replace(graph, bounds=())), np.random.default_rng(1), 0
    for _ in range(10):
        masses = {field.holder: rng.integers(-RANGE, RANGE + 1, field.cells) for field in graph.fields}
        states = semantics.begin(masses)
        for step in range(20):
            (held,) = ([int(np.abs(states[f.holder]["mass_before"][: f.cells]).max()) for f in graph.fields],)
            if max(held) > RANGE:
                break
            states, results = semantics.advance(states, step)
            for name, result in results.items():
                population = graph.population(name)
                for value, array in result.values.items():
                    bound = limits.get((name, population.quantity(value)))
                    if bound is not None:
                        assert bound.lower <= int(array.min()) <= int(array.max()) <= bound.upper, (name, value)
                        seen += 1
    assert seen > 100


def test_a_width_that_a_target_has_not_is_refused_by_name_whatever_population_it_is_of() -> None:
    with pytest.raises(DoesNotFit, match=r"^bound: product product may reach -?\d+, which takes \d+ signed bits"):
        Bounds(14, 60, 60)(bounded(reaction(), "dense"))


@pytest.mark.parametrize("make", [two_fields, sink, reaction])
@pytest.mark.parametrize("coding", ["dense", "delta"])
def test_the_checker_has_the_same_bounds(make: Callable[[], IntegerGraph], coding: str) -> None:
    graph = bounded(make(), coding)
    found = {(bound.population, bound.quantity): (bound.lower, bound.upper) for bound in graph.bounds}
    assert intervals(graph) == found


@pytest.mark.parametrize("seed", range(25))
def test_random_programs_wired_at_random_have_bounds_that_the_checker_finds_or_tightens(seed: int) -> None:
    graph = random_graph(seed)
    sends = [s for s in graph.synapses if s.source in graph.holders]
    ledgers = [s for s in sends if (s.columns >= graph.field_of(s.source).cells).any()]
    if ledgers:  # these graphs alone have any that send
        with pytest.raises(CompileError, match=r"^bound: not every quantity has a bound: ledger \d+ of u\d is sent to"):
            bounded(graph, "dense")
        return
    graph = bounded(graph, "delta" if seed % 2 else "dense")
    found = {(bound.population, bound.quantity): (bound.lower, bound.upper) for bound in graph.bounds}
    mine = intervals(graph)
    assert set(mine) == set(found)
    for key, (lower, upper) in found.items():
        assert lower <= mine[key][0] <= mine[key][1] <= upper, key

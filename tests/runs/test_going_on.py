"""A run that is cut in two gives the integers of the undivided one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from _pytest.mark import ParameterSet
from models_under_test import binary_box, compiled, heat_model, hidden_model

from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.runs import Run, RunOptions, run_graph

GRAPHS: dict[str, Callable[[], IntegerGraph]] = {
    "leaky, a reservoir": lambda: compiled(heat_model(leak=1024), cells=9, boundary="x-=no-flux x+=dirichlet=1"),
    "hidden layers": lambda: compiled(hidden_model((3, 2)), cells=7, boundary="no-flux"),
    "dense, hidden layer": lambda: compiled(hidden_model((3,)), cells=7, boundary="no-flux", coding="dense"),
    "binary, hidden layer": lambda: binary_box(hidden_model((3,)), (7,), "no-flux"),
}
ROWS = ("step", "mass", "ledger", "transported", "in_flight", "flux")


def mass_of(graph: IntegerGraph) -> Integers:
    window = graph.window
    middle, quarter = (window.lower + window.upper) // 2, (window.upper - window.lower) // 4
    quarter = quarter if window.difference is None else min(quarter, window.difference // 4)
    return np.random.default_rng(1).integers(middle - quarter, middle + quarter, graph.mesh.cells, dtype=np.int64)


@cache
def undivided(backend: str, name: str) -> Run:
    graph = GRAPHS[name]()
    return run_graph(backend, graph, mass_of(graph), RunOptions(20, every=3, everything=True))


def cuts() -> list[ParameterSet]:
    """Every graph on every backend; Lava, which starts anew for each part, is cut at the ends of one graph alone."""
    first, *_ = GRAPHS
    return [
        pytest.param(backend, name, cut, marks=pytest.mark.long if is_long else ())
        for backend in ("cpu", "fast", "torch")
        for name in GRAPHS
        for cut in (0, 7, 20)
        for is_long in (backend == "cpu" and name != first and cut != 7,)
    ]


@pytest.mark.parametrize(("backend", "name", "cut"), cuts())
def test_both_parts_together_are_the_whole(backend: str, name: str, cut: int) -> None:
    graph, whole = GRAPHS[name](), undivided(backend, name)
    mass = mass_of(graph)
    first = run_graph(backend, graph, mass, RunOptions(20, every=3, everything=True, until=cut))
    second = run_graph(backend, graph, mass, RunOptions(20, every=3, everything=True, start=first.end))
    assert first.steps == cut and first.conserved
    for row in ROWS:
        found = np.concatenate([getattr(first.trace, row), getattr(second.trace, row)])
        assert np.array_equal(found, getattr(whole.trace, row)), row
    for counted in ("steps", "time_steps", "packets_sent", "quanta_sent", "events"):
        assert getattr(second, counted) == getattr(whole, counted), counted
    assert second.conserved and whole.packets_sent > 0

"""Bits that runs used: against a run that keeps everything, and against what was proved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from limited_laws import limited_law
from models_under_test import compiled, heat_model, hidden_model, seeing_box

from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.integer import Coding
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.report import widths
from pisnn_deploy.report.widths import width_uses
from pisnn_deploy.runs import Run, RunOptions, run_graph

Interval = tuple[int, int]


def ends(values: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> Interval:
    return int(values.min()), int(values.max())


def run_of(graph: IntegerGraph, *, everything: bool = False) -> Run:
    return run_graph("fast", graph, graph.initial, RunOptions(12, everything=everything))


def reached(graph: IntegerGraph, run: Run) -> dict[tuple[str, str], Interval | None]:
    return {(use.population, use.quantity): use.reached for use in width_uses(graph, run).uses}


@pytest.mark.parametrize("coding", ["delta", "dense"])
def test_what_was_reached_is_what_the_semantics_says(coding: Coding) -> None:
    graph = compiled(hidden_model(leak=1000), 8, coding=coding)
    found = reached(graph, run_of(graph, everything=True))
    semantics, states = Semantics(graph), []
    state = semantics.start(graph.initial)
    for step in range(12):
        state = semantics.step(state, step)
        states.append(state)
    assert found["flux", "packet"] == ends(np.array([0, *np.concatenate([s.packets for s in states])]))
    assert found["flux", "current"] == ends(np.array([0, *np.concatenate([s.current for s in states])]))
    assert found["flux", "residue"] == ends(np.array([0, *np.concatenate([s.residue for s in states])]))
    masses = np.array([graph.initial, *(s.mass for s in states)])
    assert found["membrane", "mass"] == ends(masses)
    assert found["membrane", "payload"] == ends(masses if coding == "dense" else np.diff(masses, axis=0))
    activations = np.array([semantics.between(mass)["hidden1"].sends[0] for mass in masses])
    assert found["hidden1", "activation"] == ends(activations)


WITH_REQUESTS: dict[str, Callable[[], IntegerGraph]] = {
    "limiter": lambda: compiled(cells=8, limiter="bounds"),
    "residues": lambda: seeing_box(shape=(8,)),
    "law with a limiter": lambda: limited_law("porous medium"),
}


@pytest.mark.parametrize("name", WITH_REQUESTS)
def test_what_channels_send_before_they_fire_is_left_out(name: str) -> None:
    graph = WITH_REQUESTS[name]()
    run = run_of(graph, everything=True)
    uses = {(use.population, use.quantity): use for use in width_uses(graph, run).uses}
    for use in uses.values():
        assert use.reached is None or use.proved[0] <= use.reached[0] <= use.reached[1] <= use.proved[1], use
    (channels,) = graph.channels
    assert uses[channels.population, "packet"].reached is not None


def test_what_was_reached_lies_in_what_was_proved_and_the_check_would_see_it() -> None:
    graph = compiled(cells=16, boundary="dirichlet=0,1")
    run = run_of(graph, everything=True)
    for use in width_uses(graph, run).uses:
        if use.reached is not None:
            assert use.proved[0] <= use.reached[0] and use.reached[1] <= use.proved[1], use
            assert (use.reached_bits or 0) <= use.proved_bits <= use.declared
    mass = run.trace.mass.copy()
    mass[3, 3] = 1 << 40
    broken = replace(run, trace=replace(run.trace, mass=mass))
    (use,) = (use for use in width_uses(graph, broken).uses if (use.population, use.quantity) == ("membrane", "mass"))
    assert use.reached_bits == 42 > use.declared


def test_a_trace_tells_what_it_holds() -> None:
    memoryless, leaky = compiled(cells=8), compiled(heat_model(leak=2000), 8)
    for graph in (memoryless, leaky):
        thin, full = reached(graph, run_of(graph)), reached(graph, run_of(graph, everything=True))
        assert thin["flux", "packet"] == full["flux", "packet"]
        assert thin["flux", "potential"] is None and full["flux", "potential"] is not None
    assert reached(memoryless, run_of(memoryless))["flux", "current"] is not None
    end = run_of(leaky).end
    assert end is not None and reached(leaky, run_of(leaky))["flux", "current"] == ends(end.current)


def test_limits_are_those_of_the_target() -> None:
    graph = compiled(cells=8)
    limits = {(use.population, use.quantity): use.limit for use in width_uses(graph, run_of(graph)).uses}
    assert limits["membrane", "mass"] == 24 and limits["flux", "packet"] == 24
    assert limits["route", "accumulator"] == 32 and limits["flux", "potential"] is None
    other = replace(graph, profile="a-target-of-the-user")
    assert {use.limit for use in width_uses(other, run_of(graph)).uses} == {None}


def test_of_a_large_trace_some_pairs_of_steps_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = compiled(cells=8)
    run = run_of(graph)
    monkeypatch.setattr(widths, "MOST_NUMBERS", 4 * 24)
    assert graph.neurons + graph.mesh.faces == 24 and sum(synapse.entries for synapse in graph.synapses) <= 4 * 24
    found = width_uses(graph, run)
    assert (found.looked_at, found.kept) == (4, 13)
    assert all(use.reached is not None for use in found.uses if use.quantity in ("mass", "payload", "packet"))
    monkeypatch.setattr(widths, "MOST_NUMBERS", 3 * 24)
    assert {use.reached for use in width_uses(graph, run).uses if use.quantity in ("drive", "current")} == {None}

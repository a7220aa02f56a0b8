"""The `cpu` backend on graphs of several fields, ports and depths: all that a run returns equals the reference.

Each network has several graphs that share nothing, because the start of its processes takes longer than its steps.
`PISNN_CASES=250 pytest tests/lava/test_cpu_any_graph.py` tries ten times as many.
"""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
from fields_by_hand import first_masses
from graphs_by_hand import reaction, runnable_graph, side_by_side, sink, two_fields
from network_runs import assert_same, break_with
from reference_runs import reference_run
from scheduled_graphs import scheduled

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph.integer import Coding, IntegerGraph
from pisnn_deploy.graph.wellformed import defects
from pisnn_deploy.lava import backend as cpu
from pisnn_deploy.runs import Run, RunOptions

NETWORKS = max(1, int(os.environ.get("PISNN_CASES", "25")) // 25)
RANDOM_GRAPHS = 4
"""Random graphs of each network; the three of known meaning are in each of the first two, one for each coding."""
CELLS = 4
STEPS = 7
CODINGS: tuple[Coding, ...] = ("delta", "dense")


def many_graphs(number: int) -> IntegerGraph:
    """Graphs of a network."""
    known = [two_fields(CELLS), sink(CELLS), reaction(CELLS)] if number < 2 else []
    seeds = range(RANDOM_GRAPHS * number, RANDOM_GRAPHS * (number + 1))
    graphs = [*known, *(runnable_graph(seed, CELLS) for seed in seeds)]
    return scheduled(side_by_side(graphs), CODINGS[number % 2])


def assert_same_end(run: Run, expected: Run) -> None:
    """The same traces of channels, and the same states to go on from."""
    assert run.trace.flux is not None and expected.trace.flux is not None
    assert np.array_equal(run.trace.flux, expected.trace.flux)
    assert run.end is not None and expected.end is not None
    for name in ("mass", "current", "residue", "transported"):
        assert np.array_equal(getattr(run.end, name), getattr(expected.end, name)), name
    assert (run.end.in_flight, run.end.events) == (expected.end.in_flight, expected.end.events)


@pytest.mark.parametrize("number", range(2 * NETWORKS))
def test_every_integer_equals_the_reference(number: int) -> None:
    graph = many_graphs(number)
    assert defects(graph) == []
    mass, options = first_masses(graph), RunOptions(STEPS, everything=True)
    expected = reference_run(graph, mass, options)
    assert expected.packets_sent > 0 and not expected.failure
    run = cpu.run(graph, mass, options)
    assert_same(run, expected)
    assert_same_end(run, expected)
    assert run.conserved


@pytest.mark.parametrize("coding", CODINGS)
def test_a_run_in_two_parts_is_the_undivided_run(coding: Coding) -> None:
    graph = scheduled(side_by_side([reaction(CELLS), *(runnable_graph(seed, CELLS) for seed in (0, 3))]), coding)
    mass = first_masses(graph)
    half = cpu.run(graph, mass, RunOptions(STEPS, until=3, everything=True))
    assert_same_end(half, reference_run(graph, mass, RunOptions(STEPS, until=3, everything=True)))
    options = RunOptions(STEPS, every=STEPS, everything=True)
    whole, rest = reference_run(graph, mass, options), cpu.run(graph, mass, replace(options, start=half.end))
    assert rest.trace.step.tolist() == [STEPS]
    assert np.array_equal(rest.trace.mass[-1], whole.trace.mass[-1])
    assert rest.end is not None and whole.end is not None
    assert np.array_equal(rest.end.residue, whole.end.residue)
    assert (rest.events, rest.quanta_sent, rest.time_steps) == (whole.events, whole.quanta_sent, whole.time_steps)


def test_a_process_that_loses_a_quantum_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    break_with(monkeypatch, "forgetful_holder")
    graph = scheduled(side_by_side([two_fields(CELLS)]), "delta")
    run = cpu.run(graph, first_masses(graph), RunOptions(STEPS))
    assert run.failure.startswith("local invariant broken: g0-q [2] at PDE step 4: expected ")
    assert run.violations["local"] == run.violations["global"] == 1 and not run.conserved
    assert run.trace.step.tolist() == [0, 1, 2, 3]


def test_a_population_without_neurons_is_refused() -> None:
    graph = scheduled(two_fields(CELLS), "delta")
    nothing = np.zeros(0, np.int64)
    empty = replace(graph.population("flux-q"), size=0, parameters={"bias": nothing})
    with pytest.raises(UsageError) as caught:
        cpu.run(graph.with_populations(empty), first_masses(graph), RunOptions(1))
    assert str(caught.value) == (
        "cpu backend: population flux-q has no neurons, but Lava needs at least one; use `backend` fast"
    )

"""Graphs of several fields have the same integers on every backend; what breaks one is found, and told by its set."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from drawn_laws import drawn_law
from fields_by_hand import random_fields, reaction_of_channels
from graphs_by_hand import InPythonIntegers, sink, two_fields
from laws_compiled import RECIPES, compiled_law
from scheduled_graphs import scheduled

from pisnn_deploy.core.plain_yaml import read_mapping
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.columns import columns_of, divergence
from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.graph.wellformed import defects
from pisnn_deploy.laws.spec import is_law
from pisnn_deploy.runs import RunOptions, fast, run_graph
from pisnn_deploy.runs.comparison import compare
from pisnn_deploy.runs.run import start_of
from pisnn_deploy.runs.stepping import ReferenceStepper

CASES = int(os.environ.get("PISNN_CASES", "25"))
STEPS = 6
HAND_MADE = (two_fields, sink, reaction_of_channels)


def masses(graph: IntegerGraph) -> Integers:
    states = Semantics(graph).begin()
    return np.concatenate([next(iter(states[f.holder].values()))[: f.cells] for f in graph.fields])


def assert_alike(graph: IntegerGraph) -> None:
    """Every backend has the integers of `advance`, and each holder gains what its packets bring."""
    assert defects(graph) == []
    mass, columns = masses(graph), columns_of(graph)
    run = run_graph("fast", graph, mass, RunOptions(STEPS, everything=True))
    assert run.conserved, run.failure
    holdings = columns.merged(run.trace.mass, run.trace.ledger)
    semantics = Semantics(graph)
    states = semantics.begin()
    for step in range(STEPS):
        states, results = semantics.advance(states, step)
        right = np.concatenate([next(iter(states[f.holder].values())) for f in columns.fields])
        assert np.array_equal(holdings[step + 1], right)
        assert run.trace.flux is not None
        for channels in columns.channels:
            packets, current, residue = run.trace.flux[step + 1, :, channels.part]
            result = results[channels.population]
            assert np.array_equal(packets, result.sends[0]) and np.array_equal(residue, result.values["residue"])
            assert np.array_equal(current, np.broadcast_to(result.values["current"], packets.shape))
    gains = divergence(graph, run.trace.transported[-1])
    assert np.array_equal(holdings[-1] - holdings[0], gains)
    for backend in ("onnx", "torch"):
        found = compare(("fast", backend), graph, mass, RunOptions(STEPS))
        assert found.difference is None, found.difference.sentence("fast", backend)
        assert found.failures == ("", "") and found.steps == STEPS


@pytest.mark.parametrize("build", HAND_MADE)
@pytest.mark.parametrize("coding", ["delta", "dense"])
def test_graphs_by_hand_are_alike_on_every_backend(build: Callable[[], IntegerGraph], coding: str) -> None:
    assert_alike(scheduled(build(), "delta" if coding == "delta" else "dense"))


@pytest.mark.parametrize("seed", range(CASES))
def test_random_graphs_are_alike_on_every_backend(seed: int) -> None:
    assert_alike(scheduled(random_fields(seed), "dense" if seed % 2 else "delta"))


LAWS: dict[str, tuple[int, ...]] = {
    "lwr": (9,),
    "viscous_burgers1d": (9,),
    "lake1d": (8,),
    "porous_medium": (48,),
    "shallow_water1d": (8,),
    "wave1d": (9,),
    "advection_diffusion2d": (5, 4),
    "burgers2d": (5, 5),
    "cahn_hilliard2d": (5, 5),
    "gray_scott2d": (5, 5),
    "shallow_water2d": (5, 4),
    "heat3d": (4, 3, 3),
}


@pytest.mark.parametrize("name", LAWS)
def test_laws_of_the_zoo_are_alike_on_every_backend_and_in_python_integers(name: str) -> None:
    graph = compiled_law(name, LAWS[name])
    assert_alike(graph)
    semantics, in_integers = Semantics(graph), InPythonIntegers(graph)
    states, whole = semantics.begin(), in_integers.start()
    for step in range(2):
        states, _ = semantics.advance(states, step)
        whole = in_integers.step(whole)
        for population in graph.populations:
            for state, values in states[population.name].items():
                assert values.tolist() == [neuron[state] for neuron in whole[population.name]]


def test_every_law_of_the_zoo_is_compared() -> None:
    assert set(LAWS) == {path.parent.name for path in RECIPES.glob("*/recipe.yaml") if is_law(read_mapping(path))}


def test_random_graphs_are_of_every_kind_and_move_mass() -> None:
    graphs = [scheduled(random_fields(seed), "delta") for seed in range(CASES)]
    assert {len(graph.fields) for graph in graphs} == {len(graph.channels) for graph in graphs} == {1, 2, 3}
    assert {len(graph.between_fields) for graph in graphs} == {0, 1, 2, 3}
    between = [population.program for graph in graphs for population in graph.between_fields]
    assert {len(program.ports) for program in between} == {1, 2}
    assert max(len(program.sends) for program in between) > 1
    assert {operation.name for program in between for operation in program.operations} >= {"mul_shr", "table"}
    assert len({len(columns_of(graph).joined) for graph in graphs}) > 1
    runs = [run_graph("fast", graph, masses(graph), RunOptions(STEPS)) for graph in graphs]
    assert sum(bool(run.trace.transported.any()) for run in runs) > CASES * 2 // 3


def test_a_run_in_parts_is_the_run() -> None:
    for graph in (scheduled(build(), "delta") for build in HAND_MADE):
        mass = masses(graph)
        whole = run_graph("fast", graph, mass, RunOptions(8))
        first = run_graph("fast", graph, mass, RunOptions(8, until=3))
        for backend in ("fast", "onnx", "torch"):
            second = run_graph(backend, graph, mass, RunOptions(8, start=first.end))
            assert np.array_equal(second.trace.mass[-1], whole.trace.mass[-1])
            assert second.packets_sent == whole.packets_sent and second.events == whole.events


def test_a_run_of_channels_that_run_in_another_order_goes_on_from_its_residues() -> None:
    graph = drawn_law(6, "dense", over_time=True)
    names = [channels.population for channels in graph.channels]
    assert names != [name for name in graph.depths if name in names]
    first = fast.run(graph, graph.initial, RunOptions(8, until=3))
    assert first.end is not None and first.end.residue.any()
    whole, second = (fast.run(graph, graph.initial, RunOptions(8, start=start)) for start in (None, first.end))
    assert np.array_equal(second.trace.mass[-1], whole.trace.mass[-1]) and second.events == whole.events


@pytest.mark.parametrize("backend", ["fast", "onnx", "torch"])
def test_a_packet_that_does_not_arrive_is_found_where_it_is_missing(backend: str) -> None:
    graph = compiled_law("shallow_water1d", (8,))
    (route,) = (synapse for synapse in graph.synapses if (synapse.source, synapse.target) == ("q-flux", "q"))
    mantissas = route.mantissas.copy()
    mantissas[3] = 0
    lossy = tuple(route.with_mantissas(mantissas) if synapse is route else synapse for synapse in graph.synapses)
    run = run_graph(backend, replace(graph, synapses=lossy), graph.initial, RunOptions(9))
    assert not run.conserved and run.violations["local"] == 1 and run.violations["global"] == 1
    assert run.failure.startswith("local invariant broken: q [") and run.steps < 9
    assert all(balance.holds for balance in run.verdict.balances)  # rows before the violation add up


@pytest.mark.parametrize("build", HAND_MADE)
def test_a_changed_state_is_found(build: Callable[[], IntegerGraph]) -> None:
    graph = scheduled(build(), "delta")
    columns, rng = columns_of(graph), np.random.default_rng(3)
    for part, size, kind in (("mass", columns.holders, "local"), ("residue", columns.size, "flux")):
        for index in rng.choice(size, 3, replace=False):
            stepper = ReferenceStepper(graph, start_of(graph, masses(graph)), STEPS)
            stepper.begin()
            stepper.advance(2)
            state = stepper.state()
            wrong = getattr(state, part).copy()
            wrong[index] += 1
            other = ReferenceStepper(graph, replace(state, **{part: wrong}), STEPS)
            stepper._states = other._states
            with pytest.raises(Exception, match=kind):
                stepper.advance(1)


def test_drift_is_told_by_its_fields() -> None:
    graph = scheduled(two_fields(), "delta")
    run = run_graph("fast", graph, masses(graph), RunOptions(3))
    mass = run.trace.mass.copy()
    mass[2, 7] += 1  # a cell of q
    mass[2, 0] -= 1  # and one of h, so that the sum of all is right
    wrong = replace(run, trace=replace(run.trace, mass=mass))
    assert run.conserved and not wrong.conserved
    assert [balance.fields for balance in wrong.verdict.balances] == [("h",), ("q",)]
    assert wrong.verdict.reason == ("the rows of the run do not add up: -1 quanta of h at PDE step 2; wrong rows: 1")
    with pytest.raises(TypeError, match="channels do not join all fields"):
        run.trace.totals()
    joint = scheduled(reaction_of_channels(), "delta")
    (balance,) = fast.run(joint, masses(joint), RunOptions(3)).verdict.balances
    assert balance.fields == ("a", "b") and balance.holds

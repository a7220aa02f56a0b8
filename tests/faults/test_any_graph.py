"""The chip in numpy runs any program of any graph of one field; what a flipped bit does is seen, or loses nothing."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
from faces_by_hand import random_graph_of_one_field
from scheduled_graphs import scheduled

from pisnn_deploy.core.arithmetic import signed_width
from pisnn_deploy.faults.injection import Injector
from pisnn_deploy.faults.memory import WORD_BITS
from pisnn_deploy.faults.outcome import outcomes
from pisnn_deploy.faults.spec import Fault
from pisnn_deploy.graph.annotations import Bound
from pisnn_deploy.graph.integer import FLUX, MEMBRANE, IntegerGraph
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.graph.wellformed import defects
from pisnn_deploy.runs import Run, RunOptions
from pisnn_deploy.runs.faulty import FaultyStepper
from pisnn_deploy.runs.run import RunState, start_of
from pisnn_deploy.runs.stepping import stepped_run

CASES = int(os.environ.get("PISNN_CASES", "30"))
STEPS = 5
FLIPS = 8
"""Values that are hit in each graph, one a run."""


def graph_of(seed: int) -> IntegerGraph:
    """A random graph with time steps and widths; a residue's is that of half of theta, as in all compiled graphs."""
    graph = scheduled(random_graph_of_one_field(seed), "dense" if seed % 2 else "delta")
    assert defects(graph) == []
    (firing,) = (operation for operation in graph.population(FLUX).program.operations if "residue" in operation.results)
    half = 1 << int(firing.operands[-1]) >> 1
    residue = Bound(FLUX, "residue", -half, half, signed_width(-half, half))
    return replace(graph, bounds=(*graph.bounds, residue))


def start(graph: IntegerGraph) -> RunState:
    (mass,) = graph.population(MEMBRANE).started().values()
    return start_of(graph, mass[: graph.mesh.cells])


def run_with(graph: IntegerGraph, *faults: Fault) -> Run:
    stepper = FaultyStepper(graph, start(graph), Injector(graph, faults, STEPS))
    return stepped_run("fast", graph, stepper, RunOptions(STEPS, faults=faults))


def never_silent(graph: IntegerGraph) -> set[tuple[str, str]]:
    """Values that cannot be wrong without breaking I2 or I3; what a limiter withholds may hide a wrong potential."""
    values = {(MEMBRANE, value) for value in graph.population(MEMBRANE).program.names}
    values |= {(FLUX, "packet"), (FLUX, "residue")}
    is_limited = "fired" in graph.population(FLUX).program.names
    return values if is_limited else values | {(FLUX, "potential"), (FLUX, "residue_before")}


def assert_conserved(graph: IntegerGraph, run: Run) -> None:
    """No total has changed, and each holder has gained what its packets brought in every PDE step."""
    holdings = np.concatenate([run.trace.mass, run.trace.ledger], axis=1)
    packets = np.diff(run.trace.transported, axis=0)
    assert set(run.trace.totals()) == {sum(start(graph).mass.tolist())}
    for gained, fired in zip(np.diff(holdings, axis=0), packets, strict=True):
        assert np.array_equal(gained, graph.mesh.divergence(fired))


@pytest.mark.parametrize("seed", range(CASES))
def test_without_faults_any_graph_gives_the_integers_of_the_reference(seed: int) -> None:
    graph = graph_of(seed)
    semantics, stepper = Semantics(graph), FaultyStepper(graph, start(graph), Injector(graph, (), STEPS))
    expected, transported = semantics.start(start(graph).mass[: graph.mesh.cells]), np.zeros(graph.mesh.faces, np.int64)
    stepper.begin()
    for step in range(STEPS):
        expected = semantics.step(expected, step)
        transported = transported + expected.packets
        stepper.advance(1)
        now = stepper.state()
        for name, values in (
            ("mass", expected.mass),
            ("residue", expected.residue),
            ("current", expected.kept_current),
            ("transported", transported),
        ):
            assert np.array_equal(getattr(now, name), values), (step, name)
        assert np.array_equal(stepper.machine.flux[1], expected.current), step
    assert not any(stepper.tally().violations.values())


@pytest.mark.parametrize("seed", range(CASES))
def test_a_flipped_bit_in_any_value_of_any_graph_is_detected_or_every_total_is_kept(seed: int) -> None:
    graph, rng = graph_of(seed), np.random.default_rng(seed)
    places = [(population, value) for population in graph.populations for value in population.program.names]
    for number in rng.choice(len(places), FLIPS, replace=False):
        population, value = places[number]
        index, bit, step = (int(rng.integers(end)) for end in (population.size, WORD_BITS, STEPS - 1))
        fault = Fault("flip", f"{population.name}.{value}", index, step, bit=bit)
        run = run_with(graph, fault)
        (outcome,) = outcomes(graph, (fault,), run.detections)
        assert outcome.detected != run.conserved, str(fault)
        assert outcome.detected or (population.name, value) not in never_silent(graph), str(fault)
        if run.conserved:
            assert_conserved(graph, run)


def test_random_graphs_are_of_every_kind_and_move_mass() -> None:
    graphs = [graph_of(seed) for seed in range(12)]
    programs = [graph.population(FLUX).program for graph in graphs]
    assert {len(program.ports) for program in programs} == {1, 3}
    assert {len(program.states) for program in programs} == {1, 2}
    assert {len(graph.between_fields) for graph in graphs} == {0, 1, 2, 3}
    assert {bool(graph.mesh.reservoirs) for graph in graphs} == {False, True}
    assert sum(bool(run_with(graph).trace.transported.any()) for graph in graphs) > 8

"""The chip in numpy runs any program of any graph of one field; what a flipped bit does is seen, or loses nothing."""

from __future__ import annotations

import os

import numpy as np
import pytest
from faces_by_hand import random_graph_of_one_field
from scheduled_graphs import scheduled

from pisnn_deploy.faults.injection import Injector
from pisnn_deploy.faults.memory import UNDECLARED_BITS
from pisnn_deploy.faults.outcome import outcomes
from pisnn_deploy.faults.spec import Fault
from pisnn_deploy.graph.integer import MEMBRANE, IntegerGraph
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
    graph = scheduled(random_graph_of_one_field(seed), "dense" if seed % 2 else "delta")
    assert defects(graph) == []
    return graph


def start(graph: IntegerGraph) -> RunState:
    (mass,) = graph.population(MEMBRANE).started().values()
    return start_of(graph, mass[: graph.mesh.cells])


def hit_by(graph: IntegerGraph, *faults: Fault) -> Run:
    stepper = FaultyStepper(graph, start(graph), Injector(graph, faults, STEPS))
    return stepped_run("fast", graph, stepper, RunOptions(STEPS, faults=faults))


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
    assert transported.any() and not any(stepper.tally().violations.values())


@pytest.mark.parametrize("seed", range(CASES))
def test_a_flipped_bit_in_any_value_of_any_graph_is_detected_or_every_total_is_kept(seed: int) -> None:
    graph, rng = graph_of(seed), np.random.default_rng(seed)
    total = sum(start(graph).mass.tolist())
    places = [(p, value) for p in graph.populations for value in p.program.names]
    for number in rng.choice(len(places), FLIPS, replace=False):
        population, value = places[number]
        index, bit, step = (int(rng.integers(end)) for end in (population.size, UNDECLARED_BITS - 1, STEPS - 1))
        fault = Fault("flip", f"{population.name}.{value}", index, step, bit=bit)
        run = hit_by(graph, fault)
        assert not run.conserved or set(run.trace.totals()) == {total}, str(fault)
        (outcome,) = outcomes(graph, (fault,), run.detections)
        assert outcome.detected != run.conserved, str(fault)

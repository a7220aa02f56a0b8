"""The chip in numpy runs any program of any graph; what a flipped bit does is seen, or loses nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from faces_by_hand import random_graph_of_one_field
from fields_by_hand import first_masses, random_fields
from graphs_by_hand import reaction, sink, two_fields
from scheduled_graphs import scheduled

from pisnn_deploy.core.arithmetic import signed_width
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.faults.injection import Injector
from pisnn_deploy.faults.memory import WORD_BITS
from pisnn_deploy.faults.outcome import outcomes
from pisnn_deploy.faults.spec import Fault, parse_fault
from pisnn_deploy.graph.annotations import Bound
from pisnn_deploy.graph.columns import divergence
from pisnn_deploy.graph.integer import FLUX, IntegerGraph
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.graph.wellformed import defects
from pisnn_deploy.runs import Run, RunOptions
from pisnn_deploy.runs.faulty import FaultyStepper
from pisnn_deploy.runs.run import RunState, start_of
from pisnn_deploy.runs.stepping import stepped_run

CASES = int(os.environ.get("PISNN_CASES", "30"))
STEPS = 5
Build = Callable[[int], IntegerGraph]
BUILDS = (random_graph_of_one_field, random_fields)
FLIPS = 8
"""Values that are hit in each graph, one a run."""


def graph_of(seed: int, build: Build = random_graph_of_one_field) -> IntegerGraph:
    """A random graph with time steps and widths; a residue's is that of half of theta, as in all compiled graphs."""
    graph = scheduled(build(seed), "dense" if seed % 2 else "delta")
    assert defects(graph) == []
    bounds = list(graph.bounds)
    for channels in graph.channels:
        operations = graph.population(channels.population).program.operations
        (firing,) = (operation for operation in operations if "residue" in operation.results)
        half = 1 << int(firing.operands[-1]) >> 1
        bounds.append(Bound(channels.population, "residue", -half, half, signed_width(-half, half)))
    return replace(graph, bounds=tuple(bounds))


def start(graph: IntegerGraph) -> RunState:
    return start_of(graph, first_masses(graph))


def run_with(graph: IntegerGraph, *faults: Fault) -> Run:
    stepper = FaultyStepper(graph, start(graph), Injector(graph, faults, STEPS))
    return stepped_run("fast", graph, stepper, RunOptions(STEPS, faults=faults))


def never_silent(graph: IntegerGraph) -> set[tuple[str, str]]:
    """Values that cannot be wrong without breaking I2 or I3; what a limiter withholds may hide a wrong potential."""
    values = {(holder, value) for holder in graph.holders for value in graph.population(holder).program.names}
    for channels in graph.channels:
        name = channels.population
        values |= {(name, "packet"), (name, "residue")}
        if "fired" not in graph.population(name).program.names:
            values |= {(name, "potential"), (name, "residue_before")}
    return values


def assert_conserved(graph: IntegerGraph, run: Run) -> None:
    """No total has changed, and each holder has gained what its packets brought in every PDE step."""
    holdings = run.trace.columns.merged(run.trace.mass, run.trace.ledger)
    packets = np.diff(run.trace.transported, axis=0)
    assert np.array_equal(holdings[0], start(graph).mass) and all(balance.holds for balance in run.trace.balances())
    for gained, fired in zip(np.diff(holdings, axis=0), packets, strict=True):
        assert np.array_equal(gained, divergence(graph, fired))


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("seed", range(CASES))
def test_without_faults_any_graph_gives_the_integers_of_the_reference(seed: int, build: Build) -> None:
    graph = graph_of(seed, build)
    semantics, stepper = Semantics(graph), FaultyStepper(graph, start(graph), Injector(graph, (), STEPS))
    expected = semantics.start(first_masses(graph))
    transported = np.zeros_like(expected.packets)
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


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("seed", range(CASES))
def test_a_flipped_bit_in_any_value_of_any_graph_is_detected_or_every_total_is_kept(seed: int, build: Build) -> None:
    graph, rng = graph_of(seed, build), np.random.default_rng(seed)
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


PACKETS = [
    (two_fields, "drop:packet[flux-q,3]@2", "q [3]"),
    (two_fields, "duplicate:packet[flux-h,3].target@2", "h [4]"),
    (sink, "drop:packet[decay,3].target@2", "u [8]"),
    (sink, "delay:packet[flux,3]+1@2", "u [3]"),
    (reaction, "drop:packet[3]@2", "a [3]"),
    (reaction, "misroute:packet[1]->3@2", "b [1]"),
    (reaction, "misroute:packet[1].source->3@2", "a [1]"),
]
"""Faults of packets, and the first holder that is wrong one PDE step later."""


@pytest.mark.parametrize(("build", "text", "place"), PACKETS)
def test_a_wrong_packet_is_seen_at_the_holders_of_its_channel(
    build: Callable[[], IntegerGraph], text: str, place: str
) -> None:
    graph = scheduled(build(), "delta")
    run = run_with(graph, parse_fault(text))
    (detection,) = run.detections
    assert (detection.kind, detection.step, detection.place) == ("local", 3, place)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("flip:membrane[2].bit1@1", "several populations have a membrane; write membrane[h,2], or another of h, q"),
        ("drop:packet[2]@1", "several populations have a packet; write packet[flux-h,2], or another of flux-h, flux-q"),
        ("flip:residue[h,2].bit1@1", "h has no residue; use flux-h, flux-q"),
        ("flip:membrane[q,6].bit1@1", "the 6 neurons of q are numbered from 0"),
        ("drop:packet[flux-q,6]@1", "the 6 neurons of flux-q are numbered from 0"),
        ("misroute:packet[flux-q,1]->6@1", "the 6 cells and reservoirs of q are numbered from 0"),
        ("stale:flux[1]@1", "there is no such population; use h, q, flux-h, flux-q"),
    ],
)
def test_a_place_that_a_graph_of_several_fields_does_not_have_is_named(text: str, problem: str) -> None:
    graph = scheduled(two_fields(), "delta")
    with pytest.raises(UsageError) as caught:
        Injector(graph, (parse_fault(text),), STEPS)
    assert str(caught.value) == f"fault {text!r}: {problem}"

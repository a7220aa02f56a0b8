"""Recovery: what passes is healed without losing a quantum, what lasts stops the run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models_under_test import compiled, heat_model

from benchmarks.parts.fault_books import incidence_of
from pisnn_deploy.audit.invariants import Audit
from pisnn_deploy.audit.recovery import PATIENCE, Recovery
from pisnn_deploy.core.errors import InvariantViolation
from pisnn_deploy.faults.spec import parse_fault
from pisnn_deploy.graph.integer import OperatingWindow
from pisnn_deploy.graph.kinds import known_face
from pisnn_deploy.runs import Run, RunOptions, fast
from pisnn_deploy.runs.run import RunState

GRAPH = compiled(heat_model(leak=1024), cells=12)
DENSE = compiled(heat_model(), cells=12, coding="dense")
STEPS = 16


def healed_run(*texts: str, dense: bool = False) -> Run:
    graph = DENSE if dense else GRAPH
    faults = tuple(parse_fault(text) for text in texts)
    return fast.run(graph, graph.initial, RunOptions(STEPS, faults=faults, recovers=True, everything=True))


WITHOUT = fast.run(GRAPH, GRAPH.initial, RunOptions(STEPS))


@given(
    st.sampled_from(["membrane", "current", "residue"]), st.integers(0, 11), st.integers(0, 22), st.integers(0, STEPS)
)
@settings(max_examples=40, deadline=None)
def test_a_word_hit_while_it_is_not_used_leaves_no_trace(place: str, index: int, bit: int, step: int) -> None:
    """Residues and currents before the compartments fire, masses after they were sent."""
    after_sending = place == "membrane" and step < STEPS
    if place == "membrane" and not after_sending:
        step -= 1
    run = healed_run(f"flip:{place}[{index}].bit{bit}@{step}{'.1' if place == 'membrane' else ''}")
    assert run.conserved and run.steps == STEPS and [found.healed for found in run.detections] == [True]
    assert np.array_equal(run.trace.mass, WITHOUT.trace.mass)
    assert np.array_equal(run.trace.transported, WITHOUT.trace.transported)


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        "drop:packet[3]@4",
        "drop:packet[3].target@4",
        "duplicate:packet[3].source@4",
        "delay:packet[3]+2@4",
        "misroute:packet[3]->9@4",
        "stale:membrane[3]@4",
        "flip:membrane[3].bit5@4",
        "flip:residue[3].bit5@4.1",
    ],
)
def test_what_passes_is_healed_and_masses_stay_exact(text: str, dense: bool) -> None:
    run = healed_run(text, dense=dense)
    assert run.conserved and run.steps == STEPS and run.detections and all(found.healed for found in run.detections)
    assert len(set(run.trace.totals())) == 1
    graph = DENSE if dense else GRAPH
    sent = np.diff(run.trace.transported, axis=0)
    assert np.array_equal(np.diff(run.trace.mass, axis=0), (incidence_of(graph) @ sent.T).T)
    assert run.trace.flux is not None
    packets, current, residue = (run.trace.flux[1:, row] for row in range(3))
    before = np.concatenate([np.zeros_like(residue[:1]), residue[:-1]])
    assert np.array_equal((packets << known_face(graph).exponent) + residue - before, current)
    # The receivers of changes are told what they missed: the field goes back to where it was.
    without = fast.run(graph, graph.initial, RunOptions(STEPS))
    distance = np.abs(run.trace.mass[-1] - without.trace.mass[-1]).max()
    assert distance <= np.abs(without.trace.mass[-1]).max() / 20


@pytest.mark.parametrize("text", ["sign-mode:weight[route]@4", "dead:core[0]@4", "flip:weight[route,3].bit0@4"])
def test_what_lasts_stops_the_run(text: str) -> None:
    run = healed_run(text)
    assert not run.conserved and not run.detections[-1].healed
    steps = {found.step for found in run.detections}
    assert len(steps) == PATIENCE and max(steps) - min(steps) == PATIENCE - 1 and max(steps) == run.detections[-1].step


def test_many_faults_far_apart_are_all_healed() -> None:
    run = healed_run(*(f"flip:membrane[{step % 12}].bit3@{step}.1" for step in range(0, STEPS, PATIENCE)))
    assert run.conserved and len(run.detections) == len(range(0, STEPS, PATIENCE))
    assert np.array_equal(run.trace.mass, WITHOUT.trace.mass)


def test_leaving_the_range_is_not_healed() -> None:
    window = replace(GRAPH.window, upper=int(GRAPH.initial.max()) + 1)
    narrow = GRAPH.with_field(window=window)
    mass = GRAPH.initial
    face = int(np.flatnonzero(GRAPH.mesh.target == np.argmax(mass))[0])
    faults = (parse_fault(f"flip:current[{face}].bit20@1.1"),)
    run = fast.run(narrow, mass, RunOptions(STEPS, faults=faults, recovers=True))
    assert run.detections[-1].kind in ("range", "overflow") and not run.conserved


def test_masses_that_are_right_in_the_books_but_out_of_range_stop_the_run() -> None:
    graph = compiled(cells=2).with_field(window=OperatingWindow(0, 10, None))
    audit = Audit(graph, RunState(0, np.array([9, 5]), *np.zeros((3, 2), np.int64)))
    recovery = Recovery(audit)
    packets = np.array([2 if graph.mesh.target[0] == 0 else -2, 0])
    audit.observe_flux(0, packets, packets << known_face(graph).exponent, 0 * packets, firing=True)
    with pytest.raises(InvariantViolation) as caught:
        recovery.observe(lambda: audit.observe_membranes(1, np.array([10, 3]), absorbing=True))
    assert str(caught.value) == "operating range left: membrane [0] at PDE step 1: limit 10, found 11"
    assert recovery.detections == []

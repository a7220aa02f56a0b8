"""A flipped bit in any value of any program: the reader does it, and a run detects it or keeps every total."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models_under_test import binary_box, compiled, heat_model, hidden_model, oscillating_model, stock_box
from random_programs import random_program
from whole_values import NEURONS

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.faults.injection import Injector
from pisnn_deploy.faults.memory import UNDECLARED_BITS, flipped
from pisnn_deploy.faults.outcome import Outcome, outcomes
from pisnn_deploy.faults.spec import Fault, parse_fault
from pisnn_deploy.faults.values import Flip, FlippedArrays
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.programs import run
from pisnn_deploy.programs.whole import Whole
from pisnn_deploy.runs import RunOptions, fast, run_graph

EXAMPLES = int(os.environ.get("PISNN_CASES", "60"))


class FlippedWhole(Whole):
    """Python's integers with one bit flipped."""

    def __init__(self, flip: Flip) -> None:
        self._flip = flip

    def result(self, name: str, value: int) -> int:
        return flipped(value, self._flip.bit, self._flip.width) if name == self._flip.value else value


@settings(max_examples=EXAMPLES)
@given(st.integers(0, 2**32 - 1))
def test_random_programs_with_a_flipped_bit_agree_with_python_integers(seed: int) -> None:
    drawn, rng = random_program(seed), np.random.default_rng(seed)
    # The last result: whatever it becomes, nothing is computed from it that could leave 64 bits.
    flip = Flip(drawn.program.names[-1], int(rng.integers(NEURONS)), int(rng.integers(32)), 64)
    inputs = drawn.inputs(rng, NEURONS)
    result = run(drawn.program, FlippedArrays([flip], NEURONS), inputs)
    for neuron in range(NEURONS):
        reader = FlippedWhole(flip) if neuron == flip.neuron else Whole()
        whole = run(drawn.program, reader, {name: int(values[neuron]) for name, values in inputs.items()})
        got = {name: int(np.broadcast_to(value, NEURONS)[neuron]) for name, value in result.values.items()}
        assert got == whole.values


GRAPHS: dict[str, Callable[[], IntegerGraph]] = {
    "leak": lambda: compiled(heat_model(leak=1024), cells=12, boundary="dirichlet=0.5,1.5"),
    "limiter": lambda: compiled(oscillating_model(), 9, "no-flux", limiter="positivity"),
    "limiter, dense, hidden layer": lambda: compiled(
        hidden_model((3,), leak=2048), 8, "no-flux", "dense", "positivity"
    ),
    "binary": lambda: binary_box(heat_model(), (9,), "dirichlet=0,1", "dense"),
    "stock": lambda: stock_box(send_threshold=2),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_every_value_of_every_program_can_be_hit_and_no_total_changes_unseen(name: str) -> None:
    graph = GRAPHS[name]()
    total = int(graph.initial.sum())
    detected = set()
    for population in graph.populations:
        for value in population.program.names:
            fault = Fault("flip", f"{population.name}.{value}", 3, 4, bit=5)
            hit = fast.run(graph, graph.initial, RunOptions(8, faults=(fault,)))
            assert parse_fault(str(fault)) == fault
            assert not hit.conserved or set(hit.trace.totals()) == {total}, str(fault)
            (outcome,) = outcomes(graph, (fault,), hit.detections)
            assert outcome.detected != hit.conserved, str(fault)
            detected |= {fault.place} if outcome.detected else set()
    # What a face sends or keeps, and what a cell has, cannot be wrong without the audit's noticing.
    assert {"flux.packet", "flux.residue", "flux.potential", "membrane.mass"} <= detected


@pytest.mark.parametrize(
    ("text", "kind", "place"),
    [
        ("flip:membrane.mass[5].bit5@4", "local", "membrane [5]"),
        ("flip:membrane.arrival[5].bit5@4", "local", "membrane [5]"),
        ("flip:flux.potential[3].bit9@4", "flux", "flux [3]"),
        ("flip:flux.packet[3].bit2@4", "flux", "flux [3]"),
        ("flip:flux.residue[3].bit2@4", "flux", "flux [3]"),
        ("flip:flux.residue_before[3].bit2@4", "flux", "flux [3]"),
        ("flip:flux.drive[3].bit2@4", None, ""),
        ("flip:flux.current[3].bit2@4", None, ""),
        ("flip:flux.bias[3].bit2@4", None, ""),
    ],
)
def test_where_a_flipped_value_is_seen(text: str, kind: str | None, place: str) -> None:
    graph, fault = compiled(heat_model(leak=1024), cells=12), parse_fault(text)
    hit = fast.run(graph, graph.initial, RunOptions(8, faults=(fault,)))
    (outcome,) = outcomes(graph, (fault,), hit.detections)
    assert outcome == (Outcome(text, False) if kind is None else Outcome(text, True, kind, 4, place))


def test_a_limited_packet_beyond_its_share_is_detected_and_healed() -> None:
    graph = GRAPHS["limiter"]()
    fault = parse_fault("flip:flux.forward[3].bit4@4")
    text = "flip:flux.packet[3].bit4@4"
    options = RunOptions(12, faults=(fault, parse_fault(text)), recovers=True)
    hit = fast.run(graph, graph.initial, options)
    assert hit.conserved and hit.detections and all(detection.healed for detection in hit.detections)
    assert set(hit.trace.totals()) == {int(graph.initial.sum())}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("flip:hidden1.drive[3].bit2@4", "there is no population 'hidden1'; use membrane, flux"),
        (
            "flip:membrane.charge[3].bit2@4",
            "the program of membrane has no value 'charge'; use arrival, mass_before, mass",
        ),
        ("flip:flux.drive[12].bit2@4", "the 12 neurons of flux are numbered from 0"),
        ("flip:flux.drive[3].bit40@4", "the word has the bits 0 to 23"),
        (f"flip:flux.kept[3].bit{UNDECLARED_BITS}@4", f"the word has the bits 0 to {UNDECLARED_BITS - 1}"),
        ("flip:flux.drive[3].bit2@99", "the run has only 8 PDE steps; the last such fault is possible at 7"),
    ],
)
def test_a_value_that_is_not_there_is_refused(text: str, problem: str) -> None:
    with pytest.raises(UsageError) as caught:
        Injector(compiled(heat_model(leak=1024), cells=12), (parse_fault(text),), 8)
    assert str(caught.value) == f"fault {text!r}: {problem}"


def test_a_value_has_its_own_time_step() -> None:
    with pytest.raises(UsageError) as caught:
        parse_fault("flip:flux.drive[3].bit2@4.1")
    assert str(caught.value).startswith(
        "fault 'flip:flux.drive[3].bit2@4.1': flip has a fixed time step within the PDE step; write @4"
    )


def test_what_lava_cannot_hit_is_refused() -> None:
    graph, faults = GRAPHS["stock"](), (parse_fault("drop:packet[3]@4"),)
    with pytest.raises(UsageError) as caught:
        run_graph("cpu", graph, graph.initial, RunOptions(8, faults=faults))
    assert str(caught.value) == (
        "backend cpu with faults: cannot handle a graph whose faces receive the masses one step late; use "
        "`backend` fast"
    )

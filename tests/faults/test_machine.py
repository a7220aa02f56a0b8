"""The chip in numpy: without faults it is the reference, and each fault does to it what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from models_under_test import (
    binary_box,
    compiled,
    compiled_box,
    heat_model,
    hidden_model,
    oscillating_model,
    plane_model,
    stock_box,
)

from pisnn_deploy.faults.injection import Injector
from pisnn_deploy.faults.memory import flipped, flipped_mantissa
from pisnn_deploy.faults.spec import parse_fault
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.runs import RunOptions, fast
from pisnn_deploy.runs.faulty import FaultyStepper
from pisnn_deploy.runs.run import start_of
from pisnn_deploy.runs.stepping import stepped_run

GRAPHS: dict[str, Callable[[], IntegerGraph]] = {
    "leaky": lambda: compiled(heat_model(leak=1024), cells=12),
    "two hidden layers, leaky": lambda: compiled(hidden_model((3, 2), leak=2048), cells=7, boundary="no-flux"),
    "dense, two hidden layers": lambda: compiled(hidden_model((3, 2)), cells=8, coding="dense"),
    "reservoirs": lambda: compiled(cells=10, boundary="dirichlet=0.5,1.5"),
    "plane": lambda: compiled_box(plane_model(), (5, 6), "x=periodic y=dirichlet=1,1"),
    "binary spikes, dense": lambda: binary_box(heat_model(), (9,), "dirichlet=0,1", "dense"),
    "binary spikes, two hidden layers": lambda: binary_box(hidden_model((3, 2)), (7,), "no-flux"),
    "limiter": lambda: compiled(oscillating_model(), 9, "no-flux", limiter="positivity"),
    "limiter, dense, leaky, reservoirs": lambda: compiled(
        oscillating_model(leak=1024), 9, "dirichlet=0,0.5", "dense", "positivity"
    ),
    "limiter, hidden layer": lambda: compiled(hidden_model((3,)), 8, "dirichlet=0,1", limiter="positivity"),
    "stock": lambda: stock_box(send_threshold=3),
    "stock, plane": lambda: stock_box(plane_model(), (5, 6), "no-flux", 2),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_without_faults_it_gives_the_integers_of_the_reference(name: str) -> None:
    graph = GRAPHS[name]()
    options = RunOptions(25, every=3)
    expected = fast.run(graph, graph.initial, options)
    start = start_of(graph, graph.initial)
    found = stepped_run("fast", graph, FaultyStepper(graph, start, Injector(graph, (), 25)), options)
    assert not found.failure and found.events == expected.events
    for field in ("mass", "ledger", "transported", "in_flight"):
        assert np.array_equal(getattr(found.trace, field), getattr(expected.trace, field)), field
    assert (found.packets_sent, found.quanta_sent) == (expected.packets_sent, expected.quanta_sent)


@given(st.integers(-(2**23), 2**23 - 1), st.integers(0, 23))
def test_a_flip_changes_one_bit_of_a_word_and_undoes_itself(value: int, bit: int) -> None:
    hit = flipped(value, bit, 24)
    assert -(2**23) <= hit < 2**23 and (hit ^ value) & (2**24 - 1) == 1 << bit
    assert flipped(hit, bit, 24) == value


@given(st.integers(-128, 127), st.integers(0, 7))
def test_a_mantissa_stays_even_and_in_its_range(half: int, bit: int) -> None:
    hit = flipped_mantissa(2 * half, bit)
    assert hit % 2 == 0 and -256 <= hit <= 254 and hit != 2 * half and flipped_mantissa(hit, bit) == 2 * half


def silent_run(graph: IntegerGraph, *texts: str) -> tuple[Integers, Integers]:
    """Packets of a run with faults that the audit does not see, and of the run without them."""
    mass = graph.initial
    options = RunOptions(12, faults=tuple(parse_fault(text) for text in texts))
    found, expected = fast.run(graph, mass, options), fast.run(graph, mass, replace(options, faults=()))
    assert found.conserved and not found.detections
    assert sum(found.trace.totals()) == sum(expected.trace.totals())
    return np.diff(found.trace.transported, axis=0), np.diff(expected.trace.transported, axis=0)


@pytest.mark.parametrize("coding", ["delta", "dense"])
def test_a_stale_accumulator_repeats_its_drive(coding: str) -> None:
    graph = compiled(cells=16, coding="dense" if coding == "dense" else "delta")
    found, expected = silent_run(graph, "stale:flux[3]@4")
    assert np.array_equal(found[:4], expected[:4])
    assert (found[4] != expected[4]).nonzero()[0].tolist() == [3]
    assert abs(found[4, 3] - found[3, 3]) <= 1  # the same drive, another residue


def test_a_weight_is_wrong_from_its_step_on_at_its_face() -> None:
    graph = compiled(cells=16, coding="dense")
    assert graph.synapses[0].row_starts[4] <= 34 < graph.synapses[0].row_starts[5]
    found, expected = silent_run(graph, "flip:weight[membrane-to-flux,34].bit4@6")
    assert np.array_equal(found[:6], expected[:6])
    assert (found[6] != expected[6]).nonzero()[0].tolist() == [4] and (found[7:] != expected[7:]).any(axis=1).all()


def test_lost_bits_of_the_flux_network_are_silent() -> None:
    found, expected = silent_run(compiled(cells=16), "sign-mode:weight[membrane-to-flux]@2")
    assert np.array_equal(found[:2], expected[:2]) and (found[2] != expected[2]).any()


def test_a_current_hit_before_it_decays_is_silent() -> None:
    graph = compiled(heat_model(leak=1024), cells=12)
    found, expected = silent_run(graph, "flip:current[3].bit12@4.1")
    assert np.array_equal(found[:4], expected[:4]) and (found[4] != expected[4]).nonzero()[0].tolist() == [3]

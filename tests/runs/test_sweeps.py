"""Sweeps of several PDE steps: the integers of the reference, and its sentence for a step in the middle of a sweep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from kernels_compared import assert_same_state, lively, unbounded_range
from models_under_test import compiled, compiled_box, heat_model, hidden_model, plane_model, seeing_box

import pisnn_deploy
from pisnn_deploy.core.errors import CheckError, InvariantViolation, PisnnError
from pisnn_deploy.graph.integer import MEMBRANE, IntegerGraph
from pisnn_deploy.runs.kernels import schedule, tiles
from pisnn_deploy.runs.kernels import stepper as kernel_steppers
from pisnn_deploy.runs.kernels.building import network_of
from pisnn_deploy.runs.kernels.draft import mass_of
from pisnn_deploy.runs.kernels.ir import LONG, Value, number
from pisnn_deploy.runs.kernels.schedule import schedule_of
from pisnn_deploy.runs.kernels.stepper import KernelStepper
from pisnn_deploy.runs.kernels.tiles import tiles_of
from pisnn_deploy.runs.kernels.turns import Turn
from pisnn_deploy.runs.run import start_of
from pisnn_deploy.runs.stepping import ReferenceStepper

GRAPHS: dict[str, Callable[[], IntegerGraph]] = {
    "ring": lambda: compiled(heat_model(leak=900), cells=97),
    "plane": lambda: compiled_box(plane_model(), (13, 17), "x=dirichlet=0.5,1.5 y=periodic"),
    "torus": lambda: compiled_box(plane_model(), (12, 16), "periodic"),
    "hidden layers": lambda: compiled(hidden_model((3, 2)), 11),
    "seeing": lambda: seeing_box(plane_model(), (5, 6), "periodic", "dense"),
    "limited": lambda: pisnn_deploy.compile("heat1d", limiter="bounds").graph,
    "law": lambda: pisnn_deploy.compile("shallow_water1d", mesh=(40,)).graph,
}


@pytest.fixture(autouse=True)
def swept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small meshes, too, are swept, in small blocks."""
    monkeypatch.setattr(tiles, "TILE", 7)
    monkeypatch.setattr(schedule, "BLOCK_BYTES", 400)
    monkeypatch.setattr(kernel_steppers, "LARGE", 0)


@pytest.mark.parametrize(("threads", "steps"), [(1, 2), (2, 4), (3, 2)])
@pytest.mark.parametrize("name", GRAPHS)
def test_every_integer_is_the_reference_s(name: str, threads: int, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From both arrays of doubled buffers, and with single steps before and after."""
    monkeypatch.setattr(kernel_steppers, "SWEPT", steps)
    graph = GRAPHS[name]()
    mass = graph.initial if name in ("limited", "law") else lively(graph)
    graph = graph if name in ("limited", "law") else unbounded_range(graph)
    kernel, reference = (kind(graph, start_of(graph, mass), 22) for kind in (KernelStepper, ReferenceStepper))
    for stepper in (kernel, reference):
        stepper.begin()
    for count in (4, 1, 6, 11):
        for stepper in (kernel, reference):
            stepper.advance(count)
        assert_same_state(kernel.state(), reference.state())
        assert kernel.tally() == reference.tally()
    kernel.close()


@pytest.mark.parametrize("steps", [2, 4])
@pytest.mark.parametrize("wrong", range(5, 10))
def test_a_violation_within_a_sweep_is_that_of_the_reference(
    wrong: int, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_steppers, "SWEPT", steps)
    graph = compiled(heat_model(), 24)
    mass = lively(graph)
    reference = ReferenceStepper(unbounded_range(graph), start_of(graph, mass), 20)
    highest = []
    for _ in range(wrong):
        reference.advance(1)
        highest.append(int(np.abs(reference.state().current).max()))
    tight = graph.with_field(window=replace(graph.window, difference=None, current=min(highest[-2:]) - 1))
    sentences = []
    for kind in (KernelStepper, ReferenceStepper):
        stepper = kind(tight, start_of(tight, mass), 20)
        with pytest.raises(PisnnError) as caught:
            stepper.advance(18)
        sentences.append((str(caught.value), stepper.tally()))
    assert sentences[0] == sentences[1]


def test_a_state_that_changes_before_a_sweep_is_seen() -> None:
    graph = unbounded_range(compiled(cells=24))
    stepper = KernelStepper(graph, start_of(graph, lively(graph)), 40)
    stepper.begin()
    stepper.advance(8)
    stepper.kernel.now(mass_of(MEMBRANE))[12] += 1
    with pytest.raises(CheckError, match=r"^backend fast: repeating PDE steps up to 12 set no flag; "):
        stepper.advance(8)


def test_a_kernel_that_stores_something_else_in_a_sweep_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    write = Turn.write

    def wrong(turn: Turn, name: str, value: Value, *, is_new: bool = False) -> None:
        stored = turn.code.add(value, number(1), LONG) if name == mass_of(MEMBRANE) else value
        write(turn, name, stored, is_new=is_new)

    monkeypatch.setattr(Turn, "write", wrong)
    graph = unbounded_range(compiled(cells=24))
    stepper = KernelStepper(graph, start_of(graph, lively(graph)), 20)
    with pytest.raises((CheckError, InvariantViolation), match="local"):
        stepper.advance(9)


def test_a_sweep_that_leaves_threads_idle_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each cell is beside cells of everywhere, all tiles wait for the last block."""
    graph = unbounded_range(compiled_box(plane_model(), (40, 6), "periodic"))
    network = network_of(graph)
    table = {node.name: tiles_of(node) for node in network.nodes}
    even, uneven = schedule_of(network, table, 2), schedule_of(network, table, 2, 12)
    assert schedule_of(network, table, 1, 4).heaviest == 1
    assert even.heaviest < 0.75 < uneven.heaviest
    for most, is_swept in ((1.0, False), (9.0, True)):
        monkeypatch.setattr(kernel_steppers, "MOST_UNEVEN", most)
        monkeypatch.setattr(kernel_steppers, "SWEPT", 12)
        stepper = KernelStepper(graph, start_of(graph, lively(graph)), 40, 2)
        stepper.advance(13)
        assert stepper.kernel.is_swept is False
        stepper.advance(12)
        assert stepper.kernel.is_swept is is_swept
        stepper.close()

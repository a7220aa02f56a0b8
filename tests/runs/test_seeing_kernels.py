"""Faces that see residues in the structured kernels: every integer of every step is the reference's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from kernels_compared import (
    assert_every_step,
    assert_same_state,
    lively,
    unbounded_range,
)
from models_under_test import heat_model, plane_model, seeing_box, space_model

from pisnn_deploy.core.errors import CheckError
from pisnn_deploy.graph.integer import Coding, IntegerGraph
from pisnn_deploy.physics.model import Model
from pisnn_deploy.runs.kernels import schedule, tiles
from pisnn_deploy.runs.kernels import stepper as kernel_steppers
from pisnn_deploy.runs.kernels.draft import state_of
from pisnn_deploy.runs.kernels.stepper import KernelStepper
from pisnn_deploy.runs.run import start_of
from pisnn_deploy.runs.stepping import ReferenceStepper

LINES = ("periodic", "no-flux", "dirichlet=0.5,1.5")
PLANES = ("periodic", "x=dirichlet=0.5,1.5 y=periodic", "x=periodic y=dirichlet=1,0.5", "x=no-flux y=periodic")
BOXES = ("periodic", "x=periodic y=no-flux z=dirichlet=1,0.5", "x=dirichlet=1,0.5 y=periodic z=no-flux")


def seeing(model: Model, shape: tuple[int, ...], boundary: str, coding: Coding = "delta") -> IntegerGraph:
    """A model whose faces see residues, on a box of unit cells."""
    spec = model.spec.model_copy(update={"lengths": tuple(float(n) for n in shape)})
    return unbounded_range(seeing_box(replace(model, spec=spec), shape, boundary, coding))


@pytest.fixture
def short_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles and blocks so small that even a small mesh is cut."""
    monkeypatch.setattr(tiles, "TILE", 7)
    monkeypatch.setattr(schedule, "BLOCK_BYTES", 400)


@pytest.mark.usefixtures("short_tiles")
@pytest.mark.parametrize("boundary", LINES)
@pytest.mark.parametrize("cells", [1, 2, 3, 97])
def test_lines_with_a_leak(boundary: str, cells: int) -> None:
    if cells == 1 and boundary == "no-flux":
        return  # the compiler refuses a mesh without faces
    graph = seeing(heat_model(leak=900), (cells,), boundary)
    state = assert_every_step(graph, lively(graph), 8)
    assert state.packets_sent or cells == 1


@pytest.mark.usefixtures("short_tiles")
@pytest.mark.parametrize("boundary", PLANES)
@pytest.mark.parametrize(("shape", "threads"), [((1, 1), 1), ((2, 3), 1), ((13, 17), 1), ((13, 17), 3)], ids=str)
def test_planes(boundary: str, shape: tuple[int, int], threads: int) -> None:
    if shape == (1, 1) and boundary == "no-flux":
        return
    graph = seeing(plane_model(), shape, boundary, "dense")
    assert_every_step(graph, lively(graph), 8, threads)


@pytest.mark.usefixtures("short_tiles")
@pytest.mark.parametrize("boundary", BOXES)
@pytest.mark.parametrize("shape", [(2, 3, 1), (7, 5, 6)], ids=str)
def test_boxes(boundary: str, shape: tuple[int, int, int]) -> None:
    graph = seeing(space_model(), shape, boundary)
    assert_every_step(graph, lively(graph), 8)


def test_other_weights_of_residues() -> None:
    graph = seeing(plane_model(), (5, 6), "periodic", "dense")
    heard = [s.with_mantissas(np.roll(s.mantissas, 1)) if s.port == "low" else s for s in graph.synapses]
    other = replace(graph, synapses=tuple(heard))
    assert_every_step(other, lively(graph), 4)


def test_no_step_is_explained_where_nothing_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that raises a flag at every step has the integers of the reference, and its speed."""
    graph = seeing(plane_model(), (13, 17), "periodic", "dense")
    stepper = KernelStepper(graph, start_of(graph, lively(graph)), 5, 1)
    monkeypatch.setattr(KernelStepper, "_explain", lambda self: pytest.fail(str(self.kernel.counters)))
    stepper.begin()
    stepper.advance(5)


@pytest.mark.parametrize("noted", [False, True])
def test_a_residue_that_changes_between_steps_is_seen(noted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_steppers, "SNAPSHOT_SECONDS", -1.0 if noted else 1e9)
    graph = seeing(plane_model(), (13, 17), "periodic", "dense")
    stepper = KernelStepper(graph, start_of(graph, lively(graph)), 20, 1)
    stepper.begin()
    stepper.advance(5)
    residue = stepper.kernel.now(state_of("flux", "residue_before"))
    residue[residue.size // 2] += 1
    with pytest.raises(CheckError, match=r"backend fast: .*\(audit: state changed between steps\)"):
        stepper.advance(5)


def test_a_run_goes_on_from_any_state() -> None:
    graph = seeing(plane_model(), (13, 17), PLANES[1], "dense")
    whole = KernelStepper(graph, start_of(graph, lively(graph)), 20)
    whole.begin()
    whole.advance(7)
    middle = whole.state()
    whole.advance(13)
    for rest in (KernelStepper(graph, middle, 20), ReferenceStepper(graph, middle, 20)):
        rest.advance(13)
        assert_same_state(rest.state(), whole.state())

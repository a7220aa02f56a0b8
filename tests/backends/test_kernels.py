"""The compiled kernels: every integer of every step is the reference's, however a mesh is cut and wherever it ends."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from models_under_test import (
    compiled,
    compiled_box,
    heat_model,
    hidden_model,
    plane_model,
    space_model,
)

from pisnn_deploy.backends.kernels.choice import kernel_stepper
from pisnn_deploy.backends.kernels.structured_stepper import StructuredStepper
from pisnn_deploy.backends.run import RunState, start_of
from pisnn_deploy.backends.stepping import ReferenceStepper
from pisnn_deploy.graph.integer import Coding, IntegerGraph, Integers
from pisnn_deploy.model import Model

LINES = ("periodic", "no-flux", "dirichlet=0.5,1.5", "x-=no-flux x+=dirichlet=1", "x-=dirichlet=1 x+=no-flux")
PLANES = (
    "periodic",
    "no-flux",
    "x=dirichlet=0.5,1.5 y=periodic",
    "x=periodic y=dirichlet=1,0.5",
    "x=no-flux y=periodic",
)
BOXES = (
    "periodic",
    "no-flux",
    "x=periodic y=no-flux z=dirichlet=1,0.5",
    "x=dirichlet=1,0.5 y=periodic z=no-flux",
    "x=no-flux y=dirichlet=1,0.5 z=periodic",
)


def lively(graph: IntegerGraph, seed: int = 5) -> Integers:
    """Random masses well within the operating range, so that packets move and nothing stops the run."""
    window = graph.window
    reach = (window.upper - window.lower) // 8
    if window.difference is not None:
        reach = min(reach, window.difference // 8)
    middle = (window.upper + window.lower) // 2
    return np.random.default_rng(seed).integers(middle - reach, middle + reach + 1, graph.mesh.cells, dtype=np.int64)


def assert_same_state(found: RunState, expected: RunState) -> None:
    for name in ("mass", "current", "residue", "transported"):
        assert np.array_equal(getattr(found, name), getattr(expected, name)), (name, expected.step)
        assert getattr(found, name).dtype == np.int64
    for name in ("step", "in_flight", "packets_sent", "quanta_sent", "events"):
        assert getattr(found, name) == getattr(expected, name), name


def fitted(model: Model, shape: tuple[int, ...], boundary: str, coding: Coding = "delta") -> IntegerGraph:
    """A model on a box of unit cells."""
    spec = model.spec.model_copy(update={"lengths": tuple(float(n) for n in shape)})
    return unbounded_range(compiled_box(replace(model, spec=spec), shape, boundary, coding))


def unbounded_range(graph: IntegerGraph) -> IntegerGraph:
    """Without limits on slopes and currents, so that random masses beside reservoirs do not stop the run."""
    return replace(graph, window=replace(graph.window, difference=None, current=None))


def assert_every_step(graph: IntegerGraph, mass: Integers, steps: int = 12, threads: int = 1) -> RunState:
    start = start_of(graph, mass)
    expected = ReferenceStepper(graph, start, steps)
    found = kernel_stepper(graph, start, steps, threads)
    expected.begin()
    found.begin()
    assert_same_state(found.state(), expected.state())
    for _ in range(steps):
        expected.advance(1)
        found.advance(1)
        assert_same_state(found.state(), expected.state())
    assert found.tally() == expected.tally()
    return found.state()


def is_structured(graph: IntegerGraph) -> bool:
    return isinstance(kernel_stepper(graph, start_of(graph, graph.membrane.initial), 1), StructuredStepper)


@pytest.mark.parametrize("boundary", LINES)
@pytest.mark.parametrize("leak", [4096, 900])
@pytest.mark.parametrize("cells", [1, 2, 3, 9, 300])
def test_lines(boundary: str, leak: int, cells: int) -> None:
    if cells == 1 and boundary == "no-flux":
        return  # the compiler refuses a mesh without faces
    graph = fitted(heat_model(leak=leak), (cells,), boundary)
    assert is_structured(graph)
    state = assert_every_step(graph, lively(graph))
    assert state.packets_sent or cells == 1


@pytest.mark.parametrize("boundary", PLANES)
@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (5, 6), (1, 7), (40, 33)], ids=str)
def test_planes(boundary: str, shape: tuple[int, int]) -> None:
    if shape == (1, 1) and boundary == "no-flux":
        return
    graph = fitted(plane_model(), shape, boundary)
    assert is_structured(graph)
    assert_every_step(graph, lively(graph))


@pytest.mark.parametrize("boundary", BOXES)
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 1), (6, 5, 7)], ids=str)
def test_boxes(boundary: str, shape: tuple[int, int, int]) -> None:
    if shape == (1, 1, 1) and boundary == "no-flux":
        return
    graph = fitted(space_model(), shape, boundary)
    assert is_structured(graph)
    assert_every_step(graph, lively(graph))


@pytest.mark.parametrize("coding", ["delta", "dense"])
@pytest.mark.parametrize("channels", [(4,), (3, 2)], ids=str)
@pytest.mark.parametrize("boundary", ["periodic", "no-flux", "dirichlet=-1,1"])
@pytest.mark.parametrize("threads", [1, 3])
def test_hidden_layers(coding: Coding, channels: tuple[int, ...], boundary: str, threads: int) -> None:
    graph = unbounded_range(compiled(hidden_model(channels, leak=2048), 11, boundary, coding))
    assert not is_structured(graph)
    assert_every_step(graph, lively(graph), threads=threads)

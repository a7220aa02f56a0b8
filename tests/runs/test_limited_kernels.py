"""Kernels of graphs with a limiter: every integer of every step is the reference's."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from compiled_once import compile_once
from models_under_test import heat_model, hidden_model, oscillating_model, plane_model, space_model

from pisnn_deploy.compiler import CompileOptions, GraphOptions, Lower, LowerTwoPoint
from pisnn_deploy.compiler.options import Limiter
from pisnn_deploy.core.errors import CheckError, OverflowViolation
from pisnn_deploy.graph.integer import Coding, IntegerGraph, Integers
from pisnn_deploy.graph.kinds import starting_from
from pisnn_deploy.mesh import parse_boundary
from pisnn_deploy.physics.model import Model, OperatingRange
from pisnn_deploy.runs import RunOptions
from pisnn_deploy.runs.domains.stepper import stepper_here
from pisnn_deploy.runs.kernels import stepper as kernel_steppers
from pisnn_deploy.runs.kernels.channels import book_of
from pisnn_deploy.runs.kernels.draft import sent_of, state_of
from pisnn_deploy.runs.kernels.ir import LONG, Value, number
from pisnn_deploy.runs.kernels.stepper import KernelStepper
from pisnn_deploy.runs.kernels.turns import Turn
from pisnn_deploy.runs.run import RunState, start_of
from pisnn_deploy.runs.stepping import ReferenceStepper, stepped_run
from pisnn_deploy.target import load_profile

STEPS = 5
WIDE = OperatingRange(lower=-1.0, upper=8.0)


def limited(
    model: Model, shape: tuple[int, ...], boundary: str, limiter: Limiter = "bounds", coding: Coding = "delta"
) -> IntegerGraph:
    """A graph with a limiter; planes and boxes have friction, so that fluxes go on and overdraw."""
    changes = {"lengths": tuple(float(n) for n in shape), "operating_range": WIDE}
    spec = model.spec.model_copy(update=changes | ({"leak": 900} if len(shape) > 1 else {}))
    sides = parse_boundary(boundary, len(shape))
    graph = GraphOptions(coding=coding, limiter=limiter, placement="none")
    return compile_once(
        replace(model, spec=spec), CompileOptions(Lower(shape, sides), load_profile("loihi2"), graph, search=False)
    )


def of_materials() -> IntegerGraph:
    """A plane of unequal cells."""
    ramp, sides = np.linspace(1.0, 2.0, 12).reshape(3, 4), parse_boundary("x=periodic y=dirichlet=1,0.5", 2)
    options = GraphOptions(limiter="bounds", placement="none")
    lower = LowerTwoPoint((3, 4), sides, {}, ramp, 3 - ramp)
    return compile_once(plane_model(), CompileOptions(lower, load_profile("loihi2"), options, WIDE, search=False))


def spikes_of(graph: IntegerGraph, seed: int = 1) -> Integers:
    """Cells at a limit or between, so that many are asked for more than they have."""
    window, random = graph.window, np.random.default_rng(seed)
    parts = random.choice([0.0, 0.3, 1.0], graph.mesh.cells, p=[0.6, 0.3, 0.1])
    least, most = -(-window.lower // graph.sole_field.inverse_volume), window.upper // graph.sole_field.inverse_volume
    return np.asarray(least + (parts * (most - least)).astype(np.int64))


def assert_same_steps(graph: IntegerGraph, stepper: KernelStepper, start: RunState, steps: int = STEPS) -> RunState:
    expected = ReferenceStepper(graph, start, steps)
    expected.begin()
    stepper.begin()
    with closing(stepper):
        for _ in range(steps):
            expected.advance(1)
            stepper.advance(1)
            found, state = stepper.state(), expected.state()
            for name in ("mass", "current", "residue", "transported"):
                assert np.array_equal(getattr(found, name), getattr(state, name)), (name, state.step)
            for name in ("step", "in_flight", "packets_sent", "quanta_sent", "events"):
                assert getattr(found, name) == getattr(state, name), name
        assert stepper.tally() == expected.tally()
    return found


GRIDS: dict[str, Callable[[], IntegerGraph]] = {
    "line": lambda: limited(oscillating_model(), (9,), "periodic", "positivity"),
    "line with friction": lambda: limited(oscillating_model(leak=900), (9,), "dirichlet=0.5,1.5"),
    "one cell": lambda: limited(heat_model(), (1,), "periodic"),
    "two cells": lambda: limited(oscillating_model(), (2,), "x-=no-flux x+=dirichlet=1"),
    "plane": lambda: limited(plane_model(), (4, 5), "periodic"),
    "plane between walls": lambda: limited(plane_model(), (5, 4), "x=no-flux y=periodic", "positivity"),
    "plane between reservoirs": lambda: limited(plane_model(), (3, 4), "x=periodic y=dirichlet=1,0.5", coding="dense"),
    "box": lambda: limited(space_model(), (3, 2, 4), "x=periodic y=no-flux z=dirichlet=1,0.5"),
    "box all around": lambda: limited(space_model(), (2, 3, 1), "periodic", "positivity"),
}


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", GRIDS)
def test_grids_have_the_integers_of_the_reference(name: str, threads: int) -> None:
    graph = GRIDS[name]()
    start = start_of(graph, spikes_of(graph))
    stepper = KernelStepper(graph, start, STEPS, threads)
    state = assert_same_steps(graph, stepper, start)
    assert state.events["answers"] or name == "one cell"


GENERAL: dict[str, Callable[[], IntegerGraph]] = {
    "hidden layers": lambda: limited(hidden_model((3, 2)), (8,), "periodic"),
    "one cell": lambda: limited(hidden_model((2,)), (1,), "periodic", "positivity", "dense"),
    "materials": lambda: of_materials(),
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", GENERAL)
def test_other_graphs_have_the_integers_of_the_reference(name: str, threads: int) -> None:
    graph = GENERAL[name]()
    start = start_of(graph, spikes_of(graph))
    stepper = KernelStepper(graph, start, 3, threads)
    assert_same_steps(graph, stepper, start, 3)


STORED = (
    state_of("flux", "residue_before"),
    sent_of("flux", 0),
    sent_of("flux", 1),
    sent_of("answers", 0),
    sent_of("answers", 1),
    book_of("flux", "fired"),
    book_of("flux", "current"),
)


@pytest.mark.parametrize("buffer", STORED)
def test_a_kernel_that_stores_something_else_is_seen(buffer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel itself is broken here: it stores twice each value, and one more."""
    write = Turn.write

    def wrong(turn: Turn, name: str, value: Value, *, is_new: bool = False) -> None:
        twice = turn.code.add(turn.code.add(value, value, LONG), number(1), LONG)
        write(turn, name, twice if name == buffer else value, is_new=is_new)

    monkeypatch.setattr(Turn, "write", wrong)
    graph = GRIDS["line with friction"]()
    stepper = KernelStepper(graph, start_of(graph, spikes_of(graph)), STEPS, 1)
    stepper.begin()
    with pytest.raises(CheckError, match=r"\(audit: .*flux"):
        stepper.advance(STEPS)


@pytest.mark.parametrize(
    ("population", "quantity"),
    [
        ("flux", "asked"),
        ("flux", "potential"),
        ("flux", "passed-size"),
        ("answers", "leaving"),
        ("answers", "short-most"),
    ],
)
def test_what_exceeds_its_width_stops_the_run(population: str, quantity: str) -> None:
    graph = GRIDS["plane between walls"]()
    bounds = tuple(
        replace(b, bits=5) if (b.population, b.quantity) == (population, quantity) else b for b in graph.bounds
    )
    narrow = replace(graph, bounds=bounds)
    start = start_of(narrow, spikes_of(narrow))
    failures = []
    for stepper in (KernelStepper(narrow, start, STEPS, 1), ReferenceStepper(narrow, start, STEPS)):
        stepper.begin()
        with pytest.raises(OverflowViolation) as stopped:
            stepper.advance(STEPS)
        failures.append(str(stopped.value))
    assert failures[0] == failures[1] and f"{population} {quantity} [" in failures[0]


@pytest.mark.parametrize("threads", [1, 2])
def test_longer_lines_have_the_integers_of_the_reference(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_steppers, "SHORT_RUN", 0)  # so that LLVM optimises the code
    graph = limited(oscillating_model(), (300,), "periodic", "bounds")
    start = start_of(graph, spikes_of(graph))
    stepper = KernelStepper(graph, start, 30, threads)
    assert assert_same_steps(graph, stepper, start, 30).events["answers"]


def test_a_run_goes_on_from_any_state() -> None:
    graph = GRIDS["line with friction"]()
    whole = KernelStepper(graph, start_of(graph, spikes_of(graph)), 9, 1)
    whole.begin()
    whole.advance(4)
    middle = whole.state()
    whole.advance(5)
    rest = KernelStepper(graph, middle, 9, 1)
    rest.advance(5)
    assert np.array_equal(rest.state().mass, whole.state().mass) and rest.tally() == whole.tally()


@pytest.mark.parametrize("shape", [(40,), (18, 3)], ids=str)
def test_domains_on_kernels_have_the_integers_of_the_reference(shape: tuple[int, ...]) -> None:
    model = oscillating_model(leak=900) if len(shape) == 1 else plane_model()
    graph = limited(model, shape, "x=periodic y=no-flux" if len(shape) > 1 else "dirichlet=0.5,1.5")
    graph = starting_from(graph, spikes_of(graph))
    options, start = RunOptions(4, every=2), start_of(graph, graph.initial)
    expected = stepped_run("fast", graph, ReferenceStepper(graph, start, 4), options)
    with closing(stepper_here(graph, start, 4, 2, 1)) as stepper:
        found = stepped_run("fast", graph, stepper, options)
    assert found.conserved and expected.conserved, found.failure
    for part in ("mass", "ledger", "transported", "in_flight"):
        assert np.array_equal(getattr(found.trace, part), getattr(expected.trace, part)), part

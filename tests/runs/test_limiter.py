"""With a limiter no cell ever holds less than 0, whatever the flux network asks for; all backends agree on how."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from compiled_once import compile_once
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from models_under_test import (
    compiled_box,
    heat_model,
    hidden_model,
    oscillating_model,
    plane_model,
    space_model,
)
from network_runs import assert_same, break_with

from pisnn_deploy.compiler import CompileOptions, GraphOptions, Lower
from pisnn_deploy.compiler.options import Limiter
from pisnn_deploy.core.errors import CompileError
from pisnn_deploy.graph.integer import Coding, IntegerGraph, Integers
from pisnn_deploy.graph.kinds import known_face, starting_from
from pisnn_deploy.lava import backend as cpu
from pisnn_deploy.mesh import parse_boundary
from pisnn_deploy.physics.model import Model, OperatingRange
from pisnn_deploy.runs import RunOptions, fast, run_graph
from pisnn_deploy.runs.comparison import compare
from pisnn_deploy.runs.domains.stepper import stepper_here
from pisnn_deploy.runs.run import Run, start_of
from pisnn_deploy.runs.stepping import ReferenceStepper, stepped_run
from pisnn_deploy.target import load_profile

STEPS = 25
WIDE = OperatingRange(lower=0.0, upper=64.0)
LINES = ("periodic", "no-flux", "dirichlet=0.5,1", "x-=no-flux x+=dirichlet=0")


def limited(
    model: Model, shape: tuple[int, ...], boundary: str, coding: Coding = "delta", limiter: Limiter = "positivity"
) -> IntegerGraph:
    """A model with a limiter, compiled without what only costs time here."""
    sides, profile = parse_boundary(boundary, len(shape)), load_profile("loihi2")
    options = CompileOptions(
        Lower(shape, sides), profile, GraphOptions(coding=coding, limiter=limiter, placement="none"), search=False
    )
    return compile_once(model, options)


def in_one_cell(graph: IntegerGraph, value: float = 8.0) -> Integers:
    mass = np.zeros(graph.mesh.cells, np.int64)
    mass[graph.mesh.cells // 3] = int(value / graph.value_per_quantum)
    return mass


@st.composite
def limited_graphs(draw: st.DrawFn) -> IntegerGraph:
    """Kernels of changing signs; hidden layers of random weights; planes."""
    cells, leak = draw(st.integers(2, 24)), draw(st.sampled_from([4096, 2048, 777]))
    kind = draw(st.sampled_from(["line", "line", "hidden", "plane"]))
    boundary = draw(st.sampled_from(LINES))
    try:
        if kind == "line":
            half = (*draw(st.lists(st.integers(-9, 9), max_size=2)), draw(st.integers(30, 50)))
            model = heat_model(tuple(w / 128 for w in half), leak=leak, operating_range=WIDE)
            return limited(model, (cells,), boundary)
        if kind == "hidden":
            model = hidden_model((3,), draw(st.integers(0, 99)), leak)
            return limited(model, (cells,), boundary, "dense")
        return limited(plane_model(), (5, 6), "x=no-flux y=periodic")
    except CompileError:
        assume(False)
        raise


@st.composite
def starts(draw: st.DrawFn, graph: IntegerGraph) -> Integers:
    """Nonnegative masses that together fit into one cell: all in one, or spread over some, the others empty."""
    cells, room = graph.mesh.cells, graph.window.upper
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    parts = np.zeros(cells, np.int64)
    chosen = random.choice(cells, draw(st.integers(0, cells)), replace=False)
    parts[chosen] = random.integers(0, max(1, room // max(1, chosen.size)), chosen.size)
    return parts


def low_flux(graph: IntegerGraph, held: Integers) -> Integers:
    """The monotone flux of each face, from the numbers of its program."""
    face, mesh, parameters = known_face(graph), graph.mesh, graph.sole_channels.parameters
    assert face.limiter is not None
    if not face.limiter.has_low:
        return np.zeros(mesh.faces, np.int64)
    mass = np.where(np.arange(mesh.holders) < mesh.cells, held, 0)
    moved = parameters["beyond"].copy()
    if face.limiter.upwind in ("source", "both"):
        moved += mass[mesh.source]
    if face.limiter.upwind in ("target", "both"):
        moved -= mass[mesh.target]
    size = np.abs(moved) * face.limiter.weight >> face.exponent
    return np.asarray(np.sign(moved) * size + parameters["base"])


def assert_limited(graph: IntegerGraph, run: Run) -> int:
    """I1, I2, I3 and the limit, from the trace alone; the packets that were withheld."""
    trace, mesh, exponent = run.trace, graph.mesh, known_face(graph).exponent
    limiter = known_face(graph).limiter
    assert trace.flux is not None and limiter is not None
    assert trace.mass.min(initial=0) >= min(0, graph.window.lower)
    assert len(set(trace.totals())) == 1
    held = np.hstack([trace.mass, trace.ledger])
    residue, withheld = np.zeros(mesh.faces, np.int64), 0
    for before, after, (packets, current, left) in zip(held, held[1:], trace.flux[1:], strict=False):
        change = np.zeros(mesh.holders, np.int64)
        np.add.at(change, mesh.target, packets)
        np.subtract.at(change, mesh.source, packets)
        assert np.array_equal(after - before, change)
        fired, rest = np.divmod(current + residue - left, 1 << exponent)
        assert not rest.any() and np.abs(left).max(initial=0) <= 1 << (exponent - 1)
        low = low_flux(graph, before)
        assert ((packets - low) * (fired - low) >= 0).all() and (np.abs(packets - low) <= np.abs(fired - low)).all()
        withheld += int(np.abs(fired - packets).sum())
        residue = left
    return withheld


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_mass_stays_nonnegative_and_conserved(data: st.DataObject) -> None:
    graph = data.draw(limited_graphs())
    mass = data.draw(starts(graph))
    run = fast.run(graph, mass, RunOptions(STEPS, everything=True))
    # Reservoirs and steep fields may lead above the operating range or beyond its slopes, but never below 0.
    assert not run.failure or "operating range left" in run.failure
    assert_limited(graph, run)
    found = compare(("fast", "onnx"), graph, mass, RunOptions(STEPS))
    assert found.difference is None and found.failures[0] == found.failures[1]


@pytest.mark.parametrize("boundary", ["periodic", "no-flux"])
def test_without_the_limiter_the_same_run_goes_negative(boundary: str) -> None:
    graph = limited(oscillating_model(), (24,), boundary)
    mass = in_one_cell(graph)
    free = compiled_box(oscillating_model(), (24,), boundary)
    assert fast.run(free, mass, RunOptions(STEPS)).trace.mass.min() < 0
    run = fast.run(graph, mass, RunOptions(STEPS, everything=True))
    assert run.conserved and assert_limited(graph, run) > 0


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_masses_stay_between_a_floor_and_a_ceiling(data: st.DataObject) -> None:
    model = heat_model((-12 / 128, 48 / 128), operating_range=OperatingRange(lower=-1.0, upper=3.0))
    graph = limited(model, (data.draw(st.integers(2, 16)),), data.draw(st.sampled_from(LINES)), limiter="bounds")
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    window = graph.window
    mass = random.choice([window.lower, window.upper], graph.mesh.cells).astype(np.int64)
    run = fast.run(graph, mass, RunOptions(STEPS, everything=True))
    assert run.conserved, run.failure
    assert_limited(graph, run)
    assert run.trace.mass.min() >= window.lower and run.trace.mass.max() <= window.upper
    found = compare(("fast", "onnx"), graph, mass, RunOptions(STEPS))
    assert found.difference is None


CASES = {
    "delta": lambda: limited(oscillating_model(), (9,), "no-flux"),
    "dense, leaky, reservoirs": lambda: limited(oscillating_model(leak=1024), (9,), "dirichlet=0,0.5", "dense"),
    "two hidden layers": lambda: limited(hidden_model((3, 2)), (8,), "periodic"),
    "hidden layer, dense": lambda: limited(hidden_model((3,)), (8,), "no-flux", "dense"),
    "floor and ceiling": lambda: limited(oscillating_model(), (8,), "no-flux", limiter="bounds"),
}


@pytest.mark.parametrize("name", CASES)
def test_lava_takes_no_more_than_sources_give(name: str) -> None:
    graph = CASES[name]()
    mass = in_one_cell(graph, 4.0)
    options = RunOptions(8, everything=True)
    found, expected = cpu.run(graph, mass, options), fast.run(graph, mass, options)
    assert_same(found, expected)
    assert found.conserved and np.array_equal(found.trace.flux, expected.trace.flux)  # type: ignore[arg-type]
    assert_limited(graph, found)
    assert_same(run_graph("torch", graph, mass, options), expected)


def test_lava_goes_on_where_it_stopped() -> None:
    graph = limited(oscillating_model(), (9,), "no-flux")
    mass = in_one_cell(graph)
    whole, first = fast.run(graph, mass, RunOptions(9)), cpu.run(graph, mass, RunOptions(9, until=4))
    rest = cpu.run(graph, mass, RunOptions(9, start=first.end))
    assert np.array_equal(rest.trace.mass, whole.trace.mass[5:]) and rest.events == whole.events


def test_a_face_of_lava_that_takes_too_much_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    break_with(monkeypatch, "greedy_face")
    graph = limited(oscillating_model(), (9,), "no-flux")
    run = cpu.run(graph, in_one_cell(graph), RunOptions(STEPS))
    assert run.failure.startswith("flux invariant broken: limited packet [1] at PDE step 0: expected 0, ")
    assert run.violations["flux"] > 0 and run.steps == 0


@pytest.mark.parametrize("quantity", ["source-mass", "target-mass", "asked-size"])
def test_what_faces_hold_has_its_width(quantity: str) -> None:
    graph = limited(oscillating_model(), (8,), "no-flux")
    narrow = replace(graph, bounds=tuple(replace(b, bits=6) if b.quantity == quantity else b for b in graph.bounds))
    mass = in_one_cell(graph)
    run = fast.run(narrow, mass, RunOptions(3))
    assert run.failure.startswith(f"overflow: flux {quantity} [") and " at PDE step 0, " in run.failure
    assert run.failure.endswith("outside its 6 signed bits")


def test_domains_and_the_reference_have_the_same_integers() -> None:
    space = space_model()
    wide = replace(space, spec=space.spec.model_copy(update={"operating_range": WIDE}))
    line = limited(oscillating_model(), (60,), "periodic")
    box = limited(wide, (12, 10, 14), "x=no-flux y=periodic z=dirichlet=0,0")
    assert known_face(line).limiter is not None and known_face(box).limiter is not None
    options = RunOptions(12, every=4)
    for graph in (line, box):
        mass = in_one_cell(graph)
        graph = starting_from(graph, mass)
        start = start_of(graph, mass)
        expected = stepped_run("fast", graph, ReferenceStepper(graph, start, 12), options)
        with closing(stepper_here(graph, start, 12, 3, 1)) as stepper:
            found = stepped_run("fast", graph, stepper, options)
        assert found.conserved, found.failure
        for part in ("mass", "ledger", "transported", "in_flight"):
            assert np.array_equal(getattr(found.trace, part), getattr(expected.trace, part)), part

"""With a limiter no cell ever holds less than 0, whatever the flux network asks for; all backends agree on how."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from compiled_once import compile_once
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from local_workers import LocalWorkers
from models_under_test import (
    binary_box,
    heat_model,
    hidden_model,
    oscillating_model,
    plane_model,
    space_model,
)
from network_runs import assert_same, break_with

from pisnn_deploy.compiler import CompileOptions, GraphOptions, Lower
from pisnn_deploy.core.errors import CheckError, CompileError
from pisnn_deploy.graph.integer import ARRIVAL, Coding, IntegerGraph, Integers
from pisnn_deploy.graph.kinds import known_face, starting_from, with_faces
from pisnn_deploy.graph.wellformed import defects
from pisnn_deploy.lava import backend as cpu
from pisnn_deploy.mesh import parse_boundary
from pisnn_deploy.physics.model import Model, OperatingRange
from pisnn_deploy.runs import RunOptions, fast, run_graph
from pisnn_deploy.runs.comparison import compare
from pisnn_deploy.runs.domains.cut import cut, reach
from pisnn_deploy.runs.domains.run import divided_run
from pisnn_deploy.runs.kernels import general_stepper
from pisnn_deploy.runs.kernels.choice import kernel_stepper
from pisnn_deploy.runs.kernels.faces import FaceText, face_text
from pisnn_deploy.runs.kernels.general_stepper import GeneralStepper
from pisnn_deploy.runs.kernels.structured_stepper import StructuredStepper, plan_of
from pisnn_deploy.runs.run import Run, start_of
from pisnn_deploy.runs.stepping import ReferenceStepper, stepped_run
from pisnn_deploy.target import load_profile

STEPS = 25
PORT_STATES = ("source-mass", "target-mass", "share")
WIDE = OperatingRange(lower=0.0, upper=64.0)
LINES = ("periodic", "no-flux", "dirichlet=0.5,1", "x-=no-flux x+=dirichlet=0")


def limited(model: Model, shape: tuple[int, ...], boundary: str, coding: Coding = "delta") -> IntegerGraph:
    """A model with a limiter, compiled without what only costs time here."""
    sides, profile = parse_boundary(boundary, len(shape)), load_profile("loihi2")
    options = CompileOptions(
        Lower(shape, sides), profile, GraphOptions(coding=coding, limiter="positivity", placement="none"), search=False
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


def assert_limited(graph: IntegerGraph, run: Run) -> int:
    """I1, I2, I3 and the limit, from the trace alone; the packets that were withheld."""
    trace, mesh, exponent = run.trace, graph.mesh, known_face(graph).exponent
    assert trace.flux is not None and known_face(graph).share_bits is not None
    assert trace.mass.min(initial=0) >= 0
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
        giver = np.where(fired > 0, mesh.source, mesh.target)
        share = np.where(giver < mesh.cells, before[giver] >> known_face(graph).share_bits, np.abs(fired))
        assert np.array_equal(np.abs(packets), np.minimum(np.abs(fired), share))
        assert (packets * fired >= 0).all()
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
    ports = {synapse.name for synapse in graph.synapses if synapse.port != ARRIVAL}
    free = replace(
        with_faces(graph, share_bits=None),
        synapses=tuple(synapse for synapse in graph.synapses if synapse.port == ARRIVAL),
        bounds=tuple(b for b in graph.bounds if b.population not in ports and b.quantity not in PORT_STATES),
    ).with_field(window=replace(graph.window, lower=-graph.window.upper))
    assert not defects(free)
    assert fast.run(free, mass, RunOptions(STEPS)).trace.mass.min() < 0
    run = fast.run(graph, mass, RunOptions(STEPS, everything=True))
    assert run.conserved and assert_limited(graph, run) > 0


def test_a_negative_start_rises_and_never_falls_further() -> None:
    graph = limited(oscillating_model(), (12,), "periodic")
    graph = graph.with_field(window=replace(graph.window, lower=-1000))
    mass = in_one_cell(graph)
    mass[0], mass[5] = -1000, -1
    run = fast.run(graph, mass, RunOptions(STEPS))
    assert run.conserved and (run.trace.mass >= np.minimum(mass, 0)).all()


CASES = {
    "delta": lambda: limited(oscillating_model(), (9,), "no-flux"),
    "dense, leaky, reservoirs": lambda: limited(oscillating_model(leak=1024), (9,), "dirichlet=0,0.5", "dense"),
    "two hidden layers": lambda: limited(hidden_model((3, 2)), (8,), "periodic"),
    "hidden layer, dense": lambda: limited(hidden_model((3,)), (8,), "no-flux", "dense"),
    "binary": lambda: binary_box(oscillating_model((46 / 128,)), (8,), "no-flux", "delta", "positivity"),
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


def greedy(text: FaceText) -> FaceText:
    """Faces that take what they want."""
    return replace(text, text=re.sub(r"v_packet = .*", "v_packet = v_lifted", text.text))


def test_a_kernel_that_takes_too_much_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = limited(oscillating_model((4 / 128, 66 / 128)), (16,), "periodic")
    start, plan = start_of(graph, in_one_cell(graph)), plan_of(graph)
    assert plan is not None
    lines = StructuredStepper(graph, replace(plan, text=greedy(plan.text)), start, STEPS, threads=1)
    with monkeypatch.context() as patch:
        patch.setattr(general_stepper, "face_text", lambda *rest, **named: greedy(face_text(*rest, **named)))
        rows = GeneralStepper(graph, start, STEPS, threads=1)
    sentence = r"^backend fast: mass \[\d+\] is -?\d+ after PDE step \d+, but .* in the reference \(audit: flux"
    for stepper in (rows, lines):
        with pytest.raises(CheckError, match=sentence):
            stepper.advance(STEPS)


@pytest.mark.parametrize("quantity", ["source-mass", "target-mass", "share"])
def test_what_faces_hold_has_its_width(quantity: str) -> None:
    graph = limited(oscillating_model(), (8,), "no-flux")
    narrow = replace(graph, bounds=tuple(replace(b, bits=6) if b.quantity == quantity else b for b in graph.bounds))
    mass = in_one_cell(graph)
    run = fast.run(narrow, mass, RunOptions(3))
    assert run.failure.startswith(f"overflow: flux {quantity} [") and " at PDE step 0, " in run.failure
    assert run.failure.endswith("outside its 6 signed bits")


def test_threads_domains_and_the_reference_have_the_same_integers() -> None:
    space = space_model()
    wide = replace(space, spec=space.spec.model_copy(update={"operating_range": WIDE}))
    line = limited(oscillating_model(), (60,), "periodic")
    box = limited(wide, (12, 10, 14), "x=no-flux y=periodic z=dirichlet=0,0")
    assert (known_face(line).share_bits, known_face(box).share_bits) == (1, 3)
    options = RunOptions(12, every=4)
    for graph in (line, box):
        mass = in_one_cell(graph)
        graph = starting_from(graph, mass)
        start = start_of(graph, mass)
        expected = stepped_run("fast", graph, ReferenceStepper(graph, start, 12), options)
        for threads in (1, 3):
            stepper = kernel_stepper(graph, start, 12, threads)
            assert_same(stepped_run("fast", graph, stepper, options), expected)
            stepper.close()
        domains = cut(graph, 3, 1)
        found = divided_run(graph, domains, LocalWorkers(domains, 12, reach(graph)), 1, options)
        assert found.conserved, found.failure
        for part in ("mass", "ledger", "transported", "in_flight"):
            assert np.array_equal(getattr(found.trace, part), getattr(expected.trace, part)), part

"""The compiled kernels: every integer of every step is the reference's, however a mesh is cut and wherever it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compiled_once import compile_once
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels_compared import (
    assert_every_step,
    assert_same_state,
    is_structured,
    kernel_stepper_of,
    lively,
    unbounded_range,
    with_bits,
)
from models_under_test import (
    binary_box,
    compiled,
    compiled_box,
    heat_model,
    hidden_model,
    laplace_model,
    plane_model,
    space_model,
)

from pisnn_deploy.compiler import CompileOptions, GraphOptions, Lower, LowerTwoPoint, Material
from pisnn_deploy.core.errors import CheckError, UsageError
from pisnn_deploy.graph.integer import FLUX, Coding, IntegerGraph, Integers
from pisnn_deploy.mesh import parse_boundary, read_mesh_file
from pisnn_deploy.physics.model import Model
from pisnn_deploy.physics.problems import problem
from pisnn_deploy.programs import parse
from pisnn_deploy.project.zoo import model_path, names
from pisnn_deploy.runs import Run, RunOptions, fast
from pisnn_deploy.runs.kernels import exchange, structured_stepper, tables
from pisnn_deploy.runs.kernels import stepper as kernel_steppers
from pisnn_deploy.runs.kernels.choice import kernel_stepper
from pisnn_deploy.runs.kernels.compiled import bound, part
from pisnn_deploy.runs.kernels.faces import UnservedError
from pisnn_deploy.runs.kernels.general_stepper import GeneralStepper
from pisnn_deploy.runs.kernels.layers import layer_text
from pisnn_deploy.runs.kernels.structured_stepper import StructuredStepper, plan_of
from pisnn_deploy.runs.kernels.threads import thread_count
from pisnn_deploy.runs.run import start_of
from pisnn_deploy.runs.stepping import ReferenceStepper, stepped_run
from pisnn_deploy.target import load_profile
from pisnn_deploy.training.checkpoint import read_checkpoint

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


def fitted(model: Model, shape: tuple[int, ...], boundary: str, coding: Coding = "delta") -> IntegerGraph:
    """A model on a box of unit cells."""
    spec = model.spec.model_copy(update={"lengths": tuple(float(n) for n in shape)})
    return unbounded_range(compiled_box(replace(model, spec=spec), shape, boundary, coding))


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


BINARY = {
    "line": lambda coding: binary_box(heat_model(leak=900), (9,), "x-=no-flux x+=dirichlet=1", coding),
    "plane": lambda coding: binary_box(plane_model(), (5, 6), "periodic", coding),
    "hidden": lambda coding: binary_box(hidden_model((3,)), (7,), "no-flux", coding),
}


@pytest.mark.parametrize("coding", ["delta", "dense"])
@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("threads", [1, 2])
def test_binary_spikes_are_counted_bit_by_bit(name: str, coding: Coding, threads: int) -> None:
    graph = unbounded_range(BINARY[name](coding))
    assert is_structured(graph) == (name != "hidden")
    state = assert_every_step(graph, lively(graph), threads=threads)
    assert state.events[FLUX] > state.packets_sent > 0


@pytest.mark.parametrize("lines", [1, 5, 32, 33, 40, 63, 64])
def test_any_number_of_lines(lines: int) -> None:
    """Also where a payload has more lines than bits in the kernels, as negative ones are all ones before the first."""
    for graph in (compiled(cells=24), compiled(hidden_model((3,)), 11)):
        populations = tuple(replace(population, lines=lines) for population in graph.populations)
        assert_every_step(unbounded_range(replace(graph, populations=populations)), lively(graph))


def sliced(graph: IntegerGraph, mass: Integers, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As above with blocks so small that even a small mesh is cut."""
    for name, size in (("TILE", 7), ("BLOCK", 24), ("FIRST_BLOCK", 5)):
        monkeypatch.setattr(tables, name, size)
    assert_every_step(graph, mass, 8, threads)


@pytest.mark.parametrize("threads", [1, 2, 3, 4])
@pytest.mark.parametrize("boundary", LINES)
def test_lines_in_slabs(boundary: str, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = fitted(heat_model(leak=900), (97,), boundary)
    sliced(graph, lively(graph), threads, monkeypatch)


@pytest.mark.parametrize("threads", [1, 3, 4])
@pytest.mark.parametrize("boundary", PLANES)
def test_planes_in_slabs(boundary: str, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = fitted(plane_model(), (13, 17), boundary)
    sliced(graph, lively(graph), threads, monkeypatch)


@pytest.mark.parametrize("threads", [2, 4])
@pytest.mark.parametrize("boundary", BOXES)
def test_boxes_in_slabs(boundary: str, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = fitted(space_model(), (7, 5, 6), boundary)
    sliced(graph, lively(graph), threads, monkeypatch)


@pytest.mark.parametrize("boundary", [PLANES[2], BOXES[2]])
def test_long_rows_have_loops_of_their_own(boundary: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "LONG_ROW", 4)
    model, shape = (plane_model(), (5, 6)) if boundary == PLANES[2] else (space_model(), (6, 5, 7))
    graph = fitted(model, shape, boundary)
    assert_every_step(graph, lively(graph))


@pytest.mark.parametrize(("threads", "spelled_out"), [(1, False), (2, False), (1, True)])
def test_faces_that_hear_one_step_late(threads: int, spelled_out: bool) -> None:
    lower, options = Lower((24,), parse_boundary("periodic", 1)), GraphOptions(processes="stock", send_threshold=3)
    graph = compile_once(heat_model(), CompileOptions(lower, load_profile("loihi2"), options))
    if spelled_out:
        graph = replace(graph, synapses=tuple(s.with_mantissas(s.mantissas) for s in graph.synapses))
    assert graph.sole_channels.is_late and is_structured(graph) != spelled_out
    state = assert_every_step(unbounded_range(graph), lively(graph), threads=threads)
    assert state.current.any()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("profile", ["loihi2", "generic-int"])
def test_friction_parabolas_and_split_weights(profile: str, threads: int) -> None:
    options = CompileOptions(
        Lower((24, 24), parse_boundary("x=dirichlet=0,1 y=dirichlet=0,0", 2)), load_profile(profile)
    )
    graph = compile_once(laplace_model(), options)
    assert is_structured(graph)
    state = assert_every_step(graph, graph.initial, 12, threads)
    assert state.current.any() and state.mass[graph.mesh.cells :].any()


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("coding", ["delta", "dense"])
def test_a_plate_of_two_materials(coding: Coding, threads: int) -> None:
    plate = Path(__file__).parents[2] / "examples" / "plate_with_hole" / "plate.msh"
    materials = {"steel": Material(16.0, 3.8), "copper": Material(390.0, 3.4)}
    lower = LowerTwoPoint(read_mesh_file(plate), {"left": 0.25, "hole": 1.75}, materials)
    graph = compile_once(plane_model(), CompileOptions(lower, load_profile("loihi2"), GraphOptions(coding=coding)))
    assert_every_step(graph, graph.mass(np.random.default_rng(4).uniform(0.2, 1.8, graph.mesh.cells)), threads=threads)


@pytest.mark.parametrize("name", names())
def test_the_zoo(name: str) -> None:
    with model_path(name) as path:
        model = read_checkpoint(path)
    shape = (40,) if len(model.spec.lengths) == 1 else (24, 24)
    spec = model.spec
    if spec.cell_width is not None:
        model = replace(model, spec=spec.model_copy(update={"lengths": (40 * spec.cell_width,)}))
    graph = compile_once(
        model, CompileOptions(Lower(shape, problem(spec.problem).default_boundary(shape)), load_profile("loihi2"))
    )
    assert is_structured(graph) == (not graph.between_fields)
    assert_every_step(graph, graph.initial, 20)


@given(
    st.lists(st.integers(0, 2**20), min_size=2, max_size=40),
    st.sampled_from(LINES),
    st.sampled_from([4096, 700]),
    st.integers(1, 3),
)
@settings(deadline=None, max_examples=40)
def test_any_line(values: list[int], boundary: str, leak: int, threads: int) -> None:
    graph = fitted(heat_model(leak=leak), (len(values),), boundary)
    mass = np.array(values, np.int64)
    found, expected = (
        stepped_run("fast", graph, stepper, RunOptions(9, every=4))
        for stepper in (
            kernel_stepper(graph, start_of(graph, mass), 9, threads),
            ReferenceStepper(graph, start_of(graph, mass), 9),
        )
    )
    assert_same_run(found, expected)


def assert_same_run(found: Run, expected: Run) -> None:
    for field in ("step", "mass", "ledger", "transported", "in_flight"):
        assert np.array_equal(getattr(found.trace, field), getattr(expected.trace, field)), field
    for field in ("steps", "time_steps", "violations", "failure", "packets_sent", "quanta_sent", "events"):
        assert getattr(found, field) == getattr(expected, field), field


def assert_same_failure(graph: IntegerGraph, mass: Integers, steps: int = 30, threads: int = 1) -> Run:
    options = RunOptions(steps, every=4)
    start = start_of(graph, mass)
    expected = stepped_run("fast", graph, ReferenceStepper(graph, start, steps), options)
    found = stepped_run("fast", graph, kernel_stepper(graph, start, steps, threads), options)
    assert expected.failure
    assert_same_run(found, expected)
    return found


QUANTITIES = [
    ("membrane", "mass"),
    ("membrane", "payload"),
    ("flux", "drive"),
    ("flux", "current"),
    ("flux", "potential"),
    ("flux", "packet"),
    ("flux", "residue"),
]


@pytest.mark.parametrize(("population", "quantity"), QUANTITIES)
@pytest.mark.parametrize("hidden", [False, True])
def test_a_value_beyond_its_width_gives_the_sentence_of_the_reference(
    population: str, quantity: str, hidden: bool
) -> None:
    graph = unbounded_range(compiled(hidden_model((3,)) if hidden else heat_model(), 24))
    for bits in (3, 6, 10):
        found = assert_same_failure_or_run(with_bits(graph, population, quantity, bits), lively(graph))
        if bits == 3:
            assert found.failure.startswith(f"overflow: {population} {quantity} [")


@pytest.mark.parametrize("quantity", ["drive", "activation"])
def test_a_hidden_value_beyond_its_width(quantity: str) -> None:
    graph = compiled(hidden_model((3,)), 16)
    for bits in (4, 18, 19, 20):
        assert_same_failure_or_run(with_bits(graph, "hidden1", quantity, bits), graph.initial)


def assert_same_failure_or_run(graph: IntegerGraph, mass: Integers) -> Run:
    options = RunOptions(30, every=4)
    start = start_of(graph, mass)
    expected = stepped_run("fast", graph, ReferenceStepper(graph, start, 30), options)
    found = stepped_run("fast", graph, kernel_stepper(graph, start, 30), options)
    assert_same_run(found, expected)
    return found


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("hidden", [False, True])
def test_leaving_the_range_on_the_way(hidden: bool, threads: int) -> None:
    graph = compiled(hidden_model((3,)) if hidden else heat_model(), 24)
    mass = lively(graph)
    run = stepped_run(
        "fast", graph, ReferenceStepper(unbounded_range(graph), start_of(graph, mass), 20), RunOptions(20)
    )
    lowest, highest = run.trace.mass.min(axis=1), run.trace.mass.max(axis=1)
    window = replace(graph.window, difference=None)
    for step in (3, 20):
        found = []
        if highest[step] > highest[:step].max():
            found.append(graph.with_field(window=replace(window, upper=int(highest[step]) - 1)))
        if lowest[step] < lowest[:step].min():
            found.append(graph.with_field(window=replace(window, lower=int(lowest[step]) + 1)))
        for tight in found:
            assert assert_same_failure(tight, mass, 20, threads).failure.startswith("operating range left: membrane")


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("boundary", ["periodic", "dirichlet=0.5,1.5"])
def test_slopes_that_are_too_steep(boundary: str, threads: int) -> None:
    graph = compiled(cells=24, boundary=boundary)
    mass = np.full(24, graph.window.upper // 2, np.int64)
    mass[10] += 3000
    steep = replace(graph.window, difference=3001 if boundary == "periodic" else 10**6)
    for difference in (2999, 3001, steep.difference):
        tight = graph.with_field(window=replace(graph.window, difference=difference, current=None))
        assert_same_failure_or_run(tight, mass)


def test_a_current_beyond_the_operating_range() -> None:
    graph = compiled(heat_model(leak=900), 24)
    for largest in (10, 100_000, 300_000):
        assert_same_failure_or_run(
            graph.with_field(window=replace(graph.window, current=largest, difference=None)), lively(graph)
        )


def test_a_broken_route_gives_the_sentence_of_the_reference() -> None:
    graph = compiled()
    route = graph.synapses[-1]
    mantissas = route.mantissas.copy()
    mantissas[4] *= 2
    broken = replace(graph, synapses=(*graph.synapses[:-1], route.with_mantissas(mantissas)))
    assert not is_structured(broken)
    found = assert_same_failure(broken, graph.initial)
    assert found.failure.startswith("local invariant broken: membrane [2] at PDE step 1: expected ")


def changed_array(stepper: StructuredStepper | GeneralStepper, name: str) -> Any:
    if name == "mass":
        return stepper.mass
    return stepper.arrays.states[0 if name == "current" else -1]


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("noted", [False, True])
def test_a_state_that_changes_between_steps_is_seen(
    hidden: bool, threads: int, noted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the stepper notes the changed state before it is looked at."""
    monkeypatch.setattr(kernel_steppers, "SNAPSHOT_SECONDS", -1.0 if noted else 1e9)
    graph = unbounded_range(compiled(hidden_model((3,), leak=2048) if hidden else heat_model(leak=1024), 24))
    changed = "state changed between steps"
    for name, audit in (("mass", "global"), ("residue", changed), ("current", changed)):
        stepper = kernel_stepper(graph, start_of(graph, lively(graph)), 20, threads)
        stepper.begin()
        stepper.advance(5)
        assert isinstance(stepper, StructuredStepper | GeneralStepper)
        array = changed_array(stepper, name)
        array.reshape(-1)[array.size // 2] += 1
        with pytest.raises(CheckError) as caught:
            stepper.advance(5)
        message = str(caught.value)
        # Hidden activations are computed anew from masses that were noted, and differ from the kernel's.
        as_noted = noted and (name != "mass" or not hidden)
        where = " a state changed between steps, before PDE step 5 " if as_noted else " after PDE step 5, but "
        assert message.startswith("backend fast: ") and where in message
        assert f"(audit: {audit})" in message
        stepper.close()


def lossy_take(mass: Any, new: Any, gains: Any, at: Any, n: Any) -> Any:
    """As `exchange._take`, but a quantum is lost on the way."""
    for x in range(n):
        new[at + x] = mass[at + x] + gains[x]
    new[at] -= 1
    return n


def lossy_exchange(packets: Any, gains: Any, here: Any, below: Any, n: Any) -> Any:
    """As `exchange._exchange`, but the same packet enters twice."""
    for x in range(n):
        gains[x] = packets[0, below[0] + x] - packets[0, here + x]
    gains[n - 1] += packets[0, here]


@pytest.mark.parametrize("name", ["_take", "_exchange"])
def test_a_kernel_that_loses_a_packet_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernels themselves are broken here, and compiled so."""
    graph = compiled(cells=8)
    broken = part(lossy_take if name == "_take" else lossy_exchange)
    with monkeypatch.context() as patch:
        patch.setattr(exchange, name, broken)
        patch.setattr(structured_stepper, "bound", bound.__wrapped__)
        stepper = kernel_stepper(graph, start_of(graph, graph.initial), 9, 1)
    stepper.begin()
    with pytest.raises(CheckError, match=r"\(audit: global, local\)"):
        stepper.advance(3)


FACES = {
    "packets[axis, place + x] = v_packet": "packets[axis, place + x] = t(v_packet + (t(1) if x == n // 2 else t(0)))",
    "s1[axis, i] = s1_t(v_residue)": "s1[axis, i] = s1_t(v_residue + (t(1) if x == n // 2 else t(0)))",
    "s0[axis, i] = s0_t(v_current)": "s0[axis, i] = s0_t(v_current - (t(1) if x == n // 2 else t(0)))",
    "before[x] = v_residue_before": "before[x] = t(v_residue_before + t(1))",
}


@pytest.mark.parametrize("statement", FACES)
def test_faces_that_store_something_else_are_seen(statement: str) -> None:
    graph = compiled(heat_model(leak=900), cells=8)
    plan = plan_of(graph)
    assert plan is not None and plan.text.text.count(statement) == 1
    wrong = replace(plan, text=replace(plan.text, text=plan.text.text.replace(statement, FACES[statement])))
    stepper = StructuredStepper(graph, wrong, start_of(graph, graph.initial), 9, 1)
    stepper.begin()
    with pytest.raises(CheckError, match=r"\(audit: flux"):
        stepper.advance(3)


def test_a_false_alarm_is_no_violation() -> None:
    graph = unbounded_range(compiled(cells=24))
    stepper = kernel_stepper(graph, start_of(graph, lively(graph)), 12, 1)
    expected = ReferenceStepper(graph, start_of(graph, lively(graph)), 12)
    stepper.begin()
    expected.begin()
    assert isinstance(stepper, StructuredStepper)
    stepper._programs[2][:] = 0  # no width holds anything but 0
    stepper.advance(12)
    expected.advance(12)
    assert_same_state(stepper.state(), expected.state())
    assert stepper.tally() == expected.tally()


@pytest.mark.parametrize("threads", [1, 2])
def test_no_step_takes_the_time_to_compile(threads: int) -> None:
    for model in (heat_model(leak=900), hidden_model((3,), leak=900)):
        graph = unbounded_range(compiled(model, 24))
        with closing(kernel_stepper(graph, start_of(graph, lively(graph)), 9, threads)) as stepper:
            stepper.prepare()
            kernels = vars(stepper.kernels)
            ready = {name: list(kernel.signatures) for name, kernel in kernels.items() if kernel.signatures}
            stepper.begin()
            stepper.advance(9)
            assert ready and ready == {name: list(k.signatures) for name, k in kernels.items() if k.signatures}


def test_a_run_goes_on_from_any_state() -> None:
    for model in (heat_model(leak=900), hidden_model((3,), leak=900)):
        graph = unbounded_range(compiled(model, 24))
        whole = kernel_stepper(graph, start_of(graph, lively(graph)), 20)
        whole.begin()
        whole.advance(7)
        middle = whole.state()
        whole.advance(13)
        for rest in (kernel_stepper(graph, middle, 20), ReferenceStepper(graph, middle, 20)):
            rest.advance(13)
            assert_same_state(rest.state(), whole.state())


def test_wide_numbers_where_narrow_ones_do_not_fit() -> None:
    graph = fitted(plane_model(), (6, 5), "periodic")
    assert kernel_stepper_of(graph).narrow
    bounds = tuple(replace(b, bits=48) for b in graph.bounds)
    wide = replace(graph.with_field(window=replace(graph.window, upper=2**30)), bounds=bounds)
    assert not kernel_stepper_of(wide).narrow
    mass = lively(graph)
    mass[3] = 2**29
    assert_every_step(wide, mass)


def test_a_program_without_a_text_runs_in_the_reference() -> None:
    graph = compiled(hidden_model((3,)), 8)
    kept = parse("""neuron slow(arrival; before; bias)
drive = add(arrival, bias)
positive = max(drive, 0)
activation = asr(positive, 7)
keep before = activation
send activation""")
    (layer,) = graph.between_fields
    with pytest.raises(UnservedError) as refused:
        layer_text(replace(layer, program=kept), ())
    assert str(refused.value) == "program slow: kernels do not support it between membranes and faces"
    populations = tuple(replace(p, program=kept) if p.name == layer.name else p for p in graph.populations)
    slow = replace(graph, populations=populations)
    assert isinstance(fast.stepper_of(slow, start_of(graph, lively(graph)), 5), ReferenceStepper)


def test_narrow_sums_of_packets_are_moved_in_time() -> None:
    graph = unbounded_range(compiled(cells=24))
    stepper = kernel_stepper(graph, start_of(graph, lively(graph)), 30, 1)
    expected = ReferenceStepper(graph, start_of(graph, lively(graph)), 30)
    assert isinstance(stepper, StructuredStepper) and stepper._lasting > 1000
    stepper._lasting = 4
    stepper.advance(30)
    expected.advance(30)
    assert_same_state(stepper.state(), replace(expected.state()))
    assert stepper.arrays.transported.any() and stepper._moved.any()


def test_without_numba_the_run_is_slow_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = compiled()
    expected = fast.run(graph, graph.initial, RunOptions(10))
    for name in list(sys.modules):
        if name.startswith("pisnn_deploy.runs.kernels"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.warns(RuntimeWarning, match="runs slowly, in plain numpy: "):
        found = fast.run(graph, graph.initial, RunOptions(10))
    assert_same_run(found, expected)


def test_threads_are_asked_for_by_an_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PISNN_THREADS", "3")
    assert thread_count(10) == 3
    for text in ("0", "-1", "many"):
        monkeypatch.setenv("PISNN_THREADS", text)
        with pytest.raises(UsageError, match="must be a positive integer"):
            thread_count(10)
    monkeypatch.delenv("PISNN_THREADS")
    assert thread_count(10) == 1 <= thread_count(10**7)


def test_a_cache_that_cannot_be_written_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    program = (
        "import warnings; warnings.simplefilter('error')\n"
        "from pisnn_deploy.runs.kernels.compiled import kernel\n"
        "exec(compile('def double(x): return 2 * x', '<nowhere>', 'exec'))\n"
        "print(kernel(double)(3))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "file" / "cache")},
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("6\n", "", 0)

"""Cells that differ: linear heat models on random meshes and materials, compiled, proved and run."""

from __future__ import annotations

import functools
import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from models_under_test import heat_model, hidden_model, laplace_model, level_shift, plane_model, space_model
from numpy.typing import NDArray

from pisnn_deploy.compiler import CompileOptions, GraphOptions, LowerTwoPoint, Material, compile_model
from pisnn_deploy.compiler.passes.alike import LARGEST_WEIGHT
from pisnn_deploy.core.errors import CompileError, UsageError
from pisnn_deploy.graph import CellGraph, IntegerGraph
from pisnn_deploy.graph.integer import LEVEL
from pisnn_deploy.graph.wellformed import defects
from pisnn_deploy.mesh import MeshFile, parse_boundary
from pisnn_deploy.physics.model import Model, OperatingRange
from pisnn_deploy.runs import RunOptions, run_graph
from pisnn_deploy.target import load_profile
from pisnn_deploy.verify import check_certificate

LOIHI2 = load_profile("loihi2")
MODELS = {1: heat_model(), 2: plane_model(), 3: space_model()}
Field = NDArray[np.float64]


def simplices(dims: int, seed: int, wobble: float = 0.15) -> MeshFile:
    """A cube of two or three cubes a side, cut into simplices, with its inner points moved; groups are its sides."""
    random = np.random.default_rng(seed)
    count = 4 if dims == 2 else 2
    side = count + 1
    points = np.stack(np.meshgrid(*(np.arange(side),) * dims, indexing="ij"), axis=-1).reshape(-1, dims) / count
    inner = ((points > 0) & (points < 1)).all(axis=1)
    points[inner] += random.uniform(-wobble, wobble, (int(inner.sum()), dims)) / count
    places = side ** np.arange(dims - 1, -1, -1)
    cells = []
    for base in itertools.product(range(count), repeat=dims):
        for order in itertools.permutations(range(dims)):
            corners = [int(np.dot(base, places))]
            for axis in order:
                corners.append(corners[-1] + int(places[axis]))
            cells.append(corners)
    faces: dict[tuple[int, ...], list[int]] = {}
    for cell, corners in enumerate(cells):
        for face in itertools.combinations(sorted(corners), dims):
            faces.setdefault(face, []).append(cell)
    inside = sorted((tuple(beside), face) for face, beside in faces.items() if len(beside) == 2)
    outside = sorted((beside[0], face) for face, beside in faces.items() if len(beside) == 1)
    lowest, highest = (
        np.array([np.isclose(points[list(face), 0], end).all() for _, face in outside]) for end in (0.0, 1.0)
    )
    return MeshFile(
        path=Path("cube.msh"),
        points=points,
        corners=np.array(cells, np.int64),
        material=np.concatenate([[0, 1], random.integers(0, 2, len(cells) - 2)]).astype(np.int64),
        material_names=("copper", "steel"),
        interior=np.array([beside for beside, _ in inside], np.int64),
        interior_corners=np.array([face for _, face in inside], np.int64),
        boundary=np.array([cell for cell, _ in outside], np.int64),
        boundary_corners=np.array([face for _, face in outside], np.int64),
        boundary_member=np.arange(lowest.size),
        boundary_group=np.where(lowest, 0, np.where(highest, 2, 1)).astype(np.int64),
        group_names=("left", "rest", "right"),
    )


def on_simplices(dims: int, seed: int, held: dict[str, float]) -> LowerTwoPoint:
    random = np.random.default_rng(seed)
    ratios = np.exp(random.uniform(-1.5, 1.5, 4))
    materials = {"copper": Material(ratios[0], ratios[1]), "steel": Material(ratios[2], ratios[3])}
    return LowerTwoPoint(simplices(dims, seed), held, materials)


def on_a_box(shape: tuple[int, ...], seed: int, boundary: str) -> LowerTwoPoint:
    random = np.random.default_rng(seed)
    conductivity, capacity = np.exp(random.uniform(-1, 1, (2, *shape)))
    sides = parse_boundary(boundary, len(shape))
    return LowerTwoPoint(shape, sides, {"default": Material(0.01)}, conductivity, capacity)


SHAPES = {1: (11,), 2: (5, 6), 3: (3, 4, 5)}
SIDES = ("periodic", "no-flux", "dirichlet=0.5,1.5", "-=no-flux {axis}+=dirichlet=1", "-=dirichlet=2 {axis}+=no-flux")


@st.composite
def lowered(draw: st.DrawFn, held: float | None = None) -> LowerTwoPoint:
    """A random mesh, with values of its own at its reservoirs or the same at all of them."""
    dims, seed = draw(st.integers(1, 3)), draw(st.integers(0, 10**6))
    if dims > 1 and draw(st.booleans()):
        groups = draw(st.lists(st.sampled_from(["left", "right"]), unique=True))
        values = [draw(st.floats(0, 2)) if held is None else held for _ in groups]
        return on_simplices(dims, seed, dict(zip(groups, values, strict=True)))
    entries = []
    for axis in "xyz"[:dims]:
        said = draw(st.sampled_from(SIDES))
        entries.append(f"{axis}{'' if said.startswith('-') else '='}{said.format(axis=axis)}")
    lower = on_a_box(SHAPES[dims], seed, " ".join(entries))
    if held is not None:
        assert not isinstance(lower.boundary, dict)
        sides = lower.boundary.sides  # type: ignore[union-attr]
        same = tuple(tuple((held,) if side == "dirichlet" else () for side in pair) for pair in sides)
        lower = replace(lower, boundary=replace(lower.boundary, values=same))  # type: ignore[type-var]
    return lower


def model_of(lower: LowerTwoPoint) -> Model:
    return MODELS[lower.mesh.points.shape[1] if isinstance(lower.mesh, MeshFile) else len(lower.mesh)]


def compiled_on(lower: LowerTwoPoint, model: Model | None = None, limits: OperatingRange | None = None) -> IntegerGraph:
    return compile_model(
        model or model_of(lower), CompileOptions(lower, LOIHI2, GraphOptions(coding="delta"), operating_range=limits)
    )


def ends_of(graph: IntegerGraph) -> tuple[float, float]:
    return graph.model_spec.operating_range.lower, graph.model_spec.operating_range.upper


def level(graph: IntegerGraph) -> float:
    """The value of one level, which is also the largest of a quantum."""
    return graph.value_per_quantum * 2.0 ** level_shift(graph)


@given(lowered(), st.sampled_from(["delta", "dense"]))
@settings(deadline=None, max_examples=25)
def test_what_is_compiled_is_well_formed_and_proved_again(lower: LowerTwoPoint, coding: str) -> None:
    graph = compile_model(model_of(lower), CompileOptions(lower, LOIHI2, GraphOptions(coding=coding)))  # type: ignore[arg-type]
    assert defects(graph) == []
    assert all(finding.holds for finding in check_certificate(graph))
    assert graph.certificate is not None and graph.materials is not None
    assert graph.certificate.conservation.status == graph.certificate.stability.status == "proved"
    assert all(bound.bits <= 24 for bound in graph.bounds if bound.is_state_or_payload)
    largest = int(graph.sole_field.inverse_volume.max())
    # With many digits, a level of the smallest cell may be two quanta.
    assert 1 << level_shift(graph) in (largest, 2 * largest if LEVEL in graph.chain else largest)
    # Weights of both signs are stored doubled.
    assert all(abs(s.distinct_mantissas).max() <= 2 * LARGEST_WEIGHT for s in graph.into("flux"))


@given(lowered(), st.integers(0, 10**6))
@settings(deadline=None, max_examples=25)
def test_mass_is_conserved_and_values_stay_between_those_of_start_and_reservoirs(
    lower: LowerTwoPoint, seed: int
) -> None:
    graph = compiled_on(lower)
    low, high = ends_of(graph)
    random = np.random.default_rng(seed)
    least, most = sorted(random.uniform(low, high, 2).tolist())
    values = random.uniform(least, most, graph.mesh.cells)
    mass = graph.mass(values)
    run = run_graph("fast", graph, mass, RunOptions(300))
    assert run.conserved and not any(run.violations.values()), run.failure
    totals = [sum(row.tolist()) for row in np.concatenate([run.trace.mass, run.trace.ledger], axis=1)]
    assert totals == [sum(mass.tolist())] * 301
    reached = graph.values(run.trace.mass)
    held = np.concatenate([graph.values(mass), graph.reservoir_values()])
    # Packets are rounded to quanta, and what they hold back adds up to half a quantum a face.
    room = 6 * level(graph)
    assert held.min() - room <= reached.min() and reached.max() <= held.max() + room


@given(lowered(held=0.7))
@settings(deadline=None, max_examples=15)
def test_a_start_like_all_reservoirs_is_exactly_at_rest(lower: LowerTwoPoint) -> None:
    floating = lower(model_of(lower))
    value = 0.7 if floating.reservoirs.size else 1.3
    graph = compile_model_of(replace(floating, initial=np.full(floating.mesh.cells, value)), lower)
    run = run_graph("fast", graph, graph.initial, RunOptions(50))
    assert run.conserved and run.packets_sent == 0
    assert (run.trace.mass == graph.initial).all() and not run.trace.ledger.any()


def compile_model_of(floating: CellGraph, lower: LowerTwoPoint) -> IntegerGraph:
    """Compile with another start than the problem's."""

    class Started(LowerTwoPoint):
        def __call__(self, model: Model) -> CellGraph:
            return floating

    return compiled_on(Started(lower.mesh, lower.boundary, lower.materials), model_of(lower))


@pytest.mark.parametrize("value", [0.0, 0.25, 0.3, 1.0, 2.0])
@pytest.mark.parametrize("dims", [2, 3])
def test_a_mesh_between_equal_reservoirs_is_at_rest_up_to_the_ends_of_the_range(dims: int, value: float) -> None:
    graph = compiled_on(on_simplices(dims, 3, {"left": value, "right": value}))
    run = run_graph("fast", graph, graph.initial, RunOptions(100))
    assert run.conserved and run.packets_sent == 0
    if value in (0.0, 0.25, 1.0, 2.0):  # a whole level, where a field from a file is at rest as well
        mass = graph.mass(np.full(graph.mesh.cells, value))
        assert run_graph("fast", graph, mass, RunOptions(100)).packets_sent == 0


@given(lowered())
@settings(deadline=None, max_examples=15)
def test_integers_come_close_to_the_exponential_of_the_operator(lower: LowerTwoPoint) -> None:
    floating = lower(model_of(lower))
    assume(np.ptp(np.concatenate([floating.initial, floating.reservoirs])) > 0.2)
    # Wide enough for the problem's own start beside any reservoir.
    graph = compiled_on(lower, limits=OperatingRange(lower=-1.0, upper=4.0))
    low, high = ends_of(graph)
    for steps in (30, 300):
        run = run_graph("fast", graph, graph.initial, RunOptions(steps))
        found = graph.values(run.trace.mass[-1])
        # An explicit step is first order in time, and volumes and conductances have a few bits: on a few cells with
        # random materials 2 % of the range, of which the levels alone are 0.05 %.
        assert np.abs(found - floating.exact(steps * graph.time_step)).max() <= 0.02 * (high - low)


@given(lowered(), st.integers(0, 10**6))
@settings(deadline=None, max_examples=20)
def test_no_bound_is_left_from_extreme_starts(lower: LowerTwoPoint, seed: int) -> None:
    graph = compiled_on(lower)
    assert graph.materials is not None
    random, volumes = np.random.default_rng(seed), graph.sole_field.inverse_volume
    ends = np.array(ends_of(graph))
    for values in (np.full(volumes.size, ends[0]), np.full(volumes.size, ends[1]), random.choice(ends, volumes.size)):
        run = run_graph("fast", graph, graph.mass(values), RunOptions(200))
        assert run.conserved and not any(run.violations.values()), run.failure
    top, bottom = graph.window.upper // volumes, -(-graph.window.lower // volumes)
    for mass in (top, bottom, np.where(random.random(volumes.size) < 0.5, top, bottom)):
        run = run_graph("fast", graph, mass, RunOptions(50))
        # Rounding may lead out of the window from its very ends, which the audit sees; no width is ever too small.
        assert {kind for kind, count in run.violations.items() if count} <= {"range"}, run.failure


def test_wide_ratios_of_volumes_still_fit_and_wider_ones_are_refused() -> None:
    capacity = np.ones(8)
    capacity[3] = 300.0
    lower = LowerTwoPoint((8,), parse_boundary("no-flux", 1), {}, None, capacity)
    graph = compiled_on(lower)
    assert graph.materials is not None and level_shift(graph) == 13
    assert graph.sole_field.inverse_volume.tolist() == [8192] * 3 + [27] + [8192] * 4
    run = run_graph("fast", graph, graph.initial, RunOptions(300))
    assert run.conserved and all(finding.holds for finding in check_certificate(graph))


@pytest.mark.parametrize("bits", [14, 16, 20, 24, 28, 32])
def test_any_width_of_states_is_used_and_kept(bits: int) -> None:
    wider = LOIHI2.state.model_copy(update={"bits": LOIHI2.state.bits.model_copy(update={"value": bits})})
    target = LOIHI2.model_copy(update={"state": wider})
    for lower in (on_simplices(2, 1, {"left": 0.5, "right": 1.5}), on_a_box((9,), 1, "dirichlet=0.5,1.5")):
        graph = compile_model(model_of(lower), CompileOptions(lower, target))
        states = [bound.bits for bound in graph.bounds if bound.is_state_or_payload]
        assert max(states) <= bits and all(finding.holds for finding in check_certificate(graph))
        run = run_graph("fast", graph, graph.initial, RunOptions(200))
        assert run.conserved and run.packets_sent > 0
        exact = lower(model_of(lower)).exact(200 * graph.time_step)
        # A level is 2 / 2^(bits / 2), and rounding leads a few of them astray; time steps add their share.
        room = 0.02 + 8 * level(graph)
        assert np.abs(graph.values(run.trace.mass[-1]) - exact).max() <= room


# Refusals -------------------------------------------------------------------------------------------------------------


def refusal(
    lower: LowerTwoPoint,
    model: Model | None = None,
    limits: OperatingRange | None = None,
    kind: type[UsageError] = CompileError,
) -> str:
    with pytest.raises(kind) as caught:
        compiled_on(lower, model, limits)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_models_that_are_refused() -> None:
    line = on_a_box((8,), 0, "no-flux")
    assert refusal(line, hidden_model()) == (
        "lower-two-point: the model heat1d is not linear; cells that differ need a linear model of diffusion; use a "
        "model such as heat1d or heat2d"
    )
    assert refusal(on_a_box((8, 8), 0, "no-flux"), laplace_model()) == (
        "lower-two-point: the model laplace2d describes laplace; cells that differ need a linear model of diffusion; "
        "use a model such as heat1d or heat2d"
    )
    assert refusal(line, plane_model()) == "lower-two-point: the model heat2d has 2 dimensions, the mesh 1"


def test_names_that_the_mesh_does_not_have() -> None:
    lower = on_simplices(2, 0, {})
    assert refusal(replace(lower, materials={"gold": Material(1.0)}), kind=UsageError) == (
        "materials: the mesh has no 'gold'; it has 'copper', 'steel'"
    )
    assert refusal(replace(lower, boundary={"top": 1.0}), kind=UsageError) == (
        "cube.msh: unknown group 'top'; the mesh has 'left', 'rest', 'right'"
    )
    assert refusal(replace(on_a_box((8,), 0, "no-flux"), materials={"steel": Material(1.0)}), kind=UsageError) == (
        "materials: the mesh has no 'steel'; it has 'default'"
    )


@pytest.mark.parametrize("wrong", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("name", ["conductivity", "capacity"])
def test_properties_that_are_not_positive_numbers(name: str, wrong: float) -> None:
    line = on_a_box((8,), 0, "no-flux")
    for values in (np.where(np.arange(8) == 3, wrong, 1.0), np.ones(7)):
        assert refusal(replace(line, **{name: values}), kind=UsageError) == (  # type: ignore[arg-type]
            f"{name}: expected 8 positive numbers, one for each cell"
        )


@pytest.mark.parametrize("sizes", [(1.0, 1e-300), (1e300, 1.0), (1e-20, 1e20), (1e-320, 1.0)])
def test_properties_beyond_floats_are_refused_and_do_not_overflow(sizes: tuple[float, float]) -> None:
    lower = on_simplices(2, 0, {})
    steel, copper = (Material(1.0, size) for size in sizes)
    assert refusal(replace(lower, materials={"steel": steel, "copper": copper}), kind=UsageError).startswith(
        "capacities of the mesh's cells and materials range from "
    )
    steel, copper = (Material(size) for size in sizes)
    materials = {"steel": steel, "copper": copper}
    assert refusal(replace(lower, materials=materials), kind=UsageError).startswith(
        "conductances of the mesh's cells and materials range from "
    )


@functools.cache
def spread(which: str, size: float) -> LowerTwoPoint:
    values = np.where(np.arange(8) == 5, size, 1.0)
    line = LowerTwoPoint((8,), parse_boundary("no-flux", 1), {})
    return replace(line, **{which: values})  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [1e-4, 1e-9, 1e-25])
def test_volumes_and_conductances_that_differ_too_much_for_the_target(size: float) -> None:
    for changed, heavy, light in ((1 / size, 5, 0), (size, 0, 5)):
        assert refusal(spread("capacity", changed)) == (
            f"quantise-two-point: cell {heavy} has {1 / size:.4g} times the capacity of cell {light}; inverse "
            "volumes, which are weights of 16 to 16319, differ by a factor of at most 1019; use a mesh with more "
            "uniform cells, or materials that differ less"
        )
    if size == 1e-4:  # weights tell that
        assert compiled_on(spread("conductivity", size)).materials is not None
        return
    sentence = refusal(spread("conductivity", size))
    assert sentence.startswith("quantise-two-point: face ") and " times as much as face " in sentence
    assert sentence.endswith(", but weights range from 1 to 16319; use materials that differ less")


def test_a_reservoir_outside_the_range() -> None:
    for value in (2.5, -0.1):
        assert refusal(on_simplices(2, 0, {"left": value})) == (
            f"quantise-two-point: reservoir 0 holds the value {value:g}, outside the operating range 0 to 2; widen the "
            "range with `value_range` LOWER,UPPER"
        )
    wide = OperatingRange(lower=-1.0, upper=3.0)
    assert compiled_on(on_simplices(2, 0, {"left": 2.5}), limits=wide).window.upper > 0
    assert "holds the value nan" in refusal(on_simplices(2, 0, {"left": np.nan}))


def test_a_mesh_without_a_face() -> None:
    assert refusal(on_a_box((1,), 0, "no-flux")) == (
        "lower-two-point: the mesh has no face, so nothing could move; use at least two cells"
    )


def test_the_model_says_its_diffusivity_where_no_material_does() -> None:
    lower = replace(on_simplices(2, 0, {}), materials={})
    plane = plane_model()
    doubled = replace(plane, spec=plane.spec.model_copy(update={"diffusivity": 0.02}))
    once, twice = (lower(model).fluxes.values for model in (plane, doubled))
    assert np.allclose(twice, 2 * once)

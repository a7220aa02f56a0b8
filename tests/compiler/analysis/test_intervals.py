"""Intervals are never left, and linear ones are reached within a factor of 2."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from models_under_test import box, compiled, heat_model, heat_spec
from numpy.typing import NDArray
from scipy.optimize import linprog

from pisnn_deploy.compiler.analysis.intervals import Heard, Stage, network_ranges, operator_stages
from pisnn_deploy.compiler.analysis.rows import face_rows
from pisnn_deploy.core.arithmetic import packets, rectify
from pisnn_deploy.core.errors import CompileError
from pisnn_deploy.core.rows import diagonal
from pisnn_deploy.graph import IntegerGraph, IntegerLayer, OperatingWindow
from pisnn_deploy.graph.integer import FLUX, MEMBRANE
from pisnn_deploy.graph.kinds import known_face
from pisnn_deploy.graph.layout import window_bias, window_matrix
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.mesh import Mesh, window_cells
from pisnn_deploy.physics.model import OperatingRange
from pisnn_deploy.programs import parse
from pisnn_deploy.programs.neurons import flux, rectifier

small = st.integers(-60, 60)
no_values = np.zeros(0, np.int64)


def linear(*weights: int) -> tuple[IntegerLayer]:
    return (IntegerLayer(np.array([weights], np.int64), np.zeros(1, np.int64), 0),)


Found = dict[str, dict[str, tuple[int, int]]]


def found_in(stages: Iterable[Stage]) -> Found:
    """Both ends of every value, by stage and name."""
    return {
        stage: {name: (interval.lower, interval.upper) for name, interval in ranges.values.items()}
        for stage, ranges in network_ranges(stages).items()
    }


def intervals_of(operator: Sequence[IntegerLayer], mesh: Mesh, window: OperatingWindow, leak: int = 4096) -> Found:
    """Of a flux network whose faces have theta 2^7."""
    half_width = operator[0].weight.shape[1] // 2
    rows = face_rows(mesh, heat_spec(half_width=half_width), operator[0], no_values)
    hidden = [(f"hidden{number}", rectifier(layer.shift)) for number, layer in enumerate(operator[:-1], 1)]
    return found_in(operator_stages(rows, operator, window, [*hidden, (FLUX, flux(7, leak))]))


@given(
    st.lists(small, min_size=5, max_size=5),
    st.lists(small, min_size=2, max_size=2),
    st.integers(-1000, 1000),
    st.integers(0, 10_000),
    st.integers(0, 2**31),
)
@settings(deadline=None)
def test_no_field_in_the_window_leaves_its_interval(
    first: list[int], second: list[int], lower: int, spread: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    weight = np.array([[*first, -sum(first)], [0, *first]], np.int64)
    operator = (
        IntegerLayer(weight, np.array([7, -9]), 3),
        IntegerLayer(np.array([second], np.int64), np.array([11]), 0),
    )
    mesh = box((9,))
    difference = max(1, spread // 3)
    found = intervals_of(operator, mesh, OperatingWindow(lower, lower + spread, difference))
    walk = np.cumsum(rng.integers(-difference, difference + 1, (50, 6)), axis=1)
    field = np.clip(lower + spread // 2 + walk, lower, lower + spread)
    drive = field @ weight.T + operator[0].bias
    hidden = rectify(drive, 3)
    last = hidden @ operator[1].weight.T + 11
    for values, (low, high) in (
        (drive, found["hidden1"]["drive"]),
        (hidden, found["hidden1"]["activation"]),
        (last, found[FLUX]["drive"]),
        (last, found[FLUX]["current"]),
    ):
        assert low <= int(values.min()) and int(values.max()) <= high


def test_zero_sum_kernels_are_bounded_by_differences_and_reach_the_bound() -> None:
    kernel = (1, 4, 18, 46, -46, -18, -4, -1)
    found = intervals_of(linear(*kernel), box((20,)), OperatingWindow(0, 10**6, 10))[FLUX]
    assert found["drive"] == (-1270, 1270)
    assert int(np.array(kernel) @ (10 * np.arange(8))) == -1270
    assert found["residue"] == (-64, 64) and found["packet"] == (-10, 10)


def test_the_leak_is_a_geometric_series() -> None:
    found = intervals_of(linear(1, -1), box((5,)), OperatingWindow(0, 100, None), 1024)
    assert found[FLUX]["current"] == (-400, 400)


def test_a_declared_flux_bounds_the_current_more_tightly_than_the_series() -> None:
    found = intervals_of(linear(1, -1), box((5,)), OperatingWindow(0, 100, None, 150), 1024)[FLUX]
    assert found["current"] == (-150, 150) and found["drive"] == (-100, 100)
    tighter = intervals_of(linear(1, -1), box((5,)), OperatingWindow(0, 100, None, 40), 1024)[FLUX]
    assert tighter["current"] == (-40, 40) and tighter["drive"] == (-70, 70)


def test_stages_hear_each_other_and_holders_at_any_port_whatever_their_programs_do() -> None:
    product = parse("neuron product(arrival, factor; ; bias)\nboth = mul_shr(arrival, factor, 2)\nsend both")
    keeps = parse(
        "neuron keeps(arrival; slow; )\nsize = abs(slow)\nleft = mul_shr(size, 1, 1)\nkept = copysign(left, slow)\n"
        "next = add(kept, arrival)\nkeep slow = next\nsend slow"
    )
    ends = np.array([-4, 0, 2]), np.array([4, 8, 2])
    each = diagonal(np.ones(3, np.int64))
    first = Heard("arrival", "first", 0, each)
    stages = (
        Stage("first", rectifier(1), {"bias": np.array([1, 2, 3])}, {"arrival": ends}),
        Stage("both", product, {"bias": np.zeros(3, np.int64)}, {"factor": ends}, (first,)),
        Stage("slow", keeps, {}, {}, (Heard("arrival", "both", 0, diagonal(np.full(3, -2))), first)),
    )
    found = found_in(stages)
    assert found["first"]["activation"] == (0, 5)
    # Neuron by neuron: 0 to 2 times -4 to 4, 1 to 5 times 0 to 8, 2 times 2.
    assert found["both"]["both"] == (-2, 10)
    assert found["slow"]["arrival"] == (-19, 6)
    assert found["slow"]["slow"] == (-38, 12)
    assert network_ranges(stages)["both"].sent[0][1].tolist() == [2, 10, 1]


def test_a_window_that_leaves_nothing_of_a_current_is_refused_by_name() -> None:
    gentle = heat_model((0.25,), operating_range=OperatingRange(lower=0.0, upper=1.0, slope=0.1, flux=0.001))
    biased = replace(gentle, biases=(np.array([4.0]),))
    message = (
        r"^bound: not every quantity has a bound: current ranges from \d+ to \d+, but must be -\d+ to \d+; "
        r"widen the operating range, its slope or its flux$"
    )
    with pytest.raises(CompileError, match=message):
        compiled(biased)


def steepest_field(
    mesh: Mesh, weights: NDArray[np.int64], window: OperatingWindow, held: NDArray[np.int64]
) -> NDArray[np.float64] | None:
    """The field of the operating window that makes a weighted sum largest, by linear programming."""
    rows: list[NDArray[np.float64]] = []
    limits: list[float] = []
    levels = np.concatenate([np.zeros(mesh.cells, np.int64), held])
    assert window.difference is not None
    for ends in zip(mesh.source, mesh.target, strict=True):
        row = np.zeros(mesh.holders)
        row[ends[0]] += 1
        row[ends[1]] -= 1
        limit = window.difference // 2 if max(ends) >= mesh.cells else window.difference
        known = float(row @ levels)
        rows += [row[: mesh.cells], -row[: mesh.cells]]
        limits += [limit - known, limit + known]
    bounds = (float(window.lower), float(window.upper))
    found = linprog(-weights.astype(np.float64), A_ub=np.array(rows), b_ub=np.array(limits), bounds=bounds)
    return np.asarray(found.x, np.float64) if found.status == 0 else None


@given(
    st.lists(small, min_size=1, max_size=4),
    st.integers(2, 11),
    st.sampled_from(["periodic", "no-flux", "dirichlet=0,0", "x-=no-flux x+=dirichlet=0"]),
    st.sampled_from(["reflection", "quadratic"]),
    st.integers(2, 1000),
    st.sampled_from([0, 500, 1000]),
)
@settings(deadline=None, max_examples=30)
def test_linear_intervals_hold_and_are_reached(
    half: list[int], cells: int, side: str, wall: str, difference: int, value: int
) -> None:
    mesh = box((cells,), side)
    spec = heat_spec(half_width=len(half), wall=wall)
    (layer,) = linear(*(2 * w for w in half), *(-2 * w for w in reversed(half)))
    window = OperatingWindow(0, 1000, difference)
    held = np.full(mesh.reservoirs, value)
    low, high = face_rows(mesh, spec, layer, held).intervals(window)
    seen = window_cells(mesh, len(half), 0, held, spec.wall)
    matrix = window_matrix(layer.weight, seen, mesh.holders).toarray()[:, :cells]
    constant = window_bias(layer.weight, layer.bias, seen)
    reached = []
    for row, bias in zip(matrix, constant, strict=True):
        field = steepest_field(mesh, row, window, held)
        if field is not None:
            reached.append(float(row @ field) + bias)
    assume(reached)
    assert max(reached) <= high.max() + 1e-6
    # Beside a reservoir the range and the slope limit each other, and around a small ring there is a shorter way.
    if not mesh.reservoirs and (side != "periodic" or cells >= 4 * len(half)):
        assert max(reached) >= high.max() / 2 - difference
    assert low.max() <= high.max()


def reached_quantities(graph: IntegerGraph, start: NDArray[np.int64], steps: int) -> dict[tuple[str, str], int]:
    """Largest absolute value of each quantity over a run."""
    found: dict[tuple[str, str], int] = {}

    def note(population: str, quantity: str, values: NDArray[np.int64]) -> None:
        key = (population, quantity)
        found[key] = max(found.get(key, 0), int(np.abs(values).max(initial=0)))

    semantics = Semantics(graph)
    state = semantics.start(start)
    drive_of = graph.matrix(MEMBRANE, FLUX)
    for step in range(steps):
        before, residue, mass = state.current, state.residue, state.mass
        state = semantics.step(state, step)
        assert not before.any() or known_face(graph).leak == 4096
        note(FLUX, "drive", drive_of @ mass + graph.sole_channels.parameters["bias"])
        note(FLUX, "current", state.current)
        note(FLUX, "potential", residue + state.current)
        note(FLUX, "packet", state.packets)
        note(FLUX, "residue", state.residue)
        assert np.array_equal(state.packets, packets(residue + state.current, known_face(graph).exponent))
        if state.mass.min() < graph.window.lower or state.mass.max() > graph.window.upper:
            break  # the audit stops here, before the change is sent
        change = state.mass - mass
        note(MEMBRANE, "payload", change[: graph.mesh.cells])
        for synapse in graph.synapses:
            payload = state.packets if synapse.source == FLUX else change
            mantissas = synapse.mantissa_matrix()
            products = mantissas.values * payload[mantissas.columns]
            note(synapse.name, "product", products)
            for part in (np.maximum(products, 0), np.minimum(products, 0)):
                note(synapse.name, "accumulator", replace(mantissas, values=part).sums())
    return found


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=4),
    st.integers(16, 24),
    st.sampled_from(["periodic", "no-flux"]),
    st.sampled_from([None, 3.0, 20.0]),
)
@settings(deadline=None, max_examples=30)
def test_runs_reach_their_bounds_within_a_factor_of_two_and_never_leave_them(
    half: list[int], cells: int, side: str, slope: float | None
) -> None:
    operating_range = OperatingRange(lower=0.0, upper=2.0, slope=slope)
    model = heat_model(tuple(w / 128 for w in half), operating_range=operating_range)
    try:
        graph = compiled(model, cells, side)
    except CompileError:
        assume(False)
    window = graph.window
    limits = window if window.difference is not None else OperatingWindow(window.lower, window.upper, 2**40)
    theta = 1 << known_face(graph).exponent
    matrix = graph.matrix(MEMBRANE, FLUX).toarray()
    update = graph.matrix(FLUX, MEMBRANE).toarray() @ matrix
    reached: dict[tuple[str, str], int] = {}
    for weights in (*matrix[np.argsort(-np.abs(matrix).sum(axis=1))[:2]], *update):
        field = steepest_field(graph.grid, weights, limits, no_values)
        assert field is not None
        start = np.clip(np.rint(field), window.lower, window.upper).astype(np.int64)
        for key, value in reached_quantities(graph, start, 1).items():
            reached[key] = max(reached.get(key, 0), value)
    assert graph.certificate is not None
    # Without a maximum principle the steepest start leaves the window in one step.
    averages = graph.certificate.stability.method == "maximum-principle"
    for bound in graph.bounds:
        key = (bound.population, bound.quantity)
        if key in reached:
            largest = max(-bound.lower, bound.upper)
            assert reached[key] <= largest, key
            if bound.quantity in ("drive", "current", "potential", "packet") or (
                bound.quantity == "payload" and averages
            ):
                assert reached[key] >= largest / 2 - theta - 4, key


def test_the_current_of_a_leak_reaches_its_series_where_a_steady_slope_drives_it() -> None:
    # Between reservoirs a straight slope is steady, so its drive adds up for as long as the leak keeps it.
    operating_range = OperatingRange(lower=0.0, upper=1.0, slope=1.0)
    graph = compiled(heat_model((0.25,), leak=512, operating_range=operating_range), 16, "dirichlet=0,1")
    slope = graph.mass((np.arange(16) + 0.5) / 16)
    semantics = Semantics(graph)
    state = semantics.start(slope)
    for step in range(100):
        state = semantics.step(state, step)
    (bound,) = (b for b in graph.bounds if (b.population, b.quantity) == (FLUX, "current"))
    largest = max(-bound.lower, bound.upper)
    assert largest / 2 <= np.abs(state.current).max() <= largest

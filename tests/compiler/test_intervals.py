"""Intervals are never left, and linear ones are reached."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from models_under_test import box

from pisnn_deploy.arithmetic import rectify
from pisnn_deploy.compiler.intervals import network_intervals, shown
from pisnn_deploy.graph import IntegerLayer, OperatingWindow
from pisnn_deploy.mesh import Wall, window_cells

small = st.integers(-127, 127)


@given(
    st.lists(small, min_size=4, max_size=4),
    st.lists(st.lists(small, min_size=2, max_size=2), min_size=1, max_size=1),
    st.integers(-1000, 1000),
    st.integers(0, 10_000),
    st.integers(0, 2**31),
)
@settings(deadline=None)
def test_no_field_in_the_window_leaves_its_interval(
    first: list[int], second: list[list[int]], lower: int, spread: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    zero_sum = [*first, -sum(first)] if abs(sum(first)) <= 127 else [*first, 0]
    weight = np.array([[*zero_sum, 0], [0, *first, 5]], np.int64)
    operator = (
        IntegerLayer(weight, np.array([7, -9]), 3),
        IntegerLayer(np.array(second, np.int64), np.array([11]), 0),
    )
    difference = max(1, spread // 3)
    found = network_intervals(operator, OperatingWindow(lower, lower + spread, difference), 7, 4096, 6)
    walk = np.cumsum(rng.integers(-difference, difference + 1, (50, 6)), axis=1)
    field = np.clip(lower + spread // 2 + walk, lower, lower + spread)
    drive = field @ weight.T + operator[0].bias
    hidden = rectify(drive, 3)
    last = hidden @ operator[1].weight.T + 11
    for values, (low, high) in (
        (drive, found.drives[0]),
        (hidden, found.activations[0]),
        (last, found.drives[1]),
        (last, found.current),
    ):
        assert low <= int(values.min()) and int(values.max()) <= high


def test_zero_sum_kernels_are_bounded_by_differences_and_reach_the_bound() -> None:
    kernel = np.array([[1, 4, 18, 46, -46, -18, -4, -1]], np.int64)
    operator = (IntegerLayer(kernel, np.zeros(1, np.int64), 0),)
    found = network_intervals(operator, OperatingWindow(0, 10**6, 10), 7, 4096, 8)
    assert found.drives == ((-1270, 1270),)
    assert int(kernel[0] @ (10 * np.arange(8))) == -1270
    assert found.residue == (-64, 64) and found.packet == (-10, 10)


def test_the_leak_is_a_geometric_series() -> None:
    operator = (IntegerLayer(np.array([[1, -1]]), np.zeros(1, np.int64), 0),)
    found = network_intervals(operator, OperatingWindow(0, 100, None), 7, 1024, 2)
    assert found.current == (-400, 400)


def test_a_declared_flux_bounds_the_current_more_tightly_than_the_series() -> None:
    operator = (IntegerLayer(np.array([[1, -1]]), np.zeros(1, np.int64), 0),)
    found = network_intervals(operator, OperatingWindow(0, 100, None, 150), 7, 1024, 2)
    assert found.current == (-150, 150) and found.drives == ((-100, 100),)
    tighter = network_intervals(operator, OperatingWindow(0, 100, None, 40), 7, 1024, 2)
    assert tighter.current == (-40, 40) and tighter.drives == ((-70, 70),)


@given(
    st.sampled_from(
        [
            ((5,), "dirichlet=0,0", 3, 0, "reflection"),
            ((2,), "dirichlet=0,0", 3, 0, "reflection"),
            ((4,), "dirichlet=0,0", 3, 0, "quadratic"),
            ((3, 4), "x=dirichlet=0,0 y=dirichlet=0,0", 2, 1, "reflection"),
            ((4, 3), "x=periodic y=dirichlet=0,0", 2, 2, "reflection"),
            ((3, 4), "x-=no-flux x+=dirichlet=0 y=no-flux", 2, 1, "reflection"),
            ((3, 4), "x=dirichlet=0,0 y=dirichlet=0,0", 2, 0, "quadratic"),
        ]
    ),
    st.integers(0, 2**31),
)
@settings(deadline=None)
def test_what_faces_see_beyond_reservoirs_is_counted_in(
    case: tuple[tuple[int, ...], str, int, int, Wall], seed: int
) -> None:
    shape, boundary, half_width, transverse, wall = case
    mesh = box(shape, boundary)
    random = np.random.default_rng(seed)
    mass = random.integers(-1000, 3000, mesh.cells)
    held = random.integers(-1000, 3000, mesh.reservoirs) * random.integers(0, 2, mesh.reservoirs)
    levels = np.concatenate([mass, held])
    beside = np.maximum(mesh.source, mesh.target) >= mesh.cells
    steepness = np.abs(levels[mesh.target] - levels[mesh.source]) * np.where(beside, 2, 1)
    window = OperatingWindow(-1000, 3000, int(steepness.max()))
    seen = window_cells(mesh, half_width, transverse, held, wall)
    values = seen.values(mass.astype(float))
    found = shown(seen, window, 2 * half_width)
    assert found.lower <= values.min() and values.max() <= found.upper
    if found.difference is not None:
        lines = values.reshape(mesh.faces, 2 * half_width, -1)
        assert np.abs(np.diff(lines, axis=1)).max() <= found.difference
    if wall == "quadratic" or (len(shape) == 1 and shape[0] > half_width):
        assert (found.difference is None) == (wall == "quadratic")

"""Synapses hold what the kernel says, on every mesh."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models_under_test import box
from spelled_out import explicit, rows_of

from pisnn_deploy.graph.connections import Blocks, Incidence, Rows, Stencil
from pisnn_deploy.graph.layout import (
    LARGEST_WEIGHT,
    route_matrix,
    synapses,
    window_bias,
    window_biases,
    window_matrix,
    window_stencil,
)
from pisnn_deploy.mesh import Mesh, Wall, parse_boundary, structured_mesh, window_cells
from pisnn_deploy.mesh.window import QUADRATIC

weights = st.lists(st.integers(-500, 500), min_size=2, max_size=8).filter(lambda row: len(row) % 2 == 0)
sides = st.sampled_from(["periodic", "no-flux", "dirichlet=3,-5", "x-=no-flux x+=dirichlet=9"])


@given(weights, st.integers(2, 9), sides, st.integers(0, 2**31))
def test_window_matrix_applies_the_kernel_to_the_window(row: list[int], cells: int, side: str, seed: int) -> None:
    mesh = box((cells,), side)
    held = np.arange(mesh.reservoirs) * 7 + 3
    window = window_cells(mesh, len(row) // 2, 0, held)
    kernel = np.array([row, row[::-1]], np.int64)
    mass = np.random.default_rng(seed).integers(-1000, 1000, mesh.holders)
    bias = np.array([5, -6])
    found = window_matrix(kernel, window, mesh.holders) @ mass + window_bias(kernel, bias, window)
    assert np.array_equal(found.reshape(-1, 2), window.values(mass[:cells].astype(float)) @ kernel.T + bias)


def test_halves_of_quadratic_ghost_cells_need_even_weights() -> None:
    window = window_cells(box((4,), "dirichlet=0,0"), 1, 0, np.array([10, 20]), QUADRATIC)
    matrix = window_matrix(np.array([[2, -2]]), window, 6)
    assert matrix.toarray()[0].tolist() == [-7, 1, 0, 0, 0, 0]
    assert window_bias(np.array([[2, -2]]), np.zeros(1, np.int64), window).tolist() == [60, 0, 0, 0, -120]
    with pytest.raises(ValueError, match="weights must be multiples of 2"):
        window_matrix(np.array([[1, -1]]), window, 6)


@st.composite
def windows(draw: st.DrawFn) -> tuple[Mesh, int, int, Wall]:
    """Meshes of one to three axes with any mixture of sides, some of them narrower than the window."""
    axes = draw(st.integers(1, 3))
    shape = tuple(draw(st.integers(2, {1: 14, 2: 8, 3: 5}[axes])) for _ in range(axes))
    side = st.sampled_from(["no-flux", "dirichlet=3"])
    boundary = [
        f"{a}=periodic" if draw(st.booleans()) else f"{a}-={draw(side)} {a}+={draw(side)}" for a in "xyz"[:axes]
    ]
    mesh = structured_mesh(shape, (1.0,) * axes, parse_boundary(" ".join(boundary), axes).sides)
    wall: Wall = draw(st.sampled_from(["reflection", "quadratic"]))
    return mesh, draw(st.integers(1, 4)), 0 if wall == "quadratic" else draw(st.integers(0, 2)), wall


@given(windows(), st.integers(1, 2), st.integers(0, 2**31))
@settings(deadline=None)
def test_a_stencil_is_the_window_of_every_face(window: tuple[Mesh, int, int, Wall], outputs: int, seed: int) -> None:
    mesh, half_width, transverse, wall = window
    rng = np.random.default_rng(seed)
    positions = 2 * half_width * (2 * transverse + 1) ** (len(mesh.shape) - 1)
    weight = 2 * rng.integers(-9, 10, (outputs, positions))
    bias = rng.integers(-9, 10, outputs)
    held = rng.integers(-50, 50, mesh.reservoirs)
    seen = window_cells(mesh, half_width, transverse, held, wall)
    stencil = window_stencil(weight, mesh, half_width, transverse, wall)
    rows, whole = stencil.rows, explicit(window_matrix(weight, seen, mesh.holders))
    for name in ("starts", "columns", "values"):
        assert np.array_equal(getattr(rows, name), getattr(whole, name)), name
    assert stencil.entries == whole.entries and stencil.outputs == whole.outputs
    found = window_biases(weight, bias, mesh, half_width, transverse, held, wall)
    assert np.array_equal(found, window_bias(weight, bias, seen))


def split(rows: Rows) -> list[tuple[list[int], list[int]]]:
    """Columns and values of each row."""
    parts = [slice(first, last) for first, last in pairwise(rows.starts.tolist())]
    return [(rows.columns[part].tolist(), rows.values[part].tolist()) for part in parts]


@given(windows(), st.integers(1, 2), st.data())
@settings(deadline=None)
def test_rows_by_name_and_the_pattern_are_those_of_the_whole(
    window: tuple[Mesh, int, int, Wall], outputs: int, data: st.DataObject
) -> None:
    mesh, half_width, transverse, wall = window
    positions = 2 * half_width * (2 * transverse + 1) ** (len(mesh.shape) - 1)
    weight = 2 * np.arange(1, outputs * positions + 1).reshape(outputs, positions)
    stencil = window_stencil(weight, mesh, half_width, transverse, wall)
    # Two of the same kind, so that neither can lean on what the other has expanded before.
    whole = split(window_stencil(weight, mesh, half_width, transverse, wall).rows)
    chosen = data.draw(st.lists(st.integers(0, stencil.outputs - 1), max_size=6)) if stencil.outputs else []
    assert split(stencil.selected(np.array(chosen, np.int64))) == [whole[row] for row in chosen]
    starts, columns = stencil.pattern
    columns = np.asarray(columns, np.int64)
    assert split(Rows(starts, columns, columns, mesh.cells)) == [(one, one) for one, _ in whole]


@given(st.lists(st.integers(0, 5), max_size=8))
def test_rows_by_name_of_other_connections(chosen: list[int]) -> None:
    blocks = Blocks(np.array([[1, 2], [0, 4], [5, 6]]), 2)
    mesh = box((2, 3), "no-flux")
    incidence = Incidence(mesh.source, mesh.target, mesh.holders, 2)
    matrix = np.array([[0, 3, 0], [1, 0, -1], [0, 0, 0], [2, 2, 2], [0, 0, 7], [1, 0, 0]])
    for connections in (blocks, incidence, explicit(rows_of(matrix))):
        whole = split(connections.rows)
        assert split(connections.selected(np.array(chosen, np.int64))) == [whole[row] for row in chosen]
        assert np.array_equal(connections.pattern[0], connections.rows.starts)
        assert np.array_equal(connections.pattern[1], connections.rows.columns)


def test_a_stencil_does_not_grow_with_the_mesh() -> None:
    weight = np.array([[1, 2, 3, -3, -2, -1]])
    for boundary in ("periodic", "no-flux", "dirichlet=0,1"):
        sizes = {window_stencil(weight, box((n, n), boundary), 3, 0, "reflection").offsets.shape for n in (16, 32, 200)}
        assert len(sizes) == 1


@given(weights, st.integers(2, 9), sides)
def test_synapses_are_legal_and_add_up(row: list[int], cells: int, side: str) -> None:
    mesh = box((cells,), side)
    stencil = window_stencil(np.array([row]), mesh, len(row) // 2, 0, "reflection")
    parts = synapses("membrane", "flux", stencil)
    total = np.sum([part.matrix().toarray() for part in parts], axis=0)
    assert np.array_equal(total, stencil.rows.toarray())
    for part in parts:
        assert (part.mantissas % 2 == 0).all() and (np.abs(part.mantissas) <= 2 * LARGEST_WEIGHT).all()
    assert len({part.name for part in parts}) == len(parts)
    folded = int(np.abs(stencil.values).max(initial=0))
    split = [6] if not (stencil.values % 128).any() else [-1, 6]
    assert [part.exponent for part in parts] == ([-1] * (1 + (folded > 127)) if folded <= 254 else split)


@pytest.mark.parametrize("largest", [1, 127, 128, 254, 255, 16_319, 16_320, 10**6])
def test_large_weights_become_digits(largest: int) -> None:
    block = np.array([[largest, -largest, 0, 3]])
    parts = synapses("hidden1", "flux", Blocks(block, 2))
    total = np.sum([part.matrix().toarray() for part in parts], axis=0)
    assert np.array_equal(total[:1, :4], block)
    digits = sum(largest > limit for limit in (127, 16_319))
    assert len(parts) == digits + 1
    assert max(int(np.abs(part.mantissas).max()) for part in parts) <= 254


def test_route_is_the_incidence() -> None:
    mesh = box((3,))
    assert route_matrix(mesh).toarray().tolist() == [[-1, 0, 1], [1, -1, 0], [0, 1, -1]]
    packets = np.array([4, -7, 9])
    assert np.array_equal(route_matrix(mesh) @ packets, mesh.divergence(packets))


def test_the_route_is_the_incidence_of_every_mesh() -> None:
    for mesh in (box((1,)), box((2,)), box((3, 4), "x=periodic y=dirichlet=0,1"), box((2, 3, 2), "no-flux")):
        (route,) = synapses("flux", "membrane", Incidence(mesh.source, mesh.target, mesh.holders, 1))
        assert np.array_equal(route.matrix().toarray(), route_matrix(mesh).toarray())


def test_later_layers_stay_at_their_face() -> None:
    matrix = Blocks(np.array([[1, 2], [0, 4], [5, 6]]), 2).rows.toarray()
    assert matrix.shape == (6, 4)
    assert matrix[3:, 2:].tolist() == [[1, 2], [0, 4], [5, 6]]
    assert not matrix[:3, 2:].any()


def test_an_empty_matrix_is_still_a_synapse() -> None:
    mesh = box((1,))
    (route,) = synapses("flux", "membrane", Incidence(mesh.source, mesh.target, mesh.holders, 1))
    assert route.entries == 0 and route.name == "route"


def test_other_values_of_a_stencil_drop_zeros() -> None:
    stencil = window_stencil(np.array([[1, 200, -200, -1]]), box((6,), "no-flux"), 2, 0, "reflection")
    assert isinstance(stencil, Stencil)
    rest = stencil.revalued(lambda values: values - np.clip(values, -127, 127))
    expected = stencil.rows.toarray()
    assert np.array_equal(rest.rows.toarray(), expected - np.clip(expected, -127, 127))
    assert rest.entries < stencil.entries

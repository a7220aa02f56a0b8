"""Synapses hold what the kernel says, on every mesh."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pisnn_deploy.graph.layout import LARGEST_WEIGHT, pointwise_matrix, route_matrix, synapses, window_matrix
from pisnn_deploy.mesh import Side, structured_mesh
from pisnn_deploy.mesh.structured import window_cells

weights = st.lists(st.integers(-500, 500), min_size=2, max_size=8).filter(lambda row: len(row) % 2 == 0)
sides: st.SearchStrategy[Side] = st.sampled_from(["periodic", "no-flux"])


@given(weights, st.integers(2, 9), sides, st.integers(0, 2**31))
def test_window_matrix_applies_the_kernel_to_the_window(row: list[int], cells: int, side: Side, seed: int) -> None:
    mesh = structured_mesh((cells,), (1.0,), (side,))
    window = window_cells(mesh, len(row) // 2)
    kernel = np.array([row, row[::-1]], np.int64)
    mass = np.random.default_rng(seed).integers(-1000, 1000, cells)
    found = window_matrix(kernel, window, cells) @ mass
    assert np.array_equal(found.reshape(-1, 2), mass[window] @ kernel.T)


@given(weights, st.integers(2, 9), sides)
def test_synapses_are_legal_and_add_up(row: list[int], cells: int, side: Side) -> None:
    mesh = structured_mesh((cells,), (1.0,), (side,))
    matrix = window_matrix(np.array([row]), window_cells(mesh, len(row) // 2), cells)
    parts = synapses("membrane", "flux", matrix)
    total = sum(part.matrix().toarray() for part in parts)
    assert np.array_equal(total, matrix.toarray())
    for part in parts:
        assert (part.mantissas % 2 == 0).all() and (np.abs(part.mantissas) <= 2 * LARGEST_WEIGHT).all()
        assert part.exponent == -1
    assert len({part.name for part in parts}) == len(parts)


def test_route_is_the_incidence() -> None:
    mesh = structured_mesh((3,), (1.0,), ("periodic",))
    assert route_matrix(mesh).toarray().tolist() == [[-1, 0, 1], [1, -1, 0], [0, 1, -1]]
    packets = np.array([4, -7, 9])
    assert np.array_equal(route_matrix(mesh) @ packets, mesh.divergence(packets))


def test_pointwise_layers_stay_at_their_face() -> None:
    matrix = pointwise_matrix(np.array([[1, 2], [3, 4], [5, 6]]), 2)
    assert matrix.shape == (6, 4)
    assert matrix.toarray()[3:, 2:].tolist() == [[1, 2], [3, 4], [5, 6]]
    assert matrix.toarray()[:3, 2:].any() is np.False_


def test_an_empty_matrix_is_still_a_synapse() -> None:
    mesh = structured_mesh((1,), (1.0,), ("periodic",))
    (route,) = synapses("flux", "membrane", route_matrix(mesh))
    assert route.entries == 0 and route.name == "route"

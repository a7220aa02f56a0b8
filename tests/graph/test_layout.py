"""Synapses hold what the kernel says, on every mesh."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from models_under_test import box

from pisnn_deploy.graph.layout import (
    LARGEST_WEIGHT,
    pointwise_matrix,
    route_matrix,
    synapses,
    window_bias,
    window_matrix,
)
from pisnn_deploy.mesh import window_cells
from pisnn_deploy.mesh.structured import QUADRATIC

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


@given(weights, st.integers(2, 9), sides)
def test_synapses_are_legal_and_add_up(row: list[int], cells: int, side: str) -> None:
    mesh = box((cells,), side)
    seen = window_cells(mesh, len(row) // 2, 0, np.zeros(mesh.reservoirs, np.int64))
    matrix = window_matrix(np.array([row]), seen, mesh.holders)
    parts = synapses("membrane", "flux", matrix)
    total = sum(part.matrix().toarray() for part in parts)
    assert np.array_equal(total, matrix.toarray())
    for part in parts:
        assert (part.mantissas % 2 == 0).all() and (np.abs(part.mantissas) <= 2 * LARGEST_WEIGHT).all()
        assert part.exponent == -1
    assert len({part.name for part in parts}) == len(parts)


def test_route_is_the_incidence() -> None:
    mesh = box((3,))
    assert route_matrix(mesh).toarray().tolist() == [[-1, 0, 1], [1, -1, 0], [0, 1, -1]]
    packets = np.array([4, -7, 9])
    assert np.array_equal(route_matrix(mesh) @ packets, mesh.divergence(packets))


def test_pointwise_layers_stay_at_their_face() -> None:
    matrix = pointwise_matrix(np.array([[1, 2], [3, 4], [5, 6]]), 2)
    assert matrix.shape == (6, 4)
    assert matrix.toarray()[3:, 2:].tolist() == [[1, 2], [3, 4], [5, 6]]
    assert matrix.toarray()[:3, 2:].any() is np.False_


def test_an_empty_matrix_is_still_a_synapse() -> None:
    mesh = box((1,))
    (route,) = synapses("flux", "membrane", route_matrix(mesh))
    assert route.entries == 0 and route.name == "route"

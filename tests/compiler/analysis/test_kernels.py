"""How kernels are judged, and which lie beside one."""

from __future__ import annotations

import numpy as np
import pytest
from models_under_test import heat_spec, laplace_model

from pisnn_deploy.compiler.analysis.kernels import least_error, neighbours, symbol_error
from pisnn_deploy.physics.model import symmetry_basis

KERNEL = np.array([1, 4, 18, 46, -46, -18, -4, -1]) / 128
TWO_POINT = heat_spec(half_width=1)


def test_kernels_that_amplify_some_wave_are_out_of_the_question() -> None:
    assert np.isinf(symbol_error(np.array([2.0, -2.0]), TWO_POINT, 0.1))
    assert np.isinf(symbol_error(np.array([-0.1, 0.1]), TWO_POINT, 0.1))
    assert np.isfinite(symbol_error(np.array([0.25, -0.25]), TWO_POINT, 0.1))


def test_wider_stencils_diffuse_better() -> None:
    narrow = symbol_error(np.array([0.25, -0.25]), TWO_POINT, 0.1)
    assert symbol_error(KERNEL, heat_spec(), 0.1) < narrow / 10


def test_a_kernel_that_advects_at_the_wrong_pace_or_backwards_is_worse() -> None:
    spec = heat_spec(equation="advection-diffusion", velocity=1.0, diffusivity=1e-3, cell_width=1 / 256, half_width=1)
    courant = 0.25
    number = 1e-3 * 256 * courant + courant**2 / 2
    right = np.array([courant / 2 + number, courant / 2 - number])
    assert symbol_error(right, spec, 1 / 256) < 1e-2
    assert symbol_error(right + np.array([0.1, -0.1]), spec, 1 / 256) > 2e-2
    assert np.isinf(symbol_error(-right, spec, 1 / 256))


def test_a_leak_widens_what_is_stable() -> None:
    spec = laplace_model().spec.model_copy(update={"leak": 400})
    kernel = np.array([-2.0, 24.0, -24.0, 2.0]) / 64
    assert np.isfinite(symbol_error(kernel, spec, 0.1))
    assert np.isinf(symbol_error(kernel, spec.model_copy(update={"leak": 3000}), 0.1))


def test_neighbours_keep_the_symmetry_and_start_with_the_kernel_itself() -> None:
    spec = heat_spec(lengths=(1.0, 1.0), half_width=1, transverse=1)
    basis = symmetry_basis(spec)
    assert basis.tolist() == [[1, 0, 1, -1, 0, -1], [0, 1, 0, 0, -1, 0]]
    rounded = np.array([3, 20, 3, -3, -20, -3])
    found = neighbours(rounded, basis)
    assert found.shape == (9, 6) and np.array_equal(found[0], rounded)
    assert (found[:, :3] == -found[:, 3:]).all() and (found[:, 0] == found[:, 2]).all()
    assert len({tuple(row) for row in found.tolist()}) == 9


@pytest.mark.parametrize("delayed", [False, True])
def test_the_least_error_is_that_of_all_kernels(delayed: bool) -> None:
    smooth = neighbours(np.array([1, 4, 18, 46, -46, -18, -4, -1]), np.array([[1, 0, 0, -1, 1, 0, 0, -1]]))
    candidates = np.concatenate([8 * smooth[:1], smooth]) / (256 if delayed else 128)
    errors = symbol_error(candidates, heat_spec(), 0.1, delayed=delayed)
    assert np.isinf(errors[0]) and np.isfinite(errors).any()
    best, (own, least) = least_error(candidates, heat_spec(), 0.1, delayed=delayed)
    assert best == int(np.argmin(errors)) and (own, least) == (errors[0], errors[best])
    best, (own, least) = least_error(-candidates, heat_spec(), 0.1, delayed=delayed)
    assert (best, own, least) == (0, np.inf, np.inf)

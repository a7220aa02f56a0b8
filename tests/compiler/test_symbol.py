"""Amplification factors against the operator itself."""

from __future__ import annotations

import numpy as np
import pytest

from pisnn_deploy.compiler.symbol import amplification, diffusion_error
from pisnn_deploy.mesh import structured_mesh
from pisnn_deploy.mesh.structured import window_cells

KERNEL = np.array([1, 4, 18, 46, -46, -18, -4, -1]) / 128


@pytest.mark.parametrize("mode", [0, 1, 5, 16])
def test_a_fourier_mode_is_multiplied_by_its_factor(mode: int) -> None:
    mesh = structured_mesh((32,), (1.0,), ("periodic",))
    wave = 2 * np.pi * mode / 32
    field = np.exp(1j * wave * np.arange(32))
    flux = field[window_cells(mesh, 4)] @ KERNEL
    stepped = field + mesh.divergence(flux.real) + 1j * mesh.divergence(flux.imag)
    factor = amplification(KERNEL, np.array([wave]))[0]
    assert np.abs(stepped - factor * field).max() < 1e-13


def test_the_leak_is_a_second_order_recurrence() -> None:
    leak, wave = 1024, 0.3
    gain = amplification(KERNEL, np.array([wave]))[0] - 1
    keep = 1 - leak / 4096
    companion = np.array([[1 + gain, keep], [gain, keep]])
    largest = max(np.linalg.eigvals(companion), key=abs)
    assert abs(abs(amplification(KERNEL, np.array([wave]), leak)[0]) - abs(largest)) < 1e-13


def test_kernels_that_amplify_some_wave_are_out_of_the_question() -> None:
    assert np.isinf(diffusion_error(np.array([2.0, -2.0])))
    assert np.isinf(diffusion_error(np.array([-0.1, 0.1])))
    assert np.isfinite(diffusion_error(np.array([0.25, -0.25])))


def test_wider_stencils_diffuse_better() -> None:
    assert diffusion_error(KERNEL) < diffusion_error(np.array([0.25, -0.25])) / 10

"""Amplification factors against the operator itself."""

from __future__ import annotations

import numpy as np
import pytest
from models_under_test import box, heat_spec

from pisnn_deploy.mesh import window_cells
from pisnn_deploy.physics.symbol import amplification

KERNEL = np.array([1, 4, 18, 46, -46, -18, -4, -1]) / 128
LINE = heat_spec().positions


@pytest.mark.parametrize("mode", [0, 1, 5, 16])
def test_a_fourier_mode_is_multiplied_by_its_factor(mode: int) -> None:
    mesh = box((32,))
    wave = 2 * np.pi * mode / 32
    field = np.exp(1j * wave * np.arange(32))
    flux = field[window_cells(mesh, 4, 0, np.zeros(0)).cell[:, :, 0]] @ KERNEL
    stepped = field + mesh.divergence(flux.real) + 1j * mesh.divergence(flux.imag)
    factor = amplification(KERNEL, LINE, np.array([[wave]]))[0]
    assert np.abs(stepped - factor * field).max() < 1e-13


@pytest.mark.parametrize("modes", [(0, 0), (1, 0), (2, 3), (-4, 1), (8, 8)])
def test_a_plane_wave_is_multiplied_by_its_factor(modes: tuple[int, int]) -> None:
    spec = heat_spec(lengths=(1.0, 1.0), half_width=2, transverse=1)
    mesh = box((16, 16))
    kernel = np.random.default_rng(3).normal(size=12) / 20
    waves = 2 * np.pi * np.array(modes) / 16
    x, y = np.indices((16, 16))
    field = np.exp(1j * (waves[0] * x + waves[1] * y)).reshape(-1)
    flux = field[window_cells(mesh, 2, 1, np.zeros(0)).cell[:, :, 0]] @ kernel
    stepped = field + mesh.divergence(flux.real) + 1j * mesh.divergence(flux.imag)
    assert np.abs(stepped - amplification(kernel, spec.positions, waves[:, None])[0] * field).max() < 1e-13


def test_the_leak_is_a_second_order_recurrence() -> None:
    leak, wave = 1024, np.array([[0.3]])
    gain = amplification(KERNEL, LINE, wave)[0] - 1
    keep = 1 - leak / 4096
    companion = np.array([[1 + gain, keep], [gain, keep]])
    largest = max(np.linalg.eigvals(companion), key=abs)
    assert abs(abs(amplification(KERNEL, LINE, wave, leak)[0]) - abs(largest)) < 1e-13

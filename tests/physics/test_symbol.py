"""Amplification factors against the operator itself."""

from __future__ import annotations

import numpy as np
import pytest
from models_under_test import box, heat_spec

from pisnn_deploy.mesh import window_cells
from pisnn_deploy.physics.symbol import amplification, gain_along, gain_on_grid

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


@pytest.mark.parametrize(("axes", "half_width", "transverse"), [(1, 3, 0), (2, 2, 1), (3, 2, 1)])
def test_gains_on_a_grid_are_those_of_each_wave(axes: int, half_width: int, transverse: int) -> None:
    draw = np.random.default_rng(0)
    sides = np.arange(-half_width + 0.5, half_width), *(np.arange(-transverse, transverse + 1.0),) * (axes - 1)
    positions = np.stack([grid.reshape(-1) for grid in np.meshgrid(*sides, indexing="ij")])
    kernels = [draw.normal(size=positions.shape[1]) for _ in range(axes)]
    along = [np.linspace(-3, 3, 5 + axis) for axis in range(axes)]
    waves = np.stack([grid.reshape(-1) for grid in np.meshgrid(*along, indexing="ij")])
    expected = gain_along(kernels, positions, waves)
    assert np.allclose(gain_on_grid(kernels, positions, along).reshape(-1), expected, rtol=0, atol=1e-12)

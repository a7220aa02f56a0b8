"""The finite volumes that the models are compared with are what they claim to be."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.baselines import classical
from benchmarks.baselines.setting import mass_drift, setting
from benchmarks.parts.zoo import relative_l2

ERRORS = {
    ("heat1d", "FTCS"): 1e-4,
    ("heat2d", "FTCS"): 5e-4,
    ("advection_diffusion1d", "upwind, Euler"): 6e-2,
    ("advection_diffusion1d", "Lax-Wendroff"): 2e-3,
    ("burgers1d", "Godunov, Euler"): 3e-2,
    ("burgers1d", "MUSCL (minmod), RK2"): 6e-3,
}


@pytest.mark.parametrize(("name", "scheme"), ERRORS)
def test_schemes_are_as_accurate_as_they_should_be_and_conserve(name: str, scheme: str) -> None:
    one = setting(name)
    step, limit = classical.schemes(one)[scheme]
    steps = 64
    *_, (number, field) = classical.trajectory(step, limit, one.initial(), one.problem.horizon / steps, steps)
    assert number == steps
    error = relative_l2(field, one.exact(one.problem.horizon))
    assert ERRORS[name, scheme] / 20 < error < ERRORS[name, scheme]
    assert mass_drift(field, one.initial()) < 1e-13


def test_a_time_step_is_cut_until_it_is_stable() -> None:
    assert classical.substeps(1.0, 0.5) == 1
    assert classical.substeps(1.0, 1.0) == 2
    assert classical.substeps(1.0, 9.5) == 11


def test_the_direct_solver_has_the_error_of_two_point_fluxes() -> None:
    one = setting("laplace2d")
    assert 3e-4 < relative_l2(classical.direct_laplace(one), one.exact(0.0)) < 3.5e-4


@pytest.mark.parametrize("name", ["heat1d", "laplace2d"])
def test_gauss_points_give_cell_averages(name: str) -> None:
    one = setting(name)
    points = one.points()
    assert points.shape == (one.mesh.cells, 3 ** len(one.mesh.shape), len(one.mesh.shape))
    x = points[..., 0]
    values = 1 + 0.5 * np.cos(2 * np.pi * x) + 0.25 * np.cos(6 * np.pi * x)
    if name == "laplace2d":
        values = np.sin(np.pi * x) * np.sinh(np.pi * points[..., 1]) / np.sinh(np.pi)
    exact = one.initial() if name == "heat1d" else one.exact(0.0)
    assert np.abs(one.averages(values) - exact).max() < 1e-8

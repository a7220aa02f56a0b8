"""Problems against their equations."""

from __future__ import annotations

import numpy as np
import pytest
from models_under_test import box
from numpy.typing import NDArray

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.mesh import Mesh, reservoir_layers, reservoir_values, window_cells
from pisnn_deploy.physics.problems import NAMES, Problem, problem

NONE = np.zeros(0)


def reference(
    one: Problem, mesh: Mesh, time: float, held: NDArray[np.float64] = NONE, name: str | None = None
) -> NDArray[np.float64]:
    found = one.reference(mesh, held, time, name)
    assert found is not None
    return found


@pytest.mark.parametrize("name", ["modes", "bump"])
@pytest.mark.parametrize(
    ("shape", "boundary", "held"),
    [
        ((256,), "periodic", ()),
        ((256,), "no-flux", ()),
        ((256,), "dirichlet=0,1", (0.0, 1.0)),
        ((256,), "x-=no-flux x+=dirichlet=1", (1.0,)),
        ((256,), "x-=dirichlet=1 x+=no-flux", (1.0,)),
        ((96, 96), "x=periodic y=no-flux", ()),
        ((96, 96), "x=dirichlet=1,1 y=no-flux", (1.0,) * 192),
        ((40, 40, 40), "x=periodic y=no-flux z=dirichlet=1,1", (1.0,) * 3200),
    ],
)
def test_heat_solves_the_heat_equation(
    shape: tuple[int, ...], boundary: str, held: tuple[float, ...], name: str
) -> None:
    heat, mesh, levels = problem(f"heat{len(shape)}d"), box(shape, boundary), np.array(held)
    time, tick = 0.3, 1e-3
    after, before = (reference(heat, mesh, t, levels, name) for t in (time + tick, time - tick))
    seen = window_cells(mesh, 1, 0, levels).values(reference(heat, mesh, time, levels, name))
    flux = -0.01 * (seen[:, 1] - seen[:, 0]) / mesh.spacing[0] ** 2
    gain = mesh.divergence(flux)[: mesh.cells]
    rate = (after - before) / (2 * tick)
    assert np.abs(rate - gain).max() < 1.5e-2 * np.abs(rate).max()


def test_cell_averages_are_exact() -> None:
    for name in ("heat1d", "advection_diffusion1d", "burgers1d"):
        one = problem(name)
        fine, coarse = (reference(one, box((cells,)), 0.1) for cells in (1024, 8))
        assert np.abs(fine.reshape(8, -1).mean(axis=1) - coarse).max() < 1e-11
        assert abs(coarse.mean() - 1.0) < 1e-11


def test_advection_diffusion_solves_its_equation() -> None:
    one, mesh, time, tick = problem("advection_diffusion1d"), box((512,)), 0.2, 1e-4
    field = reference(one, mesh, time)
    rate = (reference(one, mesh, time + tick) - reference(one, mesh, time - tick)) / (2 * tick)
    slope = (np.roll(field, -1) - np.roll(field, 1)) / 2 * 512
    curvature = (np.roll(field, -1) - 2 * field + np.roll(field, 1)) * 512**2
    assert np.abs(rate + slope - 1e-3 * curvature).max() < 2e-3 * np.abs(rate).max()
    assert (
        np.abs(reference(problem("advection_diffusion1d", 1e-9, 2.0), mesh, 0.5) - one.initial(mesh, NONE)).max() < 1e-5
    )


@pytest.mark.parametrize("name", ["sine", "two-waves"])
def test_burgers_solves_its_equation(name: str) -> None:
    one, mesh, time, tick = problem("burgers1d"), box((4096,)), 0.45, 1e-5
    field = reference(one, mesh, time, name=name)
    rate = (reference(one, mesh, time + tick, name=name) - reference(one, mesh, time - tick, name=name)) / (2 * tick)
    flux = (field**2 / 2 + np.roll(field, 1) ** 2 / 2) / 2 - 0.01 / np.pi * (field - np.roll(field, 1)) * 4096
    gain = (flux - np.roll(flux, -1)) * 4096
    assert np.abs(rate - gain).max() < 2e-3 * np.abs(rate).max()
    start = one.initial(mesh, NONE, name)
    assert np.abs(reference(one, mesh, 1e-9, name=name) - start).max() < 1e-5
    assert abs(reference(one, mesh, 50.0, name=name).mean() - start.mean()) < 1e-12


def test_laplace_is_harmonic_and_meets_its_sides() -> None:
    one = problem("laplace2d")
    boundary = one.default_boundary((128, 128))
    mesh = box((128, 128), "x=dirichlet=0,0 y=dirichlet=0,0")
    held = np.array(reservoir_values(boundary, reservoir_layers(mesh)))
    field = reference(one, mesh, 0.0, held)
    seen = window_cells(mesh, 1, 0, held, "quadratic").values(field)
    gain = mesh.divergence(seen[:, 0] - seen[:, 1])[: mesh.cells].reshape(mesh.shape)
    assert np.abs(gain[1:-1, 1:-1]).max() < 1e-6 and np.abs(gain).max() < 1e-5
    assert one.reference(mesh, held + 0.1, 0.0) is None
    assert one.reference(box((128, 128)), NONE, 0.0) is None
    blend = one.initial(mesh, held, "blend").reshape(mesh.shape)
    assert not one.initial(mesh, held, "zero").any() and 0.98 < blend.max() < 1 and blend[:, 0].max() < 0.01


def test_a_reference_is_given_only_where_one_is_known() -> None:
    assert problem("heat2d").reference(box((4, 4), "x=dirichlet=0,1 y=periodic"), np.arange(8.0), 0.1) is None
    for name in ("advection_diffusion1d", "burgers1d"):
        assert problem(name).reference(box((8,), "no-flux"), NONE, 0.1) is None


@pytest.mark.parametrize("name", NAMES)
def test_errors_name_what_is_known(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        problem("wave")
    assert str(caught.value) == (
        "problem 'wave': unknown; use heat1d, heat2d, heat3d, laplace2d, advection_diffusion1d, burgers1d"
    )
    one = problem(name)
    shape = one.default_shape
    boundary = one.default_boundary(shape)
    mesh = box(shape, "x=dirichlet=0,0 y=dirichlet=0,0" if name == "laplace2d" else "periodic")
    held = np.array(reservoir_values(boundary, reservoir_layers(mesh)))
    assert one.initial(mesh, held, one.initial_conditions[-1]).shape == (mesh.cells,)
    with pytest.raises(UsageError) as caught:
        one.initial(mesh, held, "hat")
    known = ", ".join(one.initial_conditions)
    assert str(caught.value) == f"initial condition 'hat': unknown for {name}; use {known}"
    other = 1 if len(shape) > 1 else 2
    with pytest.raises(UsageError, match=f"problem {name} has {len(shape)} dimension.*, but the mesh has {other}"):
        one.initial(box((8,) * other), NONE)
    assert one.equation and one.horizon > 0

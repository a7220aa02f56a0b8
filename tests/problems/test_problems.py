"""Problems against their equations."""

from __future__ import annotations

import numpy as np
import pytest

from pisnn_deploy.errors import UsageError
from pisnn_deploy.mesh import Side, structured_mesh
from pisnn_deploy.problems import problem


@pytest.mark.parametrize("boundary", ["periodic", "no-flux"])
def test_heat1d_solves_the_heat_equation(boundary: Side) -> None:
    heat = problem("heat1d")
    mesh = structured_mesh((256,), (1.0,), (boundary,))
    time, tick = 0.3, 1e-3
    rate = (heat.reference(mesh, time + tick) - heat.reference(mesh, time - tick)) / (2 * tick)
    field = heat.reference(mesh, time)
    flux = -0.01 * np.diff(field) / mesh.spacing[0]
    ends = [flux[-1:] * 0] * 2 if boundary == "no-flux" else [-0.01 * (field[:1] - field[-1:]) / mesh.spacing[0]] * 2
    gain = -np.diff(np.concatenate([ends[0], flux, ends[1]])) / mesh.spacing[0]
    assert np.abs(rate - gain).max() < 2e-3 * np.abs(rate).max()


def test_cell_averages_are_exact() -> None:
    heat = problem("heat1d")
    fine = heat.initial(structured_mesh((1024,), (1.0,), ("periodic",)))
    coarse = heat.initial(structured_mesh((8,), (1.0,), ("periodic",)))
    assert np.abs(fine.reshape(8, -1).mean(axis=1) - coarse).max() < 1e-13
    assert abs(coarse.mean() - 1.0) < 1e-13


def test_errors_name_what_is_known() -> None:
    with pytest.raises(UsageError) as caught:
        problem("wave")
    assert str(caught.value) == "problem 'wave': unknown; known are heat1d"
    mesh = structured_mesh((8,), (1.0,), ("periodic",))
    with pytest.raises(UsageError) as caught:
        problem("heat1d").initial(mesh, "hat")
    assert str(caught.value) == "initial condition 'hat': heat1d has none of that name; known are modes"
    square = structured_mesh((8, 8), (1.0, 1.0), ("periodic", "periodic"))
    with pytest.raises(UsageError) as caught:
        problem("heat1d").initial(square)
    assert str(caught.value) == "problem heat1d is one-dimensional, the mesh has 2 dimensions"

"""Setting of a problem for the baselines: mesh, reservoirs, coefficients, and the exact solution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.mesh import Mesh, reservoir_layers, reservoir_values, structured_mesh
from pisnn_deploy.physics.problems import Problem, problem

Field = NDArray[np.float64]

_GAUSS = np.array([-1.0, 0.0, 1.0]) * np.sqrt(0.6)
_GAUSS_WEIGHTS = np.array([5.0, 8.0, 5.0]) / 18


@dataclass(frozen=True)
class Setting:
    """A problem on its default mesh.

    Attributes
    ----------
    reservoirs : float64 array [reservoirs]
        Cell values that they hold.
    velocity : float
        Of a linear advection; 0 without.
    """

    problem: Problem
    mesh: Mesh
    reservoirs: Field
    velocity: float

    @property
    def is_steady(self) -> bool:
        """Whether only the steady state counts."""
        return self.problem.name == "laplace2d"

    def initial(self) -> Field:
        """Cell averages at the start, float64 [cells]."""
        return self.problem.initial(self.mesh, self.reservoirs)

    def exact(self, time: float) -> Field:
        """Exact cell averages, float64 [cells]."""
        solution = self.problem.reference(self.mesh, self.reservoirs, time)
        assert solution is not None
        return solution

    def points(self) -> Field:
        """Gauss points of all cells, float64 [cells, points, axes]."""
        axes = []
        for count, width in zip(self.mesh.shape, self.mesh.spacing, strict=True):
            axes.append((np.arange(count) + 0.5)[:, None] * width + _GAUSS * width / 2)
        dimensions = len(axes)
        grids = np.meshgrid(*(axis.reshape(-1) for axis in axes), indexing="ij")
        split = [size for count in self.mesh.shape for size in (count, 3)]
        order = [2 * a for a in range(dimensions)] + [2 * a + 1 for a in range(dimensions)]
        stacked = [grid.reshape(split).transpose(order).reshape(self.mesh.cells, -1) for grid in grids]
        return np.stack(stacked, axis=-1)

    def averages(self, values: Field) -> Field:
        """Cell averages of values at the Gauss points, float64 [cells]."""
        weights = _GAUSS_WEIGHTS
        for _ in self.mesh.shape[1:]:
            weights = np.multiply.outer(weights, _GAUSS_WEIGHTS)
        return np.asarray(values @ weights.reshape(-1), np.float64)


def setting(name: str) -> Setting:
    """Setting of a problem.

    Parameters
    ----------
    name : str
        Of the problem.
    """
    pde = problem(name)
    boundary = pde.default_boundary(pde.default_shape)
    mesh = structured_mesh(pde.default_shape, (1.0,) * len(pde.default_shape), boundary.sides)
    levels = np.array(reservoir_values(boundary, reservoir_layers(mesh)), np.float64)
    return Setting(pde, mesh, levels, float(getattr(pde, "velocity", 0.0)))


def mass_drift(values: Field, start: Field) -> float:
    """Change of the sum relative to the sum at the start."""
    return float(abs(values.sum() - start.sum()) / abs(start.sum()))

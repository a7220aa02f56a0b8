"""The Laplace equation on a rectangle, as the steady state that a flux network comes to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.errors import UsageError
from pisnn_deploy.mesh import DIRICHLET, Boundary, Mesh, reservoir_layers, reservoir_values
from pisnn_deploy.problems.modes import EPSILON, cell_edges, cosine_averages, rounding_bound

Field = NDArray[np.float64]


_ROUNDING = 1e-3
"""How far reservoir values in quanta may be from the problem's own."""


@dataclass(frozen=True)
class Laplace:
    """``laplacian(u) = 0`` with ``u = sin(pi x / length)`` at the upper y side and 0 at the others.

    The exact solution is ``sin(pi x / Lx) sinh(pi y / Lx) / sinh(pi Ly / Lx)``. Time is the pseudo-time of the damped
    wave equation in which the steady state is approached, in units of length. Runs start from 0, or, held out, from
    ``blend``: the boundary value times ``y / Ly``.
    """

    name: str = "laplace2d"
    default_shape: tuple[int, ...] = (64, 64)
    diffusivity: float = 1.0
    horizon: float = 3.0
    initial_conditions: tuple[str, ...] = ("blend", "zero")

    @property
    def equation(self) -> str:
        """The equation, for people."""
        return "laplacian(u) = 0"

    def default_boundary(self, shape: tuple[int, ...]) -> Boundary:
        """Zero on three sides, averages of a sine over the faces of the upper y side."""
        sine = tuple(_sine(np.linspace(0.0, 1.0, shape[0] + 1)).tolist())
        return Boundary(((DIRICHLET, DIRICHLET),) * 2, (((0.0,), (0.0,)), ((0.0,), sine)))

    def initial(self, mesh: Mesh, reservoirs: Field, name: str | None = None) -> Field:
        """Cell averages at the start, float64 [cells]."""
        if name not in (None, *self.initial_conditions):
            known = ", ".join(self.initial_conditions)
            raise UsageError(f"initial condition {name!r}: {self.name} has none of that name; known are {known}")
        if len(mesh.shape) != 2:
            raise UsageError(f"problem {self.name} has 2 dimensions, the mesh {len(mesh.shape)}")
        if name == "zero":
            return np.zeros(mesh.cells)
        height = (np.arange(mesh.shape[1]) + 0.5) / mesh.shape[1]
        return np.outer(_sine(cell_edges(mesh, 0) / mesh.lengths[0]), height).reshape(-1)

    def reference(self, mesh: Mesh, reservoirs: Field, time: float, name: str | None = None) -> Field | None:
        """Exact cell averages of the steady state, whatever the time; None if the sides are not the problem's own."""
        self.initial(mesh, reservoirs, name)
        if self._away(mesh, reservoirs) is None:
            return None
        wave, height, width = np.pi / mesh.lengths[0], mesh.lengths[1], mesh.spacing[1]
        lower, upper = cell_edges(mesh, 1)[:-1], cell_edges(mesh, 1)[1:]
        # The average of sinh(k y) / sinh(k L), without terms that overflow where the domain is tall.
        rise = np.exp(wave * (upper - height)) * -np.expm1(-wave * width) / (wave * width)
        rise *= np.expm1(-wave * (lower + upper)) / np.expm1(-2 * wave * height)
        return np.outer(_sine(cell_edges(mesh, 0) / mesh.lengths[0]), rise).reshape(-1)

    def reference_error(self, mesh: Mesh, reservoirs: Field, time: float, name: str | None = None) -> float | None:
        """By how much a cell average can differ from the steady state between these very reservoirs.

        A harmonic function moves no more than its boundary values do (maximum principle), and these are whole quanta.
        """
        self.initial(mesh, reservoirs, name)
        away = self._away(mesh, reservoirs)
        if away is None:
            return None
        edges = cell_edges(mesh, 0) / mesh.lengths[0]
        arguments = np.pi * (1 + mesh.lengths[1] / mesh.lengths[0])
        rounding = rounding_bound((1.0,), np.array([np.pi]), np.array([np.pi / 2]), edges)
        return away + rounding + 8 * EPSILON * float(arguments)

    def _away(self, mesh: Mesh, reservoirs: Field) -> float | None:
        """How far the reservoirs are from the problem's own; None if they are others."""
        own = self.default_boundary(mesh.shape)
        if mesh.boundary != own.sides:
            return None
        values = np.array(reservoir_values(own, reservoir_layers(mesh)))
        away = float(np.abs(reservoirs - values).max())
        return None if away > _ROUNDING else away


def _sine(edges: Field) -> Field:
    """Averages of ``sin(pi x)`` between edges."""
    return np.asarray(cosine_averages(edges, np.array([np.pi]), np.array([np.pi / 2]))[0], np.float64)

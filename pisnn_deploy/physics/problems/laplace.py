"""The Laplace equation on a rectangle, as the steady state that a flux network comes to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.mesh import DIRICHLET, Boundary, Mesh, reservoir_layers
from pisnn_deploy.physics.problems.modes import EPSILON, cell_edges, cosine_averages, rounding_bound

Field = NDArray[np.float64]


_ROUNDING = 1e-3
"""How far reservoir values in quanta may be from the problem's own."""


@dataclass(frozen=True)
class Laplace:
    """``laplacian(u) = 0`` with ``u = sin(pi x / length)`` at the upper y side and 0 at the others.

    The exact solution is ``sin(pi x / Lx) sinh(pi y / Lx) / sinh(pi Ly / Lx)``. With the sine at another side, start
    and solution are turned with it. Time is the pseudo-time of the damped
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
        axis, end, _ = _sine_side(mesh, reservoirs) or (1, 1, 0.0)
        height = (np.arange(mesh.shape[axis]) + 0.5) / mesh.shape[axis]
        return self._laid(mesh, height, axis, end)

    def reference(self, mesh: Mesh, reservoirs: Field, time: float, name: str | None = None) -> Field | None:
        """Exact cell averages of the steady state, whatever the time; None if the sides are not the problem's own."""
        self.initial(mesh, reservoirs, name)
        side = _sine_side(mesh, reservoirs)
        if side is None:
            return None
        axis, end, _ = side
        wave, height, width = np.pi / mesh.lengths[1 - axis], mesh.lengths[axis], mesh.spacing[axis]
        lower, upper = cell_edges(mesh, axis)[:-1], cell_edges(mesh, axis)[1:]
        # The average of sinh(k y) / sinh(k L), without terms that overflow where the domain is tall.
        rise = np.exp(wave * (upper - height)) * -np.expm1(-wave * width) / (wave * width)
        rise *= np.expm1(-wave * (lower + upper)) / np.expm1(-2 * wave * height)
        return self._laid(mesh, rise, axis, end)

    def reference_error(self, mesh: Mesh, reservoirs: Field, time: float, name: str | None = None) -> float | None:
        """By how much a cell average can differ from the steady state between these very reservoirs.

        A harmonic function moves no more than its boundary values do (maximum principle), and these are whole quanta.
        """
        self.initial(mesh, reservoirs, name)
        side = _sine_side(mesh, reservoirs)
        if side is None:
            return None
        axis, _, away = side
        edges = cell_edges(mesh, 1 - axis) / mesh.lengths[1 - axis]
        arguments = np.pi * (1 + mesh.lengths[axis] / mesh.lengths[1 - axis])
        rounding = rounding_bound((1.0,), np.array([np.pi]), np.array([np.pi / 2]), edges)
        return away + rounding + 8 * EPSILON * float(arguments)

    def _laid(self, mesh: Mesh, rise: Field, axis: int, end: int) -> Field:
        """The sine across `axis`, times what rises along it towards its lower (0) or upper (1) end."""
        sine = _sine(cell_edges(mesh, 1 - axis) / mesh.lengths[1 - axis])
        field = np.outer(sine, rise if end else rise[::-1])
        return (field.T if axis == 0 else field).reshape(-1)


def _sine_side(mesh: Mesh, reservoirs: Field) -> tuple[int, int, float] | None:
    """Axis and end of the side that holds the sine while the others hold 0, and how far reservoirs are from these."""
    if mesh.boundary != ((DIRICHLET, DIRICHLET),) * 2:
        return None
    for axis, layers in enumerate(reservoir_layers(mesh)):
        for end, layer in enumerate(layers):
            own = np.zeros(mesh.reservoirs)
            own[layer] = _sine(np.linspace(0.0, 1.0, mesh.shape[1 - axis] + 1))
            away = float(np.abs(reservoirs - own).max())
            if away <= _ROUNDING:
                return axis, end, away
    return None


def _sine(edges: Field) -> Field:
    """Averages of ``sin(pi x)`` between edges."""
    return np.asarray(cosine_averages(edges, np.array([np.pi]), np.array([np.pi / 2]))[0], np.float64)

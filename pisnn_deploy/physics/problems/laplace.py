"""The Laplace equation on a rectangle, as the steady state of a flux network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.mesh import DIRICHLET, Boundary, Mesh, reservoir_layers
from pisnn_deploy.physics.problems.modes import EPSILON, cell_edges, cosine_averages, rounding_bound

Field = NDArray[np.float64]


_ROUNDING = 1e-3
"""Largest deviation of reservoir values, rounded to quanta, from those of the problem."""


@dataclass(frozen=True)
class Laplace:
    """``laplacian(u) = 0`` with ``u = sin(pi x / length)`` at the upper y side and 0 at the others.

    The exact solution is ``sin(pi x / Lx) sinh(pi y / Lx) / sinh(pi Ly / Lx)``. If the sine is at another side, the
    initial condition and the solution are rotated accordingly. Time is the pseudo-time of the damped wave equation that
    approaches the steady state, in units of length. Initial conditions are ``blend``, the boundary value times
    ``y / Ly``, and ``zero``.
    """

    name: str = "laplace2d"
    default_shape: tuple[int, ...] = (64, 64)
    diffusivity: float = 1.0
    horizon: float = 3.0
    initial_conditions: tuple[str, ...] = ("blend", "zero")

    @property
    def equation(self) -> str:
        """The equation as text."""
        return "laplacian(u) = 0"

    def default_boundary(self, shape: tuple[int, ...]) -> Boundary:
        """Zero on three sides; face averages of a sine on the upper y side."""
        sine = tuple(_sine(np.linspace(0.0, 1.0, shape[0] + 1)).tolist())
        return Boundary(((DIRICHLET, DIRICHLET),) * 2, (((0.0,), (0.0,)), ((0.0,), sine)))

    def initial(self, mesh: Mesh, reservoirs: Field, name: str | None = None) -> Field:
        """Cell averages at the start, float64 [cells]."""
        if name not in (None, *self.initial_conditions):
            known = ", ".join(self.initial_conditions)
            raise UsageError(f"initial condition {name!r}: unknown for {self.name}; use {known}")
        if len(mesh.shape) != 2:
            raise UsageError(f"problem {self.name} has 2 dimensions, but the mesh has {len(mesh.shape)}")
        if name == "zero":
            return np.zeros(mesh.cells)
        axis, end, _ = _sine_side(mesh, reservoirs) or (1, 1, 0.0)
        height = (np.arange(mesh.shape[axis]) + 0.5) / mesh.shape[axis]
        return self._laid(mesh, height, axis, end)

    def reference(self, mesh: Mesh, reservoirs: Field, time: float, name: str | None = None) -> Field | None:
        """Exact cell averages of the steady state at any time; None for other boundary values than the problem's."""
        self.initial(mesh, reservoirs, name)
        side = _sine_side(mesh, reservoirs)
        if side is None:
            return None
        axis, end, _ = side
        wave, height, width = np.pi / mesh.lengths[1 - axis], mesh.lengths[axis], mesh.spacing[axis]
        lower, upper = cell_edges(mesh, axis)[:-1], cell_edges(mesh, axis)[1:]
        # The average of sinh(k y) / sinh(k L), without terms that overflow on a tall domain.
        rise = np.exp(wave * (upper - height)) * -np.expm1(-wave * width) / (wave * width)
        rise *= np.expm1(-wave * (lower + upper)) / np.expm1(-2 * wave * height)
        return self._laid(mesh, rise, axis, end)

    def reference_error(self, mesh: Mesh, reservoirs: Field, time: float, name: str | None = None) -> float | None:
        """Largest difference between the reference's cell averages and the steady state of the given reservoirs.

        By the maximum principle a harmonic function changes by no more than its boundary values, which are rounded to
        whole quanta here.
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
        """Product of the sine across `axis` and a profile that rises towards its lower (0) or upper (1) end."""
        sine = _sine(cell_edges(mesh, 1 - axis) / mesh.lengths[1 - axis])
        field = np.outer(sine, rise if end else rise[::-1])
        return (field.T if axis == 0 else field).reshape(-1)


def _sine_side(mesh: Mesh, reservoirs: Field) -> tuple[int, int, float] | None:
    """Axis and end of the side with the sine, and the largest deviation of reservoirs; None without such a side."""
    if mesh.boundary != ((DIRICHLET, DIRICHLET),) * 2:
        return None
    for axis, layers in enumerate(reservoir_layers(mesh)):
        for end, layer in enumerate(layers):
            expected = np.zeros(mesh.reservoirs)
            expected[layer] = _sine(np.linspace(0.0, 1.0, mesh.shape[1 - axis] + 1))
            away = float(np.abs(reservoirs - expected).max())
            if away <= _ROUNDING:
                return axis, end, away
    return None


def _sine(edges: Field) -> Field:
    """Averages of ``sin(pi x)`` between edges."""
    return np.asarray(cosine_averages(edges, np.array([np.pi]), np.array([np.pi / 2]))[0], np.float64)

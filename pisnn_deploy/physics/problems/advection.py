"""Advection and diffusion on a periodic line, with exact cell averages."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.mesh import PERIODIC, Boundary, Mesh, uniform_boundary
from pisnn_deploy.physics.problems.modes import EPSILON, Modes, cell_edges, cosine_averages, rounding_bound

Field = NDArray[np.float64]

_INITIAL = {
    "modes": Modes(1.0, (0.5, 0.0, 0.25)),
    "bump": Modes(1.0, tuple(0.4 * np.exp(-((n / 2) ** 2)) for n in range(1, 9)), (0.7,) * 8),
}


@dataclass(frozen=True)
class AdvectionDiffusion:
    """``u_t + velocity * u_x = diffusivity * u_xx`` on a periodic line.

    Every Fourier mode moves with the velocity and decays by ``exp(-diffusivity k^2 t)``. The initial condition is
    ``1 + 0.5 cos(2 pi x) + 0.25 cos(6 pi x)``; the held-out ``bump`` has eight modes.
    """

    name: str = "advection_diffusion1d"
    diffusivity: float = 1e-3
    velocity: float = 1.0
    default_shape: tuple[int, ...] = (256,)
    initial_conditions: tuple[str, ...] = tuple(_INITIAL)

    @property
    def equation(self) -> str:
        """The equation as text."""
        return f"u_t + {self.velocity:g} u_x = {self.diffusivity:g} u_xx"

    @property
    def horizon(self) -> float:
        """Time of one period on a line of length 1."""
        return 1.0 / abs(self.velocity)

    def default_boundary(self, shape: tuple[int, ...]) -> Boundary:
        """Periodic sides."""
        return uniform_boundary(PERIODIC, len(shape))

    def initial(self, mesh: Mesh, reservoirs: Field, name: str | None = None) -> Field:
        """Cell averages at time 0, float64 [cells]."""
        modes = _INITIAL.get(name or self.initial_conditions[0])
        if modes is None:
            known = ", ".join(self.initial_conditions)
            raise UsageError(f"initial condition {name!r}: unknown for {self.name}; use {known}")
        return self._at(mesh, modes, 0.0)

    def reference(self, mesh: Mesh, reservoirs: Field, time: float, name: str | None = None) -> Field | None:
        """Exact cell averages at a time, float64 [cells]; None unless the line is periodic."""
        self.initial(mesh, reservoirs, name)
        if mesh.boundary != ((PERIODIC, PERIODIC),):
            return None
        return self._at(mesh, _INITIAL[name or self.initial_conditions[0]], time)

    def reference_error(self, mesh: Mesh, reservoirs: Field, time: float, name: str | None = None) -> float | None:
        """Rounding error bound of the reference's cell averages; it grows with the distance travelled."""
        self.initial(mesh, reservoirs, name)
        if mesh.boundary != ((PERIODIC, PERIODIC),):
            return None
        modes = _INITIAL[name or self.initial_conditions[0]]
        waves = modes.waves(mesh.lengths[0])
        left = np.abs(modes.amplitudes) * np.exp(-self.diffusivity * waves**2 * time)
        rounding = rounding_bound(left, waves, modes.shifts(), cell_edges(mesh, 0), self.velocity * time)
        return rounding + EPSILON * (abs(modes.mean) + float(left.sum()))

    def _at(self, mesh: Mesh, modes: Modes, time: float) -> Field:
        if len(mesh.shape) != 1:
            raise UsageError(f"problem {self.name} has 1 dimension, but the mesh has {len(mesh.shape)}")
        waves = modes.waves(mesh.lengths[0])
        shapes = cosine_averages(cell_edges(mesh, 0), waves, modes.shifts() + waves * self.velocity * time)
        decay = np.exp(-self.diffusivity * waves**2 * time)
        return np.asarray(modes.mean + (np.array(modes.amplitudes) * decay) @ shapes, np.float64)

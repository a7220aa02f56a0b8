"""The heat equation on a line, a rectangle or a box, with exact cell averages."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.mesh import DIRICHLET, PERIODIC, Boundary, Mesh, uniform_boundary
from pisnn_deploy.physics.problems.modes import EPSILON, cell_edges, cosine_averages, eigenmodes, rounding_bound

Field = NDArray[np.float64]

_DIFFUSIVITY = 0.01
_INITIAL = {
    "modes": {1: 0.5, 3: 0.25},
    "bump": {n: 0.4 * math.exp(-((n / 2) ** 2)) for n in range(1, 9)},
}
"""Amplitudes by mode number; no training field resembles the held-out bump."""


@dataclass(frozen=True)
class Heat:
    """``u_t = diffusivity * laplacian(u)`` with any mixture of periodic, no-flux and Dirichlet sides.

    The initial condition ``modes`` is the steady state of the reservoirs (1 without reservoirs) plus 0.5 times the
    first and 0.25 times the third eigenmode of the Laplacian, the same along all axes; ``bump`` has eight modes. With
    factors `along` the axes, the diffusivity differs from axis to axis.
    """

    name: str
    default_shape: tuple[int, ...]
    diffusivity: float = _DIFFUSIVITY
    initial_conditions: tuple[str, ...] = tuple(_INITIAL)
    along: tuple[float, ...] = ()

    @property
    def equation(self) -> str:
        """The equation as text."""
        if self.along:
            terms = zip(self.along, "xyz", strict=False)
            return "u_t = " + " + ".join(f"{self.diffusivity * factor:g} u_{axis}{axis}" for factor, axis in terms)
        return f"u_t = {self.diffusivity:g} laplacian(u)"

    def _along(self, axis: int) -> float:
        """Diffusivity along an axis."""
        return self.diffusivity * (self.along[axis] if self.along else 1.0)

    @property
    def horizon(self) -> float:
        """Time at which accuracy is measured: 1 for a diffusivity of 0.01."""
        return _DIFFUSIVITY / self.diffusivity

    def default_boundary(self, shape: tuple[int, ...]) -> Boundary:
        """Periodic sides."""
        return uniform_boundary(PERIODIC, len(shape))

    def initial(self, mesh: Mesh, reservoirs: Field, name: str | None = None) -> Field:
        """Cell averages at time 0, float64 [cells]."""
        return self._steady(mesh, reservoirs)[0] + self._decaying(mesh, 0.0, name)

    def reference(self, mesh: Mesh, reservoirs: Field, time: float, name: str | None = None) -> Field | None:
        """Exact cell averages at a time.

        Parameters
        ----------
        reservoirs : float64 array [reservoirs]
            Values on the boundary.
        name : str, optional
            Initial condition.

        Returns
        -------
        float64 array [cells] or None
            None if reservoirs have different values on a mesh of more than one dimension.

        Raises
        ------
        UsageError
            The initial condition is unknown, or the mesh has another dimension.
        """
        steady, exact = self._steady(mesh, reservoirs)
        decaying = self._decaying(mesh, time, name)
        return steady + decaying if exact else None

    def reference_error(self, mesh: Mesh, reservoirs: Field, time: float, name: str | None = None) -> float | None:
        """Rounding error bound of the reference's cell averages; None without a reference."""
        steady, exact = self._steady(mesh, reservoirs)
        if not exact:
            return None
        numbers, amplitudes = self._modes(name)
        # The error of a product of averages, none larger than 1, is at most the sum of the factors' errors.
        total = EPSILON * (2 * float(np.abs(steady).max()) + float(np.abs(amplitudes).sum()))
        for axis, (sides, length) in enumerate(zip(mesh.boundary, mesh.lengths, strict=True)):
            waves, phases = eigenmodes(sides, length, numbers)
            left = np.abs(amplitudes) * np.exp(-self._along(axis) * waves**2 * time)
            total += rounding_bound(left, waves, phases, cell_edges(mesh, axis))
        return total

    def _steady(self, mesh: Mesh, reservoirs: Field) -> tuple[Field, bool]:
        """Steady state, and whether it is exact."""
        if len(mesh.shape) != len(self.default_shape):
            raise UsageError(
                f"problem {self.name} has {len(self.default_shape)} dimensions, but the mesh has {len(mesh.shape)}"
            )
        if not reservoirs.size:
            return np.ones(mesh.cells), True
        if len(mesh.shape) == 1 and mesh.boundary[0] == (DIRICHLET, DIRICHLET):
            centres = (np.arange(mesh.cells) + 0.5) / mesh.cells
            return reservoirs[0] + (reservoirs[1] - reservoirs[0]) * centres, True
        return np.full(mesh.cells, reservoirs.mean()), bool((reservoirs == reservoirs[0]).all())

    def _decaying(self, mesh: Mesh, time: float, name: str | None) -> Field:
        numbers, field = self._modes(name)
        for axis, (sides, length) in enumerate(zip(mesh.boundary, mesh.lengths, strict=True)):
            waves, phases = eigenmodes(sides, length, numbers)
            along = cosine_averages(cell_edges(mesh, axis), waves, phases)
            along *= np.exp(-self._along(axis) * waves**2 * time)[:, None]
            field = field[..., None] * along.reshape(len(numbers), *(1,) * axis, -1)
        return np.asarray(field.sum(axis=0).reshape(-1), np.float64)

    def _modes(self, name: str | None) -> tuple[Field, Field]:
        """Numbers of the modes of an initial condition and their amplitudes, float64 [n] each."""
        name = name or self.initial_conditions[0]
        if name not in _INITIAL:
            known = ", ".join(self.initial_conditions)
            raise UsageError(f"initial condition {name!r}: unknown for {self.name}; use {known}")
        return np.array(list(_INITIAL[name]), np.float64), np.array(list(_INITIAL[name].values()))

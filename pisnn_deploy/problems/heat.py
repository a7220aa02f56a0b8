"""The heat equation on a line, with exact cell averages."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.errors import UsageError
from pisnn_deploy.mesh import PERIODIC, Mesh

Field = NDArray[np.float64]


@dataclass(frozen=True)
class Modes:
    """A sum of cosines: ``mean + sum_n amplitude_n cos(wave_n x - phase_n)``.

    Attributes
    ----------
    mean : float
    waves : float64 array [n]
        Radians per unit of length, positive.
    amplitudes, phases : float64 array [n]
    """

    mean: float
    waves: Field
    amplitudes: Field
    phases: Field

    def averages(self, mesh: Mesh, decay: float) -> Field:
        """Exact cell averages after each mode was damped by ``exp(-wave^2 decay)``.

        Parameters
        ----------
        mesh : Mesh
            One-dimensional.
        decay : float
            Diffusivity times time.

        Returns
        -------
        float64 array [cells]
        """
        edges = np.arange(mesh.cells + 1) * mesh.spacing[0]
        integral = np.sin(self.waves[:, None] * edges - self.phases[:, None]) / self.waves[:, None]
        damped = self.amplitudes * np.exp(-(self.waves**2) * decay)
        return np.asarray(self.mean + damped @ np.diff(integral, axis=1) / mesh.spacing[0], np.float64)


@dataclass(frozen=True)
class Heat:
    """``u_t = diffusivity * u_xx`` on ``[0, 1]``, periodic or between no-flux walls.

    The initial condition ``modes`` is ``1 + 0.5 cos(a x) + 0.25 cos(3 a x)`` with ``a = 2 pi`` on the periodic line and
    ``a = pi`` between walls, where cosines of that wave number have no slope.
    """

    name: str
    diffusivity: float
    horizon: float
    default_shape: tuple[int, ...] = (128,)
    initial_conditions: tuple[str, ...] = ("modes",)

    @property
    def equation(self) -> str:
        """The equation, for people."""
        return f"u_t = {self.diffusivity:g} u_xx"

    def initial(self, mesh: Mesh, name: str | None = None) -> Field:
        """Cell averages at time 0, float64 [cells]."""
        return self.reference(mesh, 0.0, name)

    def reference(self, mesh: Mesh, time: float, name: str | None = None) -> Field:
        """Exact cell averages at a time.

        Parameters
        ----------
        mesh : Mesh
            One-dimensional.
        time : float
        name : str, optional
            Initial condition.

        Returns
        -------
        float64 array [cells]

        Raises
        ------
        UsageError
            No such initial condition, or a mesh of another dimension.
        """
        if name not in (None, *self.initial_conditions):
            known = ", ".join(self.initial_conditions)
            raise UsageError(f"initial condition {name!r}: {self.name} has none of that name; known are {known}")
        if len(mesh.shape) != 1:
            raise UsageError(f"problem {self.name} is one-dimensional, the mesh has {len(mesh.shape)} dimensions")
        base = (2 * np.pi if mesh.boundary[0] == PERIODIC else np.pi) / mesh.lengths[0]
        modes = Modes(1.0, base * np.array([1.0, 3.0]), np.array([0.5, 0.25]), np.zeros(2))
        return modes.averages(mesh, self.diffusivity * time)


heat1d = Heat("heat1d", diffusivity=0.01, horizon=1.0)

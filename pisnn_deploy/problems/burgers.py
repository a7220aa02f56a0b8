"""Viscous Burgers flow on a periodic line, with exact cell averages by the Cole-Hopf transformation.

``u = -2 nu d/dx log(theta)`` turns ``u_t + (u^2 / 2)_x = nu u_xx`` into the heat equation for ``theta`` (E. Hopf, 1950;
J. D. Cole, 1951). A mean velocity is a moving frame. A cell average needs ``log(theta)`` at the cell's edges alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.errors import UsageError
from pisnn_deploy.mesh import PERIODIC, Boundary, Mesh, uniform_boundary
from pisnn_deploy.problems.modes import Modes, cell_edges, cosine_averages

Field = NDArray[np.float64]

_INITIAL = {
    "sine": Modes(1.0, (0.5,), (np.pi / 2,)),
    "two-waves": Modes(1.0, (0.3, 0.2), (0.3, 1.9)),
}
_REACH = 7.0
"""Widths of the heat kernel ``exp(-s^2)`` beyond which it is below the rounding of float64."""
_POINTS = 4001


def cole_hopf(mesh: Mesh, modes: Modes, diffusivity: float, time: float) -> Field:
    """Exact cell averages of a Burgers flow on a periodic line.

    Parameters
    ----------
    mesh : Mesh
        One-dimensional.
    modes : Modes
        The field at time 0.
    diffusivity, time : float

    Returns
    -------
    float64 array [cells]
    """
    edges = cell_edges(mesh, 0)
    waves = modes.waves(mesh.lengths[0])
    if time == 0:
        shapes = cosine_averages(edges, waves, modes.shifts())
        return np.asarray(modes.mean + np.array(modes.amplitudes) @ shapes, np.float64)
    steps = np.linspace(-_REACH, _REACH, _POINTS)
    at = (edges - modes.mean * time)[:, None] + math.sqrt(4 * diffusivity * time) * steps
    exponent = -(steps**2)
    for amplitude, wave, phase in zip(modes.amplitudes, waves, modes.shifts(), strict=True):
        exponent = exponent - amplitude / wave * np.sin(wave * at - phase) / (2 * diffusivity)
    # The trapezoidal rule converges faster than any power of the step for such integrands.
    largest = exponent.max(axis=1, keepdims=True)
    logarithm = largest[:, 0] + np.log(np.exp(exponent - largest).sum(axis=1))
    return np.asarray(modes.mean - 2 * diffusivity * np.diff(logarithm) / mesh.spacing[0], np.float64)


@dataclass(frozen=True)
class Burgers:
    """``u_t + (u^2 / 2)_x = diffusivity * u_xx`` on a periodic line.

    The initial condition is ``1 + 0.5 sin(2 pi x)``, which steepens to a shock at ``t = 0.32``, or, held out, one of
    two waves.
    """

    name: str = "burgers1d"
    diffusivity: float = 0.01 / math.pi
    horizon: float = 0.5
    default_shape: tuple[int, ...] = (256,)
    initial_conditions: tuple[str, ...] = tuple(_INITIAL)

    @property
    def equation(self) -> str:
        """The equation, for people."""
        return f"u_t + (u^2 / 2)_x = {self.diffusivity:g} u_xx"

    def default_boundary(self, shape: tuple[int, ...]) -> Boundary:
        """Periodic."""
        return uniform_boundary(PERIODIC, len(shape))

    def initial(self, mesh: Mesh, reservoirs: Field, name: str | None = None) -> Field:
        """Cell averages at time 0, float64 [cells]."""
        return cole_hopf(mesh, self._modes(mesh, name), self.diffusivity, 0.0)

    def reference(self, mesh: Mesh, reservoirs: Field, time: float, name: str | None = None) -> Field | None:
        """Exact cell averages at a time, float64 [cells]; None unless the line is periodic."""
        modes = self._modes(mesh, name)
        if mesh.boundary != ((PERIODIC, PERIODIC),):
            return None
        return cole_hopf(mesh, modes, self.diffusivity, time)

    def _modes(self, mesh: Mesh, name: str | None) -> Modes:
        if len(mesh.shape) != 1:
            raise UsageError(f"problem {self.name} has 1 dimension, the mesh {len(mesh.shape)}")
        modes = _INITIAL.get(name or self.initial_conditions[0])
        if modes is None:
            known = ", ".join(self.initial_conditions)
            raise UsageError(f"initial condition {name!r}: {self.name} has none of that name; known are {known}")
        return modes

"""Viscous Burgers flow on a periodic line, with exact cell averages from the Cole-Hopf transformation.

``u = -2 nu d/dx log(theta)`` turns ``u_t + (u^2 / 2)_x = nu u_xx`` into the heat equation for ``theta`` (E. Hopf, 1950;
J. D. Cole, 1951). A mean velocity is a moving frame. A cell average needs ``log(theta)`` only at the cell's edges.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.mesh import PERIODIC, Boundary, Mesh, uniform_boundary
from pisnn_deploy.physics.problems.modes import EPSILON, Modes, cell_edges, cosine_averages, rounding_bound

Field = NDArray[np.float64]

_INITIAL = {
    "sine": Modes(1.0, (0.5,), (np.pi / 2,)),
    "two-waves": Modes(1.0, (0.3, 0.2), (0.3, 1.9)),
}
_TAIL = 7.0
"""Number of widths beyond which the heat kernel ``exp(-s^2)`` is below float64 rounding."""
_PEAK, _OVERTONES = 25.0, 16
"""Bandwidth of a peak of width 1, doubled, and number of overtones of a wave much shorter than the width. Half the
points would already bring the trapezoidal rule to rounding."""
_POINTS_AT_ONCE = 1 << 20
MOST_POINTS = 1 << 28
"""Limit on points times edges times modes of a reference, which takes several seconds."""


class Averages(NamedTuple):
    """Cell averages with an error bound.

    Attributes
    ----------
    values : float64 array [cells]
        Averages of the solution over the cells.
    error : float
        Largest possible error of a cell average.
    """

    values: Field
    error: float


def quadrature(modes: Modes, length: float, diffusivity: float, time: float) -> tuple[float, int]:
    """Range and number of points for the Cole-Hopf integral.

    The integrand is ``exp(-s^2 - Phi(x + w s) / (2 nu))`` with ``w = sqrt(4 nu t)`` and the antiderivative ``Phi`` of
    the field at time 0. Its peak is at the foot of the characteristic through ``x``. In units of ``w``, its distance is
    bounded by ``a sqrt(t / nu) / 2`` with the largest speed ``a``, by half a period, and by the variation of ``Phi``.
    Beyond `_TAIL` more widths less than ``exp(-49)`` is left. No peak is narrower than ``1 / sqrt(1 + t max|u_x|)``.

    Parameters
    ----------
    modes : Modes
        Field at time 0.
    length : float
        Length of the period.
    diffusivity, time : float
        Diffusivity ``nu`` and time ``t``, both positive.

    Returns
    -------
    reach : float
        Half the range of integration, in widths ``w``.
    points : int
        Odd number; every other point gives a rule with twice the step.
    """
    sizes, waves = np.abs(modes.amplitudes), modes.waves(length)
    width = math.sqrt(4 * diffusivity * time)
    foot = float(sizes.sum()) * math.sqrt(time / diffusivity) / 2
    highest = 2 * float((sizes / waves).sum()) / (2 * diffusivity)
    nearest = min(math.sqrt(highest), length / (2 * width) if width else math.inf)
    reach = min(foot + _TAIL, math.hypot(nearest, _TAIL))
    # Bandwidth of the integrand: that of its sharpest peak, plus overtones of its waves.
    frequencies = _PEAK * math.sqrt(1 + time * float(sizes @ waves)) + _OVERTONES * width * float(waves[-1])
    step = 2 * math.pi / frequencies
    return reach, 2 * math.ceil(reach / step / 2) * 2 + 1


def cole_hopf(mesh: Mesh, modes: Modes, diffusivity: float, time: float) -> Averages:
    """Cell averages of a Burgers flow on a periodic line, exact up to quadrature and rounding.

    Parameters
    ----------
    mesh : Mesh
        One-dimensional mesh.
    modes : Modes
        Field at time 0.

    Returns
    -------
    Averages
        The error bound is the difference to half the points, far above the remaining quadrature error, plus the
        rounding of the exponents.
    """
    edges = cell_edges(mesh, 0)
    waves = modes.waves(mesh.lengths[0])
    sizes = np.abs(modes.amplitudes)
    if time == 0:
        shapes = cosine_averages(edges, waves, modes.shifts())
        return Averages(
            np.asarray(modes.mean + np.array(modes.amplitudes) @ shapes, np.float64),
            rounding_bound(modes.amplitudes, waves, modes.shifts(), edges) + EPSILON * abs(modes.mean),
        )
    reach, points = quadrature(modes, mesh.lengths[0], diffusivity, time)
    steps = np.linspace(-reach, reach, points)
    logarithm = np.empty((2, edges.size))
    at_once = max(1, _POINTS_AT_ONCE // points)
    for first in range(0, edges.size, at_once):
        part = slice(first, first + at_once)
        logarithm[:, part] = _logarithms(edges[part], steps, modes, waves, diffusivity, time)
    fine, coarse = -2 * diffusivity * np.diff(logarithm, axis=1) / mesh.spacing[0]
    farthest = abs(modes.mean) * time + mesh.lengths[0] + math.sqrt(4 * diffusivity * time) * reach
    exponents = 2 * diffusivity * (reach**2 + math.log(points)) + float((sizes / waves).sum())
    rounding = 8 * EPSILON * (exponents + float(sizes.sum()) * farthest) / mesh.spacing[0]
    rounding += 2 * EPSILON * abs(modes.mean)
    return Averages(modes.mean + fine, float(np.abs(fine - coarse).max()) + rounding)


def _logarithms(edges: Field, steps: Field, modes: Modes, waves: Field, diffusivity: float, time: float) -> Field:
    """``log(theta)`` at the edges, from all points and from every other one, float64 [2, edges]."""
    at = (edges - modes.mean * time)[:, None] + math.sqrt(4 * diffusivity * time) * steps
    exponent = -(steps**2)
    for amplitude, wave, phase in zip(modes.amplitudes, waves, modes.shifts(), strict=True):
        exponent = exponent - amplitude / wave * np.sin(wave * at - phase) / (2 * diffusivity)
    # The trapezoidal rule converges faster than any power of the step for such integrands.
    largest = exponent.max(axis=1, keepdims=True)
    weights = np.exp(exponent - largest)
    sums = np.stack([weights.sum(axis=1), 2 * weights[:, ::2].sum(axis=1)])
    return np.asarray(largest[:, 0] + np.log(sums), np.float64)


@dataclass(frozen=True)
class Burgers:
    """``u_t + (u^2 / 2)_x = diffusivity * u_xx`` on a periodic line.

    The initial condition is ``1 + 0.5 sin(2 pi x)``, which steepens to a shock at ``t = 0.32``; the held-out
    ``two-waves`` has two modes.
    """

    name: str = "burgers1d"
    diffusivity: float = 0.01 / math.pi
    horizon: float = 0.5
    default_shape: tuple[int, ...] = (256,)
    initial_conditions: tuple[str, ...] = tuple(_INITIAL)

    @property
    def equation(self) -> str:
        """The equation as text."""
        return f"u_t + (u^2 / 2)_x = {self.diffusivity:g} u_xx"

    def default_boundary(self, shape: tuple[int, ...]) -> Boundary:
        """Periodic sides."""
        return uniform_boundary(PERIODIC, len(shape))

    def initial(self, mesh: Mesh, reservoirs: Field, name: str | None = None) -> Field:
        """Cell averages at time 0, float64 [cells]."""
        return cole_hopf(mesh, self._modes(mesh, name), self.diffusivity, 0.0).values

    def reference(self, mesh: Mesh, reservoirs: Field, time: float, name: str | None = None) -> Field | None:
        """Exact cell averages at a time, float64 [cells]; None if the line is not periodic or the integral too long."""
        averages = self._averages(mesh, time, name)
        return None if averages is None else averages.values

    def reference_error(self, mesh: Mesh, reservoirs: Field, time: float, name: str | None = None) -> float | None:
        """Error bound of the reference's cell averages, from quadrature and rounding."""
        averages = self._averages(mesh, time, name)
        return None if averages is None else averages.error

    def _averages(self, mesh: Mesh, time: float, name: str | None) -> Averages | None:
        modes = self._modes(mesh, name)
        if mesh.boundary != ((PERIODIC, PERIODIC),):
            return None
        if time > 0:
            _, points = quadrature(modes, mesh.lengths[0], self.diffusivity, time)
            if points * (mesh.cells + 1) * len(modes.amplitudes) > MOST_POINTS:
                return None
        return cole_hopf(mesh, modes, self.diffusivity, time)

    def _modes(self, mesh: Mesh, name: str | None) -> Modes:
        if len(mesh.shape) != 1:
            raise UsageError(f"problem {self.name} has 1 dimension, but the mesh has {len(mesh.shape)}")
        modes = _INITIAL.get(name or self.initial_conditions[0])
        if modes is None:
            known = ", ".join(self.initial_conditions)
            raise UsageError(f"initial condition {name!r}: unknown for {self.name}; use {known}")
        return modes

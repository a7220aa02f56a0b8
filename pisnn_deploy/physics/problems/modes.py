"""Exact cell averages of sums of cosines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.mesh import DIRICHLET, PERIODIC, Mesh, Sides

Field = NDArray[np.float64]
EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Modes:
    """Sum of cosines on a periodic line: ``mean + sum_n amplitude_n cos(2 pi n x / length - phase_n)``, n from 1 on.

    Attributes
    ----------
    amplitudes, phases : tuple of float
        Amplitude and phase (in radians) of each mode; missing phases are 0.
    """

    mean: float
    amplitudes: tuple[float, ...]
    phases: tuple[float, ...] = ()

    def waves(self, length: float) -> Field:
        """Wave number of each mode, radians per unit of length."""
        return np.asarray(2 * np.pi / length * np.arange(1, len(self.amplitudes) + 1), np.float64)

    def shifts(self) -> Field:
        """Phase of each mode in radians; 0 if missing."""
        return np.array([*self.phases, *(0.0,) * (len(self.amplitudes) - len(self.phases))])


def cosine_averages(edges: Field, waves: Field, phases: Field) -> Field:
    """Exact cell averages of ``cos(wave x - phase)``.

    Parameters
    ----------
    edges : float64 array [cells + 1]
        Positions of the faces, in units of length.
    waves, phases : float64 array [n]
        Wave numbers (positive, radians per unit of length) and phases (radians) of the modes.

    Returns
    -------
    float64 array [n, cells]
        Cell averages of each mode.
    """
    integral = np.sin(waves[:, None] * edges - phases[:, None]) / waves[:, None]
    return np.asarray(np.diff(integral, axis=1) / np.diff(edges), np.float64)


def rounding_bound(
    amplitudes: Sequence[float] | Field, waves: Field, phases: Field, edges: Field, moved: float = 0.0
) -> float:
    """Bound on the rounding error of cell averages of a sum of cosines.

    Parameters
    ----------
    amplitudes : float64 array [n]
        Amplitudes of the modes.
    waves, phases : float64 array [n]
        Wave numbers (radians per unit of length) and phases (radians) of the modes.
    edges : float64 array [cells + 1]
        Positions of the faces, in units of length.
    moved : float
        Distance by which the cosines have been shifted.

    Notes
    -----
    The argument of a sine has an error of a few units in its last place, and so has its value; a cell average is the
    difference of two sines, divided by the cell width. The error of a cosine is at most 2.
    """
    arguments = waves * (float(np.abs(edges).max()) + abs(moved)) + np.abs(phases)
    off = 8 * EPSILON * (1 + arguments) / (waves * float(np.diff(edges).min()))
    return float(np.abs(amplitudes) @ np.minimum(off, 2.0))


def cell_edges(mesh: Mesh, axis: int) -> Field:
    """Positions of the cells' edges along an axis, float64 [cells + 1]."""
    return np.asarray(np.arange(mesh.shape[axis] + 1) * mesh.spacing[axis], np.float64)


def eigenmodes(sides: Sides, length: float, numbers: Field) -> tuple[Field, Field]:
    """Wave numbers and phases of the Laplacian's eigenmodes for the sides of an axis.

    Parameters
    ----------
    numbers : float64 array [n]
        Mode numbers, from 1.

    Returns
    -------
    waves, phases : float64 array [n]
        Radians per unit of length, and radians: ``cos(wave x - phase)`` is periodic, has no slope at a no-flux side and
        vanishes at a Dirichlet side.
    """
    if sides == (PERIODIC, PERIODIC):
        return 2 * np.pi / length * numbers, np.zeros_like(numbers)
    odd = sides[0] == DIRICHLET
    halves = numbers - 0.5 if sides[0] != sides[1] else numbers
    return np.pi / length * halves, np.full_like(numbers, np.pi / 2 if odd else 0.0)

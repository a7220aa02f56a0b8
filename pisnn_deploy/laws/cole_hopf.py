"""Exact Burgers flow on periodic lines, and along the diagonal of a square, by the Cole-Hopf transformation.

``u = m + w`` with the mean ``m``; in a frame that moves with it, ``w = -2 nu d/dx log(theta)`` turns the flow into the
heat equation for ``theta`` (E. Hopf, 1950; J. D. Cole, 1951). A flow ``u(x + y, t)`` on a square is one on a line in
twice the time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.laws.assumptions import Averages, Unfit, require_kinds, start_function
from pisnn_deploy.laws.exact_diffusion import require_burgers
from pisnn_deploy.laws.grid import Grid
from pisnn_deploy.laws.quadrature import gauss_points
from pisnn_deploy.laws.spec import LawSpec

Field = NDArray[np.float64]

_SAMPLES, _MOST_MODES = 2048, 64
_NEGLIGIBLE = 1e-15
"""Amplitude of a mode, relative to the largest, that rounding hides."""
_TAIL = 7.0
"""Widths beyond which the heat kernel ``exp(-s^2)`` is below float64 rounding."""
_PEAK, _OVERTONES = 25.0, 16
"""Bandwidth of a peak of width 1, doubled, and overtones of a wave much shorter than the width, as in `physics`."""
_MOST_POINTS = 1 << 28
_POINTS_AT_ONCE = 1 << 18
_LINE_PARTS = 128
"""Parts of a period, at least, over which the logarithm is averaged."""
_NODES, _WEIGHTS = gauss_points(8)


@dataclass(frozen=True)
class Waves:
    """A periodic start: mean, and complex amplitudes of waves.

    Attributes
    ----------
    mean : float
        Average over a period.
    numbers : float64 array [waves]
        Wave numbers, ascending.
    amplitudes : complex128 array [waves]
        ``sum of real(amplitude * exp(i k x))`` is the start minus its mean.
    """

    mean: float
    numbers: Field
    amplitudes: NDArray[np.complex128]


def cole_hopf(spec: LawSpec, grid: Grid, time: float) -> Averages:
    """Cell averages of a Burgers flow."""
    diffusivity = require_burgers(spec)
    require_kinds(spec, "periodic")
    if spec.dimensions > 2 or len(set(spec.lengths)) > 1 or len(set(grid.shape)) > 1:
        raise Unfit("the domain or its mesh is no line or square")
    waves = _waves_of(spec)
    elapsed, width = time * spec.dimensions, grid.spacing[0]
    if spec.dimensions == 1:
        places, weights = grid.edges(0)[:, None], np.ones(1)
    else:
        # Averages of log(theta) over the sums of coordinates in a cell, between its corners and its other diagonal.
        first = grid.origin[0] + grid.origin[1]
        edges = first + np.arange(2 * grid.shape[0]) * width
        parts = math.ceil(_LINE_PARTS / grid.shape[0])
        nodes = np.add.outer(np.arange(parts), _NODES).reshape(-1) / parts
        places, weights = edges[:, None] + nodes * width, np.tile(_WEIGHTS / parts, parts)
    fine, coarse, rounding = _logarithms(places, waves, diffusivity, elapsed)
    lines = [-2 * diffusivity * np.diff(part @ weights) / width for part in (fine, coarse)]
    values = [waves.mean + (line if spec.dimensions == 1 else _on_square(line, grid.shape[0])) for line in lines]
    error = float(np.abs(values[0] - values[1]).max()) + 2 * diffusivity * rounding / width + 1e-15 * abs(waves.mean)
    return Averages(values[0][None], error)


def _on_square(line: Field, count: int) -> Field:
    """Averages of the cells of a square from those along its diagonal; cell ``i, j`` has number ``i + j``."""
    return np.asarray(line[np.add.outer(np.arange(count), np.arange(count))], np.float64)


def _waves_of(spec: LawSpec) -> Waves:
    (name,) = spec.parsed().fields
    start, length = start_function(spec, name), spec.lengths[0]
    offset, points = sum(spec.domain.lower), np.arange(_SAMPLES) * length / _SAMPLES
    # On a square, u(x, y) must be u(x + y, 0).
    if spec.dimensions == 2:
        across = np.arange(31) * length / 31
        spread = start(points[:, None], across) - start(points[:, None] + across, np.zeros(1))
        if not np.abs(spread).max() <= 1e-12 * max(1.0, float(np.abs(start(points, np.zeros(1))).max())):
            raise Unfit(f"initial.{name} is no function of x + y")
    values = start(offset + points, np.zeros(1))
    spectrum = np.fft.rfft(values) / _SAMPLES
    sizes = np.abs(spectrum[1:])
    numbers = 1 + np.flatnonzero(sizes > _NEGLIGIBLE * np.abs(spectrum).max())
    if len(numbers) > _MOST_MODES:
        raise Unfit(f"initial.{name} has more than {_MOST_MODES} waves")
    waves = 2 * np.pi * numbers / length
    return Waves(float(spectrum[0].real), waves, 2 * spectrum[numbers] * np.exp(-1j * waves * offset))


def _logarithms(places: Field, waves: Waves, diffusivity: float, time: float) -> tuple[Field, Field, float]:
    """``log(theta)`` at places from all points of the integral and from every other one, and its rounding."""
    potential = waves.amplitudes / (1j * waves.numbers)
    largest = float(np.abs(potential).sum()) / (2 * diffusivity) if len(potential) else 0.0
    at = places - waves.mean * time
    if time == 0:
        start = -_sum(potential, waves.numbers, at) / (2 * diffusivity)
        return start, start, 8e-16 * (largest + 1)
    reach, points = _points(waves, diffusivity, time, largest)
    if points * places.size * max(1, len(waves.numbers)) > _MOST_POINTS:
        raise Unfit("its integral needs too many points")
    steps = np.linspace(-reach, reach, points)
    flat = at.reshape(-1)
    result = np.empty((2, flat.size))
    at_once = max(1, _POINTS_AT_ONCE // points)
    for first in range(0, flat.size, at_once):
        part = slice(first, first + at_once)
        feet = flat[part, None] + math.sqrt(4 * diffusivity * time) * steps
        exponents = -(steps**2) - _sum(potential, waves.numbers, feet) / (2 * diffusivity)
        highest = exponents.max(axis=1, keepdims=True)
        weights = np.exp(exponents - highest)
        # The trapezoidal rule converges faster than any power of the step for such integrands.
        result[:, part] = highest[:, 0] + np.log([weights.sum(axis=1), 2 * weights[:, ::2].sum(axis=1)])
    fine, coarse = result.reshape(2, *places.shape)
    return fine, coarse, 8e-16 * (reach**2 + largest + math.log(points) + float(np.abs(flat).max()))


def _points(waves: Waves, diffusivity: float, time: float, largest: float) -> tuple[float, int]:
    """Half the range of the integral in widths of the kernel, and its odd number of points."""
    sizes = np.abs(waves.amplitudes)
    if not len(sizes):
        return _TAIL, 129
    width = math.sqrt(4 * diffusivity * time)
    foot = float(sizes.sum()) * math.sqrt(time / diffusivity) / 2
    nearest = min(math.sqrt(2 * largest), math.pi / float(waves.numbers[0]) / width)
    reach = min(foot + _TAIL, math.hypot(nearest, _TAIL))
    bandwidth = _PEAK * math.sqrt(1 + time * float(sizes @ waves.numbers))
    bandwidth += _OVERTONES * width * float(waves.numbers[-1])
    return reach, 2 * math.ceil(reach * bandwidth / (2 * math.pi) / 2) * 2 + 1


def _sum(amplitudes: NDArray[np.complex128], numbers: Field, places: Field) -> Field:
    total = np.zeros(places.shape)
    for amplitude, number in zip(amplitudes, numbers, strict=True):
        total += abs(amplitude) * np.cos(number * places + np.angle(amplitude))
    return total

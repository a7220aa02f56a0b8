"""Exact solutions with diffusion: Barenblatt's profile, Gaussians, and modes of linear laws."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.laws.assumptions import (
    FAR,
    Averages,
    TooLate,
    Unfit,
    constant,
    require_axes,
    require_equal,
    require_kinds,
    require_only,
    sampled,
    scalar_flux,
    start_function,
    velocities,
)
from pisnn_deploy.laws.expression import Number, derivative, evaluate, free_names
from pisnn_deploy.laws.grid import Grid
from pisnn_deploy.laws.law import factor_along, mobility
from pisnn_deploy.laws.spec import LawSpec

Field = NDArray[np.float64]

_LATTICE = 257
"""Points along an axis on which the highest point of a bump is looked for."""
_SAMPLES_PER_CELL = (3, 5)
"""Odd numbers of samples per cell and axis of a mode: for the error, and for the result."""
_TIMES = 33
"""Times at which the values of a Gaussian at the sides are looked at."""


def barenblatt(spec: LawSpec, grid: Grid, time: float) -> Averages:
    """``u = P (1 - (x - x0)^2 / b^2)`` inside ``b``, wider with the cube root of time; ``u_t = c (u^2)_xx``."""
    require_axes(spec, 1, 1)
    require_only(spec.parsed(), "level", "diffusion")
    law = spec.parsed()
    (name,) = law.fields
    coefficient = _half_slope(spec, name)
    start, first, second = (start_function(spec, name, *["x"] * order) for order in range(3))
    points = np.linspace(spec.domain.lower[0], spec.domain.upper[0], _LATTICE)
    top = points[np.argmax(start(points))]
    height, slope_there, bend = (float(function(np.asarray(top))) for function in (start, first, second))
    if not (bend < 0 and coefficient > 0):
        raise Unfit(f"initial.{name} is no parabola")
    centre, peak = top - slope_there / bend, height - slope_there**2 / (2 * bend)
    reach = math.sqrt(-2 * peak / bend)
    growth = (1 + time * 12 * coefficient * peak / reach**2) ** (1 / 3)
    peak, reach = peak / growth, reach * growth
    if not spec.domain.lower[0] < centre - reach < centre + reach < spec.domain.upper[0]:
        raise TooLate(f"at time {time:g} it reaches the sides")
    places = np.clip((grid.edges(0) - centre) / reach, -1.0, 1.0)
    averages = np.diff(peak * reach * (places - places**3 / 3)) / grid.spacing[0]
    return Averages(averages[None], 1e-14 * peak * len(places))


def _half_slope(spec: LawSpec, name: str) -> float:
    """``c`` of the diffusivity ``2 c u`` of a field where it is not negative; refuses another one."""
    law, states = spec.parsed(), sampled(spec)
    terms = [mobility(law, name), derivative(law.level[name], name)] if name in law.level else [mobility(law, name)]
    if any(free_names(term) - set(states) for term in terms):
        raise Unfit("the diffusivity depends on the place")
    states[name] = np.abs(states[name])
    diffusivities = np.prod([np.broadcast_to(evaluate(term, states), states[name].shape) for term in terms], axis=0)
    largest = int(np.argmax(states[name]))
    coefficient = float(diffusivities[largest] / states[name][largest] / 2)
    if not np.allclose(diffusivities, 2 * coefficient * states[name], rtol=1e-12, atol=1e-12):
        raise Unfit("the diffusivity is not proportional to the field")
    return coefficient


def gaussian(spec: LawSpec, grid: Grid, time: float) -> Averages:
    """A product of Gaussians along the axes, in an infinite space; the error is what it would have at the sides."""
    require_axes(spec, spec.dimensions, 1)
    require_only(spec.parsed(), "flux", "diffusion")
    law = spec.parsed()
    (name,) = law.fields
    speeds = velocities(spec, name)
    fastest = constant(spec, mobility(law, name), "the diffusivity")
    spread = [fastest * factor_along(law, name, axis) for axis in range(spec.dimensions)]
    coordinates = "xyz"[: spec.dimensions]
    start = start_function(spec, name)
    far = [np.asarray(FAR * length) for length in spec.lengths]
    base = float(start(*far))
    rows = [np.linspace(a, b, 65) for a, b in zip(spec.domain.lower, spec.domain.upper, strict=True)]
    lattice = np.meshgrid(*rows, indexing="ij", sparse=True)
    values = start(*lattice) - base
    top = [rows[axis][index] for axis, index in enumerate(np.unravel_index(np.argmax(np.abs(values)), values.shape))]
    height = float(start(*map(np.asarray, top))) - base
    if height == 0:
        raise Unfit(f"initial.{name} is no Gaussian")
    centres, squares, amplitude = [], [], height
    for coordinate, place in zip(coordinates, top, strict=True):
        slope, bend = (
            float(start_function(spec, name, *[coordinate] * order)(*map(np.asarray, top))) / height for order in (1, 2)
        )
        if not bend - slope**2 < 0:
            raise Unfit(f"initial.{name} is no Gaussian")
        squares.append(-1 / (bend - slope**2))
        centres.append(place + squares[-1] * slope)
        amplitude *= math.exp((place - centres[-1]) ** 2 / (2 * squares[-1]))
    result = np.asarray(amplitude)
    for axis, (centre, square, speed) in enumerate(zip(centres, squares, speeds, strict=True)):
        wide = math.sqrt(2 * (square + 2 * spread[axis] * time))
        sums = np.array([math.erf((edge - centre - speed * time) / wide) for edge in grid.edges(axis)])
        factor = math.sqrt(math.pi * square / 2) / grid.spacing[axis]
        result = result[..., None] * (np.diff(sums) * factor)
    stray = _at_sides(spec, spread, speeds, list(zip(centres, squares, strict=True)), time) * abs(amplitude)
    return Averages((base + result)[None], stray + 1e-14 * (abs(amplitude) + abs(base)) * max(grid.shape))


def _at_sides(
    spec: LawSpec, spread: list[float], speeds: list[float], bump: list[tuple[float, float]], time: float
) -> float:
    """Largest value of a Gaussian at the sides up to a time, in units of its height.

    Where it flows out, the value is that of its slope times the length diffusivity by velocity: a free side has no
    diffusive flux, which changes a layer of that length.
    """
    worst = 0.0
    for axis, (centre, square) in enumerate(bump):
        for edge, outwards in ((spec.domain.lower[axis], -1), (spec.domain.upper[axis], 1)):
            for moment in np.linspace(0, time, _TIMES):
                wide = square + 2 * spread[axis] * moment
                apart = edge - centre - speeds[axis] * moment
                value = math.sqrt(square / wide) * math.exp(-(apart**2) / (2 * wide))
                if speeds[axis] * outwards > 0:
                    value *= min(1.0, spread[axis] / abs(speeds[axis]) * abs(apart) / wide)
                worst = max(worst, value)
    return worst


def modes(spec: LawSpec, grid: Grid, time: float) -> Averages:
    """Each wave decays and travels by itself; exact for a start that the samples of a cell resolve."""
    require_only(spec.parsed(), "flux", "diffusion")
    require_kinds(spec, "periodic", "wall")
    coarse, fine = (_evolved(spec, grid, time, samples) for samples in _SAMPLES_PER_CELL)
    rounding = 1e-14 * float(np.abs(fine).max()) * max(grid.shape)
    return Averages(fine, float(np.abs(fine - coarse).max()) + rounding)


def _evolved(spec: LawSpec, grid: Grid, time: float, samples: int) -> Field:
    law, finer = spec.parsed(), grid.refined(samples)
    results = []
    for name in law.fields:
        speeds = velocities(spec, name)
        diffusivity = constant(spec, mobility(law, name), f"the diffusivity of {name}")
        places = list(finer.places().values())
        values = np.array(start_function(spec, name)(*places))
        for axis in range(spec.dimensions):
            is_periodic = spec.conditions[("left", "bottom", "back")[axis]][name].kind == "periodic"
            if speeds[axis] and not is_periodic:
                raise Unfit(f"{name} flows against a wall")
            moved = speeds[axis] * time, diffusivity * factor_along(law, name, axis) * time
            rows = _averages_of_waves(grid, axis, samples, is_periodic, moved)
            values = np.moveaxis(np.tensordot(rows, values, axes=([1], [axis])), 0, axis)
        results.append(values)
    return np.stack(results)


def _averages_of_waves(grid: Grid, axis: int, samples: int, is_periodic: bool, moved: tuple[float, float]) -> Field:
    """Matrix from samples at the start to cell averages later, along an axis, float64 [cells, samples * cells]."""
    count = grid.shape[axis] * samples
    extended = np.eye(count) if is_periodic else np.concatenate([np.eye(count), np.eye(count)[::-1]])
    width = grid.spacing[axis]
    waves = 2 * np.pi * np.fft.rfftfreq(len(extended), width / samples)
    shift, spread = moved
    # The average of a wave over a cell is its value at the centre times a sinc.
    symbol = np.exp(-spread * waves**2 - 1j * shift * waves) * np.sinc(waves * width / (2 * np.pi))
    evolved = np.fft.irfft(np.fft.rfft(extended, axis=0) * symbol[:, None], len(extended), axis=0)
    return np.asarray(evolved[samples // 2 : count : samples], np.float64)


def require_burgers(spec: LawSpec) -> float:
    """Diffusivity of a Burgers flow; refuses another law."""
    require_axes(spec, spec.dimensions, 1)
    require_only(spec.parsed(), "flux", "diffusion")
    law = spec.parsed()
    (name,) = law.fields
    for axis in range(spec.dimensions):
        scalar_flux(spec, axis)
        require_equal(spec, law.flux[axis].get(name, Number(0.0)), lambda u: u[name] ** 2 / 2, "the flux")
    diffusivity = constant(spec, mobility(law, name), "the diffusivity")
    if not diffusivity > 0:
        raise Unfit("the diffusivity is 0")
    if law.along:
        raise Unfit("the diffusivity differs from axis to axis")
    return diffusivity

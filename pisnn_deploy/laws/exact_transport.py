"""Exact solutions of scalar laws on a line: jumps, characteristics, and Burgers' travelling wave."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.laws.assumptions import (
    FAR,
    Averages,
    TooLate,
    Unfit,
    crossing,
    jump,
    require_axes,
    require_kinds,
    require_only,
    scalar_flux,
    start_function,
)
from pisnn_deploy.laws.exact_diffusion import require_burgers
from pisnn_deploy.laws.grid import Grid
from pisnn_deploy.laws.quadrature import box_averages
from pisnn_deploy.laws.spec import LawSpec
from pisnn_deploy.laws.start import start_of

Field = NDArray[np.float64]
Function = Callable[[Field], Field]

_BISECTIONS = 60
_LATTICE = 4097
_SAMPLES_PER_CELL = 64


def riemann(spec: LawSpec, grid: Grid, time: float) -> Averages:
    """A shock where the speeds of both sides meet, else a fan between them."""
    require_axes(spec, 1, 1)
    require_only(spec.parsed(), "flux")
    require_kinds(spec, "outflow", "inflow", "held")
    name, flux, speed = scalar_flux(spec)
    left, right, place = jump(spec, name)
    between = np.linspace(left, right, _LATTICE)
    speeds = speed(between)
    edges = (grid.edges(0) - place).astype(np.float64)
    scale = max(abs(left), abs(right))
    if np.all(np.diff(speeds) < 0) or (np.all(np.diff(speeds) <= 0) and time == 0):
        shock = float(np.diff(flux(between[[-1, 0]]))[0]) / (left - right)
        sums = left * np.minimum(edges, shock * time) + right * np.maximum(edges - shock * time, 0)
    elif np.all(np.diff(speeds) > 0):
        first, last = float(speeds[0]) * time, float(speeds[-1]) * time
        inside = (
            _inverse(speed, np.clip(edges, first, last) / time, left, right) if time > 0 else np.full(len(edges), left)
        )
        # In the fan, the integral of u dx is that of u d(f'(u)) times the time.
        legendre = inside * speed(inside) - flux(inside)
        ends = between[[0]] * speeds[[0]] - flux(between[[0]])
        sums = left * np.minimum(edges, first) + time * (legendre - ends) + right * np.maximum(edges - last, 0)
    else:
        raise Unfit("the flux is neither convex nor concave between the values of the jump")
    return Averages((np.diff(sums) / grid.spacing[0])[None], 1e-14 * scale * len(edges))


def _inverse(speed: Function, speeds: Field, left: float, right: float) -> Field:
    """State of each speed, which grows from the left value to the right one, by bisection."""
    before, after = np.full(len(speeds), left), np.full(len(speeds), right)
    for _ in range(_BISECTIONS):
        middle = (before + after) / 2
        is_below = speed(middle) < speeds
        before, after = np.where(is_below, middle, before), np.where(is_below, after, middle)
    return np.asarray((before + after) / 2, np.float64)


def characteristics(spec: LawSpec, grid: Grid, time: float) -> Averages:
    """Values travel unchanged; the mass between two characteristics is that between their feet plus their fluxes."""
    require_axes(spec, 1, 1)
    require_only(spec.parsed(), "flux")
    require_kinds(spec, "periodic")
    name, flux, speed = scalar_flux(spec)
    start, width = start_function(spec, name), grid.spacing[0]
    points = np.linspace(spec.domain.lower[0], spec.domain.upper[0], _SAMPLES_PER_CELL * grid.shape[0] + 1)
    values = start(points)
    if not np.allclose(start(points + spec.lengths[0]), values, rtol=0, atol=1e-12 * np.abs(values).max()):
        raise Unfit(f"initial.{name} is not periodic")
    if np.any(np.diff(points + speed(values) * time) <= 0):
        raise TooLate(f"by time {time:g} there is a shock")
    edges = grid.edges(0)
    speeds = speed(values) * time
    before, after = edges - speeds.max() - width, edges - speeds.min() + width
    for _ in range(_BISECTIONS):
        middle = (before + after) / 2
        is_below = middle + speed(start(middle)) * time < edges
        before, after = np.where(is_below, middle, before), np.where(is_below, after, middle)
    feet = (before + after) / 2
    states = start(feet)
    parts = np.linspace(feet[:-1], feet[1:], 5, axis=1)
    corners, widths = parts[:, :-1].reshape(-1, 1), np.diff(parts, axis=1).reshape(-1, 1)
    integrals = box_averages(start_of(spec, name), spec.parsed().parameters, corners, widths) * widths[:, 0]
    masses = integrals.reshape(len(feet) - 1, -1).sum(axis=1)
    masses = masses + time * np.diff(states * speed(states) - flux(states))
    return Averages((masses / width)[None], 1e-13 * float(np.abs(values).max()) * len(edges))


def travelling_wave(spec: LawSpec, grid: Grid, time: float) -> Averages:
    """``c - a tanh(a (x - x0 - c t) / (2 nu))`` of Burgers flow."""
    require_axes(spec, 1, 1)
    diffusivity = require_burgers(spec)
    (name,) = spec.parsed().fields
    start = start_function(spec, name)
    left, right = (float(start(np.asarray(side * FAR * spec.lengths[0]))) for side in (-1, 1))
    if not left > right:
        raise Unfit(f"initial.{name} does not fall from left to right")
    speed, amplitude = (left + right) / 2, (left - right) / 2
    (lower,), (upper,) = spec.domain.lower, spec.domain.upper
    place = crossing(start, lower, upper, speed) + speed * time
    steepness = amplitude / (2 * diffusivity)
    away = np.abs(steepness * (grid.edges(0) - place))
    logarithm = away + np.log1p(np.exp(-2 * away))
    averages = speed - 2 * diffusivity * np.diff(logarithm) / grid.spacing[0]
    rest = max(1 - np.tanh(steepness * abs(end - at)) for end in (lower, upper) for at in (place, place - speed * time))
    rounding = 1e-15 * (abs(speed) + 2 * diffusivity * float(away.max()) / grid.spacing[0])
    return Averages(averages[None], float(amplitude * rest) + rounding)

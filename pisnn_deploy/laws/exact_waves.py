"""Exact solutions of systems on a line: the dam break of shallow water, and linear waves."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.laws.assumptions import (
    Averages,
    TooLate,
    Unfit,
    constant,
    jump,
    require_axes,
    require_equal,
    require_kinds,
    require_only,
    sampled,
    start_function,
)
from pisnn_deploy.laws.expression import Number, derivative, evaluate
from pisnn_deploy.laws.grid import Grid
from pisnn_deploy.laws.quadrature import box_averages
from pisnn_deploy.laws.spec import LawSpec
from pisnn_deploy.laws.start import start_of

Field = NDArray[np.float64]

_BISECTIONS = 200


def stoker(spec: LawSpec, grid: Grid, time: float) -> Averages:
    """A fan runs into the deep water, a shock into the shallow one, or a front over dry ground (Ritter)."""
    require_axes(spec, 1, 2)
    law = spec.parsed()
    require_only(law, "flux")
    height, discharge = law.fields
    gravity = _gravity(spec, height, discharge)
    start = start_function(spec, discharge)
    if np.any(start(np.linspace(spec.domain.lower[0], spec.domain.upper[0], 257))):
        raise Unfit(f"initial.{discharge} is not 0")
    left, right, place = jump(spec, height)
    if left < right:
        averages, error = _from_left(right, left, gravity, (place - grid.edges(0))[::-1], time)
        values = np.stack([averages[0, ::-1], -averages[1, ::-1]])
    else:
        values, error = _from_left(left, right, gravity, grid.edges(0) - place, time)
    return Averages(values, error)


def _gravity(spec: LawSpec, height: str, discharge: str) -> float:
    fluxes = spec.parsed().flux[0]
    require_equal(spec, fluxes.get(height, Number(0.0)), lambda u: u[discharge], f"the flux of {height}")
    curvature = derivative(derivative(fluxes.get(discharge, Number(0.0)), height), height)
    states = sampled(spec)
    still = {**states, discharge: np.zeros_like(states[discharge])}
    gravity = float(np.broadcast_to(evaluate(curvature, still), states[height].shape)[0])
    require_equal(
        spec,
        fluxes.get(discharge, Number(0.0)),
        lambda u: u[discharge] ** 2 / u[height] + gravity * u[height] ** 2 / 2,
        f"the flux of {discharge}",
    )
    return gravity


def _from_left(deep: float, shallow: float, gravity: float, edges: Field, time: float) -> Averages:
    """Averages between edges, of which the dam is at 0."""
    still, calm = math.sqrt(gravity * deep), math.sqrt(gravity * shallow)
    middle = _middle_height(deep, shallow, gravity)
    wave = math.sqrt(gravity * middle)
    velocity = 2 * (still - wave)
    shock = middle * velocity / (middle - shallow) if shallow else 2 * still
    first, last = -still * time, (velocity - wave) * time
    if not edges[0] < first <= shock * time < edges[-1]:
        raise TooLate(f"at time {time:g} the waves reach the sides")
    inside = np.clip(edges, first, last)
    # In the fan, h = w^2 / (9 g) and u = 2 (3 c - w) / 3 of w = 2 c - x / t.
    w = 2 * still - (inside / time if time else np.full(len(edges), -still))
    heights = time * (27 * still**3 - w**3) / (27 * gravity)
    discharges = time * 2 / (27 * gravity) * (still * (27 * still**3 - w**3) - (81 * still**4 - w**4) / 4)
    between = np.clip(edges, last, shock * time) - last
    heights = heights + deep * np.minimum(edges, first) + middle * between
    heights = heights + shallow * np.maximum(edges - shock * time, 0)
    discharges = discharges + middle * velocity * between
    values = np.stack([np.diff(heights), np.diff(discharges)]) / np.diff(edges)
    return Averages(values, 1e-14 * (deep + still * deep + calm) * len(edges))


def _middle_height(deep: float, shallow: float, gravity: float) -> float:
    """Height between fan and shock, by bisection."""
    if shallow == 0:
        return 0.0
    lower, upper = shallow, deep
    for _ in range(_BISECTIONS):
        height = (lower + upper) / 2
        by_fan = 2 * (math.sqrt(gravity * deep) - math.sqrt(gravity * height))
        by_shock = (height - shallow) * math.sqrt(gravity * (height + shallow) / (2 * height * shallow))
        if by_fan > by_shock:
            lower = height
        else:
            upper = height
    return (lower + upper) / 2


def linear_waves(spec: LawSpec, grid: Grid, time: float) -> Averages:
    """Each combination of fields with a velocity of its own travels unchanged."""
    require_axes(spec, 1, len(spec.parsed().fields))
    require_only(spec.parsed(), "flux")
    require_kinds(spec, "periodic")
    law = spec.parsed()
    matrix = np.array(
        [
            [
                constant(spec, derivative(law.flux[0].get(row, Number(0.0)), name), f"the speed of {row}")
                for name in law.fields
            ]
            for row in law.fields
        ]
    )
    velocities, vectors = np.linalg.eig(matrix)
    if np.iscomplexobj(velocities) or np.linalg.cond(vectors) > 1e8:
        raise Unfit("the speeds are not real, or their waves not independent")
    parts = np.linalg.inv(vectors)
    result = np.zeros((len(law.fields), *grid.shape))
    for number, velocity in enumerate(velocities):
        moved = _shifted(spec, grid, float(velocity) * time)
        result += vectors[:, [number]] * (parts[number] @ moved)
    scale = float(np.abs(result).max()) * float(np.linalg.cond(vectors))
    return Averages(result, 1e-14 * scale * grid.shape[0])


def _shifted(spec: LawSpec, grid: Grid, distance: float) -> Field:
    """Cell averages of the start, moved to the right on the periodic line, float64 [fields, cells]."""
    law, width = spec.parsed(), grid.spacing[0]
    cells = math.floor(distance / width)
    later = distance - cells * width
    edges = grid.edges(0)[:-1, None]
    rows = []
    for name in law.fields:
        # A cell receives the end of the cell before it and the start of its own.
        pieces = [
            box_averages(start_of(spec, name), law.parameters, corner, np.full_like(corner, size)) * size
            for corner, size in ((edges, width - later), (edges + (width - later), later))
        ]
        rows.append(np.roll(pieces[0] + np.roll(pieces[1], 1), cells) / width)
    return np.stack(rows)

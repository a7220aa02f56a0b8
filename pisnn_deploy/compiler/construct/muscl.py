"""MUSCL-Hancock with limited central slopes and Rusanov fluxes, for hyperbolic laws of any number of fields.

::

    slope       s = minmod(a, (a + b) / 4, b)      a = u_i - u_(i-1), b = u_(i+1) - u_i, for each field and axis
    predictor   p = - dt / (2 h) (f(u + s) - f(u - s))                        for each axis
    states      left of a face u + s + sum of p; right of it u - s + sum of p
    flux        (f(left) + f(right)) / 2 - a (right - left) / 2               a = largest wave speed of both states

States are clamped to the operating range, which limits fluxes and never moves mass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.compiler.construct.assembly import Block, Signal, Tap, tap
from pisnn_deploy.compiler.construct.boundary import Ghost, ghost
from pisnn_deploy.compiler.construct.diffusion import laplacian
from pisnn_deploy.compiler.construct.fixed_point import Fixed, FixedPoint, Real
from pisnn_deploy.compiler.construct.grid import Faces
from pisnn_deploy.compiler.construct.plan import Plan, Term
from pisnn_deploy.compiler.construct.waves import ZERO, wave_speed
from pisnn_deploy.laws.expression import Expression, evaluate, free_names

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
AXES = "xyz"
SPARE = 2
"""Fraction bits of a predictor beyond those of its field."""


Slopes = dict[tuple[str, int], Signal]
"""Half the slope of each field along each axis."""


def active_fields(plan: Plan) -> list[str]:
    """Fields that have a flux, or whose value a flux needs."""
    used: set[str] = set()
    for flux in plan.law.flux:
        for name, expression in flux.items():
            used |= {name} | free_names(expression)
    return [name for name in plan.law.fields if name in used]


def reconstruction(plan: Plan) -> Slopes:
    """Build the populations of slopes, and of what half a time step changes in each cell (`Plan.changes`)."""
    fields, grid = active_fields(plan), plan.grid
    axes = [axis for axis, flux in enumerate(plan.law.flux) if flux]
    slopes = {(name, axis): _slope(plan, name, axis) for name in fields for axis in axes}
    for axis in axes:
        block = plan.block(f"predictor-{AXES[axis]}", grid.cells, f"law.flux along {AXES[axis]}")
        sides = [_cell_states(plan, block, slopes, fields, axis, sign) for sign in (1, -1)]
        factor = -plan.clock.time_step / (2 * grid.spacing[axis])
        sent = {}
        for name, flux in plan.law.flux[axis].items():
            values = [side.lower(flux) for side in sides]
            change = block.fixed.scaled(block.fixed.add(values[0], values[1], "sub"), factor)
            if isinstance(change, Fixed):
                sent[name] = block.send(change, plan.bits[name] + SPARE)
        signals = block.finish() if sent else []
        for name, number in sent.items():
            plan.changes.setdefault(name, []).append(signals[number])
    for name in fields:
        spread = plan.law.diffusion.get(name, ZERO)
        if name not in plan.law.level and spread != ZERO and not free_names(spread):
            block = plan.block(f"{name}-spread", grid.cells, f"law.diffusion.{name}")
            half, along = float(evaluate(spread, {})) * plan.clock.time_step / 2, plan.law.along.get(name, ())
            number = block.send(block.fixed.scaled(laplacian(plan, block, name, along), half), plan.bits[name] + SPARE)
            plan.changes.setdefault(name, []).append(block.finish()[number])
    return slopes


def _slope(plan: Plan, name: str, axis: int) -> Signal:
    grid, signal = plan.grid, plan.signals[name]
    block = plan.block(f"{name}-slope-{AXES[axis]}", grid.cells, f"slope of {name}")
    each = np.arange(grid.cells, dtype=np.int64)
    ends = []
    for step in (-1, 1):
        other = grid.neighbour(axis, step)
        outside = each[other < 0]
        beyond = ghost(plan, name, axis, int(step > 0), outside)
        taps = [tap(signal, each, each, -step), tap(signal, each, other, step)]
        constant = np.zeros(grid.cells)
        if outside.size:
            taps += [tap(signal, outside, outside, step * beyond.weight), *beyond.taps(outside, step)]
            constant[outside] = step * beyond.constant
        ends.append(block.sum(taps, constant))
    apply = block.circuit.apply
    # Both may have a constant added, which keeps their fraction.
    fraction = min(end.fraction for end in ends)
    first, last = (block.fixed.at(end, fraction, rounded=False).operand for end in ends)
    # In quarters: half a slope of (first + last) / 2, at most the smaller difference.
    mean = apply("add", first, last)
    smaller, larger = (apply("shl", apply(name, first, last), 2) for name in ("min", "max"))
    rising = apply("max", apply("min", smaller, mean), 0)
    falling = apply("min", apply("max", larger, mean), 0)
    half = Fixed(apply("add", rising, falling), fraction + 2)
    number = block.send(half, half.fraction)
    return block.finish()[number]


def _cell_states(
    plan: Plan,
    block: Block,
    slopes: Slopes,
    fields: Sequence[str],
    axis: int,
    sign: int,
) -> FixedPoint:
    """Values of the fields at one side of each cell, for expressions."""
    each = np.arange(plan.grid.cells, dtype=np.int64)
    side = FixedPoint(block.circuit, block.fixed.where, plan.multiplies)
    for name in _needed(plan, fields, axis):
        taps = [tap(plan.signals[name], each, each), tap(slopes[name, axis], each, each, sign)]
        side.name(name, side.clamped(block.sum(taps), *plan.ranges[name]))
    places = plan.grid.centres()
    places[AXES[axis]] = places[AXES[axis]] + sign * plan.grid.spacing[axis] / 2
    _name_known(plan, block, side, plan.law.flux[axis], places)
    return side


def _needed(plan: Plan, fields: Sequence[str], axis: int) -> list[str]:
    names = {name for flux in plan.law.flux[axis].values() for name in free_names(flux)}
    return [name for name in fields if name in names]


def _name_known(
    plan: Plan, block: Block, side: FixedPoint, fluxes: Mapping[str, Expression], places: Mapping[str, Floats]
) -> None:
    """Give the values of the known functions of place."""
    for flux in fluxes.values():
        for name, values in plan.known(flux, places).items():
            side.name(name, block.known(name, values))


def face_fluxes(plan: Plan, slopes: Slopes) -> dict[tuple[str, int], Term | float]:
    """Build the populations of the face fluxes.

    Returns
    -------
    dict of (str, int) to Term or float
        Flux of each field along each axis where it has one, times ``scale / h``; rows are faces of that axis. A number
        where the flux is constant.
    """
    terms: dict[tuple[str, int], Term | float] = {}
    fields = active_fields(plan)
    for axis, fluxes in enumerate(plan.law.flux):
        if not fluxes:
            continue
        faces = plan.grid.faces[axis]
        block = plan.block(f"face-{AXES[axis]}", faces.size, f"law.flux along {AXES[axis]}")
        speed = wave_speed(fluxes, fields)
        needed = {*_needed(plan, fields, axis), *fluxes, *(free_names(speed) if speed else ())}
        states: list[dict[str, Fixed]] = []
        values: list[tuple[dict[str, Real], Real]] = []
        for upper in (False, True):
            side = FixedPoint(block.circuit, block.fixed.where, plan.multiplies)
            _name_known(plan, block, side, fluxes, plan.grid.face_centres(axis))
            state = {}
            for name in (name for name in fields if name in needed):
                state[name] = side.clamped(_face_state(plan, block, slopes, name, faces, upper), *plan.ranges[name])
                side.name(name, state[name])
            states.append(state)
            fastest = side.lower(speed) if speed is not None else plan.speeds[axis]
            values.append(({name: side.lower(flux) for name, flux in fluxes.items()}, fastest))
        fixed, each = block.fixed, np.arange(faces.size, dtype=np.int64)
        fastest = fixed.larger(values[0][1], values[1][1])
        for name in fluxes:
            mean = fixed.scaled(fixed.add(values[0][0][name], values[1][0][name]), 0.5)
            jump = fixed.add(states[1][name], states[0][name], "sub")
            spread = fixed.scaled(fixed.multiplied(fastest, jump), 0.5)
            total = fixed.scaled(fixed.add(mean, spread, "sub"), plan.clock.flow / plan.grid.spacing[axis])
            ones = np.ones(faces.size, np.int64)
            if total != 0.0:
                terms[name, axis] = total if isinstance(total, float) else Term(block, total, each, each, ones)
    return terms


def _face_state(plan: Plan, block: Block, slopes: Slopes, name: str, faces: Faces, upper: bool) -> Fixed:
    """State of a field on the lower or upper side of each face; outside, what the boundary condition says."""
    each = np.arange(faces.size, dtype=np.int64)
    own, other = (faces.right, faces.left) if upper else (faces.left, faces.right)
    taps = _state_taps(plan, slopes, name, faces.axis, each, own, -1 if upper else 1)
    outside = faces.sides[1 if upper else 0]
    constant = np.zeros(faces.size)
    if outside.size:
        beyond: Ghost = ghost(plan, name, faces.axis, int(upper), other[outside])
        mirrored = _state_taps(plan, slopes, name, faces.axis, outside, other[outside], 1 if upper else -1)
        taps += [entry.scaled_by(beyond.weight[np.searchsorted(outside, entry.row)]) for entry in mirrored]
        taps += beyond.taps(outside)
        constant[outside] = beyond.constant
    return block.sum(taps, constant)


def _state_taps(
    plan: Plan, slopes: Slopes, name: str, axis: int, row: Integers, column: Integers, sign: int
) -> list[Tap]:
    tilted = [tap(slopes[name, axis], row, column, sign)] if (name, axis) in slopes else []
    changes = [tap(change, row, column) for change in plan.changes.get(name, ())]
    return [tap(plan.signals[name], row, column), *tilted, *changes]

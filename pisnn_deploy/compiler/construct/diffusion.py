"""Diffusion by differences of levels between neighbours: ``-M (a_right - a_left) / h`` through each face.

A level is what drives the diffusion of a field: the law's own, or the integral of a diffusivity that depends on the
field alone. A mobility that varies is the mean of both sides. The scheme `wide` takes the difference of four levels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.compiler.construct.assembly import Block, Signal, tap
from pisnn_deploy.compiler.construct.boundary import condition, entering
from pisnn_deploy.compiler.construct.fixed_point import Fixed, FixedPoint
from pisnn_deploy.compiler.construct.grid import Faces
from pisnn_deploy.compiler.construct.kinds_of_expressions import is_polynomial
from pisnn_deploy.compiler.construct.over_time import signal_over_time, to_rows, value_over_time
from pisnn_deploy.compiler.construct.plan import Plan, Term
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.laws.expression import (
    Call,
    Expression,
    Number,
    Symbol,
    derivative,
    evaluate,
    free_names,
    laplacian_of,
    substitute,
)
from pisnn_deploy.laws.law import factor_along, mobility
from pisnn_deploy.laws.quadrature import gauss_points

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
AXES = "xyz"
MOST_DEGREE = 8
_SPARE = 3
"""Fraction bits of a level beyond those of its field where another population multiplies it."""


@dataclass(frozen=True)
class Diffusion:
    """Rates that a diffusion adds to the faces of an axis, and constants at the sides."""

    terms: tuple[Term, ...]
    constant: Floats


def diffusion(plan: Plan, name: str) -> list[Diffusion]:
    """Build the diffusion of a field: one entry for each axis; none without diffusion."""
    factor = mobility(plan.law, name)
    if factor == Number(0.0):
        return []
    level, constant_factor = plan.law.level.get(name), not free_names(factor)
    if level is None and free_names(factor) == {name}:
        return _of_levels(plan, name, integral(factor, name, plan.ranges[name]), 1.0)
    if constant_factor:
        return _of_levels(plan, name, level or Symbol(name), float(evaluate(factor, {})))
    return [_of_faces(plan, name, level, factor, faces) for faces in plan.grid.faces]


Level = Expression | Callable[[Floats], Floats]
"""An expression, or a function of the field alone that is a table."""


def _of_levels(plan: Plan, name: str, level: Level, factor: float) -> list[Diffusion]:
    """Differences of one level for each cell."""
    grid, results = plan.grid, []
    block = plan.block(f"{name}-level", grid.cells, f"law.level.{name}")
    value = _cell_level(plan, block, name, level)
    for faces in grid.faces:
        # Without products, the weight of the clock is in the synapses.
        row, column, factors, divisor = _differences(plan, name, faces)
        along = factor_along(plan.law, name, faces.axis)
        per_cell = plan.clock.scale / grid.spacing[faces.axis] ** 2 * factor * along / divisor
        weight = plan.clock.weight
        if plan.multiplies:
            per_cell, weight = per_cell * weight, 1
        scaled = block.fixed.scaled(value, per_cell)
        assert isinstance(scaled, Fixed)
        rows, columns, weights, constant = [row], [column], [factors * weight], np.zeros(faces.size)
        moving: list[Term] = []
        for upper, outside in enumerate(faces.sides):
            cells = (faces.right, faces.left)[upper][outside]
            holds, outer = _held(plan, name, faces.axis, upper, cells)
            # The side is half a cell away.
            twice = (2 if upper else -2) * weight * divisor
            rows.append(outside[holds])
            columns.append(cells[holds])
            weights.append(np.full(int(holds.sum()), twice, np.int64))
            table = condition(plan, name, faces.axis, upper).over_time if holds.any() else None
            if table is not None:
                scaled_level = partial(_scaled_level, plan, name, level, per_cell)
                given = value_over_time(plan, name, faces.axis, upper, table, scaled_level)
                ones = np.ones(outside.size, np.int64)
                moving.append(Term(*given, outside, 0 * ones, -twice * ones))
            elif holds.any():
                constant[outside[holds]] = -twice * per_cell * _level_at(plan, name, level, outer[holds])
        term = Term(block, scaled, np.concatenate(rows), np.concatenate(columns), np.concatenate(weights))
        results.append(Diffusion((term, *moving), constant))
    return results


WIDE, WIDE_DIVISOR = (1, -27, 27, -1), 24
"""Fourth-order difference over a face, of cells from the lower to the upper."""


def _differences(plan: Plan, name: str, faces: Faces) -> tuple[Integers, Integers, Integers, int]:
    """Minus the difference over each inner face: face, cell and weight of each connection, and the common divisor.

    A wide difference that would reach beyond a side takes the mirror image where nothing diffuses through it, and is
    replaced by a short one elsewhere.
    """
    each = np.arange(faces.inner, dtype=np.int64)
    left, right = faces.left[: faces.inner], faces.right[: faces.inner]
    if plan.scheme != "wide":
        ones = np.ones(faces.inner, np.int64)
        return np.concatenate([each, each]), np.concatenate([left, right]), np.concatenate([ones, -ones]), 1
    lowest, highest = plan.grid.neighbour(faces.axis, -1)[left], plan.grid.neighbour(faces.axis, 1)[right]
    cells = (np.where(lowest < 0, left, lowest), left, right, np.where(highest < 0, right, highest))
    is_short = np.zeros(faces.inner, bool)
    for upper, beyond in enumerate((lowest, highest)):
        if (beyond < 0).any() and condition(plan, name, faces.axis, upper).kind not in ("wall", "outflow"):
            is_short |= beyond < 0
    weights = [
        np.where(is_short, -short * WIDE_DIVISOR, -wide) for short, wide in zip((0, -1, 1, 0), WIDE, strict=True)
    ]
    return np.tile(each, len(cells)), np.concatenate(cells), np.concatenate(weights), WIDE_DIVISOR


def _cell_level(plan: Plan, block: Block, name: str, level: Level) -> Fixed:
    """Level of each cell."""
    if not isinstance(level, Call | Symbol | Number):
        own = _clamped(plan, block, name)
        return block.fixed.table(own, level, f"integral of the diffusion of {name}")
    for other in sorted(free_names(level)):
        of_laplacian = laplacian_of(other)
        if of_laplacian is not None:
            block.fixed.name(other, laplacian(plan, block, of_laplacian))
        elif other in plan.law.fields:
            block.fixed.name(other, _clamped(plan, block, other))
    for other, values in plan.known(level, plan.grid.centres()).items():
        block.fixed.name(other, block.known(other, values))
    value = block.fixed.lower(level)
    if not isinstance(value, Fixed):
        raise UsageError(f"{block.fixed.where}: is constant, so nothing diffuses")
    return value


def _clamped(plan: Plan, block: Block, name: str) -> Fixed:
    each = np.arange(plan.grid.cells, dtype=np.int64)
    taps = [tap(signal, each, each) for signal in (plan.signals[name], *plan.changes.get(name, ()))]
    return block.fixed.clamped(block.sum(taps), *plan.ranges[name])


def laplacian(plan: Plan, block: Block, name: str, along: Sequence[float] = ()) -> Fixed:
    """Sum of second differences of a field over ``h^2``; beyond a side the field continues, or passes its value.

    Parameters
    ----------
    along : sequence of float
        Factor along each axis (default: 1).
    """
    grid, signal = plan.grid, plan.signals[name]
    each = np.arange(grid.cells, dtype=np.int64)
    by_width: dict[tuple[float, float], list[int]] = {}
    for axis, width in enumerate(grid.spacing):
        by_width.setdefault((width, along[axis] if along else 1.0), []).append(axis)
    total: Fixed | None = None
    for (width, factor), axes in by_width.items():
        taps, constant = [], np.zeros(grid.cells)
        for axis in axes:
            for upper, step in enumerate((-1, 1)):
                other = grid.neighbour(axis, step)
                taps += [tap(signal, each, other), tap(signal, each[other >= 0], each[other >= 0], -1)]
                outside = each[other < 0]
                holds, outer = _held(plan, name, axis, upper, outside)
                taps.append(tap(signal, outside[holds], outside[holds], -2))
                constant[outside[holds]] += 2 * outer[holds]
                table = condition(plan, name, axis, upper).over_time if holds.any() else None
                if table is not None:
                    taps.append(to_rows(signal_over_time(plan, name, axis, upper, table), outside, 2))
        part = block.fixed.scaled(block.sum(taps, constant), factor * width**-2.0)
        both = part if total is None else block.fixed.add(total, part)
        assert isinstance(both, Fixed)
        total = both
    assert total is not None
    return total


def _held(plan: Plan, name: str, axis: int, upper: int, cells: Integers) -> tuple[NDArray[np.bool_], Floats]:
    """Which faces of a side have a value that the field diffuses to, and that value; 0 where it depends on time."""
    if not cells.size or condition(plan, name, axis, upper).kind not in ("held", "inflow"):
        return np.zeros(cells.size, bool), np.zeros(cells.size)
    return entering(plan, name, axis, upper, cells)


def _level_at(plan: Plan, name: str, level: Level, value: Floats) -> Floats:
    """Level of a value that a side holds."""
    if not isinstance(level, Call | Symbol | Number):
        return level(value)
    if free_names(level) - {name}:
        raise UsageError(f"domain.boundary: {name} is held, but its level depends on more than {name}")
    return np.broadcast_to(evaluate(level, {name: value}), value.shape).astype(np.float64)


def _scaled_level(plan: Plan, name: str, level: Level, scale: float, value: Floats) -> Floats:
    return scale * _level_at(plan, name, level, value)


def _of_faces(plan: Plan, name: str, level: Expression | None, factor: Expression, faces: Faces) -> Diffusion:
    """Mean of both mobilities times the difference of levels, at each face."""
    axis, fields = faces.axis, plan.law.fields
    signal = plan.signals[name] if level is None else _level_signal(plan, name, level)
    block = plan.block(f"{name}-diffusion-{AXES[axis]}", faces.size, f"law.diffusion.{name}")
    each = np.arange(faces.size, dtype=np.int64)
    values = []
    holds, outer = np.zeros(faces.size, bool), np.zeros(faces.size)
    for upper, outside in enumerate(faces.sides):
        cells = (faces.right, faces.left)[upper][outside]
        holds[outside], outer[outside] = _held(plan, name, axis, upper, cells)
    for own, other in ((faces.left, faces.right), (faces.right, faces.left)):
        side = FixedPoint(block.circuit, block.fixed.where, plan.multiplies)
        cells = np.where(own >= 0, own, other)
        for used in (field for field in fields if field in free_names(factor)):
            taps = [tap(plan.signals[used], each, cells)]
            side.name(used, side.clamped(block.sum(taps), *plan.ranges[used]))
        for known, numbers in plan.known(factor, plan.grid.face_centres(axis)).items():
            side.name(known, block.known(known, numbers))
        values.append(side.lower(factor))
    mean = block.fixed.scaled(block.fixed.add(values[0], values[1]), 0.5)
    inner = each[: faces.inner]
    taps = [tap(signal, inner, faces.left[inner]), tap(signal, inner, faces.right[inner], -1)]
    constant = np.zeros(faces.size)
    for upper, outside in enumerate(faces.sides):
        at = outside[holds[outside]]
        sign = 1 if upper else -1
        taps.append(tap(signal, at, (faces.right, faces.left)[upper][at], 2 * sign))
        table = condition(plan, name, axis, upper).over_time if at.size else None
        if table is not None:
            given = signal_over_time(
                plan,
                name,
                axis,
                upper,
                table,
                lambda v: _level_at(plan, name, level or Symbol(name), v),
                signal.fraction,
            )
            taps.append(to_rows(given, at, -2 * sign))
        elif at.size:
            constant[at] = -2 * sign * _level_at(plan, name, level or Symbol(name), outer[at])
    difference = block.sum(taps, constant)
    per_cell = plan.clock.flow / plan.grid.spacing[axis] ** 2 * factor_along(plan.law, name, axis)
    total = block.fixed.scaled(block.fixed.multiplied(mean, difference), per_cell)
    assert isinstance(total, Fixed)
    at = np.concatenate([inner, np.flatnonzero(holds)])
    return Diffusion((Term(block, total, at, at, np.ones(at.size, np.int64)),), np.zeros(faces.size))


def _level_signal(plan: Plan, name: str, level: Expression) -> Signal:
    made = plan.levels.get(name)
    if made is None:
        block = plan.block(f"{name}-level", plan.grid.cells, f"law.level.{name}")
        number = block.send(_cell_level(plan, block, name, level), plan.bits[name] + _SPARE)
        made = plan.levels[name] = block.finish()[number]
    return made


def integral(factor: Expression, name: str, limits: tuple[float, float]) -> Level:
    """Integral of a function of a field: a polynomial of a polynomial, else by quadrature from the lower limit."""
    coefficients = polynomial(factor, name)
    if coefficients is None:
        return _quadrature(factor, name, limits[0])
    total: Expression = Number(0.0)
    for degree, coefficient in enumerate(coefficients, 1):
        if coefficient:
            power = Symbol(name) if degree == 1 else Call("pow", (Symbol(name), Number(float(degree))))
            part = Call("mul", (Number(coefficient / degree), power))
            total = part if total == Number(0.0) else Call("add", (total, part))
    return total


def polynomial(expression: Expression, name: str) -> Sequence[float] | None:
    """Coefficients of a polynomial of one name from the constant on; None for another expression."""
    if not is_polynomial(expression):
        return None
    coefficients: list[float] = []
    factorial = 1.0
    for degree in range(MOST_DEGREE + 1):
        factorial *= max(1, degree)
        value = float(evaluate(substitute(expression, {name: Number(0.0)}), {}))
        if not np.isfinite(value):
            return None
        coefficients.append(value / factorial)
        if name not in free_names(expression):
            return coefficients
        expression = derivative(expression, name)
    return None


def _quadrature(factor: Expression, name: str, lower: float) -> Callable[[Floats], Floats]:
    nodes, weights = gauss_points(8)

    def level(values: Floats) -> Floats:
        ends = np.unique(np.concatenate([[lower], values]))
        starts, widths = ends[:-1], np.diff(ends)
        points = starts[:, None] + widths[:, None] * nodes
        pieces = (np.broadcast_to(evaluate(factor, {name: points}), points.shape) @ weights) * widths
        total = np.concatenate([[0.0], np.cumsum(pieces)])
        total -= total[np.searchsorted(ends, lower)]
        return np.asarray(total[np.searchsorted(ends, values)], np.float64)

    return level

"""Channels of a field through faces: between cells, and at the sides of the domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.compiler.construct.assembly import tap
from pisnn_deploy.compiler.construct.boundary import carries, condition, given_value, side_places
from pisnn_deploy.compiler.construct.channels import Way
from pisnn_deploy.compiler.construct.diffusion import Diffusion
from pisnn_deploy.compiler.construct.fixed_point import Fixed, Real
from pisnn_deploy.compiler.construct.grid import Faces
from pisnn_deploy.compiler.construct.over_time import signal_over_time, to_rows, value_over_time
from pisnn_deploy.compiler.construct.plan import Plan, Term

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Crossing:
    """Faces of a side that carry a field, each with a reservoir behind it.

    Attributes
    ----------
    cells : int64 array [faces]
        Cells inside.
    faces : int64 array [faces]
        Numbers among the faces of the axis.
    first : int
        First reservoir among the holders of the field.
    """

    axis: int
    upper: int
    cells: Integers
    faces: Integers
    first: int


def crossings(plan: Plan, name: str) -> list[Crossing]:
    """Sides that carry a field, in the order of their reservoirs."""
    first, carried = plan.grid.cells, []
    for faces in plan.grid.faces:
        for upper, at in enumerate(faces.sides):
            if at.size and carries(plan, name, faces.axis, upper):
                cells = (faces.right, faces.left)[upper][at]
                carried.append(Crossing(faces.axis, upper, cells, at, first))
                first += at.size
    return carried


def flux_way(
    plan: Plan,
    name: str,
    fluxes: Mapping[tuple[str, int], Term | float],
    spread: Sequence[Diffusion],
    across: Sequence[Crossing],
) -> Way:
    """Channels of a field through the faces of all axes; on each axis, those of the sides come last.

    Parameters
    ----------
    fluxes : mapping of (str, int) to Term or float
        Fluxes along each axis; rows are faces of the axis.
    spread : sequence of Diffusion
        For each axis, or empty.
    across : sequence of Crossing
        Sides that carry the field.
    """
    sources: list[Integers] = []
    targets: list[Integers] = []
    constants: list[Floats] = []
    terms: list[Term] = []
    count = 0
    for faces in plan.grid.faces:
        numbers, source, target = _numbered(faces, across, count)
        flux = fluxes.get((name, faces.axis), 0.0)
        parts = [flux] if isinstance(flux, Term) else []
        constant = np.full(faces.size, flux.constant if isinstance(flux, Term) else flux)
        if spread:
            parts += spread[faces.axis].terms
            constant += spread[faces.axis].constant
        is_given = np.zeros(faces.size, bool)
        for crossing in across:
            if crossing.axis == faces.axis and condition(plan, name, faces.axis, crossing.upper).kind in _GIVEN:
                is_given[crossing.faces] = True
                given, constant[crossing.faces] = _given_flux(plan, name, crossing)
                terms += [replace(term, row=numbers[crossing.faces][term.row]) for term in given]
        for part in parts:
            kept = (numbers[part.row] >= 0) & ~is_given[part.row]
            terms.append(replace(part, row=numbers[part.row][kept], column=part.column[kept], factor=part.factor[kept]))
        at = np.flatnonzero(numbers >= 0)
        constants.append(constant[at[np.argsort(numbers[at], kind="stable")]])
        sources.append(source)
        targets.append(target)
        count += source.size
    ends = np.concatenate(sources), np.concatenate(targets)
    return Way(f"{name}-flux", name, name, *ends, terms, np.concatenate(constants))


_GIVEN = ("flux", "robin")
"""Conditions that give the whole flux through a side."""


def _numbered(faces: Faces, across: Sequence[Crossing], count: int) -> tuple[Integers, Integers, Integers]:
    """Channel of each face of an axis (-1 without one), and the holders at both ends of these channels."""
    numbers = np.full(faces.size, -1, np.int64)
    numbers[: faces.inner] = count + np.arange(faces.inner, dtype=np.int64)
    source, target = [faces.left[: faces.inner]], [faces.right[: faces.inner]]
    count += faces.inner
    for crossing in (crossing for crossing in across if crossing.axis == faces.axis):
        size = crossing.cells.size
        numbers[crossing.faces] = count + np.arange(size, dtype=np.int64)
        count += size
        reservoirs = crossing.first + np.arange(size, dtype=np.int64)
        ends = (crossing.cells, reservoirs) if crossing.upper else (reservoirs, crossing.cells)
        source.append(ends[0])
        target.append(ends[1])
    return numbers, np.concatenate(source), np.concatenate(target)


def _given_flux(plan: Plan, name: str, crossing: Crossing) -> tuple[list[Term], Floats]:
    """Flux through a side that its condition gives, positive along the axis: constant, of time, or linear in cells."""
    at = condition(plan, name, crossing.axis, crossing.upper)
    places = side_places(plan, crossing.axis, crossing.upper, crossing.cells)
    sign = -1.0 if crossing.upper else 1.0
    factor = sign * plan.clock.flow / plan.grid.spacing[crossing.axis]
    values = [given_value(plan, value, places) for value in at.values]
    each, nothing = np.arange(crossing.cells.size, dtype=np.int64), np.zeros(crossing.cells.size)
    if at.kind == "flux":
        if at.over_time is None:
            return [], factor * values[0]
        side_flux = value_over_time(plan, name, crossing.axis, crossing.upper, at.over_time, lambda v: factor * v)
        return [Term(*side_flux, each, np.zeros(each.size, np.int64), np.ones(each.size, np.int64))], nothing
    coefficient = values[0]
    side = plan.grid.side_name(crossing.axis, crossing.upper)
    block = plan.block(f"{name}-{side}", crossing.cells.size, f"domain.boundary.{side}.{name}")
    # The value at the side is (3 u_0 - u_1) / 2 of the two nearest cells.
    step = -1 if crossing.upper else 1
    inner = plan.grid.neighbour(crossing.axis, step)[crossing.cells]
    inner = np.where(inner < 0, crossing.cells, inner)
    taps = [tap(plan.signals[name], each, crossing.cells, 3), tap(plan.signals[name], each, inner, -1)]
    both = block.sum(taps)
    inside = block.fixed.clamped(Fixed(both.operand, both.fraction + 1), *plan.ranges[name])
    rise: Real = inside
    if at.over_time is not None:
        outside = signal_over_time(plan, name, crossing.axis, crossing.upper, at.over_time)
        rise = block.fixed.add(inside, block.sum([to_rows(outside, each)]), "sub")
    value = block.fixed.multiplied(block.known("coefficient", -factor * coefficient), rise)
    assert isinstance(value, Fixed)
    term = Term(block, value, each, each, np.ones(each.size, np.int64))
    return [term], factor * coefficient * values[1] if at.over_time is None else nothing

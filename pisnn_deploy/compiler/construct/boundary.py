"""What the boundary conditions put outside the domain, and which faces of a side carry a field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.compiler.construct.assembly import Signal, Tap
from pisnn_deploy.compiler.construct.over_time import signal_over_time, to_rows
from pisnn_deploy.compiler.construct.plan import Plan
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.laws.calculus import ZERO
from pisnn_deploy.laws.conditions import Condition
from pisnn_deploy.laws.expression import Expression, derivative, evaluate, free_names
from pisnn_deploy.mesh.boundary import SIDE_NAMES

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Ghost:
    """State outside: ``weight * inside + constant + factor * value``.

    Attributes
    ----------
    weight : int64 array [faces]
        1 where the state is continued, -1 where it is reflected, 0 where a value is given.
    constant : float64 array [faces]
        In physical units.
    value : Signal or None
        Value that depends on time; None without one.
    factor : int
        Its weight.
    """

    weight: Integers
    constant: Floats
    value: Signal | None = None
    factor: int = 1

    def taps(self, row: Integers, weight: int | Integers = 1) -> list[Tap]:
        """Connections that bring the value that depends on time to rows, one for each face."""
        return [] if self.value is None else [to_rows(self.value, row, self.factor * weight)]


def condition(plan: Plan, name: str, axis: int, upper: int) -> Condition:
    """Condition of a field at a side."""
    return plan.conditions[SIDE_NAMES[axis][upper]][name]


def is_normal(plan: Plan, name: str, axis: int) -> bool:
    """Whether a field is the component of a vector along an axis."""
    return any(len(vector) > axis and vector[axis] == name for vector in plan.law.vector)


def side_places(plan: Plan, axis: int, upper: int, cells: Integers) -> dict[str, Floats]:
    """Coordinates of the faces of cells at a side."""
    places = {name: values[cells] for name, values in plan.grid.centres().items()}
    name = "xyz"[axis]
    places[name] = places[name] + (0.5 if upper else -0.5) * plan.grid.spacing[axis]
    return places


def given_value(plan: Plan, expression: Expression, places: Mapping[str, Floats]) -> Floats:
    """Value of a boundary condition at places."""
    parameters: dict[str, float | Floats] = {**plan.law.parameters}
    size = next(iter(places.values())).size
    return np.broadcast_to(evaluate(expression, {**parameters, **places}), size).astype(np.float64)


def ghost(plan: Plan, name: str, axis: int, upper: int, cells: Integers) -> Ghost:
    """State outside for the flux of a field at a side.

    Parameters
    ----------
    upper : int
        0 for the lower side, 1 for the upper one.
    cells : int64 array [faces]
        Cells inside.
    """
    size = cells.size
    if not size:
        return Ghost(np.zeros(0, np.int64), np.zeros(0))
    at = condition(plan, name, axis, upper)
    weight, constant = np.ones(size, np.int64), np.zeros(size)
    if at.kind == "wall" and is_normal(plan, name, axis):
        weight = -weight
    elif at.kind in ("held", "inflow"):
        enters, value = entering(plan, name, axis, upper, cells)
        if at.over_time is not None:
            given = signal_over_time(plan, name, axis, upper, at.over_time) if enters.all() else None
            return Ghost(np.where(enters, 0, weight), constant, given)
        weight, constant = np.where(enters, 0, weight), np.where(enters, value, 0.0)
    return Ghost(weight, constant)


def entering(plan: Plan, name: str, axis: int, upper: int, cells: Integers) -> tuple[NDArray[np.bool_], Floats]:
    """Where the value of a side that holds one, or lets one flow in, counts; and that value, [faces].

    A value that depends on time counts at all faces or at none, and is 0 here.

    Raises
    ------
    UsageError
        Such a value flows in only at some times or faces.
    """
    at, places = condition(plan, name, axis, upper), side_places(plan, axis, upper, cells)
    value = np.zeros(cells.size) if at.over_time is not None else given_value(plan, at.values[0], places)
    if at.kind == "held":
        return np.ones(cells.size, bool), value
    if at.over_time is None:
        return flows_in(plan, name, axis, upper, places, value), value
    least, largest = min(at.over_time.values), max(at.over_time.values)
    enters = np.stack(
        [
            flows_in(plan, name, axis, upper, places, np.full(cells.size, value))
            for value in np.linspace(least, largest, 1 if least == largest else _LATTICE)
        ]
    )
    if enters.any() != enters.all():
        raise UsageError(
            f"domain.boundary.{SIDE_NAMES[axis][upper]}: inflow of {name}: some values of its table flow in, others "
            "flow out; use held"
        )
    return enters[0], value


_LATTICE = 65
"""Values between the ends of a table at which its direction is looked at."""


def flows_in(
    plan: Plan, name: str, axis: int, upper: int, places: Mapping[str, Floats], value: Floats
) -> NDArray[np.bool_]:
    """Whether the wave of a field enters at the faces of a side, with the value outside.

    A field whose flux depends on others takes the value at every face.

    Raises
    ------
    UsageError
        The flux has slope 0 at the value: its sign says nothing, and taking nothing in would be a silent choice.
    """
    size = value.size
    flux = plan.law.flux[axis].get(name)
    if flux is None:
        return np.zeros(size, bool)
    slope = derivative(flux, name)
    values = {**plan.known(flux, places), name: value}
    if not free_names(flux) <= values.keys():
        return np.ones(size, bool)
    speed = np.broadcast_to(evaluate(slope, values), size)
    undecided = np.flatnonzero(speed == 0)
    if undecided.size and slope != ZERO:
        raise UsageError(
            f"domain.boundary.{SIDE_NAMES[axis][upper]}: inflow of {name}: the flux has slope 0 at "
            f"{value[undecided[0]]:g}, so nothing says whether it flows in; use held"
        )
    return np.asarray(speed < 0 if upper else speed > 0)


def carries(plan: Plan, name: str, axis: int, upper: int) -> bool:
    """Whether a field crosses a side: a wall carries nothing but the normal component of a vector."""
    at = condition(plan, name, axis, upper)
    if at.kind == "periodic":
        return False
    if at.kind == "wall":
        return is_normal(plan, name, axis) and name in plan.law.flux[axis]
    return True


@dataclass(frozen=True)
class Continuation(Ghost):
    """Values of cells outside, from cells inside.

    Attributes
    ----------
    is_mirrored : bool array [faces]
        Whether the cell inside is the mirror image; else it is the last one before the side.
    """

    is_mirrored: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))


def continuation(plan: Plan, name: str, axis: int, upper: int, cells: Integers) -> Continuation:
    """Cells beyond a side: reflected at a wall, about a value that the side holds, or the last cell once more.

    Parameters
    ----------
    cells : int64 array [faces]
        Cells inside, next to the side.
    """
    size, at = cells.size, condition(plan, name, axis, upper)
    weight, constant = np.ones(size, np.int64), np.zeros(size)
    is_mirrored = np.full(size, at.kind == "wall")
    if at.kind == "wall" and is_normal(plan, name, axis):
        weight = -weight
    elif at.kind in ("held", "inflow"):
        enters, value = entering(plan, name, axis, upper, cells)
        weight, constant, is_mirrored = np.where(enters, -1, weight), np.where(enters, 2 * value, 0.0), enters
        if at.over_time is not None and enters.all():
            return Continuation(weight, constant, signal_over_time(plan, name, axis, upper, at.over_time), 2, enters)
    return Continuation(weight, constant, is_mirrored=is_mirrored)

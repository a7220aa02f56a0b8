"""What the boundary conditions put outside the domain, and which faces of a side carry a field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    """State outside: ``weight * inside + constant``.

    Attributes
    ----------
    weight : int64 array [faces]
        1 where the state is continued, -1 where it is reflected, 0 where a value is given.
    constant : float64 array [faces]
        In physical units.
    """

    weight: Integers
    constant: Floats


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
        enters, value = _entering(plan, name, axis, upper, cells)
        weight, constant = np.where(enters, 0, weight), np.where(enters, value, 0.0)
    return Ghost(weight, constant)


def _entering(plan: Plan, name: str, axis: int, upper: int, cells: Integers) -> tuple[NDArray[np.bool_], Floats]:
    """Where the value of a side that holds one, or lets one flow in, counts; and that value, [faces]."""
    at, places = condition(plan, name, axis, upper), side_places(plan, axis, upper, cells)
    value = given_value(plan, at.values[0], places)
    enters = np.ones(cells.size, bool) if at.kind == "held" else flows_in(plan, name, axis, upper, places, value)
    return enters, value


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
    """Values of cells outside, from cells inside: ``weight * inside + constant``.

    Attributes
    ----------
    is_mirrored : bool array [faces]
        Whether the cell inside is the mirror image; else it is the last one before the side.
    """

    is_mirrored: NDArray[np.bool_]


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
        enters, value = _entering(plan, name, axis, upper, cells)
        weight, constant = np.where(enters, -1, weight), np.where(enters, 2 * value, 0.0)
        is_mirrored = enters
    return Continuation(weight, constant, is_mirrored)

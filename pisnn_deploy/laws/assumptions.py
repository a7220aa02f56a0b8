"""What exact solutions assume of a recipe, checked on its expressions and on states in its range."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.laws.expression import Expression, Number, derivative, evaluate, free_names
from pisnn_deploy.laws.law import Law
from pisnn_deploy.laws.spec import LawSpec
from pisnn_deploy.laws.start import start_of

Field = NDArray[np.float64]
_SAMPLES = 97
_EQUAL = 1e-12
"""Relative difference of two ways to compute a term."""
FAR = 1e6
"""Domains away from the domain: where a bump or a front is over."""


class Unfit(Exception):
    """A recipe that poses another problem; the message says in what."""


class TooLate(Unfit):
    """A time to which an exact solution does not reach; the message says why."""


class Averages(NamedTuple):
    """Cell averages and their error.

    Attributes
    ----------
    values : float64 array [fields, *shape]
        Cell averages.
    error : float
        Bound or estimate of the largest error.
    """

    values: Field
    error: float


def require_only(law: Law, *terms: str) -> None:
    """Refuse a law with terms beyond those named, of ``flux``, ``diffusion`` and ``level``."""
    has = {
        "flux": any(flux != Number(0.0) for fluxes in law.flux for flux in fluxes.values()),
        "diffusion": any(term != Number(0.0) for term in law.diffusion.values()),
        "level": bool(law.level),
        "sources": bool(law.sources),
        "exchange": bool(law.exchange),
    }
    for name, present in has.items():
        if present and name not in terms:
            raise Unfit(f"the law has {name}")


def require_axes(spec: LawSpec, axes: int, fields: int) -> None:
    """Refuse another number of axes or fields."""
    if (spec.dimensions, len(spec.parsed().fields)) != (axes, fields):
        raise Unfit(f"the law has {len(spec.parsed().fields)} fields on {spec.dimensions} axes")


def require_kinds(spec: LawSpec, *kinds: str) -> None:
    """Refuse sides of other kinds."""
    for side, conditions in spec.conditions.items():
        for condition in conditions.values():
            if condition.kind not in kinds:
                raise Unfit(f"the side {side} is {condition.kind}")


def require_steady(spec: LawSpec) -> None:
    """Refuse sides that change with time."""
    for side, conditions in spec.conditions.items():
        if any(condition.over_time is not None for condition in conditions.values()):
            raise Unfit(f"the side {side} changes with time")


def sampled(spec: LawSpec) -> dict[str, Field]:
    """States spread over the ranges of the fields, float64 [samples] each, with the parameters."""
    turns = np.arange(1, _SAMPLES + 1)
    values: dict[str, Field] = {name: np.asarray(value) for name, value in spec.parsed().parameters.items()}
    for number, name in enumerate(spec.parsed().fields):
        lower, upper = spec.range[name]
        values[name] = lower + (upper - lower) * np.mod(turns * (2 + 3 * number) ** 0.5 * 0.618, 1.0)
    return values


def require_equal(spec: LawSpec, term: Expression, expected: Callable[[dict[str, Field]], Field], what: str) -> None:
    """Refuse a term that differs from the expected function anywhere in the samples."""
    states = sampled(spec)
    if free_names(term) - set(states):
        raise Unfit(f"{what} depends on the place")
    values, right = evaluate(term, states), expected(states)
    if not np.all(np.abs(values - right) <= _EQUAL * (np.abs(values) + np.abs(right) + 1)):
        raise Unfit(f"{what} is another")


def constant(spec: LawSpec, term: Expression, what: str) -> float:
    """Value of a term that does not depend on state and place."""
    states = sampled(spec)
    if free_names(term) - set(states):
        raise Unfit(f"{what} depends on the place")
    values = evaluate(term, states)
    first = float(values.reshape(-1)[0])
    if not np.all(np.abs(values - first) <= _EQUAL * (abs(first) + 1)):
        raise Unfit(f"{what} is not constant")
    return first


def velocities(spec: LawSpec, field: str) -> list[float]:
    """Constant velocity of a field along each axis; its flux may depend on nothing else."""
    law = spec.parsed()
    result = []
    for fluxes in law.flux:
        flux = fluxes.get(field, Number(0.0))
        for other in law.fields:
            if other != field and derivative(flux, other) != Number(0.0):
                raise Unfit(f"the flux of {field} depends on {other}")
        result.append(constant(spec, derivative(flux, field), f"the velocity of {field}"))
    return result


def scalar_flux(spec: LawSpec, axis: int = 0) -> tuple[str, Callable[[Field], Field], Callable[[Field], Field]]:
    """Name of the only field, and its flux and the derivative of that along an axis, as functions of the field."""
    law = spec.parsed()
    (name,) = law.fields
    flux = law.flux[axis].get(name, Number(0.0))
    if free_names(flux) - {name, *law.parameters}:
        raise Unfit("the flux depends on the place")
    slope = derivative(flux, name)
    return (
        name,
        lambda u: np.broadcast_to(evaluate(flux, {**law.parameters, name: u}), np.shape(u)),
        lambda u: np.broadcast_to(evaluate(slope, {**law.parameters, name: u}), np.shape(u)),
    )


def start_function(spec: LawSpec, field: str, *derivatives: str) -> Callable[..., Field]:
    """Start of a field, or a derivative of it, as a function of the coordinates."""
    expression = start_of(spec, field)
    for name in derivatives:
        expression = derivative(expression, name)
    parameters = spec.parsed().parameters

    def at(*places: Field) -> Field:
        shape = np.broadcast_shapes(*(np.shape(place) for place in places))
        values = evaluate(expression, {**parameters, **dict(zip("xyz", places, strict=False))})
        return np.broadcast_to(values, shape)

    return at


def jump(spec: LawSpec, field: str) -> tuple[float, float, float]:
    """Left value, right value and place of the jump of a start with two values on a line."""
    (lower,), (upper,) = spec.domain.lower, spec.domain.upper
    start = start_function(spec, field)
    left, right = float(start(np.asarray(lower))), float(start(np.asarray(upper)))
    if left == right:
        raise Unfit(f"initial.{field} has no jump")
    return left, right, crossing(start, lower, upper, (left + right) / 2)


def crossing(start: Callable[..., Field], lower: float, upper: float, value: float) -> float:
    """Place where a function passes a value, by bisection."""
    below = bool(start(np.asarray(lower)) < value)
    for _ in range(100):
        middle = (lower + upper) / 2
        if bool(start(np.asarray(middle)) < value) == below:
            lower = middle
        else:
            upper = middle
    return (lower + upper) / 2

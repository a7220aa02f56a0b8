"""Float64 schemes on the mesh itself, for comparison with integers at equal mesh and cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.laws.finite_volumes import FiniteVolumes
from pisnn_deploy.laws.godunov import GodunovFlux
from pisnn_deploy.laws.grid import Field
from pisnn_deploy.laws.integration import Integrated, explicit_step, march, third_order
from pisnn_deploy.laws.spec import LawSpec
from pisnn_deploy.laws.start import Fields, grid_of, initial, stacked
from pisnn_deploy.laws.weno import minmod

Step = Callable[[FiniteVolumes, Field, float], Field]
"""State after a time step, from volumes whose sides are those of its middle."""


@dataclass(frozen=True)
class Scheme:
    """A scheme on cell averages.

    Attributes
    ----------
    description : str
        What it does.
    step : callable
        State after a time step, from volumes and the state before it.
    evaluations : int
        Numerical fluxes per face and time step.
    courant, real_axis : float
        Largest part of a cell that a wave passes in a time step, and largest product of time step and decay rate.
    order : {2, 4}
        Order of gradients, sources and levels.
    """

    description: str
    step: Step
    evaluations: int
    courant: float
    real_axis: float
    order: int = 2


@dataclass(frozen=True)
class Baseline:
    """Result of a scheme.

    Attributes
    ----------
    fields : dict of str to float64 array [*shape]
        Cell averages of each field.
    steps : int
        Time steps.
    flux_evaluations : int
        Numerical fluxes per face.
    """

    fields: Fields
    steps: int
    flux_evaluations: int


def baseline(name: str, spec: LawSpec, shape: tuple[int, ...], time: float, steps: int | None = None) -> Baseline:
    """Cell averages at a time by a scheme.

    Parameters
    ----------
    name : str
        A key of `SCHEMES`.
    steps : int, optional
        Number of equal time steps (default: as few as the scheme's Courant number allows).

    Raises
    ------
    UsageError
        The scheme is unknown, or its values become infinite.
    """
    if name not in SCHEMES:
        raise UsageError(f"baseline: unknown scheme {name!r}; use {', '.join(SCHEMES)}")
    scheme, grid = SCHEMES[name], grid_of(spec, shape)
    volumes = FiniteVolumes(spec.parsed(), grid, spec.conditions, 4 if scheme.order == 4 else 2)

    def longest(state: Field) -> tuple[float, int]:
        step = time / steps if steps else explicit_step(volumes.pace(state), scheme.courant, scheme.real_axis)
        return step, scheme.evaluations

    def advance(state: Field, now: float, step: float, evaluations: int) -> Field:
        volumes.set_time(now + step / 2)
        return scheme.step(volumes, state, step)

    result = march(stacked(spec, initial(spec, shape)), time, longest, advance)
    return _named(spec, result)


def _named(spec: LawSpec, result: Integrated) -> Baseline:
    fields = dict(zip(spec.parsed().fields, result.state, strict=True))
    return Baseline(fields, result.steps, result.evaluations)


def _godunov(volumes: FiniteVolumes, state: Field, step: float) -> Field:
    flows = []
    for axis, sides in enumerate(volumes.sides):
        cells = sides.extended(np.moveaxis(state, axis + 1, -1), 1)
        exact = GodunovFlux.of(volumes.terms, axis, cells)
        if exact is not None:
            flows.append(exact.through(cells[..., :-1], cells[..., 1:]))
        else:
            flows.append(volumes.lax_friedrichs(axis, cells[..., :-1], cells[..., 1:], cells))
    return np.asarray(state + step * volumes.rates_by(state, flows), np.float64)


def _muscl(volumes: FiniteVolumes, state: Field, step: float) -> Field:
    """MUSCL-Hancock: limited slopes, half a step inside the cells, then Rusanov fluxes."""
    terms, change = volumes.terms, np.zeros(state.shape)
    slopes, flows = [], []
    for axis, sides in enumerate(volumes.sides):
        along = np.moveaxis(state, axis + 1, -1)
        slopes.append(minmod(sides.extended(along, 2)))
        half = slopes[axis][..., 1:-1] / 2
        lower, upper = volumes.edge_places(axis)
        difference = terms.flux(axis, along + half, upper) - terms.flux(axis, along - half, lower)
        change -= np.moveaxis(difference, -1, axis + 1) / volumes.grid.spacing[axis]
    middle = state + step / 2 * (change + volumes.rates_without_flow(state))
    for axis, sides in enumerate(volumes.sides):
        cells = sides.extended(np.moveaxis(middle, axis + 1, -1), 1)
        half = slopes[axis] / 2
        at_faces = cells[..., :-1] + half[..., :-1], cells[..., 1:] - half[..., 1:]
        flows.append(volumes.lax_friedrichs(axis, *at_faces, cells))
    return np.asarray(state + step * volumes.rates_by(middle, flows), np.float64)


def _lax_wendroff(volumes: FiniteVolumes, state: Field, step: float) -> Field:
    """Richtmyer's two steps: states at faces half a step later, also by the other axes, then their fluxes."""
    terms, flows = volumes.terms, []
    changes = [_central_change(volumes, axis, state) for axis in range(len(volumes.sides))]
    others = volumes.rates_without_flow(state)
    for axis, sides in enumerate(volumes.sides):
        width = volumes.grid.spacing[axis]
        cells = sides.extended(np.moveaxis(state, axis + 1, -1), 1)
        across = others + sum(change for other, change in enumerate(changes) if other != axis)
        rates = np.moveaxis(across, axis + 1, -1)
        rates = np.concatenate([rates[..., :1], rates, rates[..., -1:]], axis=-1)
        if sides.is_periodic:
            rates[..., 0], rates[..., -1] = rates[..., -2], rates[..., 1]
        places = volumes.face_places[axis]
        lower, upper = cells[..., :-1], cells[..., 1:]
        along = (terms.flux(axis, upper, places) - terms.flux(axis, lower, places)) / width
        middle = (lower + upper) / 2 + step / 2 * ((rates[..., :-1] + rates[..., 1:]) / 2 - along)
        flows.append(terms.flux(axis, middle, places))
    later = state + step / 2 * (others + sum(changes))
    return np.asarray(state + step * volumes.rates_by(later, flows), np.float64)


def _central_change(volumes: FiniteVolumes, axis: int, state: Field) -> Field:
    """Rates of change by central differences of the fluxes along an axis."""
    cells = volumes.sides[axis].extended(np.moveaxis(state, axis + 1, -1), 1)
    middles = (cells[..., :-1] + cells[..., 1:]) / 2
    fluxes = volumes.terms.flux(axis, middles, volumes.face_places[axis])
    return np.asarray(-np.moveaxis(np.diff(fluxes), -1, axis + 1) / volumes.grid.spacing[axis], np.float64)


def _central(volumes: FiniteVolumes, state: Field, step: float) -> Field:
    flows = []
    for axis, sides in enumerate(volumes.sides):
        cells = sides.extended(np.moveaxis(state, axis + 1, -1), 1)
        flows.append(volumes.terms.flux(axis, (cells[..., :-1] + cells[..., 1:]) / 2, volumes.face_places[axis]))
    return np.asarray(state + step * volumes.rates_by(state, flows), np.float64)


def _weno5(volumes: FiniteVolumes, state: Field, step: float) -> Field:
    return third_order(volumes.rates_at, state, volumes.time - step / 2, step)


SCHEMES: Mapping[str, Scheme] = MappingProxyType(
    {
        "central": Scheme(
            "central differences, Euler steps; for laws of diffusion and reaction", _central, 1, 0.5, 1.9
        ),
        "godunov": Scheme("first order: exact fluxes of scalar laws, else local Lax-Friedrichs", _godunov, 1, 0.9, 1.8),
        "lax-wendroff": Scheme("second order without limiter, by Richtmyer's two steps", _lax_wendroff, 2, 0.9, 1.8),
        "muscl": Scheme("second order: MUSCL-Hancock, minmod slopes, Rusanov fluxes", _muscl, 1, 0.5, 1.8),
        "weno5": Scheme("fifth order in space, third in time: WENO5 and Runge-Kutta", _weno5, 3, 0.5, 2.5, 4),
    }
)
"""All schemes by name."""

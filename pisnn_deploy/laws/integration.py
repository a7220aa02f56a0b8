"""Time stepping of float64 solvers.

Laws with a flux: strong-stability-preserving Runge-Kutta of third order (C.-W. Shu and S. Osher, 1988). Laws of
diffusion and reaction alone: Runge-Kutta-Legendre of second order (C. D. Meyer, D. S. Balsara, T. D. Aslam, 2014), with
as many stages as the time step needs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.laws.finite_volumes import FiniteVolumes, Pace

Field = NDArray[np.float64]
Rates = Callable[[Field, float], Field]
"""Rates of change of a state at a time."""
Longest = Callable[[Field], tuple[float, int]]
Advance = Callable[[Field, float, float, int], Field]

COURANT = 0.5
_REAL_AXIS = 2.5
"""Stability limit of the third-order method for decaying modes."""
_REACTION = 0.25
"""Largest product of time step and rate of reaction, for accuracy."""
_MOST_STAGES = 31
_FEWEST_STEPS, _FEWEST_AT_KINKS = 64, 640
"""Time steps, at least, of a law without flux: of a smooth one, and of one with kinks, such as the level of melting
ice, at which long time steps are less accurate."""
MOST_STEPS = 2_000_000
"""Time steps of an integration, at most."""


@dataclass(frozen=True)
class Integrated:
    """A state at a later time, and what it took.

    Attributes
    ----------
    state : float64 array [fields, *shape]
        Cell averages.
    steps, evaluations : int
        Time steps, and evaluations of the rates of change.
    """

    state: Field
    steps: int
    evaluations: int


def integrate(volumes: FiniteVolumes, state: Field, time: float, coarseness: float = 1.0) -> Integrated:
    """Integrate over a time, with time steps from the speeds and decay rates of the state.

    Parameters
    ----------
    volumes : FiniteVolumes
        Rates of change.
    state : float64 array [fields, *shape]
        Cell averages at the start.
    time : float
        How far, at least 0.
    coarseness : float
        Factor of those limits of the time step that do not depend on the grid.

    Raises
    ------
    UsageError
        The state becomes infinite or NaN, or more than `MOST_STEPS` time steps are needed.
    """
    has_flux = bool(volumes.terms.axes_with_flux)

    def advance(before: Field, now: float, step: float, stages: int) -> Field:
        if has_flux:
            return third_order(volumes.rates_at, before, now, step)
        return legendre(volumes.rates_at, before, now, step, stages)

    return march(state, time, lambda before: _step(volumes, before, time, coarseness), advance)


def march(state: Field, time: float, longest: Longest, advance: Advance) -> Integrated:
    """Take time steps as long as allowed, the last ones equal so that they end at the time.

    Parameters
    ----------
    longest : callable
        Longest time step from a state, and evaluations of the rates that it takes.
    advance : callable
        State after a time step, from the state before, its time, the time step and its evaluations.

    Raises
    ------
    UsageError
        The state becomes infinite or NaN, or more than `MOST_STEPS` time steps are needed.
    """
    with np.errstate(all="ignore"):
        return _marched(state, time, longest, advance)


def _marched(state: Field, time: float, longest: Longest, advance: Advance) -> Integrated:
    left, steps, evaluations = time, 0, 0
    while left > 0:
        step, stages = longest(state)
        if not step > 0 or steps >= MOST_STEPS or left / step > MOST_STEPS:
            raise UsageError(
                f"reference: at time {time - left:.6g} the solver needs a time step of {step:.3g}; "
                "choose a coarser mesh or a shorter time, or check the law and its initial values"
            )
        count = max(1, math.ceil(left / step * (1 - 1e-12)))
        step = left / count
        state = advance(state, time - left, step, stages)
        left = left - step if count > 1 else 0.0
        steps, evaluations = steps + 1, evaluations + stages
        if not np.isfinite(state.sum()):
            raise UsageError(
                f"reference: the solver's values are not finite at time {time - left:.6g}; "
                "check the law and its initial values, or choose a shorter time"
            )
    return Integrated(state, steps, evaluations)


def expected_evaluations(volumes: FiniteVolumes, state: Field, time: float) -> float:
    """Evaluations of the rates that `integrate` needs if the time step stays that of the start."""
    step, stages = _step(volumes, state, time, 1.0)
    return time / step * stages


def _step(volumes: FiniteVolumes, state: Field, time: float, coarseness: float) -> tuple[float, int]:
    """Longest time step, and evaluations of the rates in it."""
    pace = volumes.pace(state)
    accurate = coarseness * _REACTION / pace.reaction if pace.reaction else math.inf
    if volumes.terms.axes_with_flux:
        return min(explicit_step(pace, COURANT), accurate), 3
    fewest = _FEWEST_AT_KINKS if volumes.terms.has_kinks else _FEWEST_STEPS
    return _legendre_step(pace, min(accurate, coarseness * time / fewest))


def explicit_step(pace: Pace, courant: float, real_axis: float = _REAL_AXIS) -> float:
    """Longest stable time step of an explicit method.

    Parameters
    ----------
    courant : float
        Largest part of a cell that a wave passes in a time step.
    real_axis : float
        Largest product of time step and decay rate.
    """
    rate = pace.flow / courant + (pace.diffusion + pace.reaction) / real_axis
    return 1 / rate if rate else math.inf


def _legendre_step(pace: Pace, accurate: float) -> tuple[float, int]:
    """Time step and number of stages: as long as accuracy and the most stages allow."""
    rate = pace.diffusion + pace.reaction
    step = min(accurate, (_MOST_STAGES**2 + _MOST_STAGES - 2) / 2 / rate) if rate else accurate
    stages = math.ceil((math.sqrt(9 + 8 * step * (pace.diffusion + pace.reaction)) - 1) / 2)
    return step, max(3, stages | 1)


def third_order(rates: Rates, state: Field, now: float, step: float) -> Field:
    """A time step of the third-order method."""
    first = state + step * rates(state, now)
    second = 0.75 * state + 0.25 * (first + step * rates(first, now + step))
    return np.asarray(state / 3 + 2 / 3 * (second + step * rates(second, now + step / 2)), np.float64)


def legendre(rates: Rates, state: Field, now: float, step: float, stages: int) -> Field:
    """A time step of the Legendre method of second order, stable for decay rates up to ``(s^2 + s - 2) / 2 / step``."""
    b = [1 / 3, 1 / 3, *((j * j + j - 2) / (2 * j * (j + 1)) for j in range(2, stages + 1))]
    scale = 4 / (stages * stages + stages - 2)
    # Parts of the step after which the stages are.
    at = [0.0, b[1] * scale, *((j * j + j - 2) * scale / 4 for j in range(2, stages + 1))]
    start = step * rates(state, now)
    before, current = state, state + b[1] * scale * start
    for j in range(2, stages + 1):
        mu, nu = (2 * j - 1) / j * b[j] / b[j - 1], -(j - 1) / j * b[j] / b[j - 2]
        gamma = -(1 - b[j - 1]) * mu * scale
        change = step * rates(current, now + at[j - 1] * step)
        following = mu * current + nu * before + (1 - mu - nu) * state + mu * scale * change + gamma * start
        before, current = current, following
    return current

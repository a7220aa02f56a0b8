"""Exact solutions by name. Each checks that the recipe poses its problem, and refuses otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.laws import exact_diffusion, exact_transport, exact_waves
from pisnn_deploy.laws.assumptions import Averages, TooLate, Unfit, require_steady
from pisnn_deploy.laws.cole_hopf import cole_hopf
from pisnn_deploy.laws.finite_volumes import FiniteVolumes
from pisnn_deploy.laws.grid import Grid
from pisnn_deploy.laws.solution_names import SOLVER
from pisnn_deploy.laws.spec import LawSpec
from pisnn_deploy.laws.start import Solution, grid_of, initial, stacked

_STILL = 1e-12
"""Largest rate of change of a state at rest."""
_QUADRATURE = 1e-6
"""Largest difference between the start of a recipe and that of an exact solution, relative to the field's range."""


class NoLongerExact(UsageError):
    """A time to which the exact solution of a recipe does not reach.

    Attributes
    ----------
    reason : str
        Why, such as ``"by time 2 there is a shock"``.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return type(self), (str(self), self.reason)


@dataclass(frozen=True)
class ExactSolution:
    """An exact solution.

    Attributes
    ----------
    description : str
        What it is the solution of.
    averages : callable
        Cell averages of a recipe on a grid at a time; raises `Unfit` if the recipe poses another problem.
    """

    description: str
    averages: Callable[[LawSpec, Grid, float], Averages]


def _rest(spec: LawSpec, grid: Grid, time: float) -> Averages:
    """The start, if no term of the law moves it."""
    start = stacked(spec, initial(spec, grid.shape))
    rates = np.abs(FiniteVolumes(spec.parsed(), grid, spec.conditions).rates(start)).max()
    if not rates <= _STILL:
        raise Unfit(f"the start changes at a rate of {rates:.3g}")
    return Averages(start, float(rates) * time)


SOLUTIONS: Mapping[str, ExactSolution] = MappingProxyType(
    {
        "barenblatt": ExactSolution(
            "Barenblatt's profile of the porous medium equation on a line", exact_diffusion.barenblatt
        ),
        "characteristics": ExactSolution(
            "a scalar law on a periodic line, before it forms a shock", exact_transport.characteristics
        ),
        "cole-hopf": ExactSolution(
            "viscous Burgers flow on a periodic line, or along the diagonal of a square", cole_hopf
        ),
        "gaussian": ExactSolution(
            "a Gaussian that is carried and spreads, far from all sides", exact_diffusion.gaussian
        ),
        "linear-waves": ExactSolution("linear waves on a periodic line", exact_waves.linear_waves),
        "modes": ExactSolution("linear transport and diffusion between periodic sides or walls", exact_diffusion.modes),
        "rest": ExactSolution("a state that no term moves", _rest),
        "riemann": ExactSolution("a jump of a scalar law with a convex or concave flux", exact_transport.riemann),
        "stoker": ExactSolution("a dam break of shallow water over a flat bed", exact_waves.stoker),
        "travelling-wave": ExactSolution(
            "the travelling wave of viscous Burgers flow", exact_transport.travelling_wave
        ),
    }
)
"""All exact solutions by name."""


def exact(spec: LawSpec, shape: tuple[int, ...], time: float) -> Solution | None:
    """Exact cell averages at a time, by the solution that a recipe names.

    Returns
    -------
    Solution or None
        The errors bound quadrature and rounding. None if the recipe names no exact solution.

    Raises
    ------
    NoLongerExact
        The solution does not reach to that time.
    UsageError
        The recipe poses another problem.
    """
    name = spec.reference
    if name is None or name == SOLVER:
        return None
    grid, fields = grid_of(spec, shape), spec.parsed().fields
    try:
        require_steady(spec)
        averages = SOLUTIONS[name].averages(spec, grid, time)
        at_start = SOLUTIONS[name].averages(spec, grid, 0.0) if time > 0 else averages
        apart = _apart_at_start(spec, grid, at_start)
    except Unfit as error:
        message = f"reference: {name} is {SOLUTIONS[name].description}, but {error}; use solver"
        raise (NoLongerExact(message, str(error)) if isinstance(error, TooLate) else UsageError(message)) from error
    values = dict(zip(fields, averages.values, strict=True))
    return Solution(values, dict.fromkeys(fields, averages.error + apart), f"exact solution {name}")


def _apart_at_start(spec: LawSpec, grid: Grid, averages: Averages) -> float:
    """Largest difference between the recipe's start and that of a solution; refused if it is more than quadrature's."""
    largest = 0.0
    start = stacked(spec, initial(spec, grid.shape))
    for name, values, expected in zip(spec.parsed().fields, averages.values, start, strict=True):
        lower, upper = spec.range[name]
        apart = float(np.abs(values - expected).max())
        if not apart <= _QUADRATURE * (upper - lower) + averages.error:
            raise Unfit(f"initial.{name} differs from its start by {apart:.3g}")
        largest = max(largest, apart)
    return largest

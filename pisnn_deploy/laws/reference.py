"""Reference solutions by finite volumes of high order on a finer grid, in float64."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.laws.finite_volumes import FiniteVolumes
from pisnn_deploy.laws.grid import averaged_down
from pisnn_deploy.laws.integration import Integrated, expected_evaluations, integrate
from pisnn_deploy.laws.spec import LawSpec
from pisnn_deploy.laws.start import Field, Solution, grid_of, initial, stacked

FINER, FINER_AT_LEAST = 4, 2
"""Cells of the finer grid per cell and axis: as a rule, and where that would take too long."""
MOST_UPDATES = 4e8
"""Cells times axes times fields times evaluations of the rates of a solution; about a minute."""


@dataclass(frozen=True)
class Reference(Solution):
    """A solution by the solver.

    Attributes
    ----------
    factor : int
        Cells of its grid per cell and axis.
    steps : int
        Time steps.
    """

    factor: int
    steps: int


def reference(spec: LawSpec, shape: tuple[int, ...], time: float, factor: int | None = None) -> Reference:
    """Cell averages at a time, from a finer grid.

    Parameters
    ----------
    spec : LawSpec
        The law and its problem.
    shape : tuple of int
        Mesh of the result.
    time : float
        Time of the result.
    factor : int, optional
        Even number of cells of the finer grid per cell and axis (default: `FINER`, or `FINER_AT_LEAST` on more than one
        axis if that takes more than `MOST_UPDATES`).

    Returns
    -------
    Reference
        The errors are the largest differences to a solution on half the finer grid with time steps twice as long: more
        than the error itself by the factor that it shrinks per halving.

    Raises
    ------
    UsageError
        The solver fails, see `integrate`.
    """
    if factor is None:
        factor = FINER
        if len(shape) > 1 and updates(spec, shape, time, FINER) > MOST_UPDATES:
            factor = FINER_AT_LEAST
    fine, coarse = (solved(spec, _finer(shape, factor // part), time, part) for part in (1, 2))
    names = spec.parsed().fields
    fields = {name: averaged_down(values, factor) for name, values in zip(names, fine.state, strict=True)}
    _require_plausible(spec, fields)
    halved = {name: averaged_down(values, factor // 2) for name, values in zip(names, coarse.state, strict=True)}
    errors = {name: float(np.abs(fields[name] - halved[name]).max()) for name in names}
    basis = f"WENO5 on {'x'.join(map(str, _finer(shape, factor)))} cells, compared with half as many per axis"
    return Reference(fields, errors, basis, factor, fine.steps)


def _require_plausible(spec: LawSpec, fields: Mapping[str, Field]) -> None:
    """Refuse values that left the operating range by more than its width: the law need not be well-posed there."""
    for name, (lower, upper) in spec.range.items():
        farthest = max(fields[name].flat, key=lambda value: abs(value - (lower + upper) / 2))
        if abs(farthest - (lower + upper) / 2) > 1.5 * (upper - lower):
            raise UsageError(
                f"the solver of the reference leaves the operating range: {name} reaches {farthest:g}, expected "
                f"{lower:g} to {upper:g}"
            )


def solved(spec: LawSpec, shape: tuple[int, ...], time: float, coarseness: float = 1.0) -> Integrated:
    """Solution by WENO5 on a mesh itself; see `integrate`."""
    volumes = FiniteVolumes(spec.parsed(), grid_of(spec, shape), spec.conditions)
    return integrate(volumes, stacked(spec, initial(spec, shape)), time, coarseness)


def _finer(shape: tuple[int, ...], factor: int) -> tuple[int, ...]:
    return tuple(count * factor for count in shape)


def updates(spec: LawSpec, shape: tuple[int, ...], time: float, factor: int) -> float:
    """Expected work of a solution on a finer grid, from the time step at the start."""
    shape = _finer(shape, factor)
    volumes = FiniteVolumes(spec.parsed(), grid_of(spec, shape), spec.conditions)
    state = stacked(spec, initial(spec, shape))
    return state.size * len(shape) * expected_evaluations(volumes, state, time)

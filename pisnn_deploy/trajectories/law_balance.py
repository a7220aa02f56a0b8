"""Local balance of fields against a law: how much of each cell's change the law's own fluxes do not explain.

The fluxes are those of `pisnn_deploy.laws.finite_volumes`, at both ends of a step. The solver that made a trajectory
may discretise otherwise, so the rest is a size and no verdict. It is given for the rule that leaves least.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.laws.conditions import Conditions
from pisnn_deploy.laws.finite_volumes import FiniteVolumes
from pisnn_deploy.laws.grid import Grid
from pisnn_deploy.laws.law import Law
from pisnn_deploy.trajectories.content import cell_text
from pisnn_deploy.trajectories.sums import Field

RULES: Final = {"explicit": (1.0, 0.0), "implicit": (0.0, 1.0), "trapezoidal": (0.5, 0.5)}
"""Shares of the rates before and after a step, by name."""
ORDERS: Final[tuple[Literal[2, 4], ...]] = (2, 4)
STANDS_OUT = 10.0
"""A step stands out if its largest rest is so many times the median of all steps."""
_FEW = 5
"""Steps below which no median is taken."""


@dataclass(frozen=True)
class LawBalance:
    """Change of the cells that the fluxes of a law do not explain.

    Attributes
    ----------
    order : int
        Order of the gradients that leave least.
    rule : str
        Rule in time that leaves least, a key of `RULES`.
    unexplained : float
        Root mean square of the rest over that of the change, over all cells and steps; 0 if nothing changes.
    largest : float64 array [steps]
        Largest rest of a cell in each step, as a rate of the field.
    worst : (int, tuple of int)
        Step, from 1, and cell of the largest rest.
    stands_out : (int, tuple of int), or None
        First step, and its cell, whose largest rest is `STANDS_OUT` times the median of all steps.
    """

    order: int
    rule: str
    unexplained: float
    largest: Field
    worst: tuple[int, tuple[int, ...]]
    stands_out: tuple[int, tuple[int, ...]] | None


def law_balances(
    law: Law, grid: Grid, conditions: Conditions, fields: Sequence[Field], times: Field
) -> list[LawBalance]:
    """Compare the change of each field with a law.

    Parameters
    ----------
    fields : sequence of array [rows, *shape]
        Cell averages, in the order of the law's fields.
    times : float64 array [rows]
        Ascending.

    Returns
    -------
    list of LawBalance
        One for each field.
    """
    rates = {order: _rates(FiniteVolumes(law, grid, conditions, order), fields, times) for order in ORDERS}
    widths = np.diff(times)
    balances = []
    for number, field in enumerate(fields):
        change = np.diff(field.astype(np.float64), axis=0) / widths.reshape(-1, *(1,) * (field.ndim - 1))
        rests = {
            (order, rule): change - before * rates[order][:-1, number] - after * rates[order][1:, number]
            for order in ORDERS
            for rule, (before, after) in RULES.items()
        }
        (order, rule), rest = min(rests.items(), key=lambda item: _mean_square(item[1]))
        balances.append(_balance(order, rule, rest, change))
    return balances


def _rates(volumes: FiniteVolumes, fields: Sequence[Field], times: Field) -> Field:
    """Rates of all fields in each row, float64 [rows, fields, *shape]."""
    rows = zip(*(field.astype(np.float64) for field in fields), strict=True)
    with np.errstate(all="ignore"):
        rates = np.stack([volumes.rates_at(np.stack(row), float(time)) for row, time in zip(rows, times, strict=True)])
    if not np.isfinite(rates).all():
        row, number, *cell = (int(index) for index in np.argwhere(~np.isfinite(rates))[0])
        name = volumes.terms.law.fields[number]
        raise UsageError(
            f"the law has no finite rate of {name} in row {row}, cell {cell_text(tuple(cell))}; check that the fields "
            "are those of the law"
        )
    return rates


def _balance(order: int, rule: str, rest: Field, change: Field) -> LawBalance:
    sizes = np.abs(rest).reshape(len(rest), -1)
    cells, largest = sizes.argmax(axis=1), sizes.max(axis=1)

    def place(step: int) -> tuple[int, tuple[int, ...]]:
        return step + 1, tuple(int(index) for index in np.unravel_index(cells[step], rest.shape[1:]))

    beyond = np.flatnonzero(largest > STANDS_OUT * np.median(largest)) if len(largest) >= _FEW else np.zeros(0, int)
    whole = _mean_square(change)
    unexplained = float(np.sqrt(_mean_square(rest) / whole)) if whole else 0.0
    first = place(int(beyond[0])) if beyond.size else None
    return LawBalance(order, rule, unexplained, largest, place(int(largest.argmax())), first)


def _mean_square(values: Field) -> float:
    return float(np.mean(values**2))

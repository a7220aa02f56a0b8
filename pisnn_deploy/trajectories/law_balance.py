"""Local balance of fields against a law: how much of each cell's change the law's own fluxes do not explain.

The fluxes are those of `pisnn_deploy.laws.finite_volumes`, at both ends of a step. The solver that made a trajectory
may discretise otherwise, so the rest is a size and no verdict. It is given for the rule that leaves least.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    solvers = {order: FiniteVolumes(law, grid, conditions, order) for order in ORDERS}
    rests = {(order, rule): _Rests(len(fields), len(times) - 1) for order in ORDERS for rule in RULES}
    changes = np.zeros(len(fields))
    before = _row(fields, 0)
    rates_before = {order: _rates(solver, before, 0, times) for order, solver in solvers.items()}
    # One step after the other: all rows with all their rates may not fit into memory.
    for step in range(len(times) - 1):
        after = _row(fields, step + 1)
        rates_after = {order: _rates(solver, after, step + 1, times) for order, solver in solvers.items()}
        change = (after - before) / (times[step + 1] - times[step])
        changes += _squares(change)
        for (order, rule), kept in rests.items():
            first, second = RULES[rule]
            kept.add(step, change - first * rates_before[order] - second * rates_after[order])
        before, rates_before = after, rates_after
    return [_balance(rests, float(changes[number]), number, grid.shape) for number in range(len(fields))]


class _Rests:
    """What one order and rule leave of each step, by field.

    Parameters
    ----------
    fields, steps : int
        Numbers of fields and steps.
    """

    def __init__(self, fields: int, steps: int) -> None:
        self.squares = np.zeros(fields)
        self.largest = np.zeros((steps, fields))
        self.cells = np.zeros((steps, fields), np.int64)

    def add(self, step: int, rest: Field) -> None:
        """Take the rest of a step, float64 [fields, *shape]."""
        sizes = np.abs(rest).reshape(len(rest), -1)
        self.squares += _squares(rest)
        self.largest[step], self.cells[step] = sizes.max(axis=1), sizes.argmax(axis=1)


def _row(fields: Sequence[Field], row: int) -> Field:
    return np.stack([field[row].astype(np.float64) for field in fields])


def _rates(volumes: FiniteVolumes, state: Field, row: int, times: Field) -> Field:
    """Rates of all fields in a row, float64 [fields, *shape]."""
    with np.errstate(all="ignore"):
        rates = volumes.rates_at(state, float(times[row]))
    if not np.isfinite(rates).all():
        number, *cell = (int(index) for index in np.argwhere(~np.isfinite(rates))[0])
        name = volumes.terms.law.fields[number]
        raise UsageError(
            f"the law has no finite rate of {name} in row {row}, cell {cell_text(tuple(cell))}; check that the fields "
            "are those of the law"
        )
    return rates


def _balance(
    rests: Mapping[tuple[Literal[2, 4], str], _Rests], change: float, number: int, shape: tuple[int, ...]
) -> LawBalance:
    """Balance of a field by the order and rule that leave least."""
    (order, rule), kept = min(rests.items(), key=lambda item: float(item[1].squares[number]))
    largest, cells = kept.largest[:, number], kept.cells[:, number]

    def place(step: int) -> tuple[int, tuple[int, ...]]:
        return step + 1, tuple(int(index) for index in np.unravel_index(cells[step], shape))

    beyond = np.flatnonzero(largest > STANDS_OUT * np.median(largest)) if len(largest) >= _FEW else np.zeros(0, int)
    unexplained = float(np.sqrt(kept.squares[number] / change)) if change else 0.0
    first = place(int(beyond[0])) if beyond.size else None
    return LawBalance(order, rule, unexplained, largest, place(int(largest.argmax())), first)


def _squares(values: Field) -> Field:
    """Sum of the squares of each field."""
    return np.asarray((values**2).reshape(len(values), -1).sum(axis=1))

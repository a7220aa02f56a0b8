"""Global balance of a field: what its total changes by in each step, beside what rounding allows."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.trajectories.content import Array
from pisnn_deploy.trajectories.sums import Field, total_of

OPERATIONS = 4
"""Roundings allowed for each cell in each step of a solver."""


@dataclass(frozen=True)
class Rounding:
    """What rounding may do to sums.

    Attributes
    ----------
    unit : float
        Unit roundoff of the stored numbers; 0 for integers.
    substeps : int
        Solver steps between two rows.
    tolerance : float or None
        Share of `scale` that may drift in place of what rounding allows.
    """

    unit: float
    substeps: int = 1
    tolerance: float | None = None


def unit_roundoff(dtype: np.dtype[Any]) -> float:
    """Half the distance from 1 to the next number; 0 for integers."""
    return float(np.finfo(dtype).eps) / 2 if dtype.kind == "f" else 0.0


@dataclass(frozen=True)
class Balance:
    """Totals of a field over time.

    Attributes
    ----------
    totals : tuple of Fraction
        Mass of all cells in each row.
    entered : tuple of Fraction
        What came in through the sides in each step, as the file says; 0 for a closed domain.
    allowed : float64 array [steps]
        Largest change of each step that counts as conserved; 0 for integers.
    typical : float64 array [steps]
        Change of each step by rounding if the errors of all cells are independent.
    scale : float
        Sum of the absolute masses of the cells at the start, or its largest value if that is 0.
    tolerance : float or None
        As for `Rounding`.
    size : float
        Volume of the domain; the number of cells if masses are integers.
    """

    totals: tuple[Fraction, ...]
    entered: tuple[Fraction, ...]
    allowed: Field
    typical: Field
    scale: float
    tolerance: float | None
    size: float

    @property
    def steps(self) -> tuple[Fraction, ...]:
        """Change of each step that nothing explains."""
        pairs = zip(self.totals[:-1], self.totals[1:], self.entered, strict=True)
        return tuple(after - before - entered for before, after, entered in pairs)

    @property
    def drifts(self) -> tuple[Fraction, ...]:
        """Sum of `steps` from the start to each row but the first."""
        sums, total = [], Fraction(0)
        for step in self.steps:
            total += step
            sums.append(total)
        return tuple(sums)

    @property
    def largest_step(self) -> int:
        """Number of the step that changes most, from 1: the row after it."""
        steps = self.steps
        return max(range(len(steps)), key=lambda number: abs(steps[number])) + 1

    @property
    def allowed_drift(self) -> float:
        """Largest drift of the whole run that counts as conserved."""
        return float(self.allowed.sum()) if self.tolerance is None else self.tolerance * self.scale

    @property
    def typical_drift(self) -> float:
        """Drift of the whole run by independent rounding errors."""
        return float(np.sqrt((self.typical**2).sum()))

    @property
    def first_break(self) -> int | None:
        """First step, from 1, that changes more than allowed or ends with a drift that is not; None if none does."""
        sums = np.cumsum(self.allowed)
        for number, (step, drift) in enumerate(zip(self.steps, self.drifts, strict=True)):
            if self.tolerance is not None:
                breaks = abs(drift) > self.tolerance * self.scale
            else:
                breaks = abs(step) > self.allowed[number] or abs(drift) > sums[number]
            if breaks:
                return number + 1
        return None

    @property
    def crmse(self) -> float:
        """Mean over the rows of the distance of the cells' mean value to what start and sides say.

        This is cRMSE of PDEBench for one sample, against a solution that conserves.
        """
        return float(sum(map(abs, self.drifts)) / (len(self.totals) * self.size))

    def relative(self, amount: Fraction | float) -> float:
        """Share of `scale`; 0 if a field is 0 everywhere."""
        return float(amount) / self.scale if self.scale else 0.0


def balance_of(field: Array, volumes: Field | float, entered: NDArray[Any] | None, rounding: Rounding) -> Balance:
    """Sum a field in each row.

    Parameters
    ----------
    field : array [rows, *shape]
        Floats, or integers, which are masses themselves.
    volumes : float64 array [*shape], or float
        Volume of each cell, or of all of them.
    entered : array [steps], or None
        What came in through the sides in each step.
    """
    rows, unit = len(field), rounding.unit
    is_exact = field.dtype.kind != "f"
    weights = volumes if isinstance(volumes, np.ndarray) else None
    factor = Fraction(1 if is_exact or isinstance(volumes, np.ndarray) else volumes)
    totals = tuple(total_of(row, None if is_exact else weights) * factor for row in field)
    inflow = (Fraction(0),) * (rows - 1) if entered is None else tuple(Fraction(each) for each in entered.tolist())
    absolute, squares = np.zeros(rows), np.zeros(rows)
    for number, row in enumerate(field):
        masses = row.astype(np.float64) * (1.0 if is_exact else volumes)
        absolute[number], squares[number] = np.abs(masses).sum(), (masses**2).sum()
    between = rounding.substeps * OPERATIONS
    allowed = unit * between * (absolute[:-1] + absolute[1:]) / 2
    if entered is not None and entered.dtype.kind == "f":
        allowed += unit_roundoff(entered.dtype) * np.abs(entered.astype(np.float64))
    typical = unit * np.sqrt(between * (squares[:-1] + squares[1:]) / 2)
    scale = float(absolute[0] or absolute.max())
    size = field[0].size * (1.0 if is_exact else float(np.mean(volumes)))
    return Balance(totals, inflow, allowed, typical, scale, rounding.tolerance, size)

"""Result of an audit of a trajectory, with the verdict on each field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import CheckError
from pisnn_deploy.core.printable import counted
from pisnn_deploy.trajectories.balance import OPERATIONS, Balance
from pisnn_deploy.trajectories.content import Array, cell_text
from pisnn_deploy.trajectories.law_balance import LawBalance
from pisnn_deploy.trajectories.transported import LocalBalance

SCHEMA, VERSION = "pisnn-deploy-audit", 1
Verdict = Literal["conserved", "violated", "open"]
SUSPICIOUS = 10.0
"""Ratio to independent rounding errors from which on a drift that is allowed is mentioned."""


@dataclass(frozen=True)
class FieldAudit:
    """Audit of one field.

    Attributes
    ----------
    dtype : str
        Type of the stored numbers.
    is_closed : bool
        Whether nothing passes the sides, or the file says what does.
    sides : str
        Why the field is closed or open, for people.
    balance : Balance
        Of the whole domain.
    local : LocalBalance or None
        By the amounts through faces of the file.
    law : LawBalance or None
        By the fluxes of a law.
    crmse : float or None
        Mean over the rows of the distance of the cells' means to those of a reference.
    """

    name: str
    dtype: str
    is_closed: bool
    sides: str
    balance: Balance
    local: LocalBalance | None = None
    law: LawBalance | None = None
    crmse: float | None = None

    @property
    def verdict(self) -> Verdict:
        """``open`` where mass may leave and the file does not say how much."""
        if self.local is not None and self.local.first_break is not None:
            return "violated"
        if not self.is_closed:
            return "open"
        return "violated" if self.balance.first_break is not None else "conserved"

    @property
    def is_exact(self) -> bool:
        """Whether the field is of integers, whose sums are compared with ``==``."""
        return not self.dtype.startswith("float")

    @property
    def doubt(self) -> str:
        """Why an allowed drift may be more than rounding; empty if it is not."""
        balance = self.balance
        drift, typical = abs(balance.drifts[-1]), balance.typical_drift
        if self.verdict != "conserved" or balance.tolerance is not None or drift <= SUSPICIOUS * typical:
            return ""
        return (
            f"the drift is {float(drift) / typical:.0f} times that of independent rounding errors; a small leak would "
            "look like this, and so does rounding that goes one way"
        )

    def broken_text(self, times: NDArray[np.float64] | None) -> str:
        """Where the balance breaks, for people; empty if it does not."""
        texts = []
        first = self.balance.first_break
        if self.is_closed and first is not None:
            step, drift = (
                mass_text(amounts[first - 1], self.is_exact, sign="+")
                for amounts in (self.balance.steps, self.balance.drifts)
            )
            at = f"step {first}{_at(times, first)}"
            texts.append(f"the total changes by {step} in {at}, by {drift} since the start")
        if self.local is not None and self.local.first_break is not None:
            step_number, cell = self.local.first_break
            texts.append(
                f"cell {cell_text(cell)} in step {step_number}{_at(times, step_number)} does not change by what passed "
                f"through its faces ({counted(self.local.broken, 'such change')})"
            )
        return "; ".join(texts)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        balance, local, law = self.balance, self.local, self.law
        number = int if self.is_exact else float
        return {
            "field": self.name,
            "dtype": self.dtype,
            "verdict": self.verdict,
            "sides": self.sides,
            "mass": {
                "initial": number(balance.totals[0]),
                "final": number(balance.totals[-1]),
                "entered": number(sum(balance.entered)),
                "drift": number(balance.drifts[-1]),
                "scale": balance.scale,
            },
            "drift": {
                "relative": balance.relative(balance.drifts[-1]),
                "largest": number(max(balance.drifts, key=abs)),
                "allowed": balance.allowed_drift,
                "typical": balance.typical_drift,
            },
            "step": {
                "largest": number(balance.steps[balance.largest_step - 1]),
                "number": balance.largest_step,
                "relative": balance.relative(balance.steps[balance.largest_step - 1]),
                "allowed": float(balance.allowed[balance.largest_step - 1]),
            },
            "first_break": balance.first_break if self.is_closed else None,
            "steps": [number(step) for step in balance.steps],
            "crmse": balance.crmse if self.is_closed else None,
            "crmse_reference": self.crmse,
            "local": None if local is None else _local(local),
            "law": None if law is None else _law(law),
            "doubt": self.doubt or None,
        }


@dataclass(frozen=True)
class Audit:
    """Audit of a trajectory.

    Attributes
    ----------
    rows : int
        Rows, one more than steps.
    boundary : str
        Condition at the sides, for people.
    lengths_from : str
        Where the size of the cells comes from.
    law : str
        The equations; empty without a law.
    arrays : mapping of str to array
        The fields, for pictures.
    """

    path: Path
    shape: tuple[int, ...]
    rows: int
    times: NDArray[np.float64] | None
    boundary: str
    lengths_from: str
    law: str
    substeps: int
    fields: tuple[FieldAudit, ...]
    arrays: Mapping[str, Array]

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of a field."""
        verdicts = {field.verdict for field in self.fields}
        order: tuple[Verdict, ...] = ("violated", "open", "conserved")
        return next(verdict for verdict in order if verdict in verdicts)

    def require_conserved(self) -> None:
        """Refuse a trajectory that does not conserve.

        Raises
        ------
        CheckError
            A field is violated; the message says where each first breaks.
        """
        broken = [
            f"{field.name}: {field.broken_text(self.times)}" for field in self.fields if field.verdict == "violated"
        ]
        if broken:
            raise CheckError(f"{self.path}: not conserved: {' / '.join(broken)}")

    def to_dict(self) -> dict[str, Any]:
        """Plain data, with the name and version of its schema."""
        return {
            "schema": SCHEMA,
            "version": VERSION,
            "file": str(self.path),
            "verdict": self.verdict,
            "mesh": list(self.shape),
            "rows": self.rows,
            "time": None if self.times is None else [float(self.times[0]), float(self.times[-1])],
            "boundary": self.boundary,
            "cell_sizes": self.lengths_from,
            "law": self.law or None,
            "roundings_per_cell": OPERATIONS,
            "substeps": self.substeps,
            "fields": [field.to_dict() for field in self.fields],
        }


def _local(local: LocalBalance) -> dict[str, Any]:
    return {
        "first_break": _place(local.first_break),
        "worst": _place(local.worst),
        "largest": float(local.largest.max()),
        "broken": local.broken,
    }


def _law(law: LawBalance) -> dict[str, Any]:
    return {
        "unexplained": law.unexplained,
        "rule": law.rule,
        "order": law.order,
        "worst": _place(law.worst),
        "largest": float(law.largest.max()),
        "stands_out": _place(law.stands_out),
    }


def _place(place: tuple[int, tuple[int, ...]] | None) -> dict[str, Any] | None:
    return None if place is None else {"step": place[0], "cell": list(place[1])}


def mass_text(amount: Fraction, is_exact: bool, *, sign: str = "", digits: int = 6) -> str:
    """Format a mass: integers in full, floats with some digits."""
    return f"{int(amount):{sign},}" if is_exact else f"{float(amount):{sign}.{digits}g}"


def _at(times: NDArray[np.float64] | None, step: int) -> str:
    return "" if times is None else f" (to time {times[step]:.6g})"

"""Verdict on a run, computed only from the run's figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Word = Literal["conserved", "violated"]
_LOW = (1 << 32) - 1
_CHUNK_BYTES = 1 << 26
"""Size of the chunks in which rows are read, which may be mapped from disk, in bytes."""


@dataclass(frozen=True)
class Balance:
    """Mass of a set of fields that channels join, in the rows of a run.

    Attributes
    ----------
    fields : tuple of str
        Names of the fields.
    initial, final : int
        Mass of all cells in the first and the last row, in quanta; 0 without rows.
    ledger : int
        Net mass that the reservoirs took from the first to the last row, in quanta.
    adrift : tuple of (int, int)
        PDE step and drift (quanta) of each row whose total differs from the first row's.
    """

    fields: tuple[str, ...] = ()
    initial: int = 0
    final: int = 0
    ledger: int = 0
    adrift: tuple[tuple[int, int], ...] = ()

    @property
    def drift(self) -> int:
        """Change of the total mass of cells and ledgers from the first to the last row, in quanta."""
        return self.final + self.ledger - self.initial

    @property
    def holds(self) -> bool:
        """Whether all rows have the same total mass."""
        return not (self.drift or self.adrift)

    def figures(self) -> dict[str, int]:
        """Return the figures for reports, in quanta.

        Packets in flight count as 0, because both membranes change on arrival.
        """
        return {
            "initial": self.initial,
            "final": self.final,
            "ledger": self.ledger,
            "in_flight": 0,
            "drift": self.drift,
            "rows_adrift": len(self.adrift),
        }


@dataclass(frozen=True)
class Verdict:
    """Verdict on a run.

    Attributes
    ----------
    balances : tuple of Balance
        One for each set of fields that channels join.
    violations : mapping of str to int
        Number of violations by kind.
    failure : str
        Violation that stopped the run, or an empty string.
    """

    balances: tuple[Balance, ...] = ()
    violations: Mapping[str, int] = field(default_factory=dict)
    failure: str = ""

    @property
    def drift(self) -> int:
        """Drift of the set of fields where it is largest, in quanta."""
        return max((balance.drift for balance in self.balances), key=abs, default=0)

    @property
    def conserved(self) -> bool:
        """Whether the run had no violations, and every row has the same total mass of each set of fields."""
        return not self.failure and all(b.holds for b in self.balances) and not any(self.violations.values())

    @property
    def word(self) -> Word:
        """``conserved`` or ``violated``."""
        return "conserved" if self.conserved else "violated"

    @property
    def reason(self) -> str:
        """Why the run is violated, in one sentence; empty if mass is conserved."""
        if self.conserved or self.failure:
            return self.failure
        for balance in self.balances:
            of = f" of {' and '.join(balance.fields)}" if len(self.balances) > 1 else ""
            if balance.adrift:
                step, drift = balance.adrift[0]
                number = len(balance.adrift)
                return (
                    f"the rows of the run do not add up: {drift:+d} quanta{of} at PDE step {step}; wrong rows: {number}"
                )
            if balance.drift:
                return f"the mass{of} of all cells and ledgers changed by {balance.drift:+d} quanta"
        counts = ", ".join(f"{kind} {count}" for kind, count in self.violations.items() if count)
        return f"the audit found violations: {counts}"


def balance_of(
    fields: tuple[str, ...], step: Integers, masses: Sequence[Integers], ledgers: Sequence[Integers]
) -> Balance:
    """Compute the mass balance of fields in the rows of a trace.

    Parameters
    ----------
    fields : tuple of str
        Names of the fields.
    step : int64 array [n]
        PDE step of each row.
    masses : sequence of int64 array [n, cells]
        Masses of each field in quanta.
    ledgers : sequence of int64 array [n, reservoirs]
        Net mass taken by each reservoir since the start, in quanta.
    """
    if not step.size:
        return Balance(fields)
    inside, outside = totals_of(masses), totals_of(ledgers)
    total = inside[0] + outside[0]
    drifts = (cells + ledger - total for cells, ledger in zip(inside, outside, strict=True))
    adrift = tuple((at, drift) for at, drift in zip(step.tolist(), drifts, strict=True) if drift)
    return Balance(fields, inside[0], inside[-1], outside[-1] - outside[0], adrift)


def totals_of(parts: Sequence[Integers]) -> list[int]:
    """Sum of each row of arrays side by side, as Python integers, because it may exceed 64 bits.

    Parameters
    ----------
    parts : sequence of int64 array [n, width]
        At least one.
    """
    return [sum(row) for row in zip(*map(exact_sums, parts), strict=True)]


def exact_sums(rows: Integers) -> list[int]:
    """Sum of each row, as Python integers, because it may exceed 64 bits.

    Parameters
    ----------
    rows : int64 array [n, width]
        Rows to sum.
    """
    return [total for some in _chunks(rows) for total in _sums(some)]


def _sums(rows: Integers) -> Iterator[int]:
    largest = max(int(rows.max(initial=0)), -int(rows.min(initial=0)))
    if largest * rows.shape[1] < 1 << 63:
        yield from rows.sum(axis=1).tolist()
        return
    # Sum halves of 32 bits, which cannot exceed 64 bits for any array in memory.
    high, low = (rows >> 32).sum(axis=1), (rows & _LOW).sum(axis=1)
    yield from ((int(upper) << 32) + int(lower) for upper, lower in zip(high, low, strict=True))


def _chunks(rows: Integers) -> Iterator[Integers]:
    number = max(1, _CHUNK_BYTES // max(1, 8 * rows.shape[1]))
    return (np.asarray(rows[first : first + number]) for first in range(0, len(rows), number))

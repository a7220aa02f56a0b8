"""The verdict on a run, computed from the run's own figures and from nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Word = Literal["conserved", "violated"]
_LOW = (1 << 32) - 1
_CHUNK_BYTES = 1 << 26
"""Rows of a trace may be mapped from disk: so many bytes of them are looked at together."""


@dataclass(frozen=True)
class Verdict:
    """What a run's figures say: ``conserved`` can only be read off figures that say so.

    Attributes
    ----------
    initial, final : int
        Mass of all cells in the first and in the last kept row, in quanta; 0 where no row was kept.
    ledger : int
        What the reservoirs have taken from the first to the last kept row, less what they gave.
    adrift : tuple of (int, int)
        PDE step and drift of each kept row whose total is not that of the first one.
    violations : mapping of str to int
        What the audit counted, by kind.
    failure : str
        The sentence of the violation that stopped the run; empty if none did.
    """

    initial: int = 0
    final: int = 0
    ledger: int = 0
    adrift: tuple[tuple[int, int], ...] = ()
    violations: Mapping[str, int] = field(default_factory=dict)
    failure: str = ""

    @property
    def drift(self) -> int:
        """Quanta by which the mass of all cells and ledgers changed from the first kept row to the last."""
        return self.final + self.ledger - self.initial

    @property
    def conserved(self) -> bool:
        """Whether the run was completed without a violation and no row has gained or lost a quantum."""
        return not (self.failure or self.drift or self.adrift or any(self.violations.values()))

    @property
    def word(self) -> Word:
        """``conserved`` or ``violated``."""
        return "conserved" if self.conserved else "violated"

    @property
    def reason(self) -> str:
        """Why a run is violated, in a sentence; empty for one that is conserved."""
        if self.conserved or self.failure:
            return self.failure
        if self.adrift:
            step, drift = self.adrift[0]
            number = len(self.adrift)
            return f"the rows of the run do not add up: {drift:+d} quanta at PDE step {step}; wrong rows: {number}"
        if self.drift:
            return f"the mass of all cells and ledgers changed by {self.drift:+d} quanta"
        counts = ", ".join(f"{kind} {count}" for kind, count in self.violations.items() if count)
        return f"the audit found violations: {counts}"

    def mass(self) -> dict[str, int]:
        """The figures of the mass as reports have them, in quanta.

        A packet in flight weighs nothing: a membrane gives and takes on arrival.
        """
        return {
            "initial": self.initial,
            "final": self.final,
            "ledger": self.ledger,
            "in_flight": 0,
            "drift": self.drift,
            "rows_adrift": len(self.adrift),
        }


def verdict_of(
    step: Integers, mass: Integers, ledger: Integers, violations: Mapping[str, int], failure: str
) -> Verdict:
    """The verdict on the rows of a trace.

    Parameters
    ----------
    step : int64 array [n]
    mass : int64 array [n, cells]
    ledger : int64 array [n, reservoirs]
    violations : mapping of str to int
    failure : str

    Returns
    -------
    Verdict
    """
    if not step.size:
        return Verdict(violations=violations, failure=failure)
    cells, taken = exact_sums(mass), exact_sums(ledger)
    total = cells[0] + taken[0]
    drifts = (inside + outside - total for inside, outside in zip(cells, taken, strict=True))
    adrift = tuple((at, drift) for at, drift in zip(step.tolist(), drifts, strict=True) if drift)
    return Verdict(cells[0], cells[-1], taken[-1] - taken[0], adrift, violations, failure)


def exact_sums(rows: Integers) -> list[int]:
    """Sum of each row, as Python integers: that of many numbers may not fit in 64 bits.

    Parameters
    ----------
    rows : int64 array [n, width]

    Returns
    -------
    list of int
    """
    return [total for some in _chunks(rows) for total in _sums(some)]


def _sums(rows: Integers) -> Iterator[int]:
    largest = max(int(rows.max(initial=0)), -int(rows.min(initial=0)))
    if largest * rows.shape[1] < 1 << 63:
        yield from rows.sum(axis=1).tolist()
        return
    # Halves of 32 bits: sums of as many as fit in memory stay within 64.
    high, low = (rows >> 32).sum(axis=1), (rows & _LOW).sum(axis=1)
    yield from ((int(upper) << 32) + int(lower) for upper, lower in zip(high, low, strict=True))


def _chunks(rows: Integers) -> Iterator[Integers]:
    number = max(1, _CHUNK_BYTES // max(1, 8 * rows.shape[1]))
    return (np.asarray(rows[first : first + number]) for first in range(0, len(rows), number))

"""The audit: the conservation invariants of a run, in int64, at every time step.

It keeps its own books. It is told what the membranes hold and what the flux compartments fired, and recomputes what
should have happened from the mesh alone, never from the synapses that carried the packets.

* I1 (global): the sum of all masses and ledgers is one constant integer. A packet in flight weighs nothing here,
  because a membrane gives and takes on arrival.
* I2 (local): each membrane changes by exactly the packets that its faces fired, when they arrive, and only then.
* I3 (flux): for each face ``theta * k + r_new - r_old = c``: what did not fire stays in the residue. Between firings
  neither residue nor current may change.
  With a limiter it is ``theta * (k + w) + r_new - r_old = c``: what it withholds, ``w`` packets, is dropped. The audit
  works out from its own masses what each face may take, and so ``w``; it does not take a face's word for it.
* Range: masses and currents stay in the operating range on which the compiler's bounds rest.

A reservoir's membrane is its ledger: it takes part in I1 and I2 like a cell, and has no range.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import InvariantViolation

Integers = NDArray[np.int64]

KINDS = ("global", "local", "flux", "overflow", "range")
"""Kinds of violation, in the order in which reports list them."""

_ANYTHING = 1 << 62
"""What a reservoir may give."""


class Books(NamedTuple):
    """What the memories must hold, int64, as the audit knows it from the packets that were fired.

    Attributes
    ----------
    mass : int64 array [holders]
    current, residue : int64 array [faces]
    """

    mass: Integers
    current: Integers
    residue: Integers


class Audit:
    """Books of one run.

    Parameters
    ----------
    source, target : int64 array [faces]
        Holders that a positive packet leaves and enters: cells, and reservoirs numbered after them.
    threshold_exponent : int
        ``F``; theta is ``2^F``.
    lower, upper : int
        Operating range of the mass of a cell.
    difference : int or None
        Largest allowed difference of the masses on both sides of a face. A reservoir's value counts at half a cell's
        distance.
    current : int or None
        Largest allowed absolute current.
    mass : int64 array [holders]
        Masses and ledgers at the start.
    reservoirs : int64 array [reservoirs]
        Values that reservoirs show.
    residue : int64 array [faces]
        Residues at the start.
    inverse_volume : int64 array [cells], optional
        By which masses are multiplied before they are compared with the operating range, where cells differ.
    initial_current : int64 array [faces], optional
        Currents at the start, 0 unless given.
    share_shift : int, optional
        With a limiter, ``s``: a cell may give ``max(m, 0) >> s`` through a face, and a reservoir anything.

    Attributes
    ----------
    counts : dict of str to int
        Violations found so far, by kind: cells, faces or sums that were wrong, and were not healed.
    packets_sent, quanta_sent : int
        Faces that fired, and the sum of the absolute packets, over all steps.
    """

    def __init__(
        self,
        source: Integers,
        target: Integers,
        threshold_exponent: int,
        lower: int,
        upper: int,
        difference: int | None,
        current: int | None,
        mass: Integers,
        reservoirs: Integers,
        residue: Integers,
        inverse_volume: Integers | None = None,
        initial_current: Integers | None = None,
        share_shift: int | None = None,
    ) -> None:
        self.counts = dict.fromkeys(KINDS, 0)
        self.packets_sent = 0
        self.quanta_sent = 0
        self._source = source
        self._target = target
        self._exponent = threshold_exponent
        self._limits = (lower, upper)
        self._inverse_volume = inverse_volume
        self._share_shift = share_shift
        self._current = current
        self._cells = mass.size - reservoirs.size
        self._reservoirs = reservoirs
        self._steepest: Integers | None = None
        if difference is not None and source.size:
            beside_reservoir = np.maximum(source, target) >= self._cells
            self._steepest = np.where(beside_reservoir, difference // 2, difference)
        self._mass = mass.astype(np.int64, copy=True)
        self._residue = residue.astype(np.int64, copy=True)
        self._flowing = np.zeros_like(self._residue) if initial_current is None else initial_current.astype(np.int64)
        self._in_flight = np.zeros(source.size, np.int64)
        self._total = int(self._mass.sum())
        self._first: InvariantViolation | None = None

    def observe_membranes(self, step: int, mass: Integers, *, absorbing: bool) -> None:
        """Check the membranes after one time step (I1, I2, range).

        Parameters
        ----------
        step : int
            PDE step that the masses belong to.
        mass : int64 array [holders]
        absorbing : bool
            Whether packets arrive in this time step; otherwise nothing may change.

        Raises
        ------
        InvariantViolation
            The first invariant that is broken; all of them are counted.
        """
        if absorbing:
            np.add.at(self._mass, self._target, self._in_flight)
            np.subtract.at(self._mass, self._source, self._in_flight)
            self._in_flight.fill(0)
        self._compare("local", "membrane", step, self._mass, mass)
        total = int(mass.sum())
        if total != self._total:
            self._note(InvariantViolation("global", "mass of all cells and ledgers", -1, step, self._total, total), 1)
        if absorbing:
            self._compare_range(step, mass)
        self._raise_first()

    def observe_flux(self, step: int, packets: Integers, current: Integers, residue: Integers, *, firing: bool) -> None:
        """Check the flux compartments after one time step (I3).

        Parameters
        ----------
        step : int
            PDE step.
        packets, current, residue : int64 array [faces]
            What fired, and the state after firing.
        firing : bool
            Whether compartments fire in this time step; otherwise no packet may leave and no state may change.

        Raises
        ------
        InvariantViolation
            The first invariant that is broken.
        """
        if firing:
            left = packets if self._share_shift is None else packets + self._withheld(step, packets, current, residue)
            holds = self._compare("flux", "flux", step, current, (left << self._exponent) + residue - self._residue)
            if self._current is not None and int(np.abs(current).max(initial=0)) > self._current:
                wrong = np.flatnonzero(np.abs(current) > self._current)
                index = int(wrong[0])
                violation = InvariantViolation("range", "flux current", index, step, self._current, int(current[index]))
                self._note(violation, wrong.size)
            self._in_flight[:] = packets
            self._residue[:] = residue if holds else self._residue + current - (packets << self._exponent)
            self._flowing[:] = current
            self.packets_sent += int(np.count_nonzero(packets))
            self.quanta_sent += int(np.abs(packets).sum())
        else:
            self._compare("flux", "flux residue", step, self._residue, residue)
            self._compare("flux", "flux current", step, self._flowing, current)
            if packets.any():
                self._compare("flux", "flux packet", step, np.zeros_like(packets), packets)
        self._raise_first()

    def heal(self, step: int) -> Books:
        """Forget a violation, because memories are about to be set to what the books say.

        Masses follow from what was fired and arrived (I2). Residues and currents must not have changed between
        firings; where compartments have just fired the current is believed, and the residue is what I3 leaves.

        Parameters
        ----------
        step : int
            PDE step of the violation.

        Returns
        -------
        Books
            The audit's own arrays, which are not to be written.

        Raises
        ------
        InvariantViolation
            The masses of the books are outside the operating range.
        """
        self.counts.update(dict.fromkeys(KINDS, 0))
        self._compare_range(step, self._mass)
        self._raise_first()
        return Books(self._mass, self._flowing, self._residue)

    def _withheld(self, step: int, packets: Integers, current: Integers, residue: Integers) -> Integers:
        """Packets that the limiter must have withheld, by the masses that the audit itself has counted."""
        fired = (current + self._residue - residue) >> self._exponent
        give = np.maximum(self._mass, 0) >> int(self._share_shift or 0)
        give[self._cells :] = _ANYTHING
        allowed = np.where(fired > 0, np.minimum(fired, give[self._source]), -np.minimum(-fired, give[self._target]))
        self._compare("flux", "limited packet", step, allowed, packets)
        withheld: Integers = fired - allowed
        return withheld

    def _compare(self, kind: str, population: str, step: int, expected: Integers, found: Integers) -> bool:
        if np.array_equal(expected, found):
            return True
        wrong = np.flatnonzero(expected != found)
        index = int(wrong[0])
        self._note(
            InvariantViolation(kind, population, index, step, int(expected[index]), int(found[index])), wrong.size
        )
        return False

    def _compare_range(self, step: int, holdings: Integers) -> None:
        lower, upper = self._limits
        cells = holdings[: self._cells]
        mass = cells if self._inverse_volume is None else cells * self._inverse_volume
        if int(mass.min()) < lower or int(mass.max()) > upper:
            wrong = np.flatnonzero((mass < lower) | (mass > upper))
            index, found = int(wrong[0]), int(mass[wrong[0]])
            limit = lower if found < lower else upper
            self._note(InvariantViolation("range", "membrane", index, step, limit, found), wrong.size)
        if self._steepest is not None:
            values = np.concatenate([mass, self._reservoirs]) if self._reservoirs.size else mass
            steepness = np.abs(values[self._target] - values[self._source])
            wrong = np.flatnonzero(steepness > self._steepest)
            if wrong.size:
                index = int(wrong[0])
                limit = int(self._steepest[index])
                violation = InvariantViolation(
                    "range", "difference across face", index, step, limit, int(steepness[index])
                )
                self._note(violation, wrong.size)

    def _note(self, violation: InvariantViolation, count: int) -> None:
        self.counts[violation.kind] += count
        if self._first is None:
            self._first = violation

    def _raise_first(self) -> None:
        if self._first is not None:
            first, self._first = self._first, None
            raise first

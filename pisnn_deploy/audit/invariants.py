"""Conservation invariants of a run, checked in int64 in every time step.

The audit keeps its own copy of masses, currents and residues. From observed packets it computes the expected values
with the ends of the channels alone, never with the synapses that carry the packets.

* I1 (global): the sum of all masses and ledgers that channels join is constant. Packets in flight do not count, because
  both holders change on arrival.
* I2 (local): each holder changes by exactly the packets of its channels, when they arrive, and only then.
* I3 (flux): for each channel with a residue ``theta * k + r_new - r_old = c``: the part that did not fire stays in the
  residue. Between firings neither residue nor current may change.
  If a program withholds packets that fired, it is ``theta * (k + w) + r_new - r_old = c``: the ``w`` withheld packets
  are dropped. The audit computes ``w`` from the program and its own masses, independently of the channel.
* Range: masses and currents stay within the operating range, on which the compiler's bounds depend.

The holder of a reservoir is its ledger: it takes part in I1 and I2 like a cell, and has no range. Holders of several
fields form one list, field by field, each with its cells followed by its reservoirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.audit.facts import ChannelFacts, FieldFacts, channel_facts, field_facts
from pisnn_deploy.audit.firing import Firing
from pisnn_deploy.core.errors import InvariantViolation
from pisnn_deploy.graph.integer import IntegerGraph

Integers = NDArray[np.int64]

KINDS = ("global", "local", "flux", "overflow", "range")
"""Kinds of violations, in the order of reports."""


class Start(Protocol):
    """Start of a run: int64 arrays [holders] of all fields, and [channels] of all populations of channels."""

    @property
    def mass(self) -> Integers:
        """Masses and ledgers, field by field, in quanta."""

    @property
    def current(self) -> Integers:
        """Currents of all channels, in flux units."""

    @property
    def residue(self) -> Integers:
        """Residues of all channels, in flux units."""

    @property
    def packets_sent(self) -> int:
        """Number of packets sent so far."""

    @property
    def quanta_sent(self) -> int:
        """Sum of the absolute packets so far."""


class Books(NamedTuple):
    """Expected contents of all memories, computed from observed packets.

    Attributes
    ----------
    mass : int64 array [holders]
        Masses and ledgers, in quanta.
    current, residue : int64 array [faces]
        Values of all channels, in flux units.
    """

    mass: Integers
    current: Integers
    residue: Integers


@dataclass(frozen=True)
class _ChannelBooks:
    """Expected states of the channels of one population, and their packets in flight."""

    facts: ChannelFacts
    residue: Integers
    current: Integers
    in_flight: Integers


@dataclass(frozen=True)
class _Sum:
    """Total mass of fields that channels join."""

    name: str
    holders: tuple[slice, ...]
    total: int

    def of(self, mass: Integers) -> int:
        return sum(int(np.add.reduce(mass[part])) for part in self.holders)


class Audit:
    """Audit of one run.

    Parameters
    ----------
    graph : IntegerGraph
        The graph that runs.
    start : Start
        Start of the run.

    Attributes
    ----------
    counts : dict of str to int
        Violations so far that were not repaired, by kind; counts wrong cells, faces or sums.
    packets_sent, quanta_sent : int
        Number of packets, and sum of their absolute values, over all steps.

    Raises
    ------
    UsageError
        If a channel withholds packets in a way that cannot be recomputed.
    """

    def __init__(self, graph: IntegerGraph, start: Start) -> None:
        self.counts = dict.fromkeys(KINDS, 0)
        self.packets_sent, self.quanta_sent = start.packets_sent, start.quanta_sent
        self._fields = field_facts(graph)
        self._mass = start.mass.astype(np.int64, copy=True)
        self._channels = tuple(_channel_books(channel_facts(graph), start))
        self._sums = tuple(_sums(self._fields, self._channels, self._mass))
        self._has_slopes = any(books.facts.steepest is not None for books in self._channels)
        self._first: InvariantViolation | None = None

    def observe_membranes(self, step: int, mass: Integers, *, absorbing: bool) -> None:
        """Check the holders after one time step (I1, I2, range).

        Parameters
        ----------
        step : int
            PDE step of the masses.
        mass : int64 array [holders]
            Masses and ledgers, in quanta.
        absorbing : bool
            Whether packets arrive in this time step; otherwise nothing may change.

        Raises
        ------
        InvariantViolation
            The first violation; all of them are counted.
        """
        if absorbing:
            for channels in self._channels:
                np.add.at(self._mass, channels.facts.target, channels.in_flight)
                np.subtract.at(self._mass, channels.facts.source, channels.in_flight)
                channels.in_flight.fill(0)
        for facts in self._fields:
            self._compare("local", facts.field.holder, step, self._mass[facts.holders], mass[facts.holders])
        for expected in self._sums:
            total = expected.of(mass)
            if total != expected.total:
                self._note(InvariantViolation("global", expected.name, -1, step, expected.total, total), 1)
        if absorbing:
            self._compare_range(step, mass)
        self._raise_first()

    def observe_flux(
        self, step: int, packets: Integers, current: Integers, residue: Integers, *, firing: bool, number: int = 0
    ) -> None:
        """Check the channels at one output of a population after one time step (I3).

        Parameters
        ----------
        step : int
            PDE step.
        packets, current, residue : int64 array [channels]
            Packets, and states after firing.
        firing : bool
            Whether these channels fire in this time step; otherwise packets must be 0 and states unchanged.
        number : int
            Index of the channels in the graph.

        Raises
        ------
        InvariantViolation
            The first violation.
        """
        books = self._channels[number]
        facts = books.facts
        rule = facts.firing
        if firing:
            if rule is not None:
                self._compare_firing(books, rule, step, packets, current, residue)
            else:  # without I3 there are no expected values
                books.residue[:], books.current[:] = residue, current
            self._compare_current(facts, step, current)
            books.in_flight[:] = packets
            self.packets_sent += int(np.count_nonzero(packets))
            self.quanta_sent += int(np.add.reduce(np.abs(packets)))
        else:
            if rule is not None:
                self._compare("flux", f"{facts.population} residue", step, books.residue, residue)
                self._compare("flux", f"{facts.population} current", step, books.current, current)
            if np.count_nonzero(packets):
                self._compare("flux", f"{facts.population} packet", step, np.zeros_like(packets), packets)
        self._raise_first()

    def _compare_firing(
        self, books: _ChannelBooks, rule: Firing, step: int, packets: Integers, current: Integers, residue: Integers
    ) -> None:
        """Check I3, and update the expected states."""
        facts, left = books.facts, packets
        if facts.limiter is not None:
            fired = (current + books.residue - residue) >> rule.exponent
            allowed = facts.limiter.allowed(fired, self._sent_mass())
            self._compare("flux", "limited packet", step, allowed, packets)
            left = packets + (fired - allowed)
        expected = (left << rule.exponent) + residue - books.residue
        holds = self._compare("flux", facts.population, step, current, expected)
        books.residue[:] = residue if holds else books.residue + current - (packets << rule.exponent)
        books.current[:] = current

    def _compare_current(self, facts: ChannelFacts, step: int, current: Integers) -> None:
        """Check the largest current."""
        if facts.current is not None and np.maximum.reduce(np.abs(current), initial=0) > facts.current:
            wrong = np.flatnonzero(np.abs(current) > facts.current)
            index = int(wrong[0])
            name, value = f"{facts.population} current", int(current[index])
            self._note(InvariantViolation("range", name, index, step, facts.current, value), wrong.size)

    @property
    def books(self) -> Books:
        """Expected contents of all memories (read-only)."""
        currents, residues = ([getattr(books, name) for books in self._channels] for name in ("current", "residue"))
        return Books(self._mass, np.concatenate(currents), np.concatenate(residues))

    def heal(self, step: int) -> None:
        """Reset the violations, before the memories are overwritten with `books`.

        Masses follow from the packets (I2). Residues and currents are those of the last firing; if channels have just
        fired, their current is trusted and the residue follows from I3.

        Parameters
        ----------
        step : int
            PDE step of the violation.

        Raises
        ------
        InvariantViolation
            If the expected masses are outside the operating range.
        """
        self.counts.update(dict.fromkeys(KINDS, 0))
        self._compare_range(step, self._mass)
        self._raise_first()

    def _sent_mass(self) -> Integers:
        """Masses that holders send; reservoirs send 0."""
        sent = np.zeros_like(self._mass)
        for facts in self._fields:
            sent[facts.cells] = self._mass[facts.cells]
        return sent

    def _compare(self, kind: str, population: str, step: int, expected: Integers, actual: Integers) -> bool:
        if np.array_equal(expected, actual):
            return True
        wrong = np.flatnonzero(expected != actual)
        index = int(wrong[0])
        self._note(
            InvariantViolation(kind, population, index, step, int(expected[index]), int(actual[index])), wrong.size
        )
        return False

    def _compare_range(self, step: int, holdings: Integers) -> None:
        for facts in self._fields:
            window, values = facts.field.window, facts.field.levels(holdings[facts.cells])
            if np.minimum.reduce(values) < window.lower or np.maximum.reduce(values) > window.upper:
                wrong = np.flatnonzero((values < window.lower) | (values > window.upper))
                index, value = int(wrong[0]), int(values[wrong[0]])
                limit = window.lower if value < window.lower else window.upper
                self._note(InvariantViolation("range", facts.field.holder, index, step, limit, value), wrong.size)
        if self._has_slopes:
            shown = np.concatenate([part for facts in self._fields for part in facts.shown(holdings)])
            for books in self._channels:
                if books.facts.steepest is not None:
                    self._compare_differences(step, books.facts, books.facts.steepest, shown)

    def _compare_differences(self, step: int, facts: ChannelFacts, steepest: Integers, shown: Integers) -> None:
        steepness = np.abs(shown[facts.target] - shown[facts.source])
        wrong = np.flatnonzero(steepness > steepest)
        if wrong.size:
            index = int(wrong[0])
            place, limit, value = "difference across face", int(steepest[index]), int(steepness[index])
            self._note(InvariantViolation("range", place, index, step, limit, value), wrong.size)

    def _note(self, violation: InvariantViolation, count: int) -> None:
        self.counts[violation.kind] += count
        if self._first is None:
            self._first = violation

    def _raise_first(self) -> None:
        if self._first is not None:
            first, self._first = self._first, None
            raise first


def _channel_books(facts: tuple[ChannelFacts, ...], start: Start) -> Iterator[_ChannelBooks]:
    """Yield the expected states of each population of channels at the start."""
    first = 0
    for channels in facts:
        part = slice(first, first + channels.source.size)
        residue, current = start.residue[part].astype(np.int64), start.current[part].astype(np.int64)
        yield _ChannelBooks(channels, residue, current, np.zeros(channels.source.size, np.int64))
        first = part.stop


def _sums(fields: tuple[FieldFacts, ...], channels: tuple[_ChannelBooks, ...], mass: Integers) -> Iterator[_Sum]:
    """Yield the total mass of each set of fields that channels join."""
    sets = [{number} for number in range(len(fields))]
    for books in channels:
        joined = [group for group in sets if group.intersection(books.facts.joins)]
        sets = [group for group in sets if group not in joined] + [set().union(*joined)]
    for group in sorted(sets, key=min):
        joined_fields = [fields[number] for number in sorted(group)]
        names = "" if len(sets) == 1 else f" of {', '.join(facts.field.name for facts in joined_fields)}"
        holders = tuple(facts.holders for facts in joined_fields)
        total = sum(int(mass[part].sum()) for part in holders)
        yield _Sum(f"mass of all cells and ledgers{names}", holders, total)

"""Bookkeeping of masses and residues, independent of the audit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pisnn_deploy.audit.recovery import Detection
from pisnn_deploy.faults.machine import Machine
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.columns import columns_of
from pisnn_deploy.programs.facts import threshold_exponent
from pisnn_deploy.runs import Run

Integers = NDArray[np.int64]
Place = tuple[str, int]
"""Population and number of a neuron."""


@dataclass(frozen=True)
class Broken:
    """First time step with a wrong total or invariant, and its places."""

    time: tuple[int, int]
    places: frozenset[Place]


class Ledgers:
    """What a graph of any fields and channels has to keep, from its ends and thresholds alone.

    Attributes
    ----------
    incidence : sparse matrix [holders, channels]
        Gain of each holder from the packets.
    theta : int64 array [channels]
        Threshold of each channel.
    withholds : bool array [channels]
        Whether a limiter may drop whole packets that fired.
    depth : int64 array [channels]
        Time step of a PDE step in which each channel fires.
    """

    def __init__(self, graph: IntegerGraph) -> None:
        columns = columns_of(graph)
        first = {field.holder: field.first_holder for field in columns.fields}
        self.incidence = incidence_of(graph)
        self.holders = [(each.holder, each.first_holder, each.field.size) for each in columns.fields]
        self.sums = [
            np.concatenate([np.arange(first[each.holder], first[each.holder] + each.field.size) for each in fields])
            for fields in columns.joined
        ]
        self.channels = [(each.population, each.first, each.count) for each in columns.channels]
        programs = [graph.population(name).program for name, _, _ in self.channels]
        sizes = [count for _, _, count in self.channels]
        exponents = [threshold_exponent(program) for program in programs]
        assert None not in exponents
        self.theta = np.repeat([1 << (exponent or 0) for exponent in exponents], sizes)
        self.withholds = np.repeat([name in graph.order.asking for name, _, _ in self.channels], sizes)
        self.depth = np.repeat([graph.depths[name] for name, _, _ in self.channels], sizes)

    def totals(self, mass: Integers) -> list[int]:
        """Mass of each set of fields that channels join."""
        return [sum(mass[part].tolist()) for part in self.sums]

    def lost(self, packets: Integers, current: Integers, before: Integers, after: Integers) -> Integers:
        """Flux units that vanished in each channel that fired; whole withheld packets are no loss."""
        lost = packets * self.theta + after - before - current
        return np.asarray(np.where(self.withholds, lost % self.theta, lost), np.int64)

    def named(self, parts: list[tuple[str, int, int]], wrong: Integers) -> set[Place]:
        """Names of some positions."""
        return {(name, i - first) for name, first, count in parts for i in wrong.tolist() if 0 <= i - first < count}


class Witness(Machine):
    """Machine whose memories are checked after every time step, independently of the audit."""

    def __init__(self, graph: IntegerGraph, step: int, mass: Integers, flux: Integers, *rest: Any, **more: Any) -> None:
        super().__init__(graph, step, mass, flux, *rest, **more)
        self.broken: Broken | None = None
        self.last = self.time
        self._ledgers = Ledgers(graph)
        self._totals = self._ledgers.totals(mass)
        self._before = mass.copy(), flux[2].copy()
        self._fired = np.zeros(flux.shape[1], np.int64)

    def advance(self) -> None:
        """Do one time step, then check."""
        self.last = self.time
        super().advance()
        phase, ledgers = self.last[1], self._ledgers
        mass, residue = self._before
        packets, current, left = self.flux
        if phase == 0:
            mass = mass + ledgers.incidence @ self._fired
        fires = ledgers.depth == phase
        lost = np.where(fires, ledgers.lost(packets, current, residue, left), left - residue)
        holders, channels = np.flatnonzero(mass != self.mass), np.flatnonzero(lost)
        is_wrong = holders.size or channels.size or ledgers.totals(self.mass) != self._totals
        if self.broken is None and is_wrong:
            wrong_holders = ledgers.named(ledgers.holders, holders)
            self.broken = Broken(self.last, frozenset(wrong_holders | ledgers.named(ledgers.channels, channels)))
        self._fired = np.where(fires, packets, self._fired)
        self._before = self.mass.copy(), left.copy()


def incidence_of(graph: IntegerGraph) -> sparse.csr_matrix:
    """Incidence matrix ``D``, [holders, channels], from the ends of the channels alone."""
    columns = columns_of(graph)
    first = {field.holder: field.first_holder for field in columns.fields}
    sources = np.concatenate([first[each.source_holder] + each.source for each in graph.channels])
    targets = np.concatenate([first[each.target_holder] + each.target for each in graph.channels])
    numbers, ones = np.arange(columns.size), np.ones(columns.size, np.int64)
    return sparse.csr_matrix(
        (np.concatenate([-ones, ones]), (np.concatenate([sources, targets]), np.tile(numbers, 2))),
        (columns.holders, columns.size),
    )


def judge(broken: Broken | None, time: tuple[int, int], detection: Detection | None, changed: bool) -> str:
    """Compare what happened with the audit's report.

    A violation that is found a time step late, or at a place where nothing is wrong, counts as missed.
    """
    if broken is None:
        return "detected" if detection is not None else "silent" if changed else "no effect"
    if detection is None or broken.time != time or detection.step != broken.time[0]:
        return "missed"
    name, _, number = detection.place.partition("[")
    place = name.split()[0], int(number.rstrip("]") or -1)
    # A limited packet is named without its population.
    numbers = {index for _, index in broken.places}
    return "detected" if place in broken.places or (name == "limited packet " and place[1] in numbers) else "missed"


def rows_broken(graph: IntegerGraph, run: Run) -> bool:
    """Whether totals or invariants are wrong in the trace of an audited run."""
    trace, ledgers = run.trace, Ledgers(graph)
    assert trace.flux is not None
    holdings = trace.columns.merged(trace.mass, trace.ledger)
    totals = {tuple(ledgers.totals(row)) for row in holdings}
    packets, current, residue = trace.flux[:, 0], trace.flux[:, 1], trace.flux[:, 2]
    moved = (ledgers.incidence @ packets[1:].T).T
    lost = ledgers.lost(packets[1:], current[1:], residue[:-1], residue[1:])
    return len(totals) > 1 or bool((np.diff(holdings, axis=0) != moved).any() or lost.any())

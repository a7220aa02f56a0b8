"""A stepper whose domains are on several ranks, or one after another in this process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from pisnn_deploy.audit.invariants import KINDS
from pisnn_deploy.core.errors import CheckError, InvariantViolation, UsageError
from pisnn_deploy.graph.columns import columns_of
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.runs.domains.layout import Domain, Link
from pisnn_deploy.runs.domains.partition import Division, divided
from pisnn_deploy.runs.domains.ranks import Ranks
from pisnn_deploy.runs.domains.team import LocalCrew, Team
from pisnn_deploy.runs.domains.worker import Counts, DomainWorker
from pisnn_deploy.runs.run import RunState
from pisnn_deploy.runs.stepping import ReferenceStepper, Tally

NOTE_SECONDS = 5.0
"""Interval at which domains keep their state; at most this much work is repeated to explain a flag."""
Part = tuple[Domain, tuple[Link, ...], RunState]
"""What a rank begins with."""


class Domains(Protocol):
    """All domains of a run."""

    def begin_with(self, steps: int, rounds: int, parts: Iterator[Part]) -> list[str]:
        """Begin a run; return errors."""

    def call(self, method: str, *arguments: Any, **own: Any) -> Any:
        """Call a method of `Team`, with some arguments on the first rank only."""


class InThisProcess:
    """Domains in this process, one after another: for tests, and where only the integers matter."""

    def begin_with(self, steps: int, rounds: int, parts: Iterator[Part]) -> list[str]:
        """See `Domains`."""
        workers = [DomainWorker(domain, links, start, steps, 1) for domain, links, start in parts]
        self._team = Team(LocalCrew(workers), rounds)
        return []

    def call(self, method: str, *arguments: Any, **own: Any) -> Any:
        """See `Domains`."""
        return getattr(self._team, method)(*arguments, **own)


class DividedStepper:
    """A run divided into domains.

    Parameters
    ----------
    start : RunState
        State of the whole graph to start from.
    steps : int
        Number of PDE steps of the whole run.
    domains : Domains
        Where the domains are.
    division : Division
        The domains.

    Raises
    ------
    UsageError
        The kernels do not support the graph.
    """

    def __init__(self, graph: IntegerGraph, start: RunState, steps: int, domains: Domains, division: Division) -> None:
        self._graph, self._steps, self._domains = graph, steps, domains
        self._columns, self._layouts = columns_of(graph), division.layouts
        numbers = range(len(division.layouts))
        parts = ((division.domain(number), division.links[number], self._local(number, start)) for number in numbers)
        errors = self._domains.begin_with(steps, division.rounds, parts)
        if errors:
            raise UsageError(f"the graph cannot run on several ranks ({errors[0]}); run it in one process")
        self._violations = dict.fromkeys(KINDS, 0)
        self._stopped: Tally | None = None
        self._set_start(start)

    def _set_start(self, start: RunState) -> None:
        self._start, self._step, self._noted_at = start, start.step, time.perf_counter()
        self._totals = [
            sum(int(start.mass[part].sum()) for field in fields for part in (field.held_cells, field.held_reservoirs))
            for fields in self._columns.joined
        ]

    def _local(self, number: int, state: RunState) -> RunState:
        """State of a domain, with counts from 0."""
        layout = self._layouts[number]
        current, residue, transported = (
            values[layout.channels] for values in (state.current, state.residue, state.transported)
        )
        return RunState(state.step, state.mass[layout.holders], current, residue, transported)

    def begin(self) -> None:
        """Check the initial state and count its spikes."""
        reference = ReferenceStepper(self._graph, self._start, self._steps)
        try:
            reference.begin()
        finally:
            self._stopped = reference.tally()
        self._start, self._stopped = reference.state(), None

    def prepare(self) -> None:
        """Compile all kernels."""
        self._domains.call("prepare")
        self._noted_at = time.perf_counter()

    def restore(self, state: RunState) -> None:
        """Continue from another state of the same graph."""
        self._domains.call("restore", states=[self._local(number, state) for number in range(len(self._layouts))])
        self._set_start(state)

    def close(self) -> None:
        """Stop all threads."""
        self._domains.call("close")

    def advance(self, steps: int) -> None:
        """Run PDE steps, checking every one."""
        if time.perf_counter() - self._noted_at > NOTE_SECONDS:
            self._domains.call("note")
            self._noted_at = time.perf_counter()
        self._step, finding, totals = self._domains.call("advance", steps)
        if finding is not None:
            error: CheckError = finding.error
            if isinstance(error, InvariantViolation):
                self._violations[error.kind] += 1
            raise error
        for place, (total, fields) in enumerate(zip(self._totals, self._columns.joined, strict=True)):
            found = int(totals[place])
            if found != total:
                self._violations["global"] += 1
                names = ", ".join(field.name for field in fields)
                name = "mass of all cells and ledgers" + (f" of {names}" if len(self._totals) > 1 else "")
                raise InvariantViolation("global", name, -1, self._step, total, found)

    def state(self) -> RunState:
        """Return a copy of the current state."""
        owned, counts = self._domains.call("owned")
        mass, current, residue, transported = (
            np.zeros(size, np.int64) for size in (self._columns.holders, *[self._columns.size] * 3)
        )
        for layout, part in zip(self._layouts, owned, strict=True):
            mass[layout.holders[layout.owns_holder]] = part.mass
            channels = layout.channels[layout.owns_channel]
            current[channels], residue[channels] = part.current, part.residue
            transported[channels] = part.transported
        in_flight, packets, quanta, events = self._summed(counts)
        return RunState(self._step, mass, current, residue, transported, in_flight, packets, quanta, events)

    def tally(self) -> Tally:
        """Return the counts so far."""
        if self._stopped is not None:
            return self._stopped
        _, packets, quanta, events = self._summed(self._domains.call("counts"))
        return Tally(self._step, packets, quanta, events, dict(self._violations))

    def _summed(self, counts: list[Counts]) -> tuple[int, int, int, dict[str, int]]:
        start = self._start
        in_flight = start.in_flight if self._step == start.step else sum(each.in_flight for each in counts)
        packets = start.packets_sent + sum(each.packets_sent for each in counts)
        quanta = start.quanta_sent + sum(each.quanta_sent for each in counts)
        events = {
            name: start.events.get(name, 0) + sum(each.events[name] for each in counts) for name in self._graph.chain
        }
        return in_flight, packets, quanta, events


def stepper_on(ranks: Ranks, graph: IntegerGraph, start: RunState, steps: int) -> DividedStepper:
    """Return a stepper on all ranks.

    Raises
    ------
    UsageError
        The mesh has too few cells for the ranks, or kernels do not support the graph.
    """
    return DividedStepper(graph, start, steps, ranks, divided(graph, ranks.count))


def stepper_here(
    graph: IntegerGraph, start: RunState, steps: int, count: int, rounds: int | None = None
) -> DividedStepper:
    """Return a stepper with some domains in this process."""
    return DividedStepper(graph, start, steps, InThisProcess(), divided(graph, count, rounds))

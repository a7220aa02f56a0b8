"""What all steppers on compiled kernels share: stopping at a flag, and asking the reference what it means."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from pisnn_deploy.audit.invariants import KINDS
from pisnn_deploy.core.errors import CheckError
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.runs.kernels import places
from pisnn_deploy.runs.run import RunState
from pisnn_deploy.runs.stepping import ReferenceStepper, Tally

_STRICT = {"width", "range"}
"""Flags that may be raised where nothing is wrong."""
SNAPSHOT_SECONDS = 1.0
"""Work after which a stepper notes where it stands; so much may be done again to find what broke a run."""


class Counts(NamedTuple):
    """What a run has sent; see `pisnn_deploy.runs.run.RunState`."""

    packets_sent: int
    quanta_sent: int
    events: Mapping[str, int]


class KernelStepper(ABC):
    """A run on compiled kernels.

    Kernels only say that something is wrong with a PDE step. The stepper then goes back to where it noted the state,
    steps to the state before that step, and has the reference do it in plain numpy: it names the violation as it
    would have from the start. Where the reference finds nothing, its integers are compared with the kernel's: if they
    agree the kernel was too strict, and otherwise the kernel, or the memory, is broken.

    Kernels count packets, quanta and events in 64 bits. Whenever the state is noted, their counts are moved into
    Python's integers, so what they hold is about a second's work and cannot wrap, however long the run.

    Parameters
    ----------
    graph : IntegerGraph
    start : RunState
        Where to go on from.
    steps : int
        PDE steps of the whole run: after the last, nothing is sent.
    shares : int
        Into which the work of a PDE step is cut, one a thread.

    Attributes
    ----------
    kernels : SimpleNamespace
        The compiled functions by name.
    """

    kernels: SimpleNamespace
    arrays: Any
    """State of the faces; `arrays.states` are those of their program."""
    _counters: Integers
    """Counts of the kernels and sums that the audit compares, see `places`."""

    def __init__(self, graph: IntegerGraph, start: RunState, steps: int, shares: int) -> None:
        self._graph = graph
        self._steps = steps
        self._pool = ThreadPoolExecutor(shares - 1, "pisnn-fast") if shares > 1 else None
        self._violations = dict.fromkeys(KINDS, 0)
        self._stopped: Tally | None = None
        self.restore(start)

    def begin(self) -> None:
        """Check the start of the run and count what is sent then."""
        reference = ReferenceStepper(self._graph, self.state(), self._steps)
        try:
            reference.begin()
        finally:
            self._stopped = reference.tally()
        self._stopped = None
        self.restore(reference.state())

    def restore(self, state: RunState) -> None:
        """Go on from another state of the same graph.

        Parameters
        ----------
        state : RunState
        """
        self._moved_counts = Counts(state.packets_sent, state.quanta_sent, dict(state.events))
        self._load(state)
        self._note_state()

    def state(self) -> RunState:
        """Where the run stands: copies, which further steps leave alone."""
        counts = self._counts()
        return replace(
            self._state(), packets_sent=counts.packets_sent, quanta_sent=counts.quanta_sent, events=counts.events
        )

    def advance(self, steps: int) -> None:
        """Do PDE steps, checking every one."""
        goal = self._done() + steps
        while self._done() < goal:
            if time.perf_counter() - self._noted_at > SNAPSHOT_SECONDS:
                self._note_state()
            if not self._advance(goal - self._done()):
                self._explain()

    def tally(self) -> Tally:
        """What has been counted."""
        if self._stopped is not None:
            return self._stopped
        counts = self._counts()
        return Tally(self._done(), counts.packets_sent, counts.quanta_sent, dict(counts.events), dict(self._violations))

    def _counts(self) -> Counts:
        """What was counted since the start of the run."""
        moved, since = self._moved_counts, self._kernel_counts()
        events = {name: moved.events[name] + count for name, count in since.events.items()}
        return Counts(moved.packets_sent + since.packets_sent, moved.quanta_sent + since.quanta_sent, events)

    def _note_state(self) -> None:
        self._moved_counts = self._counts()
        self._empty_counts()
        self._noted = self._snapshot()
        self._noted_step = self._done()
        self._noted_at = time.perf_counter()

    def _explain(self) -> None:
        """Find out what the flag of the last PDE step means; raises unless it means nothing."""
        suspicious = self._done() - 1
        found = self.state()
        flags = self._flag_names()
        self._go_back(self._noted)
        # The flag may be one of the state before: slopes are looked at when the next step reads the masses.
        before = max(suspicious - 1, self._noted_step)
        again = before == self._noted_step or self._advance(before - self._noted_step)
        if not again:
            raise CheckError(f"backend fast: PDE step {self._done()} gave other integers when done again; {_ADVICE}")
        reference = ReferenceStepper(self._graph, self.state(), self._steps)
        try:
            reference.advance(suspicious + 1 - before)
        finally:
            self._stopped = reference.tally()
        expected = reference.state()
        for name in ("mass", "residue", "current"):
            wrong = np.flatnonzero(getattr(found, name) != getattr(expected, name))
            if wrong.size:
                index = int(wrong[0])
                raise CheckError(
                    f"backend fast: {name} [{index}] is {getattr(found, name)[index]} after PDE step {suspicious}, "
                    f"where the reference has {getattr(expected, name)[index]} (audit: {flags}); {_ADVICE}"
                )
        if set(flags.split(", ")) - _STRICT:
            raise CheckError(
                f"backend fast: a state changed before PDE step {suspicious}, and was noted so (audit: {flags}); "
                f"{_ADVICE}"
            )
        self._stopped = None
        self.restore(expected)

    @abstractmethod
    def prepare(self) -> None:
        """Compile what a step needs, so that no step takes the time for it."""

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()

    def _load(self, state: RunState) -> None:
        """Take over a state; the counts of the kernels begin at 0."""
        self._take_over(state)
        counters = self._counters
        counters[:] = 0
        for at, (_, values) in enumerate(self._of_states(state)):
            counters[places.STATES + 2 * at] = values.sum()
        counters[places.DONE] = state.step
        counters[places.IN_FLIGHT] = state.in_flight
        counters[places.MASS_SUM] = state.mass.sum()

    def _of_states(self, state: RunState) -> list[tuple[str, Integers]]:
        """Names and values of the states of faces: residues come last, after what is kept of currents."""
        return [("current", state.current), ("residue", state.residue)][-len(self.arrays.states) :]

    def _state(self) -> RunState:
        """Where the run stands, without counts: copies."""
        mass, (*kept, residue), transported = self._values()
        return RunState(
            step=self._done(),
            mass=mass,
            current=kept[0] if kept else np.zeros_like(residue),
            residue=residue,
            transported=transported,
            in_flight=int(self._counters[places.IN_FLIGHT]),
        )

    def _done(self) -> int:
        return int(self._counters[places.DONE])

    @cached_property
    def _counted(self) -> Integers:
        """Places of what is counted: packets and quanta sent, then spikes of each population of the chain."""
        layers = range(places.layers_at(len(self.arrays.states)), self._counters.size)
        return np.array([places.PACKETS, places.QUANTA, places.MEMBRANE_SPIKES, *layers, places.FLUX_SPIKES])

    def _kernel_counts(self) -> Counts:
        packets, quanta, *spikes = self._counters[self._counted].tolist()
        return Counts(packets, quanta, dict(zip(self._graph.chain, spikes, strict=True)))

    def _empty_counts(self) -> None:
        self._counters[self._counted] = 0

    def _flag_names(self) -> str:
        flags = int(self._counters[places.FLAGS])
        return ", ".join(name for bit, name in enumerate(places.FLAG_NAMES) if flags >> bit & 1)

    @abstractmethod
    def _take_over(self, state: RunState) -> None:
        """Put a state into the arrays."""

    @abstractmethod
    def _values(self) -> tuple[Integers, list[Integers], Integers]:
        """Masses and ledgers, states of the faces, and packets sent through them: copies."""

    @abstractmethod
    def _advance(self, steps: int) -> bool:
        """Do so many PDE steps, or up to one with a flag: then False."""

    @abstractmethod
    def _snapshot(self) -> Any: ...

    @abstractmethod
    def _go_back(self, snapshot: Any) -> None: ...


_ADVICE = "the kernel or the memory of this machine is at fault; please report it"

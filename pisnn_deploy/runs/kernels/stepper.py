"""Base class of steppers on compiled kernels: stops at a flag, and explains it with the reference."""

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
"""Flags that may be set without a violation."""
SNAPSHOT_SECONDS = 1.0
"""Interval of snapshots; at most this much work is repeated to explain a flag."""


class Counts(NamedTuple):
    """Counts of a run; see `pisnn_deploy.runs.run.RunState`."""

    packets_sent: int
    quanta_sent: int
    events: Mapping[str, int]


class KernelStepper(ABC):
    """A run on compiled kernels.

    Kernels only flag that something is wrong with a PDE step. The stepper then returns to its last snapshot, runs up to
    that step, and repeats it with the reference in plain numpy, which names the violation. If the reference finds none,
    its integers are compared with the kernel's: if they agree the kernel was too strict, otherwise the kernel or the
    memory is faulty.

    Kernels count packets, quanta and events in 64 bits. At each snapshot the counts are moved into Python integers, so
    they cannot wrap however long the run is.

    Parameters
    ----------
    start : RunState
        State to start from.
    steps : int
        Number of PDE steps of the whole run; after the last, nothing is sent.
    shares : int
        Number of shares of the work, one for each thread.

    Attributes
    ----------
    kernels : SimpleNamespace
        Compiled functions by name.
    """

    kernels: SimpleNamespace
    arrays: Any
    """State of the faces; `arrays.states` has the states of their program."""
    _counters: Integers
    """Counts of the kernels and sums for the audit, see `places`."""
    _layers_at: int
    """Index of the spikes of the first population between membranes and faces."""

    def __init__(self, graph: IntegerGraph, start: RunState, steps: int, shares: int) -> None:
        self._graph = graph
        self._steps = steps
        self._pool = ThreadPoolExecutor(shares - 1, "pisnn-fast") if shares > 1 else None
        self._violations = dict.fromkeys(KINDS, 0)
        self._stopped: Tally | None = None
        self.restore(start)

    def begin(self) -> None:
        """Check the initial state and count its spikes."""
        reference = ReferenceStepper(self._graph, self.state(), self._steps)
        try:
            reference.begin()
        finally:
            self._stopped = reference.tally()
        self._stopped = None
        self.restore(reference.state())

    def restore(self, state: RunState) -> None:
        """Continue from another state of the same graph."""
        self._moved_counts = Counts(state.packets_sent, state.quanta_sent, dict(state.events))
        self._load(state)
        self._note_state()

    def state(self) -> RunState:
        """Return a copy of the current state."""
        counts = self._counts()
        return replace(
            self._state(), packets_sent=counts.packets_sent, quanta_sent=counts.quanta_sent, events=counts.events
        )

    def advance(self, steps: int) -> None:
        """Run PDE steps, checking every one."""
        goal = self._done() + steps
        while self._done() < goal:
            if time.perf_counter() - self._noted_at > SNAPSHOT_SECONDS:
                self._note_state()
            if not self._advance(goal - self._done()):
                self._explain()

    def tally(self) -> Tally:
        """Return the counts so far."""
        if self._stopped is not None:
            return self._stopped
        counts = self._counts()
        return Tally(self._done(), counts.packets_sent, counts.quanta_sent, dict(counts.events), dict(self._violations))

    def _counts(self) -> Counts:
        """Counts since the start of the run."""
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
        """Explain the flag of the last PDE step: raise the violation, or continue if there is none."""
        suspicious = self._done() - 1
        actual = self.state()
        flags = self._flag_names()
        self._go_back(self._noted)
        # The flag may concern the previous state, because slopes are checked when the next step reads the masses.
        before = max(suspicious - 1, self._noted_step)
        again = before == self._noted_step or self._advance(before - self._noted_step)
        if not again:
            raise CheckError(f"backend fast: repeating PDE step {self._done()} gave different integers; {_ADVICE}")
        reference = ReferenceStepper(self._graph, self.state(), self._steps)
        try:
            reference.advance(suspicious + 1 - before)
        finally:
            self._stopped = reference.tally()
        expected = reference.state()
        for name in ("mass", "residue", "current"):
            wrong = np.flatnonzero(getattr(actual, name) != getattr(expected, name))
            if wrong.size:
                index = int(wrong[0])
                raise CheckError(
                    f"backend fast: {name} [{index}] is {getattr(actual, name)[index]} after PDE step {suspicious}, "
                    f"but {getattr(expected, name)[index]} in the reference (audit: {flags}); {_ADVICE}"
                )
        if set(flags.split(", ")) - _STRICT:
            raise CheckError(
                f"backend fast: a state changed between steps, before PDE step {suspicious} (audit: {flags}); {_ADVICE}"
            )
        self._stopped = None
        self.restore(expected)

    @abstractmethod
    def prepare(self) -> None:
        """Compile in advance, so that no step includes the time for it."""

    def close(self) -> None:
        """Stop the threads."""
        if self._pool is not None:
            self._pool.shutdown()

    def _load(self, state: RunState) -> None:
        """Load a state, and reset the counts of the kernels."""
        self._take_over(state)
        counters = self._counters
        counters[:] = 0
        for at, total in enumerate(self._sums_of(state)):
            counters[places.STATES + 2 * at] = total
        counters[places.DONE] = state.step
        counters[places.IN_FLIGHT] = state.in_flight
        counters[places.MASS_SUM] = state.mass.sum()

    def _sums_of(self, state: RunState) -> list[int]:
        """Sums that no memory may change between two PDE steps."""
        return [int(values.sum()) for _, values in self._of_states(state)]

    def _of_states(self, state: RunState) -> list[tuple[str, Integers]]:
        """Names and values of the states of faces; the residue is last, after the current if it is kept."""
        return [("current", state.current), ("residue", state.residue)][-len(self.arrays.states) :]

    def _state(self) -> RunState:
        """Return a copy of the current state, without counts."""
        mass, (*currents, residue), transported = self._values()
        return RunState(
            step=self._done(),
            mass=mass,
            current=currents[0] if currents else np.zeros_like(residue),
            residue=residue,
            transported=transported,
            in_flight=int(self._counters[places.IN_FLIGHT]),
        )

    def _done(self) -> int:
        return int(self._counters[places.DONE])

    @cached_property
    def _counted(self) -> Integers:
        """Indices of the counts: packets, quanta, then spikes of each population of the chain."""
        layers = range(self._layers_at, self._counters.size)
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
        """Copy a state into the arrays."""

    @abstractmethod
    def _values(self) -> tuple[Integers, list[Integers], Integers]:
        """Return copies of masses and ledgers, states of the faces, and sums of packets."""

    @abstractmethod
    def _advance(self, steps: int) -> bool:
        """Run PDE steps; return False if one sets a flag, which is then the last."""

    @abstractmethod
    def _snapshot(self) -> Any: ...

    @abstractmethod
    def _go_back(self, snapshot: Any) -> None: ...


_ADVICE = "the kernel or the memory of this machine is at fault; please report it"

"""Stepper on generated kernels: stops at a flag, and explains it with the reference."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.audit.invariants import KINDS
from pisnn_deploy.core.arithmetic import require_width
from pisnn_deploy.core.errors import CheckError
from pisnn_deploy.graph.columns import columns_of
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.runs.kernels.building import network_of
from pisnn_deploy.runs.kernels.draft import ledger_of, mass_of, sent_of, state_of, transported_of
from pisnn_deploy.runs.kernels.kernel import Kernel
from pisnn_deploy.runs.kernels.network import FLAGS, PACKETS, QUANTA, Mask, reach
from pisnn_deploy.runs.kernels.schedule import bytes_of, schedule_of
from pisnn_deploy.runs.kernels.steps import FLAG_NAMES
from pisnn_deploy.runs.kernels.threads import thread_count
from pisnn_deploy.runs.kernels.tiles import tiles_of
from pisnn_deploy.runs.run import RunState
from pisnn_deploy.runs.stepping import ReferenceStepper, Tally

_STRICT = {"width", "range"}
"""Flags that may be set without a violation."""
SHORT_RUN = 1 << 22
"""Cells times PDE steps below which optimising the code takes longer than it saves."""
LARGE, SWEPT = 1 << 24, 4
"""Bytes of arrays from which several PDE steps share a sweep, because they exceed caches, and how many."""
MOST_UNEVEN = 1.2
"""Most times the work of the busiest thread in single steps that it may have in a sweep."""
SNAPSHOT_SECONDS = 1.0
"""Interval of snapshots; at most this much work is repeated to explain a flag."""
_ADVICE = "the kernel or the memory of this machine is at fault; please report it"


class Counts(NamedTuple):
    """Counts of a run; see `pisnn_deploy.runs.run.RunState`."""

    packets_sent: int
    quanta_sent: int
    events: Mapping[str, int]


class KernelStepper:
    """A run on generated kernels.

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
    threads : int, optional
        Number of threads (default: by the size of the mesh).
    audited : bool
        Whether to audit; False only to measure what the audit costs.
    owned : mapping of str to bool array, optional
        Neurons whose spikes and packets count, by population (default: all).

    Raises
    ------
    UnservedError
        If kernels do not support the graph.
    OverflowViolation
        If a value of the start does not fit its array.
    """

    def __init__(
        self,
        graph: IntegerGraph,
        start: RunState,
        steps: int,
        threads: int | None = None,
        *,
        audited: bool = True,
        owned: Mapping[str, Mask] | None = None,
    ) -> None:
        self._graph, self._steps, self._columns = graph, steps, columns_of(graph)
        network = network_of(graph, audited=audited)
        tiles = {node.name: tiles_of(node, node.counted(network, owned or {})) for node in network.nodes}
        is_long = graph.mesh.cells * max(0, steps - start.step) >= SHORT_RUN
        shares, is_large = threads or thread_count(graph.mesh.cells), bytes_of(network) >= LARGE
        single = schedule_of(network, tiles, shares)
        sweep = schedule_of(network, tiles, shares, SWEPT) if is_large else None
        if sweep is not None and sweep.heaviest > MOST_UNEVEN * single.heaviest:
            sweep = None  # cells next to each other are far apart in memory
        self.kernel = Kernel(network, single, sweep, is_optimised=is_long)
        self._violations = dict.fromkeys(KINDS, 0)
        self._stopped: Tally | None = None
        packets = max(reach(network.buffers[sent_of(each.population, 0)].interval) for each in graph.channels)
        narrow = min(network.buffers[transported_of(each.population)].bits for each in graph.channels) < 64
        # Number of PDE steps for which sums of packets fit their arrays; then they are added to wide ones.
        self._lasting = (1 << 31) // (packets + 1) - 1 if narrow else 1 << 62
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
        self._note()

    def prepare(self) -> None:
        """Compile in advance, so that no step includes the time for it."""
        _ = self.kernel.functions

    def close(self) -> None:
        """Stop the threads."""
        self.kernel.close()

    def advance(self, steps: int) -> None:
        """Run PDE steps, checking every one."""
        goal = self._step + steps
        while self._step < goal:
            if time.perf_counter() - self._noted_at > SNAPSHOT_SECONDS:
                self._note()
            if not self._some(goal - self._step):
                self._explain()

    def state(self) -> RunState:
        """Return a copy of the current state."""
        counts, kernel, columns = self._counts(), self.kernel, self._columns
        mass = np.zeros(columns.holders, np.int64)
        for field in columns.fields:
            mass[field.held_cells] = kernel.now(mass_of(field.holder))[: field.field.cells]
            if field.field.reservoirs.size:
                mass[field.held_reservoirs] = kernel.now(ledger_of(field.holder))
        return RunState(
            step=self._step,
            mass=mass,
            current=self._of_channels("current"),
            residue=self._of_channels("residue"),
            transported=self._moved + self._transported(),
            in_flight=int(kernel.counters[-1]),
            packets_sent=counts.packets_sent,
            quanta_sent=counts.quanta_sent,
            events=dict(counts.events),
        )

    def tally(self) -> Tally:
        """Return the counts so far."""
        if self._stopped is not None:
            return self._stopped
        counts = self._counts()
        return Tally(self._step, counts.packets_sent, counts.quanta_sent, dict(counts.events), dict(self._violations))

    # Arrays.

    def _states(self) -> Iterator[tuple[str, str, str, slice]]:
        """Each kept current and residue: attribute of `RunState`, population, state, and its part of the channels."""
        for channels in self._columns.channels:
            states = self._graph.population(channels.population).program.states
            for name, state in zip(("residue", "current"), reversed(states), strict=False):
                yield name, channels.population, state, channels.part

    def _of_channels(self, name: str) -> Integers:
        values = np.zeros(self._columns.size, np.int64)
        for attribute, population, state, part in self._states():
            if attribute == name:
                values[part] = self.kernel.now(state_of(population, state))
        return values

    def _transported(self) -> Integers:
        parts = [self.kernel.now(transported_of(channels.population)) for channels in self._columns.channels]
        return np.concatenate([part.astype(np.int64) for part in parts])

    def _load(self, state: RunState) -> None:
        """Load a state, and reset the counts of the kernels."""
        kernel, columns = self.kernel, self._columns
        kernel.counters[:] = 0
        for field in columns.fields:
            masses = state.mass[field.held_cells]
            arrays = kernel.pairs[mass_of(field.holder)]
            for array in arrays:
                array[: field.field.cells] = self._fitting(masses, array, field.holder, "mass", state.step)
                array[field.field.cells :] = field.field.reservoirs
            if field.field.reservoirs.size:
                kernel.now(ledger_of(field.holder))[:] = state.mass[field.held_reservoirs]
        for name, population, kept, part in self._states():
            values, array = getattr(state, name)[part], kernel.now(state_of(population, kept))
            array[:] = self._fitting(values, array, population, name, state.step)
        for channels in columns.channels:
            kernel.now(transported_of(channels.population))[:] = 0
        for clocked in (*self._graph.between_fields, *map(self._graph.population, self._graph.order.answers)):
            for name, values in clocked.states_at(state.step).items():
                for array in kernel.pairs[state_of(clocked.name, name)]:
                    array[:] = values
        kernel.respond()
        self._moved, self._moved_at, self._step = state.transported.copy(), state.step, state.step
        results = kernel.results
        for place, fields in enumerate(columns.joined, results.size):
            parts = (state.mass[part] for field in fields for part in (field.held_cells, field.held_reservoirs))
            if results.masses:
                kernel.counters[place] = sum(int(part.sum()) for part in parts)
        chains = iter(results.chains)
        for channels in columns.channels if results.chains else ():
            for kept in self._graph.population(channels.population).program.states:
                kernel.counters[next(chains)] = int(kernel.now(state_of(channels.population, kept)).sum(dtype=np.int64))
        kernel.counters[-1] = state.in_flight

    def _fitting(self, values: Integers, array: NDArray[Any], population: str, quantity: str, step: int) -> Integers:
        """Refuse values that an array would truncate."""
        require_width(values, 8 * array.itemsize, population, quantity, step)
        return values

    # Steps.

    def _some(self, steps: int) -> bool:
        """Run some PDE steps; return False if one sets a flag, which is then the last."""
        if self._step - self._moved_at >= self._lasting:
            self._moved += self._transported()
            for channels in self._columns.channels:
                self.kernel.now(transported_of(channels.population))[:] = 0
            self._moved_at = self._step
        steps = min(steps, self._lasting - (self._step - self._moved_at))
        self._step += self.kernel.run(steps, ends=self._step + steps == self._steps)
        return not self.kernel.counters[FLAGS]

    def _counts(self) -> Counts:
        """Counts since the start of the run."""
        moved, counters = self._moved_counts, self.kernel.counters
        spikes = self.kernel.results.spikes
        events = {name: moved.events.get(name, 0) + int(counters[spikes[name]]) for name in self._graph.chain}
        return Counts(moved.packets_sent + int(counters[PACKETS]), moved.quanta_sent + int(counters[QUANTA]), events)

    def _note(self) -> None:
        """Keep the current state to go back to, and move the counts into Python's integers."""
        self._moved_counts = self._counts()
        self.kernel.counters[[*self.kernel.results.counts]] = 0
        self._noted = self.state()
        self._noted_at = time.perf_counter()

    def _find(self) -> None:
        """Repeat a sweep with a flag step by step, up to the first one that sets it."""
        last = self._step
        self.restore(self._noted)
        while self._step < last:
            if not self._some(1):
                return
        raise CheckError(f"backend fast: repeating PDE steps up to {last} set no flag; {_ADVICE}")

    def _explain(self) -> None:
        """Explain the flag of the last PDE step: raise the violation, or continue if there is none."""
        if self.kernel.is_swept:
            self._find()
        suspicious, actual = self._step - 1, self.state()
        raised = int(self.kernel.counters[FLAGS])
        flags = [name for bit, name in enumerate(FLAG_NAMES) if raised >> bit & 1]
        self.restore(self._noted)
        again = suspicious == self._step or self._some(suspicious - self._step)
        if not again or self._step != suspicious:
            raise CheckError(f"backend fast: repeating PDE step {self._step} gave different integers; {_ADVICE}")
        reference = ReferenceStepper(self._graph, self.state(), self._steps)
        try:
            reference.advance(1)
        finally:
            self._stopped = reference.tally()
        expected = reference.state()
        for name in ("mass", "residue", "current"):
            wrong = np.flatnonzero(getattr(actual, name) != getattr(expected, name))
            if wrong.size:
                index = int(wrong[0])
                raise CheckError(
                    f"backend fast: {name} [{index}] is {getattr(actual, name)[index]} after PDE step {suspicious}, "
                    f"but {getattr(expected, name)[index]} in the reference (audit: {', '.join(flags)}); {_ADVICE}"
                )
        if set(flags) - _STRICT:
            raise CheckError(
                f"backend fast: a state changed between steps, before PDE step {suspicious} "
                f"(audit: {', '.join(flags)}); {_ADVICE}"
            )
        self._stopped = None
        self.restore(replace(expected))

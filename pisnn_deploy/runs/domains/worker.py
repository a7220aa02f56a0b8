"""Run of one domain on compiled kernels: PDE steps, and the exchange of halos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.graph.columns import columns_of
from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.runs.domains.explanation import Finding, explain
from pisnn_deploy.runs.domains.layout import Domain, Link
from pisnn_deploy.runs.kernels.draft import ledger_of, mass_of, state_of
from pisnn_deploy.runs.kernels.network import FLAGS
from pisnn_deploy.runs.kernels.stepper import KernelStepper
from pisnn_deploy.runs.run import RunState

_NARROW = 32
"""Width in which copies are sent if all declared widths allow it."""


@dataclass(frozen=True)
class Owned:
    """What a domain owns after some PDE steps.

    Attributes
    ----------
    mass : int64 array [owned holders]
        Masses and ledgers in quanta.
    current, residue, transported : int64 array [owned channels]
        See `pisnn_deploy.runs.run.RunState`.
    """

    mass: Integers
    current: Integers
    residue: Integers
    transported: Integers


@dataclass(frozen=True)
class Counts:
    """Counts of a domain since its state was loaded; see `RunState`."""

    in_flight: int
    packets_sent: int
    quanta_sent: int
    events: dict[str, int]


class _Kernels(KernelStepper):
    """Kernels that stop at a flag without explaining it, and whose halos can be written."""

    def run(self, steps: int) -> bool:
        """Run PDE steps; return False at one, or at the end of a sweep, that sets a flag."""
        goal = self._step + steps
        while self._step < goal:
            if not self._some(goal - self._step):
                return False
        return True

    @property
    def at(self) -> int:
        """Number of completed PDE steps."""
        return self._step

    @property
    def flags(self) -> int:
        """Flags of the last PDE step."""
        return int(self.kernel.counters[FLAGS])

    def respond(self) -> None:
        """Let the populations between holders and channels answer again, after masses were written."""
        if not self._graph.between_fields:
            return
        for field in self._columns.fields:
            now, other = self.kernel.now(mass_of(field.holder)), self.kernel.pairs[mass_of(field.holder)]
            other[not self.kernel.is_turned][:] = now
        for population in self._graph.between_fields:
            for name, values in population.states_at(self._step).items():
                for array in self.kernel.pairs[state_of(population.name, name)]:
                    array[:] = values
        self.kernel.respond()


@dataclass(frozen=True)
class _Copied:
    """A buffer of which domains exchange elements.

    Attributes
    ----------
    of_holders : bool
        Whether its elements are those of holders, else of channels.
    first, size : int
        Its first element among all local holders or channels, and its number of elements.
    counter : int
        Place of the audited sum of its elements among the counters.
    """

    name: str
    of_holders: bool
    first: int
    size: int
    counter: int


class DomainWorker:
    """Run of one domain.

    Parameters
    ----------
    links : sequence of Link
        What it exchanges with other domains.
    start : RunState
        Local state to start from.
    steps : int
        Number of PDE steps of the whole run.
    threads : int
        Threads of its kernels.

    Attributes
    ----------
    flagged : tuple of (int, int) or None
        PDE step that set a flag, or the last of the sweep in which one did, and its flags. No further steps are run.
    """

    def __init__(self, domain: Domain, links: Sequence[Link], start: RunState, steps: int, threads: int) -> None:
        self.domain, self.links = domain, tuple(links)
        self._steps = steps
        self._kernels = _Kernels(domain.graph, start, steps, threads, owned=domain.owns)
        self._columns = columns_of(domain.graph)
        self._copied = self._find_copied()
        self._sent = [self._places(link.sent_holders, link.sent_channels) for link in self.links]
        self._taken = [self._places(link.taken_holders, link.taken_channels) for link in self.links]
        self.dtype = self._width()
        self.flagged: tuple[int, int] | None = None
        self.note()

    def _find_copied(self) -> list[_Copied]:
        columns, results = self._columns, self._kernels.kernel.results
        copied = [
            _Copied(mass_of(each.holder), True, each.first_holder, each.field.cells, results.size + each.joined)
            for each in columns.fields
        ]
        chains = iter(results.chains)
        for channels in columns.channels:
            for state in self.domain.graph.population(channels.population).program.states:
                name = state_of(channels.population, state)
                copied.append(_Copied(name, False, channels.first, channels.count, next(chains)))
        return copied

    def _places(self, holders: Integers, channels: Integers) -> list[Integers]:
        """Elements of each copied buffer."""
        places = []
        for each in self._copied:
            numbers = holders if each.of_holders else channels
            inside = (numbers >= each.first) & (numbers < each.first + each.size)
            places.append(numbers[inside] - each.first)
        return places

    def _width(self) -> type[np.int32] | type[np.int64]:
        graph = self.domain.graph
        bits = {(bound.population, bound.quantity): bound.bits for bound in graph.bounds}
        widest = [bits.get((field.holder, "mass"), 64) for field in graph.fields]
        for channels in graph.channels:
            population = graph.population(channels.population)
            for state, after in zip(population.program.states, population.program.after, strict=True):
                widths = [bits.get((population.name, population.quantity(name)), 64) for name in (state, after)]
                widest.append(min(widths))
        return np.int32 if max(widest, default=0) <= _NARROW else np.int64

    # Exchange.

    def outgoing(self) -> list[NDArray[Any]]:
        """What each linked domain copies, in the order of the links."""
        return [self._packed(places) for places in self._sent]

    def _packed(self, places: list[Integers]) -> NDArray[Any]:
        kernel = self._kernels.kernel
        parts = [kernel.now(each.name)[at] for each, at in zip(self._copied, places, strict=True)]
        return np.concatenate([np.zeros(0, self.dtype), *(part.astype(self.dtype, copy=False) for part in parts)])

    def incoming_sizes(self) -> list[int]:
        """Number of elements that each linked domain sends."""
        return [sum(at.size for at in places) for places in self._taken]

    def take(self, messages: Sequence[NDArray[Any]]) -> None:
        """Copy what the linked domains sent, in the order of the links."""
        kernel = self._kernels.kernel
        for message, places in zip(messages, self._taken, strict=True):
            begin = 0
            for each, at in zip(self._copied, places, strict=True):
                values = message[begin : begin + at.size]
                begin += at.size
                array = kernel.now(each.name)
                change = int(values.sum(dtype=np.int64)) - int(array[at].sum(dtype=np.int64))
                array[at] = values
                kernel.counters[each.counter] += change  # the audit compares sums before and after each step
        if messages:
            self._kernels.respond()

    # Steps.

    @property
    def step(self) -> int:
        """Number of completed PDE steps."""
        return self._kernels.at

    def advance(self, steps: int) -> None:
        """Run PDE steps, unless an earlier one has set a flag."""
        if self.flagged is None and not self._kernels.run(steps):
            self.flagged = (self.step, self._kernels.flags)

    def note(self) -> None:
        """Keep the state to return to."""
        self._noted = self._kernels.state()

    def go_back(self) -> None:
        """Return to the noted state."""
        self._load(self._noted)

    def undo(self) -> None:
        """Undo the last careful step."""
        self._load(self._undone)

    def _load(self, state: RunState) -> None:
        self._kernels.restore(state)
        self.flagged = None

    def careful(self) -> tuple[Finding | None, bool]:
        """Run a PDE step; if it sets a flag, repeat it with the reference.

        Returns
        -------
        finding : Finding or None
            The violation, or the difference to the reference, if there is one; the step is then undone.
        is_flagged : bool
            Whether the step set a flag.
        """
        self._undone = self._kernels.state()
        if self._kernels.run(1):
            return None, False
        actual = self._kernels.state()
        finding, right = explain(self.domain, self._undone, self._steps, actual, self._kernels.flags)
        self._kernels.restore(right)
        return finding, True

    def close(self) -> None:
        """Stop the threads."""
        self._kernels.close()

    def prepare(self) -> None:
        """Compile in advance."""
        self._kernels.prepare()

    def restore(self, start: RunState) -> None:
        """Continue from another local state."""
        self._load(start)
        self.note()

    # Results.

    def owned(self) -> Owned:
        """What the domain owns."""
        state, layout = self._kernels.state(), self.domain.layout
        channels = layout.owns_channel
        return Owned(
            state.mass[layout.owns_holder],
            state.current[channels],
            state.residue[channels],
            state.transported[channels],
        )

    def counts(self) -> Counts:
        """Counts of what the domain owns, since its state was loaded."""
        state = self._kernels.state()
        return Counts(state.in_flight, state.packets_sent, state.quanta_sent, dict(state.events))

    def totals(self) -> Integers:
        """Mass of the owned holders of each set of fields that channels join, int64 [sets]; sums wrap."""
        kernel, owns = self._kernels.kernel, self.domain.layout.owns_holder
        sums = np.zeros(len(self._columns.joined), np.int64)
        for each in self._columns.fields:
            sums[each.joined] += kernel.now(mass_of(each.holder))[: each.field.cells][owns[each.held_cells]].sum(
                dtype=np.int64
            )
            if each.field.reservoirs.size:
                sums[each.joined] += kernel.now(ledger_of(each.holder))[owns[each.held_reservoirs]].sum()
        return sums

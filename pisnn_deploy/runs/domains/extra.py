"""Spikes and packets of a domain's copies, which their owners count: what the kernels of the domain count too much."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.graph.columns import columns_of
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.lines import spikes
from pisnn_deploy.runs.domains.layout import Domain
from pisnn_deploy.runs.kernels.draft import mass_of, sent_of, state_of
from pisnn_deploy.runs.kernels.kernel import Kernel


@dataclass(frozen=True)
class _Counted:
    """Copies whose spikes kernels count.

    Attributes
    ----------
    buffer : str
        Buffer of the values that they send.
    places : int64 array
        Their places in the buffer.
    changes : bool
        Whether they send the change of the value.
    is_sent : bool
        Whether they only prepare the next PDE step, and send nothing after the last one.
    """

    population: str
    buffer: str
    places: Integers
    changes: bool
    is_sent: bool = False


@dataclass
class Copies:
    """Counts of a domain's copies.

    Attributes
    ----------
    packets, quanta : int
        Packets that they sent, and the sum of their absolute values.
    events : dict of str to int
        Spikes, by population.
    """

    domain: Domain
    kernel: Kernel
    packets: int = 0
    quanta: int = 0
    events: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._counted = [each for each in _counted(self.domain, self.kernel) if each.places.size]
        self._packets = [
            (sent_of(channels.population, 0), np.flatnonzero(~self.domain.layout.owns_channel[channels.part]))
            for channels in columns_of(self.domain.graph).channels
        ]
        self.events = dict.fromkeys(self.domain.graph.chain, 0)

    def before(self) -> list[NDArray[np.int64] | None]:
        """Values before a PDE step, of what sends changes."""
        return [self._values(each) if each.changes else None for each in self._counted]

    def add(self, before: list[NDArray[np.int64] | None], *, ends: bool) -> None:
        """Count a PDE step.

        Parameters
        ----------
        ends : bool
            Whether it is the last of the run.
        """
        graph = self.domain.graph
        for each, old in zip(self._counted, before, strict=True):
            if not (each.is_sent and ends):
                new = self._values(each)
                self.events[each.population] += spikes(graph, each.population, new if old is None else new - old)
        for buffer, places in self._packets:
            sent = self.kernel.now(buffer)[places]
            self.packets += int(np.count_nonzero(sent))
            self.quanta += int(np.abs(sent.astype(np.int64)).sum())

    def _values(self, each: _Counted) -> NDArray[np.int64]:
        return self.kernel.now(each.buffer)[each.places].astype(np.int64)


def _counted(domain: Domain, kernel: Kernel) -> Iterator[_Counted]:
    graph, columns = domain.graph, columns_of(domain.graph)
    is_delta = graph.coding == "delta"
    heard = {(synapse.source, synapse.output) for synapse in graph.synapses}
    owns = domain.layout.owns_holder
    for each in columns.fields:
        if (each.holder, 0) in heard:
            yield _Counted(each.holder, mass_of(each.holder), np.flatnonzero(~owns[each.held_cells]), is_delta)
    for channels in columns.channels:
        places = np.flatnonzero(~domain.layout.owns_channel[channels.part])
        yield from _of_channels(graph, channels.population, places, heard)
    between = [population.name for population in graph.between_fields]
    for name in (*between, *graph.order.answers):
        numbers = np.flatnonzero(~domain.owns[name])
        places = kernel.places[name][numbers] if name in kernel.places else numbers
        for output in range(len(graph.population(name).program.sends)):
            if (name, output) in heard:
                is_sent = name in between
                yield _Counted(name, sent_of(name, output), places, is_sent and is_delta, is_sent)


def _of_channels(graph: IntegerGraph, name: str, places: Integers, heard: set[tuple[str, int]]) -> Iterator[_Counted]:
    asking, program = graph.order.asking.get(name), graph.population(name).program
    again = {output: state for (other, output), state in graph.heard_again.items() if other == name}
    outputs = [0] if asking is None else [output for output in range(len(program.sends)) if (name, output) in heard]
    for output in outputs:
        buffer = state_of(name, again[output]) if output in again else sent_of(name, output)
        yield _Counted(name, buffer, places, changes=False)
    if any((name, output) in heard for output in again):
        yield _Counted(name, state_of(name, program.states[-1]), places, changes=True)

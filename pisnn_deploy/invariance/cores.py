"""Runs of a graph core by core: a core hears what its own neurons send and what its axon tables bring."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.rows import Rows
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.graph.semantics import Arrivals
from pisnn_deploy.graph.synapse import Synapse
from pisnn_deploy.invariance.rows import Row, Subject, inapplicable, row, with_arrivals

DRAWN_CORES = 5
"""Most cores of a drawn partition."""


@dataclass(frozen=True)
class _Share:
    """The connections of a synapse that one core stores.

    Attributes
    ----------
    neurons : int64 array
        Target neurons on the core.
    weights : Rows [neurons, senders]
        Their effective weights.
    senders : int64 array
        Source neurons of these connections.
    is_heard : bool array [senders]
        Whether a message of the sender reaches the core.
    """

    neurons: Integers
    weights: Rows
    senders: Integers
    is_heard: NDArray[np.bool_]


class CoreArrivals(Arrivals):
    """Arrivals that are added up on each core from the messages that reach it.

    Parameters
    ----------
    core : mapping of str to int64 array
        Core of each neuron, by population.
    axons : mapping of str to int64 array [runs, 3], optional
        Axon tables as in `Placement`; by default every core hears all that its neurons are connected to.
    """

    def __init__(
        self, graph: IntegerGraph, core: Mapping[str, Integers], axons: Mapping[str, Integers] | None = None
    ) -> None:
        self._shares: dict[tuple[str, str], list[tuple[str, int, list[_Share]]]] = {}
        for synapse in graph.synapses:
            table = None if axons is None else axons.get(synapse.name, np.zeros((0, 3), np.int64))
            shares = list(_shares(synapse, core, table))
            key = synapse.target, synapse.port
            self._shares.setdefault(key, []).append((synapse.source, synapse.output, shares))

    def at(self, population: Population, port: str, sent: Callable[[str, int], Integers]) -> Integers:
        """Sum of what arrives at a port; see `Arrivals`."""
        total = np.zeros(population.size, np.int64)
        for source, output, shares in self._shares.get((population.name, port), ()):
            values = sent(source, output)
            for share in shares:
                total[share.neurons] += share.weights @ np.where(share.is_heard, values[share.senders], 0)
        return total


def _shares(synapse: Synapse, core: Mapping[str, Integers], axons: Integers | None) -> Iterator[_Share]:
    matrix, of_source, of_target = synapse.matrix(), core[synapse.source], core[synapse.target]
    for number in np.unique(of_target).tolist():
        neurons = np.flatnonzero(of_target == number)
        rows = matrix.rows(neurons)
        senders, columns = np.unique(rows.columns, return_inverse=True)
        is_heard = np.ones(senders.size, np.bool_)
        if axons is not None:
            brought = np.zeros(synapse.inputs + 1, np.int64)
            runs = axons[axons[:, 2] == number]
            np.add.at(brought, runs[:, 0], 1)
            np.add.at(brought, runs[:, 0] + runs[:, 1], -1)
            is_heard = (np.cumsum(brought)[senders] > 0) | (of_source[senders] == number)
        yield _Share(neurons, Rows(rows.starts, columns.astype(np.int64), rows.values, senders.size), senders, is_heard)


def core_rows(subject: Subject) -> Iterator[Row]:
    """Compare runs on the artifact's cores, and on cores that are drawn."""
    graph, placement = subject.graph, subject.graph.placement
    if placement is None:
        yield inapplicable("cores of the artifact", "it is not placed")
    else:
        yield row(
            subject,
            f"cores of the artifact ({placement.cores}) with its axon tables",
            lambda: with_arrivals(subject, CoreArrivals(graph, placement.core, placement.axons)),
        )
    count = min(DRAWN_CORES, graph.neurons)
    yield row(
        subject,
        f"neurons drawn onto {count} cores",
        lambda: with_arrivals(subject, CoreArrivals(graph, drawn_cores(graph, count))),
    )


def drawn_cores(graph: IntegerGraph, count: int) -> dict[str, Integers]:
    """Draw a core for each neuron, by population, int64; the same for the same graph."""
    generator = np.random.default_rng(0)
    return {population.name: generator.integers(count, size=population.size) for population in graph.populations}

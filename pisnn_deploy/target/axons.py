"""Connections of a graph as input axons, each from one source neuron to one core."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.graph import IntegerGraph, Synapse

Integers = NDArray[np.int64]
Small = NDArray[np.int32]

_CHUNK = 1 << 18
"""Synapses processed together: few enough for a CPU cache, and for small tables of few cores."""


@dataclass(frozen=True)
class Link:
    """The connections of one synapse population.

    Attributes
    ----------
    inputs : int
        Size of the source population.
    row_starts : int64 array [rows + 1]
        Index of each row's first entry (compressed sparse rows); a row is a target neuron.
    columns : int32 array [entries]
        Source neuron of each connection.
    """

    name: str
    source: str
    target: str
    inputs: int
    row_starts: Integers
    columns: Small

    @property
    def entries(self) -> int:
        """Number of connections."""
        return int(self.columns.size)

    def of_rows(self, rows: Integers) -> Link:
        """Select rows, in the given order.

        Parameters
        ----------
        rows : int64 array
            Indices of the rows.
        """
        lengths = self.row_starts[rows + 1] - self.row_starts[rows]
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        if rows.size and int(rows[-1] - rows[0]) == rows.size - 1 and bool((np.diff(rows) == 1).all()):
            columns = self.columns[self.row_starts[rows[0]] : self.row_starts[rows[-1] + 1]]
        else:
            at = np.arange(starts[-1])
            at += np.repeat(self.row_starts[rows] - starts[:-1], lengths)
            columns = self.columns[at]
        return Link(self.name, self.source, self.target, self.inputs, starts, columns)


@dataclass(frozen=True)
class Axons:
    """Input axons of one synapse population: pairs of core and source neuron, sorted by both.

    Attributes
    ----------
    core : int64 array [axons]
        Target core of each axon.
    source : int64 array [axons]
        Source neuron of each axon.
    synapses : int64 array [axons]
        Number of connections from this neuron to this core.
    """

    core: Integers
    source: Integers
    synapses: Integers

    def renumbered(self, number: Integers) -> Axons:
        """Renumber the cores and sort again.

        Parameters
        ----------
        number : int64 array [cores]
            New number of each core.
        """
        core = number[self.core]
        order = np.argsort(core, kind="stable")
        return Axons(core[order], self.source[order], self.synapses[order])


def links(graph: IntegerGraph) -> tuple[Link, ...]:
    """Read the connections of all synapse populations of a graph."""
    return tuple(map(link_of, graph.synapses))


def link_of(synapse: Synapse) -> Link:
    """Read the connections of a synapse population."""
    starts, columns = synapse.connections.pattern
    return Link(synapse.name, synapse.source, synapse.target, synapse.inputs, starts, np.asarray(columns, np.int32))


def input_axons(link: Link, core: Integers, cores: int) -> Axons:
    """Input axons that a link needs for a placement.

    Parameters
    ----------
    core : int64 array [rows]
        Core of the neuron of each row.
    """
    order = np.argsort(core, kind="stable")
    first_row = np.searchsorted(core[order], np.arange(cores + 1))
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.diff(link.row_starts)[order])])[first_row]
    parts = []
    start = 0
    while start < cores:
        # All rows of a core at once, so that no pair occurs in two chunks.
        end = int(np.searchsorted(before, before[start] + _CHUNK, "right")) - 1
        end = min(max(end, start + 1), cores)
        rows = order[first_row[start] : first_row[end]]
        parts.append(_pairs(link.of_rows(rows), core[rows], start, end))
        start = end
    at, source, synapses = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Axons(at, source, synapses)


def _pairs(link: Link, core: Integers, start: int, end: int) -> tuple[Integers, Integers, Integers]:
    """Core, source neuron and number of synapses of each axon to the cores from `start` up to but excluding `end`."""
    # Sources are renumbered without gaps, so that few keys are possible.
    lowest = int(link.columns.min()) if link.entries else 0
    occurs = np.zeros(int(link.columns.max()) - lowest + 1 if link.entries else 0, np.bool_)
    near = link.columns - lowest
    occurs[near] = True
    sources = np.flatnonzero(occurs)
    number = np.cumsum(occurs, dtype=np.int64) - 1
    span = (end - start) * sources.size
    if end == start + 1:
        keys = number[near]
    else:
        keys = np.repeat((core - start) * sources.size, np.diff(link.row_starts)) + number[near]
    if span <= 2 * keys.size:
        # With few possible keys, a table of all of them is cheaper than sorting.
        table = np.bincount(keys, minlength=span)
        distinct = np.flatnonzero(table)
        synapses = table[distinct]
    else:
        keys = np.sort(keys)
        starts = np.flatnonzero(np.concatenate([np.ones(min(keys.size, 1), np.bool_), keys[1:] != keys[:-1]]))
        distinct = keys[starts]
        synapses = np.diff(np.append(starts, keys.size))
    at, source = np.divmod(distinct, sources.size) if sources.size else (distinct, distinct)
    return at + start, sources[source] + lowest, synapses.astype(np.int64)

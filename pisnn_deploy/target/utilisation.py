"""What a graph puts on each core: neurons, input axons, synapses and words.

An input axon is what one source neuron's one synapse population needs on one core. Where spikes are binary, each line
of a neuron counts as a neuron with axons of its own (`pisnn_deploy.graph.lines`). Cores are those that hold neurons, in
ascending order of their numbers; an unplaced graph counts as if it stood on one core. The resource rules and the
compiler's placement count alike, because both count here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.lines import lines_of
from pisnn_deploy.target import Profile

Integers = NDArray[np.int64]
Small = NDArray[np.int32]

_CHUNK = 1 << 18
"""Synapses that are looked at together: what a processor's cache holds, and few cores, so that tables are small."""


@dataclass(frozen=True)
class Link:
    """The connections of one synapse population, read out once.

    Attributes
    ----------
    name, source, target : str
    inputs : int
        Size of the source population.
    row_starts : int64 array [rows + 1]
    columns : int32 array [entries]
        Source neuron of each connection, row after row; a row is a target neuron.
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
        """The link with these rows alone, in the given order.

        Parameters
        ----------
        rows : int64 array

        Returns
        -------
        Link
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
    """Input axons of one synapse population: its pairs of a core and a source neuron, sorted by both.

    Attributes
    ----------
    core : int64 array [axons]
        Core that the axon arrives at.
    source : int64 array [axons]
        Neuron that sends.
    synapses : int64 array [axons]
        Connections of this neuron into this core.
    """

    core: Integers
    source: Integers
    synapses: Integers

    def renumbered(self, number: Integers) -> Axons:
        """The same axons with other core numbers, sorted again.

        Parameters
        ----------
        number : int64 array [cores]
            New number of each core.

        Returns
        -------
        Axons
        """
        core = number[self.core]
        order = np.argsort(core, kind="stable")
        return Axons(core[order], self.source[order], self.synapses[order])


@dataclass(frozen=True)
class Counts:
    """Uses of each core.

    Attributes
    ----------
    placed : bool
        Whether the graph has a usable placement.
    core : int64 array [cores]
        Numbers of the cores in use.
    neurons, groups : int64 array [cores]
        Neurons, and populations of which a core holds a part.
    input_axons, synapses : int64 array [cores]
    synaptic_words : int64 array [cores]
        After packing and rounding.
    longest_axon_words : dict of str to int
        Words of the longest packed axon of each synapse population.
    output_axons : int64 array [cores]
        Entries, with what axons to other chips cost on top.
    most_axons : dict of str to int
        Entries of the neuron of each sending population that takes the most.
    axon_map_words, axon_memory_words, total_words : float64 array [cores]
    chips : int
        Chips that the cores in use stand on.
    """

    placed: bool
    core: Integers
    neurons: Integers
    groups: Integers
    input_axons: Integers
    synapses: Integers
    synaptic_words: Integers
    longest_axon_words: dict[str, int]
    output_axons: Integers
    most_axons: dict[str, int]
    axon_map_words: NDArray[np.float64]
    axon_memory_words: NDArray[np.float64]
    total_words: NDArray[np.float64]
    chips: int


def packed_words(synapses: Integers, profile: Profile) -> Integers:
    """Words that the synapses of input axons take.

    Parameters
    ----------
    synapses : int64 array
        Number of synapses of each axon, at least 1.
    profile : Profile
        Gives the packing (`pisnn_deploy.target.schema.SynapsePacking`).

    Returns
    -------
    int64 array
    """
    packing, word = profile.synapse, profile.core.word_bits.value
    each = packing.entry_synapses_max.value
    entries = 1 if each is None else -(-synapses // each)
    bits = synapses * (profile.weights.bits.value + packing.index_bits.value) + entries * packing.header_bits.value
    extra = np.isin(bits % word, np.asarray(packing.extra_word_residues_bits.value, np.int64))
    return np.asarray(-(-bits // word) + extra, np.int64)


def placement_problems(graph: IntegerGraph) -> list[str]:
    """Reasons why a placement cannot be used; empty if it can, or if there is none."""
    if graph.placement is None:
        return []
    found = []
    for name in graph.chain:
        core = graph.placement.core.get(name)
        if core is None:
            found.append(f"population {name} is on no core")
        elif core.shape != (graph.size(name),):
            found.append(f"population {name} has {graph.size(name)} neurons and {core.size} core numbers")
        elif core.size and int(core.min()) < 0:
            found.append(f"population {name} has a negative core number, {int(core.min())}")
        elif core.size and int(core.max()) >= graph.placement.chip.size:
            found.append(f"population {name} is on core {int(core.max())}, which is on no chip")
    unknown = sorted(set(graph.placement.core) - set(graph.chain))
    return found + [f"population {name} is placed and not in the graph" for name in unknown]


def links(graph: IntegerGraph) -> tuple[Link, ...]:
    """Read the connections of all synapse populations of a graph.

    Parameters
    ----------
    graph : IntegerGraph

    Returns
    -------
    tuple of Link
    """
    found = []
    for synapse in graph.synapses:
        starts, columns = synapse.connections.pattern
        narrow = np.asarray(columns, np.int32)
        found.append(Link(synapse.name, synapse.source, synapse.target, synapse.inputs, starts, narrow))
    return tuple(found)


def input_axons(link: Link, core: Integers, cores: int) -> Axons:
    """Input axons that a link needs.

    Parameters
    ----------
    link : Link
    core : int64 array [rows]
        Core of the neuron of each row.
    cores : int

    Returns
    -------
    Axons
    """
    order = np.argsort(core, kind="stable")
    first_row = np.searchsorted(core[order], np.arange(cores + 1))
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.diff(link.row_starts)[order])])[first_row]
    parts = []
    start = 0
    while start < cores:
        # All rows of a core at once, so that no pair is met again in another chunk.
        end = int(np.searchsorted(before, before[start] + _CHUNK, "right")) - 1
        end = min(max(end, start + 1), cores)
        rows = order[first_row[start] : first_row[end]]
        parts.append(_pairs(link.of_rows(rows), core[rows], start, end))
        start = end
    at, source, synapses = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Axons(at, source, synapses)


def _pairs(link: Link, core: Integers, start: int, end: int) -> tuple[Integers, Integers, Integers]:
    """Cores, source neurons and number of synapses of the axons into the cores from `start` to before `end`."""
    # Sources are numbered anew among those that occur, so that few keys are possible.
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
        # Few possible keys: a table of all of them takes less than sorting.
        table = np.bincount(keys, minlength=span)
        found = np.flatnonzero(table)
        synapses = table[found]
    else:
        keys = np.sort(keys)
        starts = np.flatnonzero(np.concatenate([np.ones(min(keys.size, 1), np.bool_), keys[1:] != keys[:-1]]))
        found = keys[starts]
        synapses = np.diff(np.append(starts, keys.size))
    at, source = np.divmod(found, sources.size) if sources.size else (found, found)
    return at + start, sources[source] + lowest, synapses.astype(np.int64)


def count(graph: IntegerGraph, profile: Profile) -> Counts:
    """Count the uses of each core.

    Parameters
    ----------
    graph : IntegerGraph
        A verified graph; its placement may be unusable and then counts as none.
    profile : Profile

    Returns
    -------
    Counts
    """
    placement = None if placement_problems(graph) else graph.placement
    if placement is None:
        index = {name: np.zeros(graph.size(name), np.int64) for name in graph.chain}
        core = chip = np.zeros(1, np.int64)
    else:
        core = np.unique(np.concatenate([np.unique(placement.core[name]) for name in graph.chain]))
        core = core if core.size else np.zeros(1, np.int64)
        index = {name: np.searchsorted(core, placement.core[name]) for name in graph.chain}
        chip = placement.chip[core]
    axons = []
    for synapse in graph.synapses:
        # One after the other, so that no more than one synapse population is expanded at a time.
        starts, columns = synapse.connections.pattern
        narrow = np.asarray(columns, np.int32)
        link = Link(synapse.name, synapse.source, synapse.target, synapse.inputs, starts, narrow)
        axons.append(input_axons(link, index[synapse.target], core.size))
    names = tuple((synapse.name, synapse.source) for synapse in graph.synapses)
    lines = {name: lines_of(graph, name) for name in graph.chain}
    return tally(names, axons, index, core, chip, profile, lines, placement is not None)


def tally(
    synapses: Sequence[tuple[str, str]],
    axons: Sequence[Axons],
    index: Mapping[str, Integers],
    core: Integers,
    chip: Integers,
    profile: Profile,
    lines: Mapping[str, int],
    placed: bool = True,
) -> Counts:
    """Add up the uses of each core.

    Parameters
    ----------
    synapses : sequence of (str, str)
        Name and source population of each synapse population.
    axons : sequence of Axons
        Their input axons; cores are positions in `core`.
    index : mapping of str to int64 array
        Position in `core` of the core of each neuron, by population.
    core, chip : int64 array [cores]
        Number and chip of each core.
    profile : Profile
    lines : mapping of str to int
        Lines of a neuron, by population.
    placed : bool
        What `Counts.placed` says.

    Returns
    -------
    Counts
    """
    cores = core.size
    inputs, connections, words, output_axons = (np.zeros(cores, np.int64) for _ in range(4))
    map_entries, memory_entries = np.zeros(cores, np.int64), np.zeros(cores, np.int64)
    longest: dict[str, int] = {}
    entries: dict[str, Integers] = {}
    crossing_cost = profile.core.output_axon_cross_chip.value or 0
    for (name, source), one in zip(synapses, axons, strict=True):
        each = packed_words(one.synapses, profile)
        longest[name] = int(each.max()) if each.size else 0
        times = lines[source]
        inputs += times * np.bincount(one.core, minlength=cores)
        connections += times * _sums(one.core, one.synapses, cores)
        words += times * _sums(one.core, each, cores)
        home = index[source]
        origin = home[one.source]
        leaving = times * np.bincount(origin, minlength=cores)
        output_axons += leaving
        of_neurons = np.bincount(one.source, minlength=home.size)
        if crossing_cost:
            crosses = chip[origin] != chip[one.core]
            output_axons += crossing_cost * times * np.bincount(origin[crosses], minlength=cores)
            of_neurons += crossing_cost * np.bincount(one.source[crosses], minlength=home.size)
        entries[source] = entries.get(source, 0) + of_neurons
        sends = np.zeros(home.size, np.bool_)
        sends[one.source] = True
        ports = times * np.bincount(home[sends], minlength=cores)
        map_entries += ports
        memory_entries += leaving - ports

    held = [lines[name] * np.bincount(home, minlength=cores) for name, home in index.items()]
    neurons = np.sum(held, axis=0, dtype=np.int64)
    groups = np.sum([one > 0 for one in held], axis=0, dtype=np.int64)
    costs = profile.core
    axon_map = map_entries * (costs.axon_map_entry_words.value or 0.0)
    axon_memory = memory_entries * (costs.axon_memory_entry_words.value or 0.0)
    total = (
        inputs * (costs.input_axon_words.value or 0.0)
        + neurons * (costs.neuron_words.value or 0.0)
        + words
        + axon_map
        + axon_memory
    )
    return Counts(
        placed,
        core,
        neurons,
        groups,
        inputs,
        connections,
        words,
        longest,
        output_axons,
        {name: int(each.max(initial=0)) for name, each in entries.items()},
        axon_map,
        axon_memory,
        total,
        int(np.unique(chip).size),
    )


def _sums(at: Integers, values: Integers, cores: int) -> Integers:
    """Sum of the values at each core; exact, since float64 holds every count below 2^53."""
    return np.bincount(at, weights=values, minlength=cores).astype(np.int64)

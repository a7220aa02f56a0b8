"""Count the resources that a graph uses on each core: neurons, input axons, synapses and words.

There is one input axon per source neuron, synapse population and target core. With binary spikes, each line of a neuron
counts as a neuron with its own axons (`pisnn_deploy.graph.lines`). Only cores with neurons are counted, in ascending
order; an unplaced graph counts as if placed on one core. Resource rules and placement both use these counts, so they
always agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.lines import lines_of
from pisnn_deploy.target.axons import Axons, input_axons, link_of
from pisnn_deploy.target.schema import Profile

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Counts:
    """Use of resources on each core.

    Attributes
    ----------
    placed : bool
        Whether the graph has a usable placement.
    core : int64 array [cores]
        Numbers of the cores in use.
    neurons, groups : int64 array [cores]
        Number of neurons, and of populations with at least one neuron, on each core.
    input_axons, synapses : int64 array [cores]
        Number of input axons and synapses on each core.
    synaptic_words : int64 array [cores]
        Memory words of synapses, after packing and rounding.
    longest_axon_words : dict of str to int
        Words of the longest packed axon of each synapse population.
    output_axons : int64 array [cores]
        Number of output axon entries, including the additional ones for axons to other chips.
    most_axons : dict of str to int
        Largest number of output axon entries of a neuron, by source population.
    axon_map_words, axon_memory_words, total_words : float64 array [cores]
        Memory words used on each core.
    chips : int
        Number of chips in use.
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
    """Words for the packed synapses of each input axon.

    Parameters
    ----------
    synapses : int64 array
        Number of synapses of each axon, at least 1.
    profile : Profile
        Profile with the packing (`pisnn_deploy.target.schema.SynapsePacking`).

    Returns
    -------
    int64 array
        Memory words of each axon.
    """
    packing, word = profile.synapse, profile.core.word_bits.value
    per_entry = packing.entry_synapses_max.value
    entries = 1 if per_entry is None else -(-synapses // per_entry)
    bits = synapses * (profile.weights.bits.value + packing.index_bits.value) + entries * packing.header_bits.value
    extra = np.isin(bits % word, np.asarray(packing.extra_word_residues_bits.value, np.int64))
    return np.asarray(-(-bits // word) + extra, np.int64)


def placement_problems(graph: IntegerGraph) -> list[str]:
    """Reasons why a placement cannot be used; empty if it can, or without a placement."""
    if graph.placement is None:
        return []
    problems = []
    for name in graph.chain:
        core = graph.placement.core.get(name)
        if core is None:
            problems.append(f"population {name} is on no core")
        elif core.shape != (graph.size(name),):
            problems.append(f"population {name} has {graph.size(name)} neurons but {core.size} core numbers")
        elif core.size and int(core.min()) < 0:
            problems.append(f"population {name} has a negative core number, {int(core.min())}")
        elif core.size and int(core.max()) >= graph.placement.chip.size:
            problems.append(f"population {name} is on core {int(core.max())}, which is on no chip")
    unknown = sorted(set(graph.placement.core) - set(graph.chain))
    return problems + [f"population {name} is placed but not in the graph" for name in unknown]


def count(graph: IntegerGraph, profile: Profile) -> Counts:
    """Count the use of resources on each core.

    Parameters
    ----------
    graph : IntegerGraph
        A verified graph; an unusable placement is ignored.
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
        # One at a time, so that only one synapse population is expanded in memory.
        axons.append(input_axons(link_of(synapse), index[synapse.target], core.size))
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
    """Add up the use of resources on each core.

    Parameters
    ----------
    synapses : sequence of (str, str)
        Name and source population of each synapse population.
    axons : sequence of Axons
        Input axons of each synapse population; cores are indices into `core`.
    index : mapping of str to int64 array
        Index into `core` for each neuron, by population.
    core, chip : int64 array [cores]
        Number and chip of each core.
    lines : mapping of str to int
        Lines per neuron, by population.
    placed : bool
        Value of `Counts.placed`.
    """
    sums = _Sums(core.size)
    for (name, source), of_synapse in zip(synapses, axons, strict=True):
        sums.add(name, source, of_synapse, index[source], chip, lines[source], profile)
    by_population = [lines[name] * np.bincount(home, minlength=core.size) for name, home in index.items()]
    neurons = np.sum(by_population, axis=0, dtype=np.int64)
    groups = np.sum([on_core > 0 for on_core in by_population], axis=0, dtype=np.int64)
    costs = profile.core
    axon_map = sums.map_entries * (costs.axon_map_entry_words.value or 0.0)
    axon_memory = sums.memory_entries * (costs.axon_memory_entry_words.value or 0.0)
    total = (
        sums.input_axons * (costs.input_axon_words.value or 0.0)
        + neurons * (costs.neuron_words.value or 0.0)
        + sums.words
        + axon_map
        + axon_memory
    )
    return Counts(
        placed,
        core,
        neurons,
        groups,
        sums.input_axons,
        sums.synapses,
        sums.words,
        sums.longest,
        sums.output_axons,
        {name: int(entries.max(initial=0)) for name, entries in sums.entries.items()},
        axon_map,
        axon_memory,
        total,
        int(np.unique(chip).size),
    )


class _Sums:
    """Sums over the axons of synapse populations, on each core.

    Attributes
    ----------
    input_axons, synapses, words, output_axons, map_entries, memory_entries : int64 array [cores]
        Sums on each core so far.
    longest : dict of str to int
        Words of the longest packed axon of each synapse population.
    entries : dict of str to int64 array
        Output axon entries of each neuron of a sending population.
    """

    def __init__(self, cores: int) -> None:
        self.input_axons, self.synapses, self.words, self.output_axons = np.zeros((4, cores), np.int64)
        self.map_entries, self.memory_entries = np.zeros((2, cores), np.int64)
        self.longest: dict[str, int] = {}
        self.entries: dict[str, Integers] = {}

    def add(
        self, name: str, source: str, axons: Axons, home: Integers, chip: Integers, lines: int, profile: Profile
    ) -> None:
        """Add the axons of a synapse population.

        Parameters
        ----------
        name, source : str
            Names of the synapse population and of its source population.
        home : int64 array [neurons]
            Core of each source neuron.
        chip : int64 array [cores]
            Chip of each core.
        lines : int
            Lines per source neuron.
        """
        cores = chip.size
        words = packed_words(axons.synapses, profile)
        self.longest[name] = int(words.max(initial=0))
        self.input_axons += lines * np.bincount(axons.core, minlength=cores)
        self.synapses += lines * _sums(axons.core, axons.synapses, cores)
        self.words += lines * _sums(axons.core, words, cores)
        origin = home[axons.source]
        leaving = lines * np.bincount(origin, minlength=cores)
        self.output_axons += leaving
        of_neurons = np.bincount(axons.source, minlength=home.size)
        crossing_cost = profile.core.output_axon_cross_chip.value or 0
        if crossing_cost:
            crosses = chip[origin] != chip[axons.core]
            self.output_axons += crossing_cost * lines * np.bincount(origin[crosses], minlength=cores)
            of_neurons += crossing_cost * np.bincount(axons.source[crosses], minlength=home.size)
        self.entries[source] = self.entries.get(source, 0) + of_neurons
        sends = np.zeros(home.size, np.bool_)
        sends[axons.source] = True
        ports = lines * np.bincount(home[sends], minlength=cores)
        self.map_entries += ports
        self.memory_entries += leaving - ports


def _sums(at: Integers, values: Integers, cores: int) -> Integers:
    """Sum of the values on each core; exact, because float64 represents all counts below 2^53."""
    return np.bincount(at, weights=values, minlength=cores).astype(np.int64)

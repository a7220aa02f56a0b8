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
from pisnn_deploy.target.axons import Axons, input_axons, link_of
from pisnn_deploy.target.schema import Profile

Integers = NDArray[np.int64]


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
        Counts on each core.
    synaptic_words : int64 array [cores]
        After packing and rounding.
    longest_axon_words : dict of str to int
        Words of the longest packed axon of each synapse population.
    output_axons : int64 array [cores]
        Entries, with what axons to other chips cost on top.
    most_axons : dict of str to int
        Entries of the neuron of each sending population that takes the most.
    axon_map_words, axon_memory_words, total_words : float64 array [cores]
        Memory words taken on each core.
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
        Memory words of each list of synapses.
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


def count(graph: IntegerGraph, profile: Profile) -> Counts:
    """Count the uses of each core.

    Parameters
    ----------
    graph : IntegerGraph
        A verified graph; its placement may be unusable and then counts as none.
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
    lines : mapping of str to int
        Lines of a neuron, by population.
    placed : bool
        What `Counts.placed` says.
    """
    sums = _Sums(core.size)
    for (name, source), of_synapse in zip(synapses, axons, strict=True):
        sums.add(name, source, of_synapse, index[source], chip, lines[source], profile)
    held = [lines[name] * np.bincount(home, minlength=core.size) for name, home in index.items()]
    neurons = np.sum(held, axis=0, dtype=np.int64)
    groups = np.sum([on_core > 0 for on_core in held], axis=0, dtype=np.int64)
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
        {name: int(each.max(initial=0)) for name, each in sums.entries.items()},
        axon_map,
        axon_memory,
        total,
        int(np.unique(chip).size),
    )


class _Sums:
    """What the axons of synapse populations add up to, at each core.

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
            Of the synapses, and of the population that sends.
        home : int64 array [neurons]
            Core of each neuron that sends.
        chip : int64 array [cores]
            Chip on which each core lies.
        lines : int
            Lines of each neuron that sends.
        """
        cores = chip.size
        each = packed_words(axons.synapses, profile)
        self.longest[name] = int(each.max(initial=0))
        self.input_axons += lines * np.bincount(axons.core, minlength=cores)
        self.synapses += lines * _sums(axons.core, axons.synapses, cores)
        self.words += lines * _sums(axons.core, each, cores)
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
    """Sum of the values at each core; exact, since float64 holds every count below 2^53."""
    return np.bincount(at, weights=values, minlength=cores).astype(np.int64)

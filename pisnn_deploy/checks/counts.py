"""What a graph puts on each core: neurons, input axons, synapses and words.

An input axon is what one source neuron's one synapse population needs on one core. Cores are those that hold neurons,
in ascending order of their numbers; an unplaced graph counts as if it stood on one core.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.profiles import Profile

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
    synaptic_words : int64 array [cores]
        After packing and rounding.
    longest_axon_words : dict of str to int
        Words of the longest packed axon of each synapse population.
    output_axons : int64 array [cores]
        Entries, with what axons to other chips cost on top.
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
        Gives the packing (`pisnn_deploy.profiles.schema.SynapsePacking`).

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
    unknown = sorted(set(graph.placement.core) - set(graph.chain))
    return found + [f"population {name} is placed and not in the graph" for name in unknown]


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
    placed = graph.placement is not None and not placement_problems(graph)
    numbers = {name: _core_numbers(graph, name, placed) for name in graph.chain}
    core, flat = np.unique(np.concatenate(list(numbers.values())), return_inverse=True)
    core, flat = core.astype(np.int64), flat.astype(np.int64)
    if core.size == 0:
        core = np.zeros(1, np.int64)
    ends = np.cumsum([graph.size(name) for name in graph.chain])
    index = dict(zip(graph.chain, np.split(flat, ends[:-1]), strict=True))
    cores = core.size
    usable = profile.chip.cores_usable.value
    chip = core // usable if usable else np.zeros(cores, np.int64)

    input_axons, synapses, words, output_axons = (np.zeros(cores, np.int64) for _ in range(4))
    map_entries, memory_entries = np.zeros(cores, np.int64), np.zeros(cores, np.int64)
    longest: dict[str, int] = {}
    crossing_cost = profile.core.output_axon_cross_chip.value or 0
    for synapse in graph.synapses:
        rows = np.repeat(index[synapse.target], np.diff(synapse.row_starts))
        # Counting by (target core, source neuron) in linear time: duplicates of a coordinate add up.
        ones = np.ones(synapse.entries, np.int64)
        axons = sparse.coo_matrix((ones, (rows, synapse.columns)), (cores, synapse.inputs)).tocsr()
        at = np.repeat(np.arange(cores), np.diff(axons.indptr))
        each = packed_words(axons.data.astype(np.int64), profile)
        longest[synapse.name] = int(each.max()) if each.size else 0
        input_axons += np.bincount(at, minlength=cores)
        synapses += _sums(at, axons.data, cores)
        words += _sums(at, each, cores)
        origin = index[synapse.source][axons.indices]
        output_axons += np.bincount(origin, minlength=cores)
        output_axons += crossing_cost * np.bincount(origin[chip[origin] != chip[at]], minlength=cores)
        senders = index[synapse.source][np.bincount(axons.indices, minlength=synapse.inputs) > 0]
        ports = np.bincount(senders, minlength=cores)
        map_entries += ports
        memory_entries += np.bincount(origin, minlength=cores) - ports

    neurons = np.bincount(flat, minlength=cores).astype(np.int64)
    groups = sum((np.bincount(i, minlength=cores) > 0).astype(np.int64) for i in index.values())
    costs = profile.core
    axon_map = map_entries * (costs.axon_map_entry_words.value or 0.0)
    axon_memory = memory_entries * (costs.axon_memory_entry_words.value or 0.0)
    total = (
        input_axons * (costs.input_axon_words.value or 0.0)
        + neurons * (costs.neuron_words.value or 0.0)
        + words
        + axon_map
        + axon_memory
    )
    return Counts(
        placed,
        core,
        neurons,
        np.asarray(groups, np.int64),
        input_axons,
        synapses,
        words,
        longest,
        output_axons,
        axon_map,
        axon_memory,
        total,
        int(np.unique(chip).size),
    )


def _core_numbers(graph: IntegerGraph, population: str, placed: bool) -> Integers:
    if placed and graph.placement is not None:
        return graph.placement.core[population]
    return np.zeros(graph.size(population), np.int64)


def _sums(at: Integers, values: Integers, cores: int) -> Integers:
    """Sum of the values at each core; exact, since float64 holds every count below 2^53."""
    return np.bincount(at, weights=values, minlength=cores).astype(np.int64)

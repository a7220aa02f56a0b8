"""Cuts of a graph's cells onto cores, and what they use."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.compiler.passes.partition import chips_by_traffic, core_traffic
from pisnn_deploy.core.errors import CompileError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.graph.lines import lines_of
from pisnn_deploy.target import Profile
from pisnn_deploy.target.axons import Axons, Link, input_axons
from pisnn_deploy.target.resources import limits
from pisnn_deploy.target.states import state_bits
from pisnn_deploy.target.utilisation import Counts, tally

NAME = "place"
"""Name of the pass, for messages."""


@dataclass(frozen=True)
class Trial:
    """A cut of all cells and its cost."""

    index: dict[str, Integers]
    chip: Integers
    axons: tuple[Axons, ...]
    counts: Counts


@dataclass(frozen=True)
class Use:
    """Resource that is nearest to its limit, or furthest above it."""

    ratio: float
    what: str
    used: int
    limit: int


@dataclass(frozen=True)
class Problem:
    """What is to be placed, and what the target has.

    A *part* is a set of cells with all that lives with them. It takes one core for each layer.

    Attributes
    ----------
    homes : dict of str to int64 array
        Cell of each neuron, by population.
    layers : dict of str to int
        Layer of each population, from 0 on without holes.
    """

    graph: IntegerGraph
    profile: Profile
    links: tuple[Link, ...]
    homes: dict[str, Integers]
    layers: dict[str, int]

    @property
    def depth(self) -> int:
        """Number of layers: cores of a part."""
        return 1 + max(self.layers.values())

    @property
    def cells(self) -> int:
        """Number of cells."""
        return self.graph.mesh.cells

    @property
    def usable(self) -> int:
        """Cores of a chip; as many as there can be where the profile has no limit."""
        return self.profile.chip.cores_usable.value or self.cells * self.depth

    @property
    def parts_of_a_chip(self) -> int:
        """Parts whose cores fit a chip."""
        return max(1, self.usable // self.depth)

    @cached_property
    def reach(self) -> int:
        """Cells along an axis within which everything lives that a cell sends to or receives from, on a grid."""
        if self.graph.has_flux_network:
            spec = self.graph.model_spec
            return spec.half_width + spec.transverse + 2
        shape, farthest = self.graph.mesh.shape, 0
        for link in self.links:
            target = np.repeat(self.homes[link.target], np.diff(link.row_starts))
            places = (np.unravel_index(cell, shape) for cell in (target, self.homes[link.source][link.columns]))
            for count, here, there in zip(shape, *places, strict=True):
                apart = np.abs(here - there)
                farthest = max(farthest, int(np.minimum(apart, count - apart).max(initial=0)))
        return farthest

    @cached_property
    def synapses(self) -> int:
        """Number of connections."""
        return sum(link.entries for link in self.links)

    @cached_property
    def neurons_by_cell(self) -> dict[str, tuple[Integers, Integers]]:
        """Neurons of each population ordered by cell, and where each cell's begin."""
        resources = {}
        for name, home in self.homes.items():
            order = np.argsort(home, kind="stable")
            resources[name] = order, np.searchsorted(home[order], np.arange(self.cells + 1))
        return resources

    @cached_property
    def loads(self) -> list[tuple[Integers | NDArray[np.float64], int]]:
        """Least use of a resource by each cell, whatever the cut, and the resource's limit."""
        core, packing = self.profile.core, self.profile.synapse
        neurons_by_population = [
            self.lines[name] * np.bincount(home, minlength=self.cells) for name, home in self.homes.items()
        ]
        neurons = np.sum(neurons_by_population, axis=0)
        entries = np.zeros(self.cells)
        for link in self.links:
            lengths = self.lines[link.source] * np.diff(link.row_starts)
            entries += np.bincount(self.homes[link.target], weights=lengths, minlength=self.cells)
        bits = self.profile.weights.bits.value + packing.index_bits.value
        words = entries * (bits / core.word_bits.value)
        loads = {
            "neurons": neurons,
            "synaptic_words": words,
            "total_words": words + neurons * (core.neuron_words.value or 0.0),
        }
        limited = [(loads[resource.name], limit) for resource, limit in limits(self.profile) if resource.name in loads]
        return limited or [(neurons, int(neurons.sum()))]

    def heaviest_loads(self) -> NDArray[np.float64]:
        """Use by each cell of the resource that runs out first."""
        load, _ = max(self.loads, key=lambda pair: float(pair[0].sum()) / max(pair[1], 1))
        return np.asarray(load, np.float64)

    def fewest_parts(self) -> int:
        """Lower bound on the number of parts."""
        needed = max(math.ceil(float(load.sum()) / max(limit, 1) - 1e-9) for load, limit in self.loads)
        return min(max(-(-needed // self.depth), 1), self.cells)

    def refuse_large_cells(self) -> None:
        """Refuse a graph whose largest cell overfills a core even if all other cells share one other core."""
        if self.depth > 1:
            return  # the cores of a part share its load; `growing` ends with single cells
        for load, _ in self.loads:
            core = np.zeros(self.cells, np.int64)
            core[int(load.argmax())] = 1
            self.refuse(self.use_of(core, 2, 1, np.array([int(load.argmax())])))

    def refuse(self, use: Use) -> None:
        """Raise if a single cell is above a limit."""
        if use.ratio > 1:
            raise CompileError(
                NAME,
                f"a cell and its faces take {use.used} {use.what}, a core holds {use.limit}",
                remedy="use a smaller flux network or another target",
            )

    def index(self, part: Integers) -> dict[str, Integers]:
        """Core of each neuron, from the part of each cell."""
        return {name: part[home] * self.depth + self.layers[name] for name, home in self.homes.items()}

    def use_of(self, part: Integers, parts: int, which: int, near: Integers) -> Use:
        """Use of the cores of one part, counting only what arrives at the cells `near` it (sorted)."""
        index, cores = self.index(part), parts * self.depth
        axons = []
        for link in self.links:
            order, first = self.neurons_by_cell[link.target]
            spans = [order[first[cell] : first[cell + 1]] for cell in near.tolist()]
            rows = np.sort(np.concatenate(spans))
            axons.append(input_axons(link.of_rows(rows), index[link.target][rows], cores))
        chip = np.zeros(cores, np.int64)
        part_cores = slice(which * self.depth, (which + 1) * self.depth)
        return self.heaviest(self.tally(axons, index, chip), index, part_cores)

    def trial(self, part: Integers, chip: Integers | None, seed: int) -> Trial:
        """Measure a cut; without the `chip` of each part, cores are assigned to chips by their traffic."""
        index = self.index(part)
        used = np.unique(np.concatenate([np.unique(cores) for cores in index.values()]))
        if used.size <= int(used[-1]):  # a layer may have no neuron in some part
            index = {name: np.searchsorted(used, cores) for name, cores in index.items()}
        cores = int(used.size)
        axons = tuple(input_axons(link, index[link.target], cores) for link in self.links)
        if chip is not None:
            chip = chip[used // self.depth]
        elif cores > self.usable:
            traffic = core_traffic((index[link.source] for link in self.links), axons, cores)
            chip = chips_by_traffic(traffic, self.usable, seed)
            number, chip = in_order_of_chips(chip)
            index = {name: number[home] for name, home in index.items()}
            axons = tuple(part_axons.renumbered(number) for part_axons in axons)
        else:
            chip = np.zeros(cores, np.int64)
        return Trial(index, chip, axons, self.tally(axons, index, chip))

    def tally(self, axons: tuple[Axons, ...] | list[Axons], index: dict[str, Integers], chip: Integers) -> Counts:
        """Use of each core of a cut."""
        names = [(link.name, link.source) for link in self.links]
        return tally(names, axons, index, np.arange(chip.size), chip, self.profile, self.lines)

    @cached_property
    def lines(self) -> dict[str, int]:
        """Lines of a neuron, by population."""
        return {name: lines_of(self.graph, name) for name in self.graph.chain}

    @cached_property
    def state_words(self) -> dict[str, int]:
        """Words of state of a neuron, by population."""
        word = self.profile.core.word_bits.value
        return {name: self.lines[name] * -(-bits // word) for name, bits in state_bits(self.graph).items()}

    def heaviest(self, counts: Counts, index: Mapping[str, Integers], which: slice = slice(None)) -> Use:
        """The use nearest to its limit or furthest above it, over all cores or some."""
        worst = Use(0.0, "neurons", 0, 0)
        for what, uses, limit in (*_limited(counts, self.profile), *self._states(index, counts.core.size)):
            used = math.ceil(uses[which].max())
            ratio = used / limit if limit else math.inf * used if used else 0.0
            if ratio > worst.ratio:
                worst = Use(ratio, what, used, limit)
        return worst

    def _states(self, index: Mapping[str, Integers], cores: int) -> Iterator[tuple[str, Integers, int]]:
        """Words of state on each core, with their limit; only in graphs without a flux network, which keep more."""
        limit = self.profile.core.neuron_state_words.value
        if limit is None or self.graph.has_flux_network:
            return
        words = np.zeros(cores, np.int64)
        for name, home in index.items():
            words += self.state_words[name] * np.bincount(home, minlength=cores)
        yield "words of neuron states", words, limit


def _limited(counts: Counts, profile: Profile) -> Iterator[tuple[str, Integers | NDArray[np.float64], int]]:
    """Uses of each core for resources with a limit."""
    return ((resource.text, resource.uses(counts), limit) for resource, limit in limits(profile))


def layers_of(graph: IntegerGraph, profile: Profile) -> dict[str, int]:
    """Layer of each population: as few as a core may have populations, with loads as equal as possible.

    Channels and holders are in the first layer, others follow in the order of their depth.

    Returns
    -------
    dict of str to int
        By population; all 0 in a graph of a flux network, or with few populations.
    """
    most = profile.core.neuron_groups_max.value
    carriers = [channels.population for channels in graph.channels]
    between = (population.name for population in graph.between_fields)
    order = [*carriers, *graph.holders, *between, *graph.order.answers]
    if graph.has_flux_network or most is None or len(order) <= most:
        return dict.fromkeys(order, 0)
    loads = {population.name: population.size for population in graph.populations}
    for synapse in graph.synapses:
        loads[synapse.target] += synapse.entries
    ends = even_runs([loads[name] for name in order], -(-len(order) // most), most)
    return {name: sum(number >= end for end in ends) for number, name in enumerate(order)}


def even_runs(loads: list[int], runs: int, longest: int) -> list[int]:
    """Ends of runs of consecutive numbers, none longer than `longest`, that keep the largest sum of a run small."""
    best: list[tuple[int, list[int]] | None] = [(0, []), *([None] * len(loads))]
    for _ in range(runs):
        further: list[tuple[int, list[int]] | None] = [None] * (len(loads) + 1)
        for start, reached in enumerate(best):
            for end in range(start + 1, min(start + longest, len(loads)) + 1) if reached is not None else ():
                assert reached is not None
                candidate = max(reached[0], sum(loads[start:end])), [*reached[1], end]
                known = further[end]
                further[end] = candidate if known is None or candidate < known else known
        best = further
    chosen = best[-1]
    assert chosen is not None
    return chosen[1]


def in_order_of_chips(chip: Integers) -> tuple[Integers, Integers]:
    """Renumber cores so that chips hold consecutive ones; also the chip of each new number."""
    order = np.argsort(chip, kind="stable")
    number = np.empty_like(order)
    number[order] = np.arange(order.size)
    return number, chip[order]

"""Pass `place`: assign neurons to cores, and cores to chips."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.compiler.facts import PLACED, PROVED, Fact
from pisnn_deploy.compiler.passes.homes import home_cells
from pisnn_deploy.compiler.passes.partition import (
    axon_runs,
    block_shapes,
    cell_graph,
    chips_by_traffic,
    chips_of_blocks,
    core_traffic,
    cut_evenly,
    cut_surface,
    metis_parts,
)
from pisnn_deploy.core.errors import CompileError
from pisnn_deploy.graph import IntegerGraph, Placement
from pisnn_deploy.graph.annotations import Method
from pisnn_deploy.graph.integer import UTILISATION, Integers
from pisnn_deploy.graph.lines import lines_of
from pisnn_deploy.mesh import PERIODIC
from pisnn_deploy.target import Profile
from pisnn_deploy.target.axons import Axons, Link, input_axons, links
from pisnn_deploy.target.resources import limits
from pisnn_deploy.target.utilisation import Counts, tally

if TYPE_CHECKING:
    from pisnn_deploy.compiler.options import CompileOptions, PlacementMethod
    from pisnn_deploy.compiler.runner import Floating

_LARGE = 1_000_000
"""Number of synapses from which a shape is tried on single blocks before the whole graph is counted."""
_NEAR_CUBES = 1.5
"""Largest surface, relative to cubes, with which a shape predicts how many blocks others need."""
_JUMP = 0.6
"""Part of the predicted number to continue with."""
_GROWTH = 0.9
"""Part of the fullest core's excess by which the number of cores grows; other cores may be less full."""


@dataclass(frozen=True)
class Place:
    """Cut the mesh onto cores and the cores onto chips, with little traffic between them.

    1. A face and its hidden neurons live on the core of the cell on their lower side, so most packets stay local. A
       reservoir lives on the core of its neighbour. All fields of a cell share its core.
    2. ``blocks`` cuts a structured mesh into boxes as near to cubes as possible: of the fewest cores on which no limit
       of the profile is exceeded, those with the least surface. ``metis`` cuts the graph of the cells, whatever the
       mesh. ``index`` cuts consecutive cells; it is what the others are compared with.
    3. Limits are those that a finer cut can meet: neurons, input and output axons, and words of synapses, axon map,
       axon memory and in total. They are counted exactly, as the resource check does (`target.utilisation`).
    4. More cores or chips than the target has are not refused here: the resource check reports it.

    Parameters
    ----------
    profile : Profile
        The target. A limit of null means no limit.
    method : str
        ``auto``, ``blocks``, ``metis`` or ``index``.
    seed : int
        For ``metis``; the same seed gives the same placement.
    """

    name: ClassVar[str] = "place"
    requires: ClassVar[tuple[Fact, ...]] = (PROVED,)
    ensures: ClassVar[tuple[Fact, ...]] = (PLACED,)

    profile: Profile
    method: PlacementMethod = "auto"
    seed: int = 0

    @classmethod
    def asked(cls, options: CompileOptions, floating: Floating | None) -> Place | None:
        """Run unless the placement is `none`."""
        method = options.graph.placement
        return None if method == "none" else cls(options.profile, method)

    def __call__(self, graph: IntegerGraph) -> IntegerGraph:
        """Place `graph`.

        Raises
        ------
        CompileError
            A single cell with its faces is too large for a core, or blocks are asked for and the mesh has no axes.
        """
        structured = graph.mesh.grid is not None
        method = self.method
        if method == "none":
            return replace(graph, placement=None)
        if method == "auto":
            method = "blocks" if structured else "metis"
        if method == "blocks" and not structured:
            raise CompileError(self.name, "blocks need a structured mesh", remedy="use the method metis")
        problem = _Problem(graph, self.profile, links(graph), home_cells(graph))
        problem.refuse_large_cells()
        if method == "blocks":
            trial = _by_blocks(problem)
        elif method == "metis":
            joined = cell_graph(problem.links, problem.homes, graph.mesh.cells)
            loads = problem.heaviest_loads()
            trial = _growing(problem, lambda cores: metis_parts(joined, loads, cores, self.seed), self.seed)
        else:
            cells = np.arange(graph.mesh.cells, dtype=np.int64)
            trial = _growing(problem, lambda cores: cells * cores // cells.size, None)
        return replace(graph, placement=_placement(problem, trial, method))

    def summary(self, graph: IntegerGraph) -> str:
        """One sentence that describes the result."""
        placement = graph.placement
        if placement is None:
            return "nothing"
        crossing = sum(int(runs[:, 1].sum()) for runs in placement.axons.values())
        return (
            f"{placement.cores} cores on {placement.chips} chips by {placement.method}, {crossing} axons between cores"
        )


@dataclass(frozen=True)
class _Trial:
    """A cut of all cells and its cost."""

    index: dict[str, Integers]
    chip: Integers
    axons: tuple[Axons, ...]
    counts: Counts


@dataclass(frozen=True)
class _Use:
    """Resource that is nearest to its limit, or furthest above it."""

    ratio: float
    what: str
    used: int
    limit: int


@dataclass(frozen=True)
class _Problem:
    graph: IntegerGraph
    profile: Profile
    links: tuple[Link, ...]
    homes: dict[str, Integers]

    @property
    def cells(self) -> int:
        return self.graph.mesh.cells

    @property
    def usable(self) -> int:
        """Cores of a chip; as many as there are cells where the profile has no limit."""
        return self.profile.chip.cores_usable.value or self.cells

    @cached_property
    def synapses(self) -> int:
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

    def fewest_cores(self) -> int:
        """Lower bound on the number of cores."""
        needed = max(math.ceil(float(load.sum()) / max(limit, 1) - 1e-9) for load, limit in self.loads)
        return min(max(needed, 1), self.cells)

    def refuse_large_cells(self) -> None:
        """Refuse a graph whose largest cell overfills a core even if all other cells share one other core."""
        for load, _ in self.loads:
            core = np.zeros(self.cells, np.int64)
            core[int(load.argmax())] = 1
            self.refuse(self.use_of(core, 2, 1, np.array([int(load.argmax())])))

    def refuse(self, use: _Use) -> None:
        """Raise if a single cell is above a limit."""
        if use.ratio > 1:
            raise CompileError(
                Place.name,
                f"a cell and its faces take {use.used} {use.what}, a core holds {use.limit}",
                remedy="use a smaller flux network or another target",
            )

    def index(self, core: Integers) -> dict[str, Integers]:
        """Core of each neuron, from the core of each cell."""
        return {name: core[home] for name, home in self.homes.items()}

    def use_of(self, core: Integers, cores: int, which: int, near: Integers) -> _Use:
        """Use of one core, counting only what arrives at the cells `near` it (sorted)."""
        index = self.index(core)
        axons = []
        for link in self.links:
            order, first = self.neurons_by_cell[link.target]
            spans = [order[first[cell] : first[cell + 1]] for cell in near.tolist()]
            rows = np.sort(np.concatenate(spans))
            axons.append(input_axons(link.of_rows(rows), index[link.target][rows], cores))
        chip = np.zeros(cores, np.int64)
        return self.heaviest(self.tally(axons, index, chip), which)

    def trial(self, core: Integers, chip: Integers | None, seed: int) -> _Trial:
        """Measure a cut; without `chip`, cores are assigned to chips by their traffic."""
        cores = int(core.max()) + 1
        index = self.index(core)
        axons = tuple(input_axons(link, index[link.target], cores) for link in self.links)
        if chip is None and cores > self.usable:
            traffic = core_traffic((index[link.source] for link in self.links), axons, cores)
            chip = chips_by_traffic(traffic, self.usable, seed)
            number, chip = _in_order_of_chips(chip)
            index = {name: number[home] for name, home in index.items()}
            axons = tuple(part.renumbered(number) for part in axons)
        elif chip is None:
            chip = np.zeros(cores, np.int64)
        return _Trial(index, chip, axons, self.tally(axons, index, chip))

    def tally(self, axons: tuple[Axons, ...] | list[Axons], index: dict[str, Integers], chip: Integers) -> Counts:
        names = [(link.name, link.source) for link in self.links]
        return tally(names, axons, index, np.arange(chip.size), chip, self.profile, self.lines)

    @cached_property
    def lines(self) -> dict[str, int]:
        """Lines of a neuron, by population."""
        return {name: lines_of(self.graph, name) for name in self.graph.chain}

    def heaviest(self, counts: Counts, which: int | None = None) -> _Use:
        """The use nearest to its limit or furthest above it, over all cores or one."""
        worst = _Use(0.0, "neurons", 0, 0)
        for what, uses, limit in _limited(counts, self.profile):
            used = math.ceil(uses.max() if which is None else uses[which])
            ratio = used / limit if limit else math.inf * used if used else 0.0
            if ratio > worst.ratio:
                worst = _Use(ratio, what, used, limit)
        return worst


def _limited(counts: Counts, profile: Profile) -> Iterator[tuple[str, Integers | NDArray[np.float64], int]]:
    """Uses of each core for resources with a limit."""
    return ((resource.text, resource.uses(counts), limit) for resource, limit in limits(profile))


def _growing(problem: _Problem, cut: Callable[[int], Integers], seed: int | None) -> _Trial:
    """Cut onto more and more cores until all limits hold; without a seed, chips take consecutive cores."""
    cores = problem.fewest_cores()
    while True:
        core = cut(cores)
        chip = None if seed is not None else np.arange(int(core.max()) + 1) // problem.usable
        trial = problem.trial(core, chip, seed or 0)
        use = problem.heaviest(trial.counts)
        if use.ratio <= 1:
            return trial
        if cores >= problem.cells:
            problem.refuse(use)
        cores = min(problem.cells, cores + max(1, int(_GROWTH * min(use.ratio - 1, problem.cells) * cores)))


@dataclass(frozen=True)
class _Failure:
    """A shape of blocks that is too large, or predicts the same of shapes with no less surface."""

    volume: int
    surface: int
    ratio: float

    def rules_out(self, volume: int, surface: int) -> bool:
        """Whether smaller blocks would still be too large, with a margin because use does not scale linearly."""
        margin = 1 + 1 / math.sqrt(volume)
        return surface >= self.surface and self.ratio * volume > margin * self.volume


def _by_blocks(problem: _Problem) -> _Trial:
    """Find the fewest blocks within all limits, then the least surface."""
    mesh = problem.graph.grid
    periodic = tuple(PERIODIC in sides for sides in mesh.boundary)
    failures: list[_Failure] = []
    fewest = problem.fewest_cores()
    while True:
        for blocks in block_shapes(mesh.shape, periodic, fewest):
            number = math.prod(blocks)
            volume = math.prod(-(-count // parts) for count, parts in zip(mesh.shape, blocks, strict=True))
            surface = cut_surface(mesh.shape, periodic, blocks)
            if number < problem.cells and any(failed.rules_out(volume, surface) for failed in failures):
                continue
            trial, use = _tried(problem, blocks, periodic)
            if trial is not None:
                return trial
            if number == problem.cells:
                problem.refuse(use)
            failures.append(_Failure(volume, surface, use.ratio))
            cubes = len(mesh.shape) * problem.cells * (number / problem.cells) ** (1 / len(mesh.shape))
            ratio = min(use.ratio, problem.cells)  # infinite where the limit is 0
            ahead = min(int(_JUMP * ratio * number), problem.cells) if surface <= _NEAR_CUBES * cubes else 0
            if ahead > number + 1:
                # Far too large: blocks of another shape could not be that much better.
                fewest = ahead
                break


def _tried(problem: _Problem, blocks: tuple[int, ...], periodic: tuple[bool, ...]) -> tuple[_Trial | None, _Use]:
    """Try a cut: the cut if it is within all limits, and the use nearest to its limit."""
    shape = problem.graph.mesh.shape
    core = cut_evenly(shape, blocks)
    if problem.graph.has_flux_network and problem.synapses > _LARGE and math.prod(blocks) > 3 ** len(shape):
        for block in _blocks_to_probe(problem, blocks):
            near = _cells_near(problem, blocks, periodic, block)
            which = int(np.ravel_multi_index(block, blocks))
            use = problem.use_of(core, math.prod(blocks), which, near)
            if use.ratio > 1:
                return None, use
    available = problem.profile.system.chips.value
    number, chip = _in_order_of_chips(chips_of_blocks(blocks, periodic, problem.usable, available))
    trial = problem.trial(number[core], chip, 0)
    use = problem.heaviest(trial.counts)
    return (trial if use.ratio <= 1 else None), use


def _blocks_to_probe(problem: _Problem, blocks: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Blocks to try first: a largest one in the middle and, with reservoirs, the corners, which hold most."""
    middle = []
    for count, parts in zip(problem.graph.mesh.shape, blocks, strict=True):
        sizes = np.bincount(np.arange(count) * parts // count)
        largest = np.flatnonzero(sizes == sizes.max())
        middle.append(int(largest[np.abs(largest - parts // 2).argmin()]))
    corners = itertools.product(*((0, parts - 1) for parts in blocks)) if problem.graph.mesh.reservoirs else ()
    return [tuple(middle), *sorted(set(corners) - {tuple(middle)})]


def _cells_near(
    problem: _Problem, blocks: tuple[int, ...], periodic: tuple[bool, ...], block: tuple[int, ...]
) -> Integers:
    """Sorted cells of a block and of everything its packets can reach."""
    graph = problem.graph
    reach = graph.model_spec.half_width + graph.model_spec.transverse + 2
    ranges = []
    for count, parts, round_, at in zip(graph.mesh.shape, blocks, periodic, block, strict=True):
        first, last = -(-at * count // parts), -(-(at + 1) * count // parts) - 1
        along = np.arange(first - reach, last + reach + 1)
        ranges.append(np.unique(along % count) if round_ else along[(along >= 0) & (along < count)])
    return np.asarray(np.ravel_multi_index(np.ix_(*ranges), graph.mesh.shape), np.int64).reshape(-1)


def _in_order_of_chips(chip: Integers) -> tuple[Integers, Integers]:
    """Renumber cores so that chips hold consecutive ones; also the chip of each new number."""
    order = np.argsort(chip, kind="stable")
    number = np.empty_like(order)
    number[order] = np.arange(order.size)
    return number, chip[order]


def _placement(problem: _Problem, trial: _Trial, method: Method) -> Placement:
    axons = {
        link.name: axon_runs(axons_of_link, trial.index[link.source])
        for link, axons_of_link in zip(problem.links, trial.axons, strict=True)
    }
    uses = {name: np.ceil(getattr(trial.counts, name)).astype(np.int64) for name in UTILISATION}
    cores, chips = int(trial.chip.size), int(trial.chip.max()) + 1
    return Placement(trial.index, cores, chips, trial.chip, method, axons, uses)

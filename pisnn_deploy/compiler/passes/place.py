"""Pass `place`: assign neurons to cores, and cores to chips."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pisnn_deploy.compiler.facts import PLACED, PROVED, Fact
from pisnn_deploy.compiler.passes.cuts import Problem, Trial, Use, in_order_of_chips, layers_of
from pisnn_deploy.compiler.passes.homes import home_cells
from pisnn_deploy.compiler.passes.partition import (
    axon_runs,
    block_shapes,
    cell_graph,
    chips_of_blocks,
    cut_evenly,
    cut_surface,
    metis_parts,
)
from pisnn_deploy.core.errors import CompileError
from pisnn_deploy.core.printable import counted
from pisnn_deploy.graph import IntegerGraph, Placement
from pisnn_deploy.graph.annotations import Method
from pisnn_deploy.graph.integer import UTILISATION, Integers
from pisnn_deploy.mesh import PERIODIC
from pisnn_deploy.target import Profile
from pisnn_deploy.target.axons import links

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
       reservoir lives on the core of its neighbour. All fields of a cell share its core, with their channels. Where a
       graph has more populations than a core may have, the others live on further cores for the same cells.
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
        problem = Problem(graph, self.profile, links(graph), home_cells(graph), layers_of(graph, self.profile))
        problem.refuse_large_cells()
        if method == "blocks":
            trial = _by_blocks(problem)
        elif method == "metis":
            joined = cell_graph(problem.links, problem.homes, graph.mesh.cells)
            loads = problem.heaviest_loads()
            trial = _growing(problem, lambda parts: metis_parts(joined, loads, parts, self.seed), self.seed)
        else:
            cells = np.arange(graph.mesh.cells, dtype=np.int64)
            trial = _growing(problem, lambda parts: cells * parts // cells.size, None)
        return replace(graph, placement=_placement(problem, trial, method))

    def summary(self, graph: IntegerGraph) -> str:
        """One sentence that describes the result."""
        placement = graph.placement
        if placement is None:
            return "nothing"
        crossing = sum(int(runs[:, 1].sum()) for runs in placement.axons.values())
        cores, axons = counted(placement.cores, "core"), counted(crossing, "axon")
        return f"{cores} on {counted(placement.chips, 'chip')} by {placement.method}, {axons} between cores"


def _growing(problem: Problem, cut: Callable[[int], Integers], seed: int | None) -> Trial:
    """Cut into more and more parts until all limits hold; without a seed, chips take consecutive cores."""
    parts = problem.fewest_parts()
    while True:
        part = cut(parts)
        chip = None if seed is not None else np.arange(int(part.max()) + 1) // problem.parts_of_a_chip
        trial = problem.trial(part, chip, seed or 0)
        use = problem.heaviest(trial.counts, trial.index)
        if use.ratio <= 1:
            return trial
        if parts >= problem.cells:
            problem.refuse(use)
        parts = min(problem.cells, parts + max(1, int(_GROWTH * min(use.ratio - 1, problem.cells) * parts)))


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


def _by_blocks(problem: Problem) -> Trial:
    """Find the fewest blocks within all limits, then the least surface."""
    mesh = problem.graph.grid
    periodic = tuple(PERIODIC in sides for sides in mesh.boundary)
    failures: list[_Failure] = []
    fewest = problem.fewest_parts()
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


def _tried(problem: Problem, blocks: tuple[int, ...], periodic: tuple[bool, ...]) -> tuple[Trial | None, Use]:
    """Try a cut: the cut if it is within all limits, and the use nearest to its limit."""
    shape = problem.graph.mesh.shape
    part = cut_evenly(shape, blocks)
    if problem.synapses > _LARGE and math.prod(blocks) > 3 ** len(shape):
        for block in _blocks_to_probe(problem, blocks):
            near = _cells_near(problem, blocks, periodic, block)
            which = int(np.ravel_multi_index(block, blocks))
            use = problem.use_of(part, math.prod(blocks), which, near)
            if use.ratio > 1:
                return None, use
    available = problem.profile.system.chips.value
    number, chip = in_order_of_chips(chips_of_blocks(blocks, periodic, problem.parts_of_a_chip, available))
    trial = problem.trial(number[part], chip, 0)
    use = problem.heaviest(trial.counts, trial.index)
    return (trial if use.ratio <= 1 else None), use


def _blocks_to_probe(problem: Problem, blocks: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Blocks to try first: a largest one in the middle and, with reservoirs, the corners, which hold most."""
    middle, has_reservoirs = [], any(field.reservoirs.size for field in problem.graph.fields)
    for count, parts in zip(problem.graph.mesh.shape, blocks, strict=True):
        sizes = np.bincount(np.arange(count) * parts // count)
        largest = np.flatnonzero(sizes == sizes.max())
        middle.append(int(largest[np.abs(largest - parts // 2).argmin()]))
    corners = itertools.product(*((0, parts - 1) for parts in blocks)) if has_reservoirs else ()
    return [tuple(middle), *sorted(set(corners) - {tuple(middle)})]


def _cells_near(
    problem: Problem, blocks: tuple[int, ...], periodic: tuple[bool, ...], block: tuple[int, ...]
) -> Integers:
    """Sorted cells of a block and of everything its packets can reach."""
    graph = problem.graph
    reach = problem.reach
    ranges = []
    for count, parts, round_, at in zip(graph.mesh.shape, blocks, periodic, block, strict=True):
        first, last = -(-at * count // parts), -(-(at + 1) * count // parts) - 1
        along = np.arange(first - reach, last + reach + 1)
        ranges.append(np.unique(along % count) if round_ else along[(along >= 0) & (along < count)])
    return np.asarray(np.ravel_multi_index(np.ix_(*ranges), graph.mesh.shape), np.int64).reshape(-1)


def _placement(problem: Problem, trial: Trial, method: Method) -> Placement:
    axons = {
        link.name: axon_runs(axons_of_link, trial.index[link.source])
        for link, axons_of_link in zip(problem.links, trial.axons, strict=True)
    }
    uses = {name: np.ceil(getattr(trial.counts, name)).astype(np.int64) for name in UTILISATION}
    cores, chips = int(trial.chip.size), int(trial.chip.max()) + 1
    return Placement(trial.index, cores, chips, trial.chip, method, axons, uses)

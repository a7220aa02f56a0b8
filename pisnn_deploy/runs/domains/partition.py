"""Divide a graph into domains: boxes of a structured mesh, parts by METIS of any other mesh."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.core.optional import require
from pisnn_deploy.core.rows import from_triplets
from pisnn_deploy.graph.columns import columns_of
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.traits import LATE, MATERIALS, OFF_GRID, SEVERAL_FIELDS, first_of
from pisnn_deploy.runs.domains.boxes import BoxPart, blocks_of, box_domain, boxes_of, halo_of, reach
from pisnn_deploy.runs.domains.layout import Domain, Layout, Link, links_of
from pisnn_deploy.runs.domains.listed import Wiring
from pisnn_deploy.runs.kernels.stepper import SWEPT

MOST_ROUNDS = 32
"""Most PDE steps between two exchanges."""
LARGEST_HALO = 1 / 8
"""Largest halo, as a part of a domain's cells along an axis."""
EXCHANGE_SECONDS, CELL_SECONDS = 6e-5, 4e-9
"""Approximate time of an exchange without its data, and of a cell in a PDE step: what more rounds save and cost."""
SWEEPING = 1 << 19
"""Approximate number of cells of a domain from which its kernels run several PDE steps in a sweep."""
_SEED = 1
"""Seed of METIS, so that a mesh has the same parts in every run."""


@dataclass(frozen=True)
class Division:
    """All domains of a graph.

    Attributes
    ----------
    rounds : int
        PDE steps between two exchanges.
    layouts : tuple of Layout
        Holders and channels of each domain.
    links : tuple of tuple of Link
        What each domain exchanges.
    domain : callable
        Cuts out the domain of a number.
    """

    rounds: int
    layouts: tuple[Layout, ...]
    links: tuple[tuple[Link, ...], ...]
    domain: Callable[[int], Domain]


def divided(graph: IntegerGraph, count: int, rounds: int | None = None) -> Division:
    """Divide a graph.

    Parameters
    ----------
    count : int
        Number of domains.
    rounds : int, optional
        PDE steps between two exchanges (default: as many as keep halos small).

    Raises
    ------
    UsageError
        The mesh is too small, or METIS is missing.
    """
    if first_of(graph, (SEVERAL_FIELDS, OFF_GRID, MATERIALS, LATE)) is None and graph.operator:
        return _boxes(graph, count, rounds or _rounds_of(graph, count))
    return _listed(graph, count, rounds or 1)


def _rounds_of(graph: IntegerGraph, count: int) -> int:
    """PDE steps between two exchanges with the least time of exchanges and of cells in halos."""
    shape = graph.grid.shape
    blocks = blocks_of(shape, count)
    extents = [extent // n for extent, n in zip(shape, blocks, strict=True)]
    cut = [extent for extent, n in zip(extents, blocks, strict=True) if n > 1]
    if not cut:
        return 1
    surface = sum(2 * math.prod(extents) // extent for extent in cut)
    rounds = math.sqrt(EXCHANGE_SECONDS / (surface * reach(graph) * CELL_SECONDS))
    most = min(MOST_ROUNDS, LARGEST_HALO * min(cut) // reach(graph))
    if math.prod(extents) >= SWEEPING and most >= SWEPT:
        return SWEPT * min(math.ceil(rounds / SWEPT), int(most) // SWEPT)
    return int(max(1, min(rounds, most)))


def _boxes(graph: IntegerGraph, count: int, rounds: int) -> Division:
    boxes = boxes_of(graph.grid, count, halo_of(graph, rounds))
    layouts = tuple(BoxPart(graph.grid, box).layout() for box in boxes)
    links = links_of(layouts, columns_of(graph))
    return Division(rounds, layouts, links, lambda number: box_domain(graph, BoxPart(graph.grid, boxes[number])))


def _listed(graph: IntegerGraph, count: int, rounds: int) -> Division:
    wiring = Wiring(graph, cell_owners(graph, count))
    domains = [wiring.domain(number, rounds) for number in range(count)]
    layouts = tuple(domain.layout for domain in domains)
    return Division(rounds, layouts, links_of(layouts, columns_of(graph)), domains.__getitem__)


def cell_owners(graph: IntegerGraph, count: int) -> Integers:
    """Domain of each cell of the mesh, int64 [cells].

    Raises
    ------
    UsageError
        There are fewer cells than domains, or METIS is missing.
    """
    mesh = graph.mesh
    if mesh.cells < count:
        raise UsageError(f"{count} ranks: a mesh of {mesh.cells} cells is too small; use fewer ranks")
    if count == 1:
        return np.zeros(mesh.cells, np.int64)
    if mesh.grid is not None:
        blocks = blocks_of(mesh.shape, count)
        owner = np.zeros(mesh.shape, np.int64)
        for axis, (extent, n) in enumerate(zip(mesh.shape, blocks, strict=True)):
            starts = np.array([extent * place // n for place in range(1, n)], np.int64)
            place = np.searchsorted(starts, np.arange(extent), side="right")
            owner = owner * n + place.reshape([-1 if axis == other else 1 for other in range(len(blocks))])
        return owner.reshape(-1)
    require("a run on several ranks of a mesh of cells", "pymetis")
    import pymetis  # compiled code that is rarely needed

    inside = np.flatnonzero(np.maximum(mesh.source, mesh.target) < mesh.cells)
    ends = mesh.source[inside], mesh.target[inside]
    both = np.concatenate(ends), np.concatenate(ends[::-1])
    joined = from_triplets(*both, np.ones(both[0].size, np.int64), (mesh.cells, mesh.cells))
    adjacency = pymetis.CSRAdjacency(joined.starts.astype(np.int32), joined.columns.astype(np.int32))
    owner = np.asarray(pymetis.part_graph(count, adjacency, options=pymetis.Options(seed=_SEED))[1], np.int64)
    if np.unique(owner).size < count:  # METIS may leave parts empty on tiny meshes
        return np.arange(mesh.cells, dtype=np.int64) * count // mesh.cells
    return owner

"""Cutting cells onto cores, and cores onto chips: pure functions on arrays."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.optional import require
from pisnn_deploy.core.rows import Rows, from_triplets, nothing
from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.target.axons import Axons, Link

_CHUNK = 1 << 22
"""Number of synapses whose cells are processed together."""
_SHAPES = 8
"""Most shapes tried for one number of blocks: those with the least surface."""
_HEAVIEST = 1 << 14
"""Largest weight of a vertex or edge for METIS, which sums weights in 32 bits."""


def cut_evenly(shape: tuple[int, ...], blocks: tuple[int, ...]) -> Integers:
    """Cut a box of cells into blocks of nearly equal size.

    Parameters
    ----------
    shape : tuple of int
        Cells along each axis.
    blocks : tuple of int
        Blocks along each axis, at most as many as cells. Coordinate ``i`` of ``n`` lies in block ``i * b // n``.

    Returns
    -------
    int64 array [cells]
        Block number of each cell; both are counted in C order.
    """
    number = np.zeros((1,) * len(shape), np.int64)
    for axis, (count, parts) in enumerate(zip(shape, blocks, strict=True)):
        along = np.arange(count, dtype=np.int64) * parts // count
        number = number * parts + along.reshape([-1 if a == axis else 1 for a in range(len(shape))])
    return number.reshape(-1)


def cut_surface(shape: tuple[int, ...], periodic: tuple[bool, ...], blocks: tuple[int, ...]) -> int:
    """Faces between cells of different blocks.

    Parameters
    ----------
    shape, blocks : tuple of int
        Cells and blocks along each axis.
    periodic : tuple of bool
        Whether an axis closes on itself.
    """
    cells = math.prod(shape)
    cuts = (0 if parts == 1 else parts - (not round_) for parts, round_ in zip(blocks, periodic, strict=True))
    return sum(cut * (cells // count) for cut, count in zip(cuts, shape, strict=True))


def block_shapes(shape: tuple[int, ...], periodic: tuple[bool, ...], fewest: int) -> Iterator[tuple[int, ...]]:
    """Ways to cut a box into blocks, by ascending number of blocks, then by surface between them.

    Parameters
    ----------
    shape : tuple of int
        Cells along each axis.
    fewest : int
        Number of blocks to begin with.

    Yields
    ------
    tuple of int
        Blocks along each axis. The last one has a block for each cell.
    """
    for number in range(fewest, math.prod(shape) + 1):
        candidates = sorted(_products(shape, number), key=lambda blocks: (cut_surface(shape, periodic, blocks), blocks))
        yield from candidates[:_SHAPES]


def _products(most: tuple[int, ...], number: int) -> Iterator[tuple[int, ...]]:
    """Tuples of factors, none above its maximum, whose product is `number`."""
    if len(most) == 1:
        if number <= most[0]:
            yield (number,)
        return
    if number > math.prod(most):
        return
    for low in range(1, math.isqrt(number) + 1):
        if number % low == 0:
            for factor in {low, number // low}:
                if factor <= most[0]:
                    yield from ((factor, *rest) for rest in _products(most[1:], number // factor))


def chips_of_blocks(
    blocks: tuple[int, ...], periodic: tuple[bool, ...], usable: int, most: int | None = None
) -> Integers:
    """Group blocks of cells into rectangles, one per chip.

    Of the groupings that take at most an eighth more chips than the one that takes fewest, it is the one with the least
    surface: a little slack turns strips into squares.

    Parameters
    ----------
    blocks : tuple of int
        Blocks along each axis.
    usable : int
        Most blocks of a chip.
    most : int, optional
        Chips of the target. Where rectangles take more and consecutive blocks do not, a chip takes consecutive blocks.

    Returns
    -------
    int64 array [blocks]
        Chip of each block.
    """
    cores = math.prod(blocks)
    needed = -(-cores // usable)
    most = most if most is not None and most >= needed else cores
    fewest, candidates = most, []
    for groups in block_shapes(blocks, periodic, needed):
        chips = math.prod(groups)
        if chips > min(most, fewest + fewest // 8):
            break
        if math.prod(-(-count // parts) for count, parts in zip(blocks, groups, strict=True)) <= usable:
            fewest = min(fewest, chips)
            candidates.append((cut_surface(blocks, periodic, groups), chips, groups))
    return cut_evenly(blocks, min(candidates)[2]) if candidates else np.arange(cores, dtype=np.int64) // usable


def cell_graph(links: Iterable[Link], homes: Mapping[str, Integers], cells: int) -> Rows:
    """Number of synapses between each pair of cells.

    Parameters
    ----------
    homes : mapping of str to int64 array
        Cell of each neuron, by population.

    Returns
    -------
    Rows [cells, cells]
        Symmetric, int64, without a diagonal.
    """
    total = nothing((cells, cells))
    for link in links:
        source, target = homes[link.source], homes[link.target]
        rows = np.arange(target.size)
        cuts = np.searchsorted(link.row_starts, np.arange(0, link.entries, _CHUNK)[1:])
        for part in np.split(rows, cuts):
            some = link.of_rows(part)
            left = np.repeat(target[part], np.diff(some.row_starts))
            total = total + _joined(left, source[some.columns], cells)
    return total + total.transposed


def core_traffic(sources: Iterable[Integers], axons: Iterable[Axons], cores: int) -> Rows:
    """Number of axons between each pair of cores.

    Parameters
    ----------
    sources : iterable of int64 array
        Core of each neuron of the source population, for each synapse population.

    Returns
    -------
    Rows [cores, cores]
        Symmetric, int64, without a diagonal.
    """
    total = nothing((cores, cores))
    for source, link_axons in zip(sources, axons, strict=True):
        total = total + _joined(link_axons.core, source[link_axons.source], cores)
    return total + total.transposed


def _joined(left: Integers, right: Integers, size: int) -> Rows:
    """How often each pair of different numbers occurs."""
    apart = left != right
    ones = np.ones(int(apart.sum()), np.int64)
    return from_triplets(left[apart], right[apart], ones, (size, size))


def metis_parts(joined: Rows, weights: NDArray[np.float64], parts: int, seed: int) -> Integers:
    """Cut a graph into parts of nearly equal weight with METIS, cutting few edges.

    Parameters
    ----------
    joined : Rows [vertices, vertices]
        Symmetric weights of the edges, without a diagonal.
    weights : float64 array [vertices]
        Positive.

    Returns
    -------
    int64 array [vertices]
        Part of each vertex, from 0 on and without holes: METIS may leave parts empty, so there may be fewer. With at
        least as many parts as vertices each vertex is a part.
    """
    if parts >= weights.size:
        return np.arange(weights.size, dtype=np.int64)
    if parts == 1:
        return np.zeros(weights.size, np.int64)
    require("placement by METIS", "pymetis")
    import pymetis  # compiled code that is rarely needed

    options = pymetis.Options(seed=seed)
    partition = pymetis.part_graph(
        parts,
        pymetis.CSRAdjacency(joined.starts.astype(np.int32), joined.columns.astype(np.int32)),
        vweights=_whole(weights),
        eweights=_whole(joined.values.astype(np.float64)),
        options=options,
    )
    numbers = np.asarray(partition[1], np.int64)
    return _in_order_of_appearance(numbers)


def _whole(weights: NDArray[np.float64]) -> NDArray[np.int32]:
    """Scale weights to integers that METIS can sum."""
    largest = float(weights.max()) if weights.size else 1.0
    budget = min(_HEAVIEST, (1 << 30) // max(weights.size, 1))
    scale = 1.0 if largest <= budget and bool((weights == np.rint(weights)).all()) else budget / largest
    return np.asarray(np.maximum(np.rint(weights * scale), 1), np.int32)


def _in_order_of_appearance(numbers: Integers) -> Integers:
    """Renumber parts in the order of their first vertices."""
    _, first, inverse = np.unique(numbers, return_index=True, return_inverse=True)
    rank = np.empty(first.size, np.int64)
    rank[np.argsort(first)] = np.arange(first.size)
    return rank[inverse]


def chips_by_traffic(traffic: Rows, usable: int, seed: int) -> Integers:
    """Assign cores to the fewest chips, with few axons between chips.

    Parameters
    ----------
    traffic : Rows [cores, cores]
        Symmetric number of axons, without a diagonal.
    usable : int
        Most cores of a chip.

    Returns
    -------
    int64 array [cores]
        Chip of each core.
    """
    cores = traffic.shape[0]
    chips = -(-cores // usable)
    chip = metis_parts(traffic, np.ones(cores), chips, seed)
    cells_on_chip = np.bincount(chip, minlength=chips)
    while cells_on_chip.max() > usable:
        # METIS balances only approximately: the core that loses least moves to a chip with room.
        full = int(cells_on_chip.argmax())
        members = np.flatnonzero(chip == full)
        free = np.flatnonzero(cells_on_chip < usable)
        member_of = from_triplets(np.arange(cores), chip, np.ones(cores, np.int64), (cores, chips))
        to_chips = (traffic.rows(members) @ member_of).toarray()
        gain = to_chips[:, free] - to_chips[:, [full]]
        member, target = np.unravel_index(int(gain.argmax()), gain.shape)
        chip[members[member]] = free[target]
        cells_on_chip = np.bincount(chip, minlength=chips)
    return _in_order_of_appearance(chip)


def axon_runs(axons: Axons, source: Integers) -> Integers:
    """An axon table: runs of consecutive neurons that reach the same core.

    Parameters
    ----------
    source : int64 array [neurons]
        Core of each neuron of the source population; axons that stay on it are left out.

    Returns
    -------
    int64 array [runs, 3]
        First source neuron, number of consecutive source neurons, target core; sorted by target core, then by neuron.
    """
    away = source[axons.source] != axons.core
    neuron, core = axons.source[away], axons.core[away]
    if neuron.size == 0:
        return np.zeros((0, 3), np.int64)
    breaks = np.flatnonzero((np.diff(core) != 0) | (np.diff(neuron) != 1)) + 1
    first = np.concatenate([np.zeros(1, np.int64), breaks])
    length = np.diff(np.append(first, neuron.size))
    return np.stack([neuron[first], length, core[first]], axis=1)

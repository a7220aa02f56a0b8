"""Which thread runs which tiles of which node, and in which order.

The cells of a large mesh are divided into blocks whose data fits a cache. A tile runs with the last block of what it
reads, and within a block nodes run in their order: so a cell is updated while the packets of its faces are still in the
cache, and everything that a tile needs from its own thread has run before it. Blocks are divided among threads. A tile
that needs something of another thread runs in a later round, for which all threads wait for each other.

A *sweep* runs several PDE steps in one pass over the blocks. Its steps follow each other like nodes: a tile of the
second step runs as soon as the first one is done with what it needs, while that is still in the cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from pisnn_deploy.runs.kernels.network import Integers, Network
from pisnn_deploy.runs.kernels.placing import Plan
from pisnn_deploy.runs.kernels.tiles import Tiles

BLOCK_BYTES = 1 << 18
"""Approximate size of all elements that belong to the cells of a block."""


@dataclass(frozen=True)
class Schedule:
    """Items of all threads.

    Attributes
    ----------
    shares, rounds : int
        Number of threads, and how often they wait for each other in a sweep.
    items : int64 array [items, 6]
        Number of the node, first tile, last tile (excluded), whether the item is left out after the last step, step of
        the sweep, and row of results after the first one of the thread, 0 where spikes and packets count; the items of
        a thread in a round are consecutive.
    starts : int64 array [shares * rounds + 1]
        First item of each thread and round. After the last come items that are not part of a step: those of all nodes
        that prepare the next one.
    tiles : tuple of dict of str to Tiles
        Tiles of each node for each step of the sweep, in the order in which items name them.
    """

    shares: int
    rounds: int
    items: Integers
    starts: Integers
    tiles: tuple[Mapping[str, Tiles], ...]

    @property
    def steps(self) -> int:
        """Number of PDE steps of a sweep."""
        return len(self.tiles)

    @property
    def has_copies(self) -> bool:
        """Whether the spikes and packets of some neurons do not count."""
        return not all(table.is_counted.all() for tiles in self.tiles for table in tiles.values())

    @property
    def heaviest(self) -> float:
        """Share of all neurons that the thread with most of them runs."""
        tables = [list(tiles.values()) for tiles in self.tiles]
        loads = []
        for share in range(self.shares):
            part = slice(self.starts[share * self.rounds], self.starts[(share + 1) * self.rounds])
            loads.append(sum(int(tables[step][node].length[a:b].sum()) for node, a, b, _, step, _ in self.items[part]))
        return max(loads) / max(1, sum(loads))


def bytes_of(network: Network) -> int:
    """Size of one array of each buffer."""
    return sum(buffer.size * buffer.bits // 8 for buffer in network.buffers.values())


def schedule_of(network: Network, tiles: Mapping[str, Tiles], shares: int, steps: int = 1) -> Schedule:
    """Return the schedule of some threads, and of some PDE steps in a sweep."""
    blocks = max(shares, bytes_of(network) // BLOCK_BYTES)
    plan = Plan(network, shares, blocks, steps)
    ordered: list[dict[str, Tiles]] = []
    rows: list[tuple[int, ...]] = []
    for step in range(steps):
        ordered.append({})
        for number, node in enumerate(network.nodes):
            table = tiles[node.name]
            places = plan.places(step, number, table)
            order = np.lexsort((~table.is_counted, places[:, 1], places[:, 0], places[:, 1] * shares // blocks))
            ordered[step][node.name] = _ordered(table, order)
            keys = np.column_stack([places, shares * ~table.is_counted])[order]
            begins = np.flatnonzero(np.append(True, (keys[1:] != keys[:-1]).any(axis=1))[: table.count]).tolist()
            for begin, end in zip(begins, [*begins[1:], table.count], strict=True):
                turn, block, row_of_results = keys[begin].tolist()
                rows.append((block * shares // blocks, turn, block, step, number, begin, end, row_of_results))
    rows.sort()
    rounds = 1 + max((row[1] for row in rows), default=0)
    nodes = network.nodes
    items = [
        (number, first, last, int(nodes[number].is_sent), step, row) for *_, step, number, first, last, row in rows
    ]
    sent = [(number, 0, tiles[node.name].count, 1, 0, 0) for number, node in enumerate(nodes) if node.is_sent]
    of = [row[0] * rounds + row[1] for row in rows]
    starts = np.searchsorted(of, np.arange(shares * rounds + 1))
    table_of_items = np.array([*items, *(row for row in sent if row[2])], np.int64).reshape(-1, 6)
    return Schedule(shares, rounds, table_of_items, starts.astype(np.int64), tuple(ordered))


def _ordered(tiles: Tiles, order: Integers) -> Tiles:
    names = ("kind", "first", "length", "bases", "factors", "is_counted")
    return replace(tiles, **{name: getattr(tiles, name)[order] for name in names})

"""Which thread runs which tiles of which node, and in which order.

The cells of a large mesh are divided into blocks whose data fits a cache. A tile runs with the last block of what it
reads, and within a block nodes run in their order: so a cell is updated while the packets of its faces are still in the
cache, and everything that a tile needs from its own thread has run before it. Blocks are divided among threads. A tile
that needs something of another thread runs in a later round, for which all threads wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from pisnn_deploy.runs.kernels.network import Integers, Network, Node, Source
from pisnn_deploy.runs.kernels.tiles import Tiles

BLOCK_BYTES = 1 << 18
"""Approximate size of all elements that belong to the cells of a block."""
Part = slice | Integers
"""Elements of a buffer: consecutive ones, or any."""


@dataclass(frozen=True)
class Schedule:
    """Items of all threads.

    Attributes
    ----------
    shares, rounds : int
        Number of threads, and how often they wait for each other in a step.
    items : int64 array [items, 4]
        Number of the node, first tile, last tile (excluded), whether the item is left out after the last step; the
        items of a thread in a round are consecutive.
    starts : int64 array [shares * rounds + 1]
        First item of each thread and round. After the last come items that are not part of a step: those of all nodes
        that prepare the next one.
    """

    shares: int
    rounds: int
    items: Integers
    starts: Integers


def schedule_of(network: Network, tiles: Mapping[str, Tiles], shares: int) -> tuple[Schedule, dict[str, Tiles]]:
    """Return the schedule of some threads, and the tiles in the order in which it names them."""
    size = sum(buffer.size * buffer.bits // 8 for buffer in network.buffers.values())
    blocks = max(shares, size // BLOCK_BYTES)
    plan = _Plan(network, shares, blocks)
    orders: dict[str, Integers] = {}
    rows: list[tuple[int, int, int, int, int, int]] = []
    for number, node in enumerate(network.nodes):
        table = tiles[node.name]
        places = np.zeros((table.count, 2), np.int64)  # round, block
        if blocks > 1:
            for tile in range(table.count):
                places[tile] = plan.place(node, table, tile)
        order = np.lexsort((places[:, 1], places[:, 0], places[:, 1] * shares // blocks))
        orders[node.name] = order
        keys = places[order]
        begins = np.flatnonzero(np.append(True, (keys[1:] != keys[:-1]).any(axis=1))[: table.count]).tolist()
        for begin, end in zip(begins, [*begins[1:], table.count], strict=True):
            turn, block = keys[begin].tolist()
            rows.append((block * shares // blocks, turn, block, number, begin, end))
    rows.sort()
    rounds = 1 + max((row[1] for row in rows), default=0)
    items = [(number, first, last, int(network.nodes[number].is_sent)) for _, _, _, number, first, last in rows]
    sent = [(number, 0, tiles[node.name].count, 1) for number, node in enumerate(network.nodes) if node.is_sent]
    of = [row[0] * rounds + row[1] for row in rows]
    starts = np.searchsorted(of, np.arange(shares * rounds + 1))
    table_of_items = np.array([*items, *(row for row in sent if row[2])], np.int64).reshape(-1, 4)
    ordered = {name: _ordered(tiles[name], order) for name, order in orders.items()}
    return Schedule(shares, rounds, table_of_items, starts.astype(np.int64)), ordered


def _ordered(tiles: Tiles, order: Integers) -> Tiles:
    names = ("kind", "first", "length", "bases", "factors")
    return replace(tiles, **{name: getattr(tiles, name)[order] for name in names})


class _Plan:
    """Places of the tiles so far, and of all elements that they have written or read."""

    def __init__(self, network: Network, shares: int, blocks: int) -> None:
        self._network, self._shares, self._blocks = network, shares, blocks
        self._written: dict[Source, Integers] = {}
        """Block and round of the tile that writes each element, int64 [2, size]."""
        self._read: dict[Source, Integers] = {}
        """Lowest block, highest block and latest round of the tiles that read each element, int64 [3, size]."""

    def place(self, node: Node, tiles: Tiles, tile: int) -> tuple[int, int]:
        """Return the round and the block of a tile that comes after all those before it."""
        heard, own = list(_heard(node, tiles, tile)), _own(tiles, tile)
        needed: list[tuple[Integers, Integers, Integers]] = []
        block = 0
        for source, part in (*heard, *((source, own) for source in node.own)):
            if source in self._written:
                blocks, rounds = self._written[source][:, part]
                needed.append((blocks, blocks, rounds))
            elif self._is_kept(source):
                block = max(block, self._block_of(source, part))
        for source in node.own:
            if source in self._read and not self._is_kept(source):
                low, high, rounds = self._read[source][:, own]
                is_read = high >= 0
                needed.append((low[is_read], high[is_read], rounds[is_read]))
        block = max([block, *(int(high.max(initial=0)) for _, high, _ in needed)])
        share = self._share(block)
        turn = 0
        for low, high, rounds in needed:
            foreign = (self._share(low) != share) | (self._share(high) != share)
            turn = max(turn, int((rounds + foreign).max(initial=0)))
        for source in node.own:
            if not self._is_kept(source):
                self._of(self._written, source, 2)[:, own] = np.array([[block], [turn]])
        for source, part in heard:
            low, high, rounds = self._of(self._read, source, 3)
            low[part] = np.where(high[part] < 0, block, np.minimum(low[part], block))
            high[part], rounds[part] = np.maximum(high[part], block), np.maximum(rounds[part], turn)
        return turn, block

    def _is_kept(self, source: Source) -> bool:
        """Whether a step reads these elements as they were before it, and does not change them."""
        return self._network.buffers[source.buffer].is_doubled and not source.is_new

    def _share(self, block: Integers | int) -> Integers | int:
        return block * self._shares // self._blocks

    def _block_of(self, source: Source, part: Part) -> int:
        """Block of the last of some elements: elements of a buffer are in the order of the cells."""
        size = self._network.buffers[source.buffer].size
        last = part.stop - 1 if isinstance(part, slice) else int(part.max(initial=0))
        return last * self._blocks // size

    def _of(self, arrays: dict[Source, Integers], source: Source, rows: int) -> Integers:
        if source not in arrays:
            arrays[source] = np.full((rows, self._network.buffers[source.buffer].size), -1, np.int64)
        return arrays[source]


def _own(tiles: Tiles, tile: int) -> Part:
    """Neurons of a tile."""
    kind, part = int(tiles.kind[tile]), slice(int(tiles.first[tile]), int(tiles.first[tile] + tiles.length[tile]))
    return part if kind < len(tiles.patterns) else tiles.listings[kind - len(tiles.patterns)].neurons[part]


def _heard(node: Node, tiles: Tiles, tile: int) -> Iterator[tuple[Source, Part]]:
    """Elements that the neurons of a tile read with weights."""
    kind, first, length = (int(each[tile]) for each in (tiles.kind, tiles.first, tiles.length))
    if kind < len(tiles.patterns):
        pattern = tiles.patterns[kind]
        for term, weights, begin in zip(node.terms, pattern.weights, tiles.begins, strict=True):
            for entry, weight in enumerate(weights):
                if weight != 0:
                    base = int(tiles.bases[tile, begin + entry])
                    yield term.source, slice(base, base + length)
        return
    listing = tiles.listings[kind - len(tiles.patterns)]
    part = slice(first, first + length)
    for term, columns, factors in zip(node.terms, listing.columns, listing.weights, strict=True):
        yield term.source, columns[:, part][factors[:, part] != 0].astype(np.int64)

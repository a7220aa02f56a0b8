"""Places of tiles in a schedule: after all that they need, for all tiles of a node at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.runs.kernels.heard import rows_of
from pisnn_deploy.runs.kernels.network import Integers, Network, Node, Source
from pisnn_deploy.runs.kernels.tiles import Tiles

Numbers = NDArray[np.int32]


@dataclass(frozen=True)
class _Spans:
    """Consecutive elements of an array that tiles read or write.

    Attributes
    ----------
    tile, begin, end : int64 array [spans]
        Number of the tile, first element, and the one after the last.
    """

    tile: Integers
    begin: Integers
    end: Integers

    def sorted_by(self, keys: NDArray[Any]) -> _Spans:
        """The same in another order."""
        return self.part(np.argsort(keys, kind="stable"))

    def part(self, which: NDArray[Any]) -> _Spans:
        """Some of the spans."""
        return _Spans(self.tile[which], self.begin[which], self.end[which])

    def most(self, values: Numbers, tiles: int) -> Integers:
        """Largest value of an array within the spans of each tile, int64 [tiles]; -1 without any.

        Parameters
        ----------
        values : int32 array [size + 1]
            Values, and one more that is not looked at.
        """
        largest = np.full(tiles, -1, np.int64)
        if self.tile.size:
            spans = self.sorted_by(self.begin)
            ends = np.column_stack([spans.begin, spans.end]).reshape(-1)
            np.maximum.at(largest, spans.tile, np.maximum.reduceat(values, ends)[::2])
        return largest

    def store(self, array: Numbers, values: Integers) -> None:
        """Store the value of each tile in its spans; the largest one, where spans overlap."""
        spans = self.sorted_by(values[self.tile])
        stored = values[spans.tile]
        if (spans.end - spans.begin == 1).all():
            array[spans.begin] = stored
            return
        for begin, end, value in zip(spans.begin.tolist(), spans.end.tolist(), stored.tolist(), strict=True):
            array[begin:end] = value


@dataclass(frozen=True)
class _Touched:
    """What touched each element, int32 [size + 1], -1 for nothing.

    Attributes
    ----------
    early, high, turn : int32 array
        Number of blocks after the lowest one, highest block, and latest round.
    """

    early: Numbers
    high: Numbers
    turn: Numbers


class Plan:
    """Places of the tiles so far, and of all elements that they have written or read.

    Parameters
    ----------
    shares, blocks, steps : int
        Numbers of threads, of blocks of cells, and of PDE steps in a sweep; odd steps of a sweep write the arrays of
        doubled buffers that even ones read.
    """

    def __init__(self, network: Network, shares: int, blocks: int, steps: int) -> None:
        self._network, self._shares, self._blocks = network, shares, blocks
        self._written: dict[Source, _Touched] = {}
        self._read: dict[Source, _Touched] = {}
        self._changed_last = {
            self._array(source, step): (step, number)
            for step in range(steps)
            for number, node in enumerate(network.nodes)
            for source in node.own
            if not self._is_kept(source)
        }

    def places(self, step: int, number: int, tiles: Tiles) -> Integers:
        """Round and block of each tile of a node, int64 [tiles, 2], after all those before them.

        Parameters
        ----------
        step, number : int
            Step of the sweep, and number of the node; calls are in this order.
        """
        node = self._network.nodes[number]
        if self._blocks == 1 or not tiles.count:
            return np.zeros((tiles.count, 2), np.int64)
        heard = [(self._array(source, step), spans) for source, spans in _heard(node, tiles)]
        own = _own(tiles)
        changed = [self._array(source, step) for source in node.own if not self._is_kept(source)]
        needed: list[tuple[_Touched, _Spans]] = []
        block = np.zeros(tiles.count, np.int64)
        for array, spans in (*heard, *((self._array(source, step), own) for source in node.own)):
            if array in self._written:
                needed.append((self._written[array], spans))
            elif self._network.buffers[array.buffer].is_doubled and not array.is_new:
                # Elements of a buffer are in the order of the cells.
                size = self._network.buffers[array.buffer].size
                np.maximum.at(block, spans.tile, (spans.end - 1) * self._blocks // size)
        needed += [(self._read[array], own) for array in changed if array in self._read]
        for touched, spans in needed:
            block = np.maximum(block, spans.most(touched.high, tiles.count))
        turn = self._turns(block, needed)
        for array in changed:
            self._touch(self._written, array, [own], block, turn)
        for array in dict.fromkeys(array for array, _ in heard):
            if self._changed_last.get(array, (-1, -1)) > (step, number):
                self._touch(self._read, array, [spans for other, spans in heard if other == array], block, turn)
        return np.stack([turn, block], axis=1)

    def _turns(self, block: Integers, needed: list[tuple[_Touched, _Spans]]) -> Integers:
        """Round of each tile: a later one than that of what it needs of other threads."""
        turn = np.zeros(block.size, np.int64)
        if self._shares == 1:
            return turn
        share = block * self._shares // self._blocks
        for touched, spans in needed:
            for each in np.unique(share[spans.tile]).tolist():
                first, last = (-(-end * self._blocks // self._shares) for end in (each, each + 1))
                foreign = (touched.high >= last) | (touched.early > self._blocks - 1 - first)
                values = touched.turn + foreign
                turn = np.maximum(turn, spans.part(share[spans.tile] == each).most(values, block.size))
        return turn

    def _touch(
        self, arrays: dict[Source, _Touched], array: Source, spans: list[_Spans], block: Integers, turn: Integers
    ) -> None:
        """Note that tiles touch some elements; what an array was written by before does not matter any more."""
        size = self._network.buffers[array.buffer].size + 1
        if array not in arrays:
            arrays[array] = _Touched(*(np.full(size, -1, np.int32) for _ in range(3)))
        touched = arrays[array]
        noted = [(touched.high, block)]
        if self._shares > 1:
            noted += [(touched.early, self._blocks - 1 - block), (touched.turn, turn)]
        for numbers, values in noted:
            for each in spans:
                if arrays is self._written:
                    each.store(numbers, values)
                else:
                    stored = np.full(size, -1, np.int32)
                    each.store(stored, values)
                    np.maximum(numbers, stored, out=numbers)

    def _array(self, source: Source, step: int) -> Source:
        """The array of a buffer that a node means, by its role in the first step."""
        is_swapped = step % 2 and self._network.buffers[source.buffer].is_doubled
        return replace(source, is_new=not source.is_new) if is_swapped else source

    def _is_kept(self, source: Source) -> bool:
        """Whether a step reads these elements as they were before it, and does not change them."""
        return self._network.buffers[source.buffer].is_doubled and not source.is_new


def _own(tiles: Tiles) -> _Spans:
    """Neurons of the tiles."""
    runs = np.flatnonzero(tiles.kind < len(tiles.patterns))
    parts = [_Spans(runs, tiles.first[runs], tiles.first[runs] + tiles.length[runs])]
    for listing, which, places in _listed(tiles):
        neurons = tiles.listings[listing].neurons[places].astype(np.int64)
        parts.append(_Spans(which, neurons, neurons + 1))
    return _joined(parts)


def _heard(node: Node, tiles: Tiles) -> Iterator[tuple[Source, _Spans]]:
    """Elements that the neurons of the tiles read with weights."""
    for kind in range(len(tiles.patterns)):
        runs = np.flatnonzero(tiles.kind == kind)
        for row in rows_of(tiles, kind):
            begin = tiles.bases[runs, tiles.begins[row.term] + row.first]
            yield node.terms[row.term].source, _Spans(runs, begin, begin + row.span + tiles.length[runs])
    for number, which, places in _listed(tiles):
        listing = tiles.listings[number]
        for term, columns, factors in zip(node.terms, listing.columns, listing.weights, strict=True):
            elements = columns[:, places].astype(np.int64).reshape(-1)
            is_read = factors[:, places].reshape(-1) != 0
            tile = np.tile(which, len(columns))[is_read]
            yield term.source, _Spans(tile, elements[is_read], elements[is_read] + 1)


def _listed(tiles: Tiles) -> Iterator[tuple[int, Integers, Integers]]:
    """Each listing, with the tile and the place in the listing of each of its neurons."""
    for number in range(len(tiles.listings)):
        which = np.flatnonzero(tiles.kind == len(tiles.patterns) + number)
        lengths = tiles.length[which]
        within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        yield number, np.repeat(which, lengths), np.repeat(tiles.first[which], lengths) + within


def _joined(parts: list[_Spans]) -> _Spans:
    return _Spans(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("tile", "begin", "end")))

"""A network as machine code and arrays in memory, ready to run PDE steps."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.runs.kernels.ir import metadata, table_texts
from pisnn_deploy.runs.kernels.loops import Addresses, NodeText
from pisnn_deploy.runs.kernels.machine import Functions, compiled
from pisnn_deploy.runs.kernels.network import Network
from pisnn_deploy.runs.kernels.schedule import Schedule
from pisnn_deploy.runs.kernels.steps import (
    COUNTERS,
    FIRST_BUFFER,
    ITEMS,
    MEETING,
    RESULTS,
    ROUNDS,
    counters_size,
    step_functions,
)
from pisnn_deploy.runs.kernels.tiles import Tiles

Array = NDArray[Any]
"""Integers of 16, 32 or 64 bits."""
_TYPES: dict[int, np.dtype[Any]] = {16: np.dtype(np.int16), 32: np.dtype(np.int32), 64: np.dtype(np.int64)}
_LINE = 64
"""Bytes of a cache line, on which arrays begin."""


class Kernel:
    """A network, its tiles and its schedule, with the code that runs them.

    Parameters
    ----------
    tiles : dict of str to Tiles
        Tiles of each node by name.
    is_optimised : bool
        Whether to spend time on making the code fast.

    Attributes
    ----------
    pairs : dict of str to tuple of array
        Both arrays of each buffer; twice the same where it is not doubled.
    counters : int64 array
        Results of the run so far, see `steps`.
    """

    def __init__(
        self, network: Network, tiles: Mapping[str, Tiles], schedule: Schedule, *, is_optimised: bool = True
    ) -> None:
        self._is_optimised = is_optimised
        self._network, self._tiles, self._schedule = network, tiles, schedule
        self._arrays: list[Array] = []
        self.results = network.results
        self.counters = np.zeros(counters_size(network.results), np.int64)
        rows = np.zeros((schedule.shares, network.results.size), np.int64)
        meeting = np.zeros(2 * _LINE // 8, np.int64)
        for array in (self.counters, rows, schedule.items, schedule.starts, meeting):
            self._place(array)
        assert (0, 1, 2, 3, 4, len(self._arrays)) == (COUNTERS, RESULTS, ITEMS, ROUNDS, MEETING, FIRST_BUFFER)
        self.pairs = {
            buffer.name: (
                first := _aligned(buffer.size, buffer.bits),
                _aligned(buffer.size, buffer.bits) if buffer.is_doubled else first,
            )
            for buffer in network.buffers.values()
        }
        self._addresses = self._placed()
        self._table = np.array([array.ctypes.data for array in self._arrays], np.uint64)
        self.is_turned = False
        self._pool = ThreadPoolExecutor(max(1, schedule.shares - 1), "pisnn-fast")  # starts no thread before its use

    def _place(self, array: Array) -> int:
        self._arrays.append(array)
        return len(self._arrays) - 1

    def _placed(self) -> Addresses:
        buffers = {
            (name, is_new): self._place(pair[is_new]) for name, pair in self.pairs.items() for is_new in (False, True)
        }
        tiles, listings, constants = {}, {}, {}
        for node in self._network.nodes:
            table = self._tiles[node.name]
            head = np.stack([table.kind, table.first, table.length], axis=1)
            tiles[node.name] = self._place(
                np.ascontiguousarray(np.concatenate([head, table.bases, table.factors], axis=1))
            )
            for number, listing in enumerate(table.listings, len(table.patterns)):
                listings[node.name, number - len(table.patterns)] = self._place(listing.neurons.astype(np.int32))
                for columns, weights in zip(listing.columns, listing.weights, strict=True):
                    self._place(np.ascontiguousarray(columns))
                    self._place(np.ascontiguousarray(weights))
            for name, values in node.constants.items():
                if table.reads(name):
                    constants[node.name, name] = self._place(np.ascontiguousarray(values, np.int64))
        return Addresses(buffers, tiles, listings, constants)

    @cached_property
    def functions(self) -> Functions:
        """The compiled functions."""
        return compiled(self.text(), is_optimised=self._is_optimised)

    def text(self) -> str:
        """The code in LLVM's intermediate representation."""
        tables: dict[tuple[int, ...], str] = {}
        for node in self._network.nodes:
            for entries in node.tables:
                tables.setdefault(entries, f"@table{len(tables)}")
        groups = count(1, 3)
        functions, used = [], []
        for node in self._network.nodes:
            writer = NodeText(
                node, self._tiles[node.name], self._network.buffers, self._addresses, tables, lambda: next(groups)
            )
            text, loops = writer.write()
            functions.append(text)
            used += loops
        swapped = [
            (self._addresses.buffers[buffer.name, False], self._addresses.buffers[buffer.name, True])
            for buffer in self._network.buffers.values()
            if buffer.is_doubled
        ]
        return "\n".join([*table_texts(tables), *functions, step_functions(self._network, swapped), metadata(used)])

    def run(self, steps: int, *, ends: bool) -> int:
        """Run PDE steps, up to one with a flag; return their number.

        Parameters
        ----------
        ends : bool
            Whether the last of these steps is the last of the run, after which nothing is sent.
        """
        shares, rounds = self._schedule.shares, self._schedule.rounds
        work = partial(self.functions.advance, self._table.ctypes.data)
        others = [self._pool.submit(work, each, shares, rounds, steps, int(ends)) for each in range(1, shares)]
        done = work(0, shares, rounds, steps, int(ends))
        for other in others:
            other.result()
        self.is_turned ^= bool(done % 2)
        return done

    def close(self) -> None:
        """Stop the threads."""
        self._pool.shutdown()

    def respond(self) -> None:
        """Let the populations that prepare the next step answer to the masses in both arrays."""
        first = int(self._schedule.starts[-1])
        if first < len(self._schedule.items):
            self.functions.respond(self._table.ctypes.data, first, len(self._schedule.items) - first)

    def now(self, name: str) -> Array:
        """The array of a buffer that the next step reads."""
        return self.pairs[name][self.is_turned]


def _aligned(size: int, bits: int) -> Array:
    """Return zeros that begin on a cache line."""
    kind = _TYPES[bits]
    room = np.zeros(size * kind.itemsize + _LINE, np.uint8)
    begin = -room.ctypes.data % _LINE
    array: Array = room[begin : begin + size * kind.itemsize].view(kind)
    return array

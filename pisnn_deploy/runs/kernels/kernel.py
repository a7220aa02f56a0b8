"""A network as machine code and arrays in memory, ready to run PDE steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.runs.kernels.ir import metadata, table_texts
from pisnn_deploy.runs.kernels.loops import Addresses, NodeText
from pisnn_deploy.runs.kernels.machine import Functions, compiled
from pisnn_deploy.runs.kernels.network import FLAGS, Integers, Network
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

Array = NDArray[Any]
"""Integers of 16, 32 or 64 bits."""
_TYPES: dict[int, np.dtype[Any]] = {16: np.dtype(np.int16), 32: np.dtype(np.int32), 64: np.dtype(np.int64)}
_LINE = 64
"""Bytes of a cache line, on which arrays begin."""


class Kernel:
    """A network, its tiles and its schedules, with the code that runs them.

    Parameters
    ----------
    schedule : Schedule
        Schedule of a single step.
    sweep : Schedule, optional
        Schedule of a sweep of several steps, an even number.
    is_optimised : bool
        Whether to spend time on making the code fast.

    Attributes
    ----------
    pairs : dict of str to tuple of array
        Both arrays of each buffer; twice the same where it is not doubled.
    counters : int64 array
        Results of the run so far, see `steps`.
    is_swept : bool
        Whether the last steps were those of a sweep, so that a flag may be that of any of them.
    places : dict of str to int64 array
        See `Network`.
    """

    def __init__(
        self, network: Network, schedule: Schedule, sweep: Schedule | None = None, *, is_optimised: bool = True
    ) -> None:
        self._is_optimised = is_optimised
        self._network, self._schedule, self._sweep = network, schedule, sweep
        self.results, self.places = network.results, network.places
        self.counters = np.zeros(counters_size(network.results), np.int64)
        self.pairs = {
            buffer.name: (
                first := _aligned(buffer.size, buffer.bits),
                _aligned(buffer.size, buffer.bits) if buffer.is_doubled else first,
            )
            for buffer in network.buffers.values()
        }
        self._meeting = np.zeros(2 * _LINE // 8, np.int64)
        single = _List(network, schedule, 0, self._shared)
        self._tiles, self._addresses, self._table = schedule.tiles[0], single.addresses, single.table
        self._lists = [single]
        self._sweeps: list[NDArray[np.uint64]] = []
        """For both turns, the addresses of the lists of the steps of a sweep."""
        if sweep is not None:
            self._sweeps += [self._lists_of(sweep, is_turned) for is_turned in (False, True)]
        self.is_turned = self.is_swept = False
        self._pool = ThreadPoolExecutor(max(1, schedule.shares - 1), "pisnn-fast")  # starts no thread before its use

    def _lists_of(self, sweep: Schedule, is_turned: bool) -> NDArray[np.uint64]:
        """Make the lists of the steps of a sweep; return their addresses."""
        lists = [_List(self._network, sweep, step, self._shared) for step in range(sweep.steps)]
        for step, each in enumerate(lists):
            if is_turned ^ bool(step % 2):
                each.swap(self._doubled)
        self._lists += lists
        return np.array([each.table.ctypes.data for each in lists], np.uint64)

    @property
    def _shared(self) -> _Shared:
        return _Shared(self.counters, self._meeting, self.pairs)

    @property
    def _doubled(self) -> list[tuple[int, int]]:
        """Places of the two arrays of each doubled buffer in a list of addresses."""
        places = self._addresses.buffers
        doubled = (buffer.name for buffer in self._network.buffers.values() if buffer.is_doubled)
        return [(places[name, False], places[name, True]) for name in doubled]

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
        steps = step_functions(self._network, self._doubled, has_copies=self._schedule.has_copies)
        return "\n".join([*table_texts(tables), *functions, steps, metadata(used)])

    def run(self, steps: int, *, ends: bool) -> int:
        """Run PDE steps, up to one with a flag; return their number.

        Parameters
        ----------
        ends : bool
            Whether the last of these steps is the last of the run, after which nothing is sent.
        """
        self.is_swept = False
        done, plan = 0, self._sweep
        if plan is not None and steps - ends >= plan.steps:
            sweeps = (steps - ends) // plan.steps
            lists = self._sweeps[self.is_turned].ctypes.data
            ran = self._run(partial(self.functions.sweep, lists), plan, sweeps, plan.steps)
            done, self.is_swept = ran * plan.steps, True
        if done < steps and not (self.is_swept and self.counters[FLAGS]):
            self.is_swept = False
            ran = self._run(
                partial(self.functions.advance, self._table.ctypes.data), self._schedule, steps - done, int(ends)
            )
            self.is_turned ^= bool(ran % 2)
            done += ran
        return done

    def _run(self, function: Callable[..., int], plan: Schedule, *counts: int) -> int:
        work = partial(_of_share, function, plan, counts)
        others = [self._pool.submit(work, each) for each in range(1, plan.shares)]
        done = work(0)
        for other in others:
            other.result()
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


@dataclass(frozen=True)
class _Shared:
    """Arrays that all lists of addresses name."""

    counters: Integers
    meeting: Integers
    pairs: Mapping[str, tuple[Array, Array]]


class _List:
    """List of the addresses of all arrays that a step uses."""

    def __init__(self, network: Network, schedule: Schedule, step: int, shared: _Shared) -> None:
        self._arrays: list[Array] = []
        rows = np.zeros((2 * schedule.shares, network.results.size), np.int64)
        for array in (shared.counters, rows, schedule.items, schedule.starts, shared.meeting):
            self._place(array)
        assert (0, 1, 2, 3, 4, len(self._arrays)) == (COUNTERS, RESULTS, ITEMS, ROUNDS, MEETING, FIRST_BUFFER)
        buffers = {
            (name, is_new): self._place(pair[is_new]) for name, pair in shared.pairs.items() for is_new in (False, True)
        }
        tiles, listings, constants = {}, {}, {}
        for node in network.nodes:
            table = schedule.tiles[step][node.name]
            head = np.stack([table.kind, table.first, table.length], axis=1)
            tiles[node.name] = self._place(
                np.ascontiguousarray(np.concatenate([head, table.bases, table.factors], axis=1))
            )
            for number, listing in enumerate(table.listings, len(table.patterns)):
                listings[node.name, number - len(table.patterns)] = self._place(listing.neurons)
                for columns, weights in zip(listing.columns, listing.weights, strict=True):
                    self._place(np.ascontiguousarray(columns))
                    self._place(np.ascontiguousarray(weights))
            for name, values in node.constants.items():
                if table.reads(name):
                    constants[node.name, name] = self._place(np.ascontiguousarray(values, np.int64))
        self.addresses = Addresses(buffers, tiles, listings, constants)
        self.table = np.array([array.ctypes.data for array in self._arrays], np.uint64)

    def _place(self, array: Array) -> int:
        self._arrays.append(array)
        return len(self._arrays) - 1

    def swap(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Swap the arrays of doubled buffers."""
        for first, second in pairs:
            self.table[[first, second]] = self.table[[second, first]]


def _of_share(function: Callable[..., int], plan: Schedule, counts: tuple[int, ...], share: int) -> int:
    """Run the items of a thread."""
    return function(share, plan.shares, plan.rounds, *counts)


def _aligned(size: int, bits: int) -> Array:
    """Return zeros that begin on a cache line."""
    kind = _TYPES[bits]
    room = np.zeros(size * kind.itemsize + _LINE, np.uint8)
    begin = -room.ctypes.data % _LINE
    array: Array = room[begin : begin + size * kind.itemsize].view(kind)
    return array

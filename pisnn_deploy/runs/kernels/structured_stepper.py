"""Runs of linear flux networks on structured meshes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np

from pisnn_deploy.core.arithmetic import require_width
from pisnn_deploy.graph.integer import FLUX, MEMBRANE, IntegerGraph
from pisnn_deploy.runs.kernels import structured
from pisnn_deploy.runs.kernels.layout import (
    TILE,
    Kernel,
    Values,
    fill_halo,
    fits_narrow,
    layout_of,
    limits_of,
    pad_values,
    reservoir_order,
    tables_of,
)
from pisnn_deploy.runs.kernels.stepper import FLAG_NAMES, Counts, KernelStepper
from pisnn_deploy.runs.run import RunState

_COUNTS = [structured.PACKETS, structured.QUANTA, structured.EVENTS]


class Arrays(NamedTuple):
    """State of faces and reservoirs in the padded numbering; masses are apart, because they change places."""

    current: Values
    residue: Values
    transported: Values
    ledger: Values
    earlier: Values


class Buffers(NamedTuple):
    """What slabs work with, a row a slab."""

    head: Values
    work: Values
    tail: Values
    drive: Values
    before: Values
    result: Values


class StructuredStepper(KernelStepper):
    """A run of a linear flux network on a structured mesh.

    Parameters
    ----------
    graph : IntegerGraph
    kernel : Kernel
        Of `graph`.
    start : RunState
    steps : int
    threads : int
    audited : bool
        False leaves the audit out; only a benchmark that asks what the audit costs does that.
    """

    def __init__(
        self, graph: IntegerGraph, kernel: Kernel, start: RunState, steps: int, threads: int, *, audited: bool = True
    ) -> None:
        layout = self._layout = layout_of(graph.grid, kernel)
        self._tables = tables_of(graph, kernel, layout, threads)
        self._limits = limits_of(graph)
        self._order = reservoir_order(layout)
        self._audited = audited
        self.narrow = fits_narrow(graph, kernel, self._limits)
        word, short = (np.int32, np.int16) if self.narrow else (np.int64, np.int64)
        axes, kept = len(layout.shape), bool(self._limits[structured.KEPT])
        self.mass: Values = np.zeros(layout.size, word)
        self._new: Values = np.zeros(layout.size, word)
        for mass in (self.mass, self._new):
            pad_values(graph, layout, mass)
        self.arrays = Arrays(
            np.zeros((axes, layout.size if kept else 0), word),
            np.zeros((axes, layout.size), short),
            np.zeros((axes, layout.size), word),
            np.zeros(graph.mesh.reservoirs, np.int64),
            np.zeros(graph.mesh.reservoirs, np.int64),
        )
        slabs = self._tables.slab_block.size - 1
        front = layout.strides[0]
        first = self._tables.slab_block[:-1]
        sizes = np.diff(self._tables.block_start)
        largest = int(sizes.max(initial=0))
        self._buffers = Buffers(
            np.zeros((slabs, axes, front + int(sizes[first].max(initial=0))), word),
            np.zeros((slabs, axes, front + largest), word),
            np.zeros((slabs, front), word),
            np.zeros((slabs, TILE), word),
            np.zeros((slabs, TILE), word),
            np.zeros((slabs, structured.RESULTS), np.int64),
        )
        self._counters = np.zeros(structured.RESULTS, np.int64)
        # Sums of packets stay narrow for so many PDE steps, after which they are moved into wider ones.
        self._lasting = 2**31 // (int(self._limits[structured.PACKET]) + 1) - 1 if self.narrow else 2**62
        self._moved_at = 0
        self._moved = np.zeros(graph.mesh.faces, np.int64)
        self._pool = ThreadPoolExecutor(slabs - 1, "pisnn-fast") if slabs > 1 else None
        super().__init__(graph, start, steps)

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()

    def _state(self) -> RunState:
        layout, arrays = self._layout, self.arrays
        ledger = np.zeros_like(arrays.ledger)
        ledger[self._order] = arrays.ledger
        residue = layout.gather(arrays.residue)
        return RunState(
            step=self._done(),
            in_flight=int(self._counters[structured.IN_FLIGHT]),
            mass=np.concatenate([layout.cells(self.mass).reshape(-1).astype(np.int64), ledger]),
            current=layout.gather(arrays.current) if arrays.current.size else np.zeros_like(residue),
            residue=residue,
            transported=self._moved + layout.gather(arrays.transported),
        )

    def _load(self, state: RunState) -> None:
        layout, arrays, cells = self._layout, self.arrays, self._graph.mesh.cells
        self._require_room(state)
        self._load_cells(state.mass[:cells])
        arrays.ledger[:] = state.mass[cells:][self._order]
        if arrays.current.size:
            layout.scatter(state.current, arrays.current)
        layout.scatter(state.residue, arrays.residue)
        arrays.transported[:] = 0
        self._moved = state.transported.copy()
        self._moved_at = state.step
        counters = self._counters
        counters[:] = 0
        counters[structured.DONE] = state.step
        counters[structured.IN_FLIGHT] = state.in_flight
        counters[structured.MASS_SUM] = state.mass.sum()
        counters[structured.RESIDUE_SUM] = state.residue.sum()
        counters[structured.CURRENT_SUM] = state.current.sum() if arrays.current.size else 0

    def _require_room(self, state: RunState) -> None:
        """Refuse a state that the arrays would cut.

        Raises
        ------
        OverflowViolation
            With the bits of the arrays.
        """
        cells, arrays = self._graph.mesh.cells, self.arrays
        parts = [(MEMBRANE, "mass", state.mass[:cells], self.mass), (FLUX, "residue", state.residue, arrays.residue)]
        if arrays.current.size:
            parts.append((FLUX, "current", state.current, arrays.current))
        for population, quantity, values, array in parts:
            require_width(values, 8 * array.itemsize, population, quantity, state.step)

    def _load_cells(self, mass: Values) -> None:
        cells = self._layout.cells(self.mass)
        cells[...] = mass.reshape(cells.shape)
        fill_halo(self._tables, self.mass)

    def _advance(self, steps: int) -> bool:
        left = steps
        while left:
            room = self._lasting - (self._done() - self._moved_at)
            if room < 1:
                self._move_transported()
                continue
            left -= self._some(min(room, left))
            if self._counters[structured.FLAGS]:
                return False
        if self._audited and structured.too_steep(self._tables, self._limits, self.mass):
            self._counters[structured.FLAGS] = structured.FLAG_RANGE
            return False
        return True

    def _some(self, steps: int) -> int:
        """Do PDE steps up to one with a flag; how many."""
        arguments = (self._tables, self._limits, self.mass, self._new, self.arrays, self._buffers)
        if self._pool is None:
            done = int(structured.advance(*arguments, self._counters, steps, self._audited))
            if done % 2:
                self.mass, self._new = self._new, self.mass
            return done
        slabs = range(1, self._buffers.result.shape[0])
        for step in range(steps):
            arguments = (self._tables, self._limits, self.mass, self._new, self.arrays, self._buffers)
            sweep = partial(structured.sweep, *arguments)
            others = [self._pool.submit(sweep, slab, self._audited) for slab in slabs]
            sweep(0, self._audited)
            for other in others:
                other.result()
            flags = structured.join(*arguments, self._counters, self._audited)
            self.mass, self._new = self._new, self.mass
            if flags:
                return step + 1
        return steps

    def _move_transported(self) -> None:
        self._moved += self._layout.gather(self.arrays.transported)
        self.arrays.transported[:] = 0
        self._moved_at = self._done()

    def _done(self) -> int:
        return int(self._counters[structured.DONE])

    def _kernel_counts(self) -> Counts:
        packets, quanta, events = self._counters[_COUNTS].tolist()
        return Counts(packets, quanta, {MEMBRANE: events, FLUX: packets})

    def _empty_counts(self) -> None:
        self._counters[_COUNTS] = 0

    def _snapshot(self) -> tuple[Values, ...]:
        copied = (self.mass, *self.arrays, self._counters, self._moved, np.array(self._moved_at))
        return tuple(array.copy() for array in copied)

    def _go_back(self, snapshot: tuple[Values, ...]) -> None:
        mass, *arrays, counters, moved, moved_at = snapshot
        self.mass[:] = mass
        for array, saved in zip(self.arrays, arrays, strict=True):
            array[:] = saved
        self._counters[:] = counters
        self._moved = moved.copy()
        self._moved_at = int(moved_at)

    def _flag_names(self) -> str:
        flags = int(self._counters[structured.FLAGS])
        return ", ".join(name for bit, name in enumerate(FLAG_NAMES) if flags >> bit & 1)

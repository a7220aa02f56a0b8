"""Stepper for linear flux networks on structured meshes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from pisnn_deploy.core.arithmetic import require_width
from pisnn_deploy.graph.columns import divergence
from pisnn_deploy.graph.integer import FLUX, MEMBRANE, IntegerGraph, Integers
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.graph.residues import hears_its_cells, sees_residues
from pisnn_deploy.runs.kernels import places, structured
from pisnn_deploy.runs.kernels.compiled import bound, compiled_for
from pisnn_deploy.runs.kernels.faces import FaceText, UnservedError, face_text, folded, values_of
from pisnn_deploy.runs.kernels.layout import Layout, Values, layout_of, pad_values, reservoir_order
from pisnn_deploy.runs.kernels.limits import (
    SHORT,
    bounded_values,
    fits_narrow,
    largest_limb,
    largest_of,
    limits_of,
    narrow_products,
    rests,
    short_states,
    values_before_the_audit,
)
from pisnn_deploy.runs.kernels.stencils import Kernel, kernel_of
from pisnn_deploy.runs.kernels.stepper import KernelStepper
from pisnn_deploy.runs.kernels.tables import tables_of
from pisnn_deploy.runs.run import RunState


class Arrays(NamedTuple):
    """State of faces and reservoirs in the padded numbering; masses are separate, because their arrays are swapped."""

    states: tuple[Values, ...]
    parameters: tuple[Values, ...]
    transported: Values
    ledger: Integers
    earlier: Integers


class Buffers(NamedTuple):
    """Buffers with a row for each slab."""

    head: Values
    work: Values
    tail: Values
    arrivals: Values
    before: Values
    results: Integers
    low: Values


@dataclass(frozen=True)
class Plan:
    """Plan of a run on a structured mesh.

    Attributes
    ----------
    kernel : Kernel
        Weights of the faces' inputs.
    limits : int64 array
        Limits of the kernels, see `places`.
    values : dict of str to int64 array [faces]
        Parameters that differ between faces, and masks of their ends (-1 for a cell, else 0).
    narrow : bool
        Whether all values fit into 32 bits.
    short : tuple of bool
        Whether each state fits into 16 bits.
    sees : bool
        Whether faces see residues.
    short_limbs : bool
        Whether the low limb of a cell fits into 16 bits.
    """

    kernel: Kernel
    limits: Integers
    faces: Population
    values: Mapping[str, Integers]
    text: FaceText
    narrow: bool
    short: tuple[bool, ...]
    sees: bool
    short_limbs: bool


def plan_of(graph: IntegerGraph) -> Plan | None:
    """Return the plan of the structured kernels for a graph.

    Returns
    -------
    Plan or None
        None if they do not support the graph.
    """
    kernel, population = kernel_of(graph), graph.sole_channels
    sees = sees_residues(graph)
    if kernel is None or len(population.program.sends) != 1 + sees or (sees and not hears_its_cells(graph)):
        return None
    values, limits = values_of(graph, population), limits_of(graph)
    constant = {name: int(array[0]) for name, array in values.items() if array.size and (array == array[0]).all()}
    if folded(population.program):
        constant[folded(population.program)] = 0
    elsewhere = {name for name, number in constant.items() if number and name in population.program.parameters}
    bounds = values_before_the_audit(graph, kernel, limits, population, constant)
    if elsewhere or not rests(population, bounds):
        return None
    narrow = fits_narrow(graph, kernel, limits, population, bounds)
    bounded = bounded_values(graph, population)
    try:
        text = face_text(population, constant, bounded, narrow_products(population, bounds) if narrow else frozenset())
    except UnservedError:
        return None
    short = short_states(population, bounds) if narrow else (False,) * len(population.program.states)
    short_limbs = sees and narrow and largest_limb(graph, population) <= SHORT
    arrays = {name: values[name] for name in text.arrays}
    return Plan(kernel, limits, population, arrays, text, narrow, short, sees, short_limbs)


class StructuredStepper(KernelStepper):
    """A run of a linear flux network on a structured mesh.

    Parameters
    ----------
    plan : Plan
        Plan of `graph`.
    audited : bool
        Whether to audit; False only in a benchmark of the audit's cost.
    """

    arrays: Any
    """`Arrays`, and more with a limiter."""

    def __init__(
        self, graph: IntegerGraph, plan: Plan, start: RunState, steps: int, threads: int, *, audited: bool = True
    ) -> None:
        layout = self._layout = layout_of(graph.grid, plan.kernel)
        self._tables = tables_of(graph, plan.kernel, layout, threads)
        self._limits, self._order, self.narrow = plan.limits.copy(), reservoir_order(layout), plan.narrow
        self._limits[places.AUDITED] = int(audited)
        self._layers_at = places.layers_at(len(plan.short) + plan.sees)
        self.kernels = self._kernels_of(plan, len(layout.shape))
        self._programs = self._programs_of(graph, plan)
        self._now, self._new = (structured.Held(self._padded(graph, plan), self._limbs(plan)) for _ in range(2))
        self.arrays = self._arrays_of(graph, plan)
        self._buffers = self._buffers_of(layout)
        self._counters = np.zeros(self._buffers.results.shape[1], np.int64)
        # Number of PDE steps for which sums of packets fit narrow integers; then they are added to wide ones.
        sent = plan.faces.quantity(plan.faces.program.sends[0])
        self._lasting = 2**31 // (largest_of(graph, plan.faces.name, sent) + 1) - 1 if self.narrow else 2**62
        self._moved_at = 0
        self._moved = np.zeros(graph.mesh.faces, np.int64)
        super().__init__(graph, start, steps, self._tables.grid.slab_block.size - 1)

    @property
    def mass(self) -> Values:
        """Masses of the cells, in the padded numbering."""
        mass: Values = self._now.mass
        return mass

    def _limbs(self, plan: Plan) -> Values:
        word = np.int32 if self.narrow else np.int64
        return np.zeros(self._layout.size if plan.sees else 0, np.int16 if plan.short_limbs else word)

    def _kernels_of(self, plan: Any, axes: int) -> SimpleNamespace:
        """Compiled functions of a plan."""
        constants = (
            ("AXES", axes),
            ("SEES", int(plan.sees)),
            ("LIMBS", places.layers_at(len(plan.short))),
            ("LAYERS", self._layers_at),
        )
        return bound(structured, plan.text.text, constants)

    def _programs_of(self, graph: IntegerGraph, plan: Any) -> tuple[Integers, ...]:
        """Limits, then constants and largest widths of the generated functions."""
        widths = [largest_of(graph, plan.faces.name, plan.faces.quantity(name)) for name in plan.text.widths]
        return self._limits, np.array(plan.text.numbers, np.int64), np.array(widths, np.int64)

    def _padded(self, graph: IntegerGraph, plan: Plan) -> Values:
        lower, upper = int(plan.limits[places.LOWER]), int(plan.limits[places.UPPER])
        mass: Values = np.full(self._layout.size, min(max(0, lower), upper), np.int32 if self.narrow else np.int64)
        pad_values(graph, self._layout, mass)
        return mass

    def _arrays_of(self, graph: IntegerGraph, plan: Any) -> Any:
        word, size = self.mass.dtype, (len(self._layout.shape), self._layout.size)
        parameters = []
        for values in plan.values.values():
            parameters.append(np.zeros(size, word))
            self._layout.scatter(values, parameters[-1])
        return Arrays(
            tuple(np.zeros(size, np.int16 if short else word) for short in plan.short),
            tuple(parameters),
            np.zeros(size, word),
            np.zeros(graph.mesh.reservoirs, np.int64),
            np.zeros(graph.mesh.reservoirs, np.int64),
        )

    def _buffers_of(self, layout: Layout) -> Any:
        tables, word = self._tables, self.mass.dtype
        axes, front, slabs = len(layout.shape), layout.strides[0], tables.grid.slab_block.size - 1
        sizes = np.diff(tables.grid.block_start)
        first = int(sizes[tables.grid.slab_block[:-1]].max(initial=0))
        return Buffers(
            np.zeros((slabs, axes, front + first), word),
            np.zeros((slabs, axes, front + int(sizes.max(initial=0))), word),
            np.zeros((slabs, front), word),
            np.zeros((slabs, places.TILE), word),
            np.zeros((slabs, places.TILE), word),
            np.zeros((slabs, self._layers_at), np.int64),
            np.zeros((slabs, places.TILE), word),
        )

    def _values(self) -> tuple[Integers, list[Integers], Integers]:
        layout, arrays = self._layout, self.arrays
        ledger = np.zeros_like(arrays.ledger)
        ledger[self._order] = arrays.ledger
        mass = np.concatenate([layout.cells(self.mass).reshape(-1).astype(np.int64), ledger])
        return mass, [*map(layout.gather, arrays.states)], self._moved + layout.gather(arrays.transported)

    def _take_over(self, state: RunState) -> None:
        layout, arrays, cells = self._layout, self.arrays, self._graph.mesh.cells
        self._require_room(state)
        self._load_cells(state.mass[:cells])
        arrays.ledger[:] = state.mass[cells:][self._order]
        for (_, values), array in zip(self._of_states(state), arrays.states, strict=True):
            layout.scatter(values, array)
        self._load_limbs(state.residue)
        arrays.transported[:] = 0
        self._moved = state.transported.copy()
        self._moved_at = state.step

    def _require_room(self, state: RunState) -> None:
        """Refuse a state that the arrays would truncate.

        Raises
        ------
        OverflowViolation
            A value that exceeds the bits of its array.
        """
        cells, arrays = self._graph.mesh.cells, self.arrays
        parts = [(MEMBRANE, "mass", state.mass[:cells], self.mass)]
        parts += [(FLUX, *named, array) for named, array in zip(self._of_states(state), arrays.states, strict=True)]
        for population, quantity, values, array in parts:
            require_width(values, 8 * array.itemsize, population, quantity, state.step)

    def _load_cells(self, mass: Values) -> None:
        cells = self._layout.cells(self.mass)
        cells[...] = mass.reshape(cells.shape)
        halo = self._tables.grid.halo
        self.mass[halo[0]] = self.mass[halo[1]]

    def _load_limbs(self, residue: Integers) -> None:
        limb = self._now.limb
        if limb.size:
            cells, halo = self._layout.cells(limb), self._tables.grid.halo
            cells[...] = divergence(self._graph, residue)[: self._graph.mesh.cells].reshape(cells.shape)
            limb[halo[0]] = limb[halo[1]]

    def _sums_of(self, state: RunState) -> list[int]:
        limb = self._now.limb
        return [*super()._sums_of(state), *([int(self._layout.cells(limb).sum(dtype=np.int64))] if limb.size else [])]

    def prepare(self) -> None:
        """Compile all kernels of a step."""
        followed = (self._tables, self._programs)
        shared = (*followed, self._now, self._new, self.arrays, self._buffers)
        if self._pool is None:
            compiled_for(self.kernels.advance, *shared, self._counters, 0)
        else:
            compiled_for(self.kernels.sweep, *shared, 0)
            compiled_for(self.kernels.join, *shared, self._counters)
        compiled_for(self.kernels.too_steep, *followed, self.mass, self._buffers.before[0])

    def _advance(self, steps: int) -> bool:
        left = steps
        while left:
            room = self._lasting - (self._done() - self._moved_at)
            if room < 1:
                self._move_transported()
                continue
            left -= self._some(min(room, left))
            if self._counters[places.FLAGS]:
                return False
        if not self._limits[places.AUDITED] or self._limits[places.DIFFERENCE] == places.UNLIMITED:
            return True
        if self.kernels.too_steep(self._tables, self._programs, self.mass, self._buffers.before[0]):
            self._counters[places.FLAGS] = places.FLAG_RANGE
            return False
        return True

    def _some(self, steps: int) -> int:
        """Run PDE steps up to one with a flag, and return their number."""
        followed = (self._tables, self._programs)
        if self._pool is None:
            arguments = (*followed, self._now, self._new, self.arrays, self._buffers, self._counters)
            done = int(self.kernels.advance(*arguments, steps))
            if done % 2:
                self._now, self._new = self._new, self._now
            return done
        for step in range(steps):
            shared = (*followed, self._now, self._new, self.arrays, self._buffers)
            self._of_all_slabs(partial(self.kernels.sweep, *shared))
            flags = self.kernels.join(*shared, self._counters)
            self._now, self._new = self._new, self._now
            if flags:
                return step + 1
        return steps

    def _of_all_slabs(self, phase: Callable[[int], None]) -> None:
        """Run a phase of all slabs, each on its thread, and wait for all of them."""
        slabs = range(1, self._buffers.results.shape[0])
        others = [] if self._pool is None else [self._pool.submit(phase, slab) for slab in slabs]
        phase(0)
        for other in others:
            other.result()

    def _move_transported(self) -> None:
        self._moved += self._layout.gather(self.arrays.transported)
        self.arrays.transported[:] = 0
        self._moved_at = self._done()

    def _snapshot(self) -> tuple[Values, ...]:
        arrays = self.arrays
        held = (*self._now, *arrays.states, arrays.transported, arrays.ledger)
        copied = (*held, self._counters, self._moved)
        return (*(array.copy() for array in copied), np.array(self._moved_at))

    def _go_back(self, snapshot: tuple[Values, ...]) -> None:
        arrays = self.arrays
        *saved, moved, moved_at = snapshot
        copied = (*self._now, *arrays.states, arrays.transported, arrays.ledger, self._counters)
        for array, values in zip(copied, saved, strict=True):
            array[...] = values
        self._moved = moved.copy()
        self._moved_at = int(moved_at)

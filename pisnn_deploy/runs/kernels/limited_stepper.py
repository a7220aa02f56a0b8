"""Stepper for linear flux networks on structured meshes whose faces ask before they send."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.limiter import FULL_PORTS
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.programs.interval import Interval
from pisnn_deploy.programs.intervals import Unbounded, bounds
from pisnn_deploy.runs.kernels import limited, places
from pisnn_deploy.runs.kernels.compiled import bound, compiled_for
from pisnn_deploy.runs.kernels.faces import ARRIVAL, ON_A_GRID, UnservedError, folded, values_of
from pisnn_deploy.runs.kernels.layout import Layout, Values
from pisnn_deploy.runs.kernels.limited_text import ASKED, LOW_FLUX, CellText, cell_text, limited_face_text
from pisnn_deploy.runs.kernels.limits import (
    WORD,
    bounded_values,
    fits_narrow,
    largest_of,
    limits_of,
    narrow_products,
    short_states,
    values_before_the_audit,
)
from pisnn_deploy.runs.kernels.stencils import kernel_of
from pisnn_deploy.runs.kernels.structured_stepper import Plan, StructuredStepper


class Arrays(NamedTuple):
    """State of faces and reservoirs, and what faces and cells tell each other in a step, in the padded numbering."""

    states: tuple[Values, ...]
    parameters: tuple[Values, ...]
    transported: Values
    ends: Integers
    asked: Values
    low: Values
    short: Values
    full: Values
    limits: tuple[Values, ...]
    packets: Values
    ledger: Integers
    earlier: Integers


class Buffers(NamedTuple):
    """Buffers with a row for each slab."""

    arrivals: Values
    before: Values
    asks: Values
    results: Integers


@dataclass(frozen=True)
class LimitedPlan(Plan):
    """Plan of a run on a structured mesh with a limiter.

    Attributes
    ----------
    cells : Population
        Cells that answer.
    cell_text : CellText
        Generated functions of the cells.
    """

    cells: Population
    cell_text: CellText


def limited_plan_of(graph: IntegerGraph) -> LimitedPlan | None:
    """Return the plan of the structured kernels for a graph with a limiter.

    Returns
    -------
    LimitedPlan or None
        None if they do not support the graph.
    """
    kernel, faces = kernel_of(graph), graph.sole_channels
    if kernel is None or len(graph.order.answers) != 1:
        return None
    (cells,) = map(graph.population, graph.order.answers)
    values, limits = values_of(graph, faces), limits_of(graph)
    constant = {name: int(array[0]) for name, array in values.items() if array.size and (array == array[0]).all()}
    if folded(faces.program):
        constant[folded(faces.program)] = 0
    of_faces = values_before_the_audit(graph, kernel, limits, faces, constant)
    of_cells = _values_of_cells(graph, cells, of_faces)
    if of_cells is None or not _keeps_nothing(faces, of_faces, constant):
        return None
    narrow = (
        fits_narrow(graph, kernel, limits, faces, of_faces, summed=1)
        and max(map(_reach, (value for name, value in of_cells.items() if not name.endswith("*")))) <= WORD // 2
    )
    checked = [*unproved(graph, faces, of_faces), *faces.program.after, faces.program.sends[0]]
    try:
        text = limited_face_text(
            faces,
            constant,
            {*checked}.intersection(bounded_values(graph, faces)),
            narrow_products(faces, of_faces) if narrow else frozenset(),
            ON_A_GRID,
        )
        of_cell = cell_text(cells, unproved(graph, cells, of_cells))
    except UnservedError:
        return None
    short = short_states(faces, of_faces) if narrow else (False,) * len(faces.program.states)
    arrays = {name: values[name] for name in text.arrays}
    return LimitedPlan(kernel, limits, faces, arrays, text, narrow, short, False, False, cells, of_cell)


def unproved(graph: IntegerGraph, population: Population, inputs: Mapping[str, Interval]) -> list[str]:
    """Values of a population's program whose declared width needs a check.

    Values are within their bounds, which follow from those of the inputs and from the widths of values before them.

    Parameters
    ----------
    inputs : mapping of str to Interval
        Bounds of ports, states and parameters.
    """
    widths = {}
    for name in bounded_values(graph, population):
        largest = largest_of(graph, population.name, population.quantity(name))
        widths[name] = Interval(-largest - 1, largest)
    checked: dict[str, Interval] = {}
    try:
        while True:
            values = bounds(population.program, inputs, checked)
            wide = [
                name
                for name, width in widths.items()
                if name not in checked and (values[name].lower < width.lower or values[name].upper > width.upper)
            ]
            if not wide:
                return [*checked]
            checked[wide[0]] = widths[wide[0]]
    except Unbounded:
        return [*widths]


def _values_of_cells(
    graph: IntegerGraph, cells: Population, of_faces: Mapping[str, Interval]
) -> dict[str, Interval] | None:
    """Bounds of every value of the cells' program; None if a value may exceed 64 bits."""
    most = 2 * len(graph.grid.shape)
    asked, low = _reach(of_faces[ASKED]), _reach(of_faces.get(LOW_FLUX, Interval(0, 0)))
    mass = max(abs(graph.window.lower), abs(graph.window.upper))
    inputs = {
        "mass": Interval(-mass, mass),
        "balance": Interval(-most * low, most * low),
        "leaving": Interval(0, most * asked),
        "coming": Interval(0, most * asked),
    }
    of_cells = {name: Interval(int(array.min()), int(array.max())) for name, array in cells.parameters.items()}
    try:
        return bounds(cells.program, {name: inputs[name] for name in cells.program.ports} | of_cells)
    except Unbounded:
        return None


def _keeps_nothing(faces: Population, values: Mapping[str, Interval], constant: Mapping[str, int]) -> bool:
    """Whether a face with zero input and zero state keeps a zero state, as faces between rows of a mesh must."""
    program, nothing = faces.program, Interval(0, 0)
    kept = {*program.ports, *constant} - {ARRIVAL}
    at_rest = bounds(program, {name: values[name] if name in kept else nothing for name in program.inputs})
    return all(at_rest[name] == nothing for name in program.after)


def _reach(interval: Interval) -> int:
    return max(abs(interval.lower), abs(interval.upper))


class LimitedStepper(StructuredStepper):
    """A run of a linear flux network with a limiter on a structured mesh."""

    def _kernels_of(self, plan: LimitedPlan, axes: int) -> SimpleNamespace:
        has_low = int(LOW_FLUX in plan.faces.program.names)
        constants = (("AXES", axes), ("LAYERS", self._layers_at), ("HAS_LOW", has_low))
        return bound(limited, plan.text.text + plan.cell_text.text, constants)

    def _programs_of(self, graph: IntegerGraph, plan: LimitedPlan) -> tuple[Integers, ...]:
        widths = [largest_of(graph, plan.cells.name, plan.cells.quantity(name)) for name in plan.cell_text.widths]
        of_cells = np.array(plan.cell_text.numbers, np.int64), np.array(widths, np.int64)
        return (*super()._programs_of(graph, plan), *of_cells)

    def _arrays_of(self, graph: IntegerGraph, plan: LimitedPlan) -> Arrays:
        word, size = self.mass.dtype, (len(self._layout.shape), self._layout.size)
        simple = super()._arrays_of(graph, plan)
        has_low, has_ceiling = LOW_FLUX in plan.faces.program.names, FULL_PORTS[0] in plan.faces.program.ports
        limits = []
        for name in plan.cell_text.arrays:
            limits.append(np.zeros(self._layout.size, word))
            cells = self._layout.cells(limits[-1])
            cells[...] = plan.cells.parameters[name].reshape(cells.shape)
        return Arrays(
            simple.states,
            simple.parameters,
            simple.transported,
            np.zeros((2, 0), np.int64),
            np.zeros(size, word),
            np.zeros(size if has_low else (len(self._layout.shape), 1), word),
            np.zeros(self._layout.size, word),
            np.zeros(self._layout.size if has_ceiling else 1, word),
            tuple(limits),
            np.zeros(size, word),
            simple.ledger,
            simple.earlier,
        )

    def _buffers_of(self, layout: Layout) -> Buffers:
        slabs, word = self._tables.grid.slab_block.size - 1, self.mass.dtype
        arrivals, before = np.zeros((2, slabs, places.TILE), word)
        results = np.zeros((slabs, self._layers_at + 1), np.int64)
        return Buffers(arrivals, before, np.zeros((slabs, 3, places.TILE), word), results)

    def prepare(self) -> None:
        """Compile all kernels of a step."""
        followed, kernels = (self._tables, self._programs), self.kernels
        phase = (*followed, self.mass, self.arrays, self._buffers)
        for kernel in (kernels.ask, kernels.grant, kernels.send):
            compiled_for(kernel, *phase, 0)
        compiled_for(kernels.tell, self._tables, self.arrays)
        compiled_for(kernels.collect, *followed, self.mass, self._new.mass, self.arrays, self._buffers, 0)
        compiled_for(kernels.join, *followed, self._new.mass, self._buffers, self._counters)
        compiled_for(kernels.too_steep, *followed, self.mass, self._buffers.before[0])

    def _some(self, steps: int) -> int:
        """Run PDE steps phase by phase up to one with a flag, and return their number."""
        followed, kernels = (self._tables, self._programs), self.kernels
        for step in range(steps):
            mass, new = self.mass, self._new.mass
            phase = (*followed, mass, self.arrays, self._buffers)
            self._of_all_slabs(partial(kernels.ask, *phase))
            self._of_all_slabs(partial(kernels.grant, *phase))
            kernels.tell(self._tables, self.arrays)
            self._of_all_slabs(partial(kernels.send, *phase))
            self._of_all_slabs(partial(kernels.collect, *followed, mass, new, self.arrays, self._buffers))
            flags = kernels.join(*followed, new, self._buffers, self._counters)
            self._now, self._new = self._new, self._now
            if flags:
                return step + 1
        return steps

"""Stepper for any graph: unstructured meshes, materials, hidden layers, limiters, explicit synapses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.rows import Rows, added
from pisnn_deploy.graph.connections import Incidence
from pisnn_deploy.graph.integer import FLUX, MEMBRANE, IntegerGraph, Integers
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.graph.residues import sees_residues
from pisnn_deploy.programs.neurons import LOW
from pisnn_deploy.runs.kernels import general, places
from pisnn_deploy.runs.kernels.compiled import Constants, bound, compiled_for
from pisnn_deploy.runs.kernels.faces import ANYWHERE, FaceText, UnservedError, begins_with, face_text, folded, values_of
from pisnn_deploy.runs.kernels.layers import LayerText, answering, layer_text
from pisnn_deploy.runs.kernels.limited_text import CellText
from pisnn_deploy.runs.kernels.limits import bounded_values, largest_of, limits_of
from pisnn_deploy.runs.kernels.stepper import KernelStepper
from pisnn_deploy.runs.run import RunState


class Synapses(NamedTuple):
    """Input rows of all populations except the holders, population by population.

    `first_row` has the first row of each population, and the end. `first_unit` has the place of each layer's outputs in
    `values`, and the end. `kind` is the number of each layer's generated function.
    """

    first_row: Integers
    first_unit: Integers
    kind: Integers
    start: Integers
    column: NDArray[np.int32]
    weight: Integers
    bias: Integers


class Route(NamedTuple):
    """Input rows of the holders."""

    start: Integers
    face: NDArray[np.int32]
    weight: Integers


class Incidences(NamedTuple):
    """Incidence of the mesh, for the audit."""

    start: Integers
    face: NDArray[np.int32]
    sign: Integers
    ends: Integers
    inverse_volume: Integers
    reservoir: Integers


class Hearing(NamedTuple):
    """Weights of the residues that faces see, and room for their sums, [1, faces]; no rows where they see none."""

    start: Integers
    face: NDArray[np.int32]
    weight: Integers
    low: Integers


class Arrays(NamedTuple):
    """State of faces, [1, faces] each; `values` is separate, because its two arrays are swapped."""

    states: tuple[Integers, ...]
    parameters: tuple[Integers, ...]
    transported: Integers
    ends: Integers
    packets: Integers


class Buffers(NamedTuple):
    """Buffers with a row for each share of the work."""

    arrivals: Integers
    before: Integers
    results: Integers


class GeneralStepper(KernelStepper):
    """A run of any graph."""

    arrays: Any
    """`Arrays`, and more where a limiter needs them."""

    def __init__(self, graph: IntegerGraph, start: RunState, steps: int, threads: int) -> None:
        layers, population, answers = graph.between_fields, graph.sole_channels, self._answering(graph)
        values = values_of(graph, population)
        constant = {name: 0 for name in [folded(population.program)] if name}
        of_faces = self._text_of_faces(graph, population, constant)
        of_layers = [layer_text(layer, bounded_values(graph, layer)) for layer in layers]
        of_answers = [self._text_of_answers(graph, each) for each in answers]
        kinds = list(dict.fromkeys(layer.text for layer in of_layers))
        texts: list[FaceText | LayerText | CellText] = [*of_layers, of_faces, *of_answers]
        self._programs = (limits_of(graph), *_numbers(graph, [*layers, population, *answers], texts))
        self._layers_at = layers_at = places.layers_at(len(population.program.states))
        text = "".join([of_faces.text, *(each.text for each in of_answers), answering(kinds)])
        self.kernels = self._kernels_of(text, (("LAYERS", layers_at),), population)
        self.values, self._new = np.zeros((2, graph.sole_field.size + sum(layer.size for layer in layers)), np.int64)
        size, parameters = (1, population.size), tuple(values[name][None, :].copy() for name in of_faces.arrays)
        low = parameters[of_faces.arrays.index(LOW)] if LOW in of_faces.arrays else np.zeros(size, np.int64)
        self._tables: tuple[Any, ...] = (
            *_tables(graph, [kinds.index(layer.text) for layer in of_layers]),
            _hearing(graph, low),
        )
        states = tuple(np.zeros(size, np.int64) for _ in population.program.states)
        self.arrays = Arrays(
            states, parameters, np.zeros(size, np.int64), self._tables[2].ends, np.zeros(size, np.int64)
        )
        results = np.zeros((threads, layers_at + len(layers) + len(answers)), np.int64)
        arrivals, before = np.zeros((2, threads, places.TILE), np.int64)
        self._buffers: Any = Buffers(arrivals, before, results)
        self._counters = np.zeros(results.shape[1], np.int64)
        self._completed(graph, population, of_answers)
        super().__init__(graph, start, steps, threads)

    def _answering(self, graph: IntegerGraph) -> list[Population]:
        """Populations that answer faces before they send."""
        return []

    def _text_of_faces(self, graph: IntegerGraph, faces: Population, constant: Mapping[str, int]) -> FaceText:
        return face_text(faces, constant, bounded_values(graph, faces), ends=ANYWHERE)

    def _text_of_answers(self, graph: IntegerGraph, answers: Population) -> CellText:
        raise UnservedError(f"kernels do not support {answers.name}")

    def _kernels_of(self, text: str, constants: Constants, faces: Population) -> SimpleNamespace:
        """Compiled functions."""
        return bound(general, text, constants)

    def _completed(self, graph: IntegerGraph, faces: Population, of_answers: list[CellText]) -> None:
        """Add what answers need to tables, arrays and buffers."""

    @property
    def mass(self) -> Integers:
        """Masses and ledgers, a view."""
        values: Integers = self.values
        return values[: self._graph.sole_field.size]

    def _values(self) -> tuple[Integers, list[Integers], Integers]:
        arrays = self.arrays
        return self.mass.copy(), [state[0].copy() for state in arrays.states], arrays.transported[0].copy()

    def _take_over(self, state: RunState) -> None:
        arrays = self.arrays
        self.mass[:] = state.mass
        arrays.transported[0] = state.transported
        for array, (_, values) in zip(arrays.states, self._of_states(state), strict=True):
            array[0] = values
        # Recompute the outputs of layers; their spikes are counted already.
        for layer in range(self._layers):
            self.kernels.answer(
                self._tables, self._programs, self.values, self._buffers, layer, 0, self._size(layer), 0
            )
        self._buffers.results[:] = 0

    @property
    def _layers(self) -> int:
        return int(self._tables[0].first_unit.size - 1)

    def _size(self, layer: int) -> int:
        first = self._tables[0].first_unit
        return int(first[layer + 1] - first[layer])

    def prepare(self) -> None:
        """Compile all kernels of a step."""
        followed = (self._tables, self._programs)
        if self._pool is None:
            state = (self.values, self._new, self.arrays, self._buffers, self._counters)
            compiled_for(self.kernels.advance, *followed, *state, (0, False))
        else:
            states, share = (self.values, self._new, self.arrays, self._buffers), (0, 0)
            compiled_for(self.kernels.hear, self._tables, self.arrays, 0, 0)
            compiled_for(self.kernels.fire, *followed, self.values, self.arrays, self._buffers, 0, 0, 0)
            compiled_for(self.kernels.collect, *followed, *states, share, 0)
            compiled_for(self.kernels.answer, *followed, self._new, self._buffers, 0, 0, 0, 0)
            compiled_for(self.kernels.settle, self._new, self._buffers, self._counters)
        compiled_for(self.kernels.too_steep, *followed, self.values)

    def _advance(self, steps: int) -> bool:
        self._some(steps)
        if self._counters[places.FLAGS]:
            return False
        if self.kernels.too_steep(self._tables, self._programs, self.values):
            self._counters[places.FLAGS] = places.FLAG_RANGE
            return False
        return True

    def _some(self, steps: int) -> None:
        """Run PDE steps up to one with a flag."""
        if self._pool is not None:
            self._some_shared(steps)
            return
        state = (self.values, self._new, self.arrays, self._buffers, self._counters)
        goal = (steps, self._done() + steps == self._steps)
        if self.kernels.advance(self._tables, self._programs, *state, goal) % 2:
            self.values, self._new = self._new, self.values

    def _some_shared(self, steps: int) -> None:
        """Run PDE steps up to one with a flag, with each phase shared by the threads."""
        for _ in range(steps):
            self._one_shared()
            if self._counters[places.FLAGS]:
                break

    def _one_shared(self) -> None:
        """Run one PDE step, with each phase shared by the threads."""
        followed, values, new, arrays, buffers = (
            (self._tables, self._programs),
            self.values,
            self._new,
            self.arrays,
            self._buffers,
        )
        kernels, holders = self.kernels, self._graph.sole_field.size
        self._send_shared()
        self._share(
            holders, lambda begin, end, at: kernels.collect(*followed, values, new, arrays, buffers, (begin, end), at)
        )
        new[holders:] = values[holders:]
        for layer in range(self._layers if self._done() + 1 < self._steps else 0):
            self._share(self._size(layer), partial(kernels.answer, *followed, new, buffers, layer))
        kernels.settle(new, buffers, self._counters)
        self.values, self._new = new, values

    def _send_shared(self) -> None:
        """Let all faces hear, fire and send."""
        kernels, arrays, faces = self.kernels, self.arrays, self._graph.sole_channels.size
        self._share(faces, lambda begin, end, at: kernels.hear(self._tables, arrays, begin, end))
        fired = (self._tables, self._programs, self.values, arrays, self._buffers)
        self._share(faces, lambda begin, end, at: kernels.fire(*fired, begin, end, at))

    def _share(self, rows: int, phase: Callable[[int, int, int], None]) -> None:
        shares = self._buffers.results.shape[0]
        cuts = [rows * share // shares for share in range(shares + 1)]
        parts = [] if self._pool is None else [(cuts[share], cuts[share + 1], share) for share in range(1, shares)]
        others = [self._pool.submit(phase, *part) for part in parts if self._pool is not None]
        phase(cuts[0], cuts[1], 0)
        for other in others:
            other.result()

    def _snapshot(self) -> RunState:
        return self._state()

    def _go_back(self, snapshot: RunState) -> None:
        self._load(snapshot)


def _tables(graph: IntegerGraph, kinds: list[int]) -> tuple[Synapses, Route, Incidences]:
    mesh, layers, population = graph.mesh, graph.between_fields, graph.sole_channels
    first_unit = np.cumsum([graph.sole_field.size, *(layer.size for layer in layers)]).astype(np.int64)
    place = dict(zip((MEMBRANE, *(layer.name for layer in layers)), (0, *first_unit.tolist()), strict=False))
    matrices = [_arrivals(graph, target, place, int(first_unit[-1])) for target in (*layers, population)]
    entries = np.cumsum([0, *(matrix.entries for matrix in matrices)])
    route = graph.matrix(FLUX, MEMBRANE)
    incidence = Incidence(mesh.source, mesh.target, mesh.holders, 1).rows
    starts = [m.starts[:-1] + at for m, at in zip(matrices, entries, strict=False)]
    synapses = Synapses(
        np.cumsum([0, *(layer.size for layer in layers), population.size]).astype(np.int64),
        first_unit,
        np.array(kinds, np.int64),
        np.concatenate([*starts, entries[-1:].astype(np.int64)]),
        np.concatenate([m.columns for m in matrices]).astype(np.int32),
        np.concatenate([m.values for m in matrices]),
        np.concatenate([begins_with(target) for target in (*layers, population)]),
    )
    ends = np.stack([mesh.source, mesh.target]).astype(np.int64)
    return (
        synapses,
        Route(route.starts, route.columns.astype(np.int32), route.values),
        Incidences(
            incidence.starts,
            incidence.columns.astype(np.int32),
            incidence.values,
            ends,
            graph.sole_field.inverse_volume,
            graph.sole_field.reservoirs,
        ),
    )


def _hearing(graph: IntegerGraph, low: Integers) -> Hearing:
    weights = added((s.matrix() for s in graph.into(FLUX, LOW)), (low.shape[1], low.shape[1]))
    starts = weights.starts if sees_residues(graph) else weights.starts[:1]
    return Hearing(starts.astype(np.int64), weights.columns.astype(np.int32), weights.values, low)


def _arrivals(graph: IntegerGraph, population: Population, place: Mapping[str, int], inputs: int) -> Rows:
    """Weights of a population's inputs from `inputs` values, int64 [size, inputs]."""
    parts = ((synapse.matrix(), place[synapse.source]) for synapse in graph.into(population.name))
    moved = (Rows(part.starts, part.columns + first, part.values, inputs) for part, first in parts)
    return added(moved, (population.size, inputs))


def _numbers(
    graph: IntegerGraph, populations: list[Population], texts: Sequence[FaceText | LayerText | CellText]
) -> tuple[Integers, Integers]:
    """Constants and width limits, with a row for each population."""
    numbers = np.zeros((len(texts), max(1, *(len(text.numbers) for text in texts))), np.int64)
    widths = np.zeros((len(texts), max(1, *(len(text.widths) for text in texts))), np.int64)
    for row, (population, text) in enumerate(zip(populations, texts, strict=True)):
        numbers[row, : len(text.numbers)] = text.numbers
        for at, name in enumerate(text.widths):
            widths[row, at] = largest_of(graph, population.name, population.quantity(name))
    return numbers, widths

"""Stepper for any graph whose faces ask before they send: unstructured meshes, materials, hidden layers."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.mesh import FaceMesh
from pisnn_deploy.programs.interval import Interval
from pisnn_deploy.runs.kernels import limited_general, places
from pisnn_deploy.runs.kernels.compiled import Constants, bound, compiled_for
from pisnn_deploy.runs.kernels.faces import ANYWHERE, FaceText, UnservedError
from pisnn_deploy.runs.kernels.general_stepper import GeneralStepper
from pisnn_deploy.runs.kernels.limited_stepper import unproved
from pisnn_deploy.runs.kernels.limited_text import LOW_FLUX, CellText, cell_text, limited_face_text
from pisnn_deploy.runs.kernels.limits import bounded_values
from pisnn_deploy.runs.kernels.places import UNLIMITED
from pisnn_deploy.runs.run import RunState


class Around(NamedTuple):
    """Faces around each cell, with the sign of a packet that enters; a face with both ends in a cell counts twice."""

    start: Integers
    face: NDArray[np.int32]
    sign: Integers


class LimitedArrays(NamedTuple):
    """State of faces, [1, faces] each, and what faces and cells tell each other in a step."""

    states: tuple[Integers, ...]
    parameters: tuple[Integers, ...]
    transported: Integers
    ends: Integers
    packets: Integers
    asked: Integers
    low: Integers
    short: Integers
    full: Integers
    limits: tuple[Integers, ...]


class LimitedBuffers(NamedTuple):
    """Buffers with a row for each share of the work."""

    arrivals: Integers
    before: Integers
    results: Integers
    asks: Integers


class LimitedGeneralStepper(GeneralStepper):
    """A run of any graph with a limiter."""

    def __init__(self, graph: IntegerGraph, start: RunState, steps: int, threads: int) -> None:
        if len(graph.order.answers) != 1:
            raise UnservedError(f"{len(graph.order.answers)} populations answer faces; kernels support one")
        super().__init__(graph, start, steps, threads)

    def _answering(self, graph: IntegerGraph) -> list[Population]:
        return [*map(graph.population, graph.order.answers)]

    def _text_of_faces(self, graph: IntegerGraph, faces: Population, constant: Mapping[str, int]) -> FaceText:
        return limited_face_text(faces, constant, bounded_values(graph, faces), frozenset(), ANYWHERE)

    def _text_of_answers(self, graph: IntegerGraph, answers: Population) -> CellText:
        return cell_text(answers, unproved(graph, answers, _anything(graph, answers)))

    def _kernels_of(self, text: str, constants: Constants, faces: Population) -> SimpleNamespace:
        self._has_low = LOW_FLUX in faces.program.names
        return bound(limited_general, text, (*constants, ("HAS_LOW", int(self._has_low))))

    def _completed(self, graph: IntegerGraph, faces: Population, of_answers: list[CellText]) -> None:
        (cells,), holders = self._answering(graph), graph.sole_field.size
        self._tables = (*self._tables, _around(graph.mesh))
        limits = tuple(cells.parameters[name] for name in of_answers[0].arrays)
        asked, low = np.zeros((2, 1, faces.size), np.int64)
        short, full = np.zeros((2, holders), np.int64)
        mine, buffers = self.arrays, self._buffers
        of_faces = (mine.states, mine.parameters, mine.transported, mine.ends, mine.packets)
        self.arrays = LimitedArrays(*of_faces, asked, low, short, full, limits)
        asks = np.zeros((buffers.results.shape[0], 3, places.TILE), np.int64)
        self._buffers = LimitedBuffers(buffers.arrivals, buffers.before, buffers.results, asks)

    def prepare(self) -> None:
        """Compile all kernels of a step."""
        kernels, followed = self.kernels, (self._tables, self._programs)
        phase = (*followed, self.values, self.arrays, self._buffers, 0, 0, 0)
        for kernel in (kernels.ask, kernels.grant, kernels.send):
            compiled_for(kernel, *phase)
        states = (self.values, self._new, self.arrays, self._buffers)
        compiled_for(kernels.collect, *followed, *states, (0, 0), 0)
        compiled_for(kernels.answer, *followed, self._new, self._buffers, 0, 0, 0, 0)
        compiled_for(kernels.settle, self._new, self._buffers, self._counters)
        compiled_for(kernels.too_steep, *followed, self.values)

    def _some(self, steps: int) -> None:
        """Run PDE steps phase by phase, up to one with a flag."""
        self._some_shared(steps)

    def _send_shared(self) -> None:
        """Let all faces ask, cells answer, and faces send."""
        kernels, mesh = self.kernels, self._graph.mesh
        phase = (self._tables, self._programs, self.values, self.arrays, self._buffers)
        self._share(mesh.faces, lambda begin, end, at: kernels.ask(*phase, begin, end, at))
        self._share(mesh.cells, lambda begin, end, at: kernels.grant(*phase, begin, end, at))
        self._share(mesh.faces, lambda begin, end, at: kernels.send(*phase, begin, end, at))


def _anything(graph: IntegerGraph, cells: Population) -> dict[str, Interval]:
    """Widest bounds of the ports of cells that answer, and bounds of their parameters."""
    anything = Interval(-UNLIMITED, UNLIMITED)
    of_cells = {name: Interval(int(array.min()), int(array.max())) for name, array in cells.parameters.items()}
    return dict.fromkeys(cells.program.ports, anything) | of_cells


def _around(mesh: FaceMesh) -> Around:
    ends, signs = np.concatenate([mesh.source, mesh.target]), np.repeat([-1, 1], mesh.faces)
    faces = np.tile(np.arange(mesh.faces), 2)
    order = np.argsort(ends, kind="stable")
    counts = np.bincount(ends, minlength=mesh.holders)
    start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return Around(start, faces[order].astype(np.int32), signs[order].astype(np.int64))

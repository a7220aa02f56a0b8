"""Stencils: connections from cells to faces of a structured mesh that repeat over the mesh."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.rows import Rows
from pisnn_deploy.graph.rows import Connections, Integers, Parts, Place, Values, ascends, shortened
from pisnn_deploy.graph.stored import Arrays
from pisnn_deploy.mesh import PERIODIC, FaceMesh, Mesh, face_grid
from pisnn_deploy.mesh.window import Boxes

FARTHEST = 2**31
"""Largest offset of a stencil in cells; a larger one could wrap when it is added to a cell's coordinates."""


@dataclass(frozen=True)
class Stencil(Connections):
    """Connections from the cells of a structured mesh to its faces, the same at every face of a box.

    Neuron ``f * outputs_per_face + o`` of the target belongs to face ``f``. Row ``b * outputs_per_face + o`` of
    `starts` holds the connections of output ``o`` at all faces of box ``b``: entry ``e`` comes from the cell at the
    coordinates of the face's lower cell plus ``offsets[e]``, modulo the shape of the mesh.

    Attributes
    ----------
    boxes : Boxes
        All faces, each in one box.
    starts : int64 array [boxes * outputs_per_face + 1]
        Where the entries of each output begin.
    offsets : int64 array [entries of a face of each box, axes]
        Cells read, relative to the face's source.
    values : int64 or float64 array [entries of a face of each box]
        Weight of each cell read.
    """

    mesh: Mesh
    boxes: Boxes
    starts: Integers
    offsets: Integers
    values: Values
    outputs_per_face: int

    @property
    def inputs(self) -> int:
        """Size of the source population: cells and reservoirs."""
        return self.mesh.holders

    @property
    def outputs(self) -> int:
        """Size of the target population."""
        return self.mesh.faces * self.outputs_per_face

    @cached_property
    def entries(self) -> int:
        """Number of connections."""
        of_a_face = np.diff(self.starts).reshape(-1, self.outputs_per_face).sum(axis=1)
        return int((of_a_face * self.boxes.shape.prod(axis=1)).sum())

    @property
    def distinct(self) -> tuple[Integers, Values]:
        """Starts and values of the deduplicated rows."""
        return self.starts, self.values

    @cached_property
    def rows(self) -> Rows:
        """The connections of each target neuron."""
        starts, columns = self.pattern
        values = np.empty(columns.size, self.values.dtype)
        for box, numbers in enumerate(self._faces):
            for output in range(self.outputs_per_face):
                part, order = self.part(box, output)
                weights = np.broadcast_to(self.values[part][order], (numbers.size, order.size))
                turned = self._turned(box, self.offsets[part])
                if turned.size:
                    weights = weights.copy()
                    cells = self._cells(box, self.offsets[part][order], turned)
                    weights[turned] = np.take_along_axis(weights[turned], np.argsort(cells, axis=1), axis=1)
                _put(values, starts, numbers * self.outputs_per_face + output, weights)
        return Rows(starts, columns.astype(np.int64), values, self.inputs)

    @cached_property
    def pattern(self) -> tuple[Integers, NDArray[np.int32] | Integers]:
        """Start of each target neuron's connections, and their source neurons (narrowest integer type)."""
        outputs = self.outputs_per_face
        lengths = np.zeros(self.outputs, np.int64)
        counts = np.diff(self.starts).reshape(-1, outputs)
        for box, numbers in enumerate(self._faces):
            for output in range(outputs):
                lengths[numbers * outputs + output] = counts[box, output]
        starts = np.concatenate([[0], np.cumsum(lengths)])
        kind = np.int32 if self.inputs < 1 << 31 else np.int64
        columns: NDArray[Any] = np.empty(starts[-1], kind)
        for box, numbers in enumerate(self._faces):
            for output in range(outputs):
                part, order = self.part(box, output)
                cells = self._cells(box, self.offsets[part][order]).astype(columns.dtype, copy=False)
                turned = self._turned(box, self.offsets[part])
                cells[turned] = np.sort(cells[turned], axis=1)
                _put(columns, starts, numbers * outputs + output, cells)
        return starts, columns

    def selected(self, rows: Integers) -> Rows:
        """Select the connections of some target neurons, in the given order; nothing else is expanded.

        Parameters
        ----------
        rows : int64 array
            Numbers of the rows to take.
        """
        face_numbers, output = np.divmod(rows, self.outputs_per_face)
        columns: list[Integers] = [np.zeros(0, np.int64)] * rows.size
        values: list[Values] = [self.values[:0]] * rows.size
        where: dict[int, list[int]] = {}
        for place, face in enumerate(face_numbers.tolist()):
            where.setdefault(face, []).append(place)
        is_asked = np.zeros(self.mesh.faces, np.bool_)
        is_asked[face_numbers] = True
        for box, numbers in enumerate(self._faces):
            for at in np.flatnonzero(is_asked[numbers]).tolist():
                for place in where[int(numbers[at])]:
                    part = self.part(box, int(output[place]))[0]
                    cells = self._cells(box, self.offsets[part], np.array([at]))[0]
                    order = np.argsort(cells)
                    columns[place], values[place] = cells[order], self.values[part][order]
        starts = np.concatenate([[0], np.cumsum([column.size for column in columns], dtype=np.int64)])
        return Rows(
            starts,
            np.concatenate([*columns, np.zeros(0, np.int64)]),
            np.concatenate([*values, self.values[:0]]),
            self.inputs,
        )

    def revalued(self, change: Callable[[Values], Values]) -> Stencil:
        """Replace the values; zeros are dropped."""
        values = change(self.values)
        is_entry = values != 0
        return replace(
            self, starts=shortened(self.starts, is_entry), offsets=self.offsets[is_entry], values=values[is_entry]
        )

    @cached_property
    def _faces(self) -> list[Integers]:
        """Numbers of the faces of each box."""
        return [self.boxes.faces(self.mesh, box) for box in range(self.boxes.axis.size)]

    def part(self, box: int, output: int) -> tuple[slice, Integers]:
        """Entries of one output of a box, and the order in which their cells ascend (away from periodic ends)."""
        at = box * self.outputs_per_face + output
        part = slice(int(self.starts[at]), int(self.starts[at + 1]))
        return part, np.lexsort(self.nearest(self.offsets[part]).T[::-1])

    def nearest(self, offsets: Integers) -> Integers:
        """The same offsets modulo the shape of the mesh, each the one nearest to 0."""
        shape = np.array(self.mesh.shape, np.int64)
        return np.asarray((offsets + shape // 2) % shape - shape // 2, np.int64)

    def _turned(self, box: int, offsets: Integers) -> Integers:
        """Faces of a box whose offsets wrap around a periodic axis, which changes the order of columns."""
        nearest, lower, shape = self.nearest(offsets), self.boxes.lower[box], self.boxes.shape[box]
        is_inside = np.zeros(tuple(shape), np.bool_)
        for a, count in enumerate(self.mesh.shape if len(nearest) else ()):
            at = lower[a] + np.arange(shape[a])
            around = (at + nearest[:, a].min() < 0) | (at + nearest[:, a].max() >= count)
            is_inside |= around.reshape([-1 if a == b else 1 for b in range(shape.size)])
        return np.flatnonzero(is_inside)

    def _cells(self, box: int, offsets: Integers, faces: Integers | None = None) -> Integers:
        """Cells [faces of the box, offsets] that the faces of a box, or some of them, are connected to."""
        lower, shape = self.boxes.lower[box], self.boxes.shape[box]
        if faces is not None:
            places = np.stack(np.unravel_index(faces, tuple(shape)), axis=1) + lower
            cells = (places[:, None] + offsets) % np.array(self.mesh.shape)
            return np.asarray(np.ravel_multi_index(tuple(np.moveaxis(cells, 2, 0)), self.mesh.shape), np.int64)
        kind = np.int32 if self.mesh.cells < 1 << 31 else np.int64
        indices: NDArray[Any] = np.zeros((1,) * len(self.mesh.shape) + (1,), kind)
        for a, count in enumerate(self.mesh.shape):
            along = ((lower[a] + np.arange(shape[a]))[:, None] + offsets[:, a]) % count
            dimensions = [along.shape[0] if a == b else 1 for b in range(shape.size)]
            indices = indices * kind(count) + along.astype(kind).reshape(*dimensions, offsets.shape[0])
        return np.ascontiguousarray(indices.reshape(math.prod(shape), offsets.shape[0]))

    def described(self, mesh: FaceMesh) -> tuple[str, Parts]:
        """See `Connections`."""
        boxes = np.column_stack([self.boxes.axis, self.boxes.lower, self.boxes.shape])
        return "stencil", {
            "boxes": boxes,
            "row_starts": self.starts,
            "offsets": self.offsets,
            "mantissas": self.values,
        }

    def misfit(self, mesh: FaceMesh, window: int) -> str:
        """See `Connections`."""
        if mesh.grid is None:
            return "is a stencil, but the mesh is not structured"
        return _stencil_misfit(mesh.grid, self) or _window_misfit(self, window)


def read_stencil(parts: dict[str, str], take: Arrays, place: Place) -> Stencil:
    """Read connections of the kind ``stencil`` by the names of their arrays."""
    mesh, per_face = place.mesh.grid, place.per_face
    if mesh is None:
        raise ValueError("it is a stencil, but the mesh is not structured")
    boxes, offsets = take.table(parts["boxes"]), take.table(parts["offsets"])
    starts = take(parts["row_starts"], len(boxes) * per_face + 1)
    mantissas = take(parts["mantissas"], len(offsets))
    axes = len(mesh.shape)
    if boxes.shape[1] != 1 + 2 * axes or offsets.shape[1] != axes or offsets.shape[0] != mantissas.size:
        raise ValueError("sizes of boxes, offsets and mantissas do not match")
    corners = Boxes(boxes[:, 0], boxes[:, 1 : 1 + axes], boxes[:, 1 + axes :])
    return Stencil(mesh, corners, starts, offsets, mantissas, per_face)


def _stencil_misfit(mesh: Mesh, stencil: Stencil) -> str:
    """Each face must have exactly one window, and each window must read each cell once and stay within walls."""
    boxes = stencil.boxes
    rows = boxes.axis.size * stencil.outputs_per_face
    starts, entries = stencil.starts, stencil.values.size
    if starts.size != rows + 1 or not ascends(starts, entries):
        return f"starts is not an ascending list of {rows + 1} numbers from 0 to {entries}"
    if boxes.axis.size and not 0 <= boxes.axis.min() <= boxes.axis.max() < len(mesh.shape):
        return f"a box names an axis outside 0 to {len(mesh.shape) - 1}"
    if (boxes.shape < 1).any():
        return "a box has no face"
    if (stencil.offsets < -FARTHEST).any() or (stencil.offsets > FARTHEST).any():
        return f"an offset is beyond {FARTHEST}"
    problem = _boxes_misfit(mesh, boxes)
    if problem:
        return problem
    box_of = np.repeat(np.arange(rows) // stencil.outputs_per_face, np.diff(starts))
    row_of = np.repeat(np.arange(rows), np.diff(starts))
    walls = [a for a, sides in enumerate(mesh.boundary) if sides != (PERIODIC, PERIODIC)]
    low = (boxes.lower[box_of] + stencil.offsets)[:, walls]
    high = low + (boxes.shape[box_of] - 1)[:, walls]
    if (low < 0).any() or (high >= np.array(mesh.shape)[walls]).any():
        return "an offset leads beyond a wall"
    first_cells = np.ravel_multi_index(tuple(((boxes.lower[box_of] + stencil.offsets) % mesh.shape).T), mesh.shape)
    keys = row_of * mesh.cells + first_cells
    return "" if (np.diff(keys) > 0).all() else "offsets are not in the order of their cells, each cell once"


def _window_misfit(stencil: Stencil, window: int) -> str:
    """Why a face reads more cells than its model's window; a short file could join all cells to each face.

    Beside a wall a row may have a few more than the window, those that ghost cells are made of.
    """
    most = int((stencil.starts[1:] - stencil.starts[:-1]).max(initial=0))
    return f"a face is joined to {most} cells, the model's window has {window}" if most > 2 * window else ""


def _boxes_misfit(mesh: Mesh, boxes: Boxes) -> str:
    """Boxes must cover each face of the mesh once. They are untrusted: checked before any arithmetic."""
    covered = np.zeros(mesh.faces, np.bool_)
    for box in range(boxes.axis.size):
        _, first, counts = face_grid(mesh, int(boxes.axis[box]))
        places = zip(boxes.lower[box].tolist(), boxes.shape[box].tolist(), counts, strict=True)
        for axis, (lower, extent, count) in enumerate(places):
            low = lower - (first if axis == boxes.axis[box] else 0)
            if not 0 <= low <= low + extent <= count:
                return f"box {box} leaves the mesh"
        numbers = boxes.faces(mesh, box)
        if covered[numbers].any():
            return f"a face is in box {box} and also in another box"
        covered[numbers] = True
    return "" if covered.all() else "a face is in no box"


def _put(into: Values, starts: Integers, rows: Integers, content: Values) -> None:
    """Write rows of equal length into an output array."""
    if not content.size:
        return
    first, last = starts[rows[0]], starts[rows[-1] + 1]
    if last - first == content.size and rows.size == rows[-1] - rows[0] + 1:
        # Ascending numbers without a gap: one piece.
        into[first:last].reshape(content.shape)[:] = content
    else:
        into[starts[rows][:, None] + np.arange(content.shape[1])] = content

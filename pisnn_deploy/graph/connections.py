"""Connections between two populations: spelled out, or as a rule that repeats over the mesh.

A flux network is one and the same at every face, so what it is connected to need not be stored a million times. Each
kind of connections expands to the same compressed sparse rows; rows are post-synaptic.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pisnn_deploy.mesh import Mesh
from pisnn_deploy.mesh.window import Boxes

Integers = NDArray[np.int64]
Values = NDArray[Any]
"""Mantissas are int64; the float model has float64 weights in the same places."""


@dataclass(frozen=True)
class Rows:
    """Compressed sparse rows.

    Attributes
    ----------
    starts : int64 array [rows + 1]
    columns : int64 array [entries]
        Strictly ascending within each row.
    values : int64 or float64 array [entries]
    """

    starts: Integers
    columns: Integers
    values: Values

    def matrix(self, inputs: int) -> sparse.csr_matrix:
        """As a scipy matrix [rows, inputs]."""
        return sparse.csr_matrix((self.values, self.columns, self.starts), (self.starts.size - 1, inputs))


@dataclass(frozen=True)
class Explicit:
    """Every connection spelled out.

    Attributes
    ----------
    starts, columns, values : array
        See `Rows`.
    inputs : int
        Size of the source population.
    """

    starts: Integers
    columns: Integers
    values: Values
    inputs: int

    @property
    def outputs(self) -> int:
        """Size of the target population."""
        return int(self.starts.size - 1)

    @property
    def entries(self) -> int:
        """Number of connections."""
        return int(self.values.size)

    @cached_property
    def rows(self) -> Rows:
        """The connections of each target neuron."""
        return Rows(self.starts, self.columns, self.values)

    @property
    def pattern(self) -> tuple[Integers, NDArray[np.int32] | Integers]:
        """Where the connections of each target neuron start, and their source neurons."""
        return self.rows.starts, self.rows.columns

    @property
    def distinct(self) -> tuple[Integers, Values]:
        """Starts and values of rows among which every row has its like."""
        return self.starts, self.values

    def selected(self, rows: Integers) -> Rows:
        """The connections of some target neurons alone, in the given order.

        Parameters
        ----------
        rows : int64 array

        Returns
        -------
        Rows
        """
        return _sliced(self.rows, rows)

    def revalued(self, change: Callable[[Values], Values]) -> Explicit:
        """With other values; zeros are dropped."""
        values = change(self.values)
        kept = values != 0
        return Explicit(_shortened(self.starts, kept), self.columns[kept], values[kept], self.inputs)


@dataclass(frozen=True)
class Stencil:
    """Connections from the cells of a structured mesh to its faces, alike within boxes of faces.

    Neuron ``f * outputs_per_face + o`` of the target belongs to face ``f``. Row ``b * outputs_per_face + o`` of
    `starts` holds the connections of output ``o`` at all faces of box ``b``: entry ``e`` comes from the cell at the
    coordinates of the face's lower cell plus ``offsets[e]``, modulo the shape of the mesh.

    Attributes
    ----------
    mesh : Mesh
    boxes : Boxes
        All faces, each in one box.
    starts : int64 array [boxes * outputs_per_face + 1]
    offsets : int64 array [entries of a face of each box, axes]
    values : int64 or float64 array [entries of a face of each box]
    outputs_per_face : int
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
        """Starts and values of rows among which every row has its like."""
        return self.starts, self.values

    @cached_property
    def rows(self) -> Rows:
        """The connections of each target neuron."""
        starts, columns = self.pattern
        values = np.empty(columns.size, self.values.dtype)
        for box, numbers in enumerate(self._faces):
            for output in range(self.outputs_per_face):
                part, order = self._part(box, output)
                held = np.broadcast_to(self.values[part][order], (numbers.size, order.size))
                turned = self._turned(box, self.offsets[part])
                if turned.size:
                    held = held.copy()
                    cells = self._cells(box, self.offsets[part][order], turned)
                    held[turned] = np.take_along_axis(held[turned], np.argsort(cells, axis=1), axis=1)
                _put(values, starts, numbers * self.outputs_per_face + output, held)
        return Rows(starts, columns.astype(np.int64), values)

    @cached_property
    def pattern(self) -> tuple[Integers, NDArray[np.int32] | Integers]:
        """Where the connections of each target neuron start, and their source neurons, of the narrowest type."""
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
                part, order = self._part(box, output)
                cells = self._cells(box, self.offsets[part][order]).astype(columns.dtype, copy=False)
                turned = self._turned(box, self.offsets[part])
                cells[turned] = np.sort(cells[turned], axis=1)
                _put(columns, starts, numbers * outputs + output, cells)
        return starts, columns

    def selected(self, rows: Integers) -> Rows:
        """The connections of some target neurons alone, in the given order; nothing else is expanded.

        Parameters
        ----------
        rows : int64 array

        Returns
        -------
        Rows
        """
        wanted, output = np.divmod(rows, self.outputs_per_face)
        columns: list[Integers] = [np.zeros(0, np.int64)] * rows.size
        values: list[Values] = [self.values[:0]] * rows.size
        where: dict[int, list[int]] = {}
        for place, face in enumerate(wanted.tolist()):
            where.setdefault(face, []).append(place)
        asked = np.zeros(self.mesh.faces, np.bool_)
        asked[wanted] = True
        for box, numbers in enumerate(self._faces):
            for at in np.flatnonzero(asked[numbers]).tolist():
                for place in where[int(numbers[at])]:
                    part = self._part(box, int(output[place]))[0]
                    cells = self._cells(box, self.offsets[part], np.array([at]))[0]
                    order = np.argsort(cells)
                    columns[place], values[place] = cells[order], self.values[part][order]
        starts = np.concatenate([[0], np.cumsum([one.size for one in columns], dtype=np.int64)])
        return Rows(
            starts, np.concatenate([*columns, np.zeros(0, np.int64)]), np.concatenate([*values, self.values[:0]])
        )

    def revalued(self, change: Callable[[Values], Values]) -> Stencil:
        """With other values; zeros are dropped."""
        values = change(self.values)
        kept = values != 0
        return replace(self, starts=_shortened(self.starts, kept), offsets=self.offsets[kept], values=values[kept])

    @cached_property
    def _faces(self) -> list[Integers]:
        """Numbers of the faces of each box."""
        return [self.boxes.faces(self.mesh, box) for box in range(self.boxes.axis.size)]

    def _part(self, box: int, output: int) -> tuple[slice, Integers]:
        """Entries of an output of a box, and the order in which their cells ascend away from periodic ends."""
        at = box * self.outputs_per_face + output
        part = slice(int(self.starts[at]), int(self.starts[at + 1]))
        return part, np.lexsort(self._nearest(self.offsets[part]).T[::-1])

    def _nearest(self, offsets: Integers) -> Integers:
        """The same offsets modulo the shape of the mesh, each the one nearest to 0."""
        shape = np.array(self.mesh.shape, np.int64)
        return np.asarray((offsets + shape // 2) % shape - shape // 2, np.int64)

    def _turned(self, box: int, offsets: Integers) -> Integers:
        """Faces of a box from which an offset leads around a periodic axis, so that columns come in another order."""
        nearest, lower, shape = self._nearest(offsets), self.boxes.lower[box], self.boxes.shape[box]
        found = np.zeros(tuple(shape), np.bool_)
        for a, count in enumerate(self.mesh.shape if len(nearest) else ()):
            at = lower[a] + np.arange(shape[a])
            around = (at + nearest[:, a].min() < 0) | (at + nearest[:, a].max() >= count)
            found |= around.reshape([-1 if a == b else 1 for b in range(shape.size)])
        return np.flatnonzero(found)

    def _cells(self, box: int, offsets: Integers, faces: Integers | None = None) -> Integers:
        """Cells [faces of the box, offsets] that the faces of a box, or some of them, are connected to."""
        lower, shape = self.boxes.lower[box], self.boxes.shape[box]
        if faces is not None:
            places = np.stack(np.unravel_index(faces, tuple(shape)), axis=1) + lower
            cells = (places[:, None] + offsets) % np.array(self.mesh.shape)
            return np.asarray(np.ravel_multi_index(tuple(np.moveaxis(cells, 2, 0)), self.mesh.shape), np.int64)
        kind = np.int32 if self.mesh.cells < 1 << 31 else np.int64
        found: NDArray[Any] = np.zeros((1,) * len(self.mesh.shape) + (1,), kind)
        for a, count in enumerate(self.mesh.shape):
            along = ((lower[a] + np.arange(shape[a]))[:, None] + offsets[:, a]) % count
            dimensions = [along.shape[0] if a == b else 1 for b in range(shape.size)]
            found = found * kind(count) + along.astype(kind).reshape(*dimensions, offsets.shape[0])
        return np.ascontiguousarray(found.reshape(math.prod(shape), offsets.shape[0]))


def _put(into: Values, starts: Integers, rows: Integers, content: Values) -> None:
    """Write rows of equal length into their places."""
    if not content.size:
        return
    first, last = starts[rows[0]], starts[rows[-1] + 1]
    if last - first == content.size and rows.size == rows[-1] - rows[0] + 1:
        # Ascending numbers without a gap: one piece.
        into[first:last].reshape(content.shape)[:] = content
    else:
        into[starts[rows][:, None] + np.arange(content.shape[1])] = content


@dataclass(frozen=True)
class Blocks:
    """A dense block of connections at each face: a later layer of the flux network, which acts at each face alone.

    Attributes
    ----------
    block : int64 array [outputs, inputs]
        Per face.
    count : int
        Number of faces.
    """

    block: Values
    count: int

    @property
    def inputs(self) -> int:
        """Size of the source population."""
        return int(self.block.shape[1]) * self.count

    @property
    def outputs(self) -> int:
        """Size of the target population."""
        return int(self.block.shape[0]) * self.count

    @property
    def entries(self) -> int:
        """Number of connections."""
        return int(np.count_nonzero(self.block)) * self.count

    @property
    def pattern(self) -> tuple[Integers, NDArray[np.int32] | Integers]:
        """Where the connections of each target neuron start, and their source neurons."""
        return self.rows.starts, self.rows.columns

    @property
    def distinct(self) -> tuple[Integers, Values]:
        """Starts and values of rows among which every row has its like."""
        kept = self.block != 0
        return np.concatenate([[0], np.cumsum(kept.sum(axis=1))]), self.block[kept]

    @cached_property
    def rows(self) -> Rows:
        """The connections of each target neuron."""
        output, column = np.nonzero(self.block)
        face = np.arange(self.count, dtype=np.int64)[:, None]
        lengths = np.tile((self.block != 0).sum(axis=1), self.count)
        return Rows(
            np.concatenate([[0], np.cumsum(lengths)]),
            (face * self.block.shape[1] + column).reshape(-1),
            np.tile(self.block[output, column], self.count),
        )

    def selected(self, rows: Integers) -> Rows:
        """The connections of some target neurons alone, in the given order.

        Parameters
        ----------
        rows : int64 array

        Returns
        -------
        Rows
        """
        return _sliced(self.rows, rows)

    def revalued(self, change: Callable[[Values], Values]) -> Blocks:
        """With other values; zeros are dropped."""
        return Blocks(change(self.block), self.count)


@dataclass(frozen=True)
class Incidence:
    """The route of the packets: from each face to the holder that they enter and, with the other sign, leave.

    Attributes
    ----------
    source, target : int64 array [faces]
        Holders that a positive packet leaves and enters.
    holders : int
    value : int
    """

    source: Integers
    target: Integers
    holders: int
    value: int

    @property
    def inputs(self) -> int:
        """Size of the source population: faces."""
        return int(self.source.size)

    @property
    def outputs(self) -> int:
        """Size of the target population: cells and reservoirs."""
        return self.holders

    @property
    def entries(self) -> int:
        """Number of connections."""
        return self.rows.values.size

    @property
    def pattern(self) -> tuple[Integers, NDArray[np.int32] | Integers]:
        """Where the connections of each target neuron start, and their source neurons."""
        return self.rows.starts, self.rows.columns

    @property
    def distinct(self) -> tuple[Integers, Values]:
        """Starts and values of rows among which every row has its like."""
        return self.rows.starts, self.rows.values

    @cached_property
    def rows(self) -> Rows:
        """The connections of each target neuron."""
        face = np.arange(self.inputs, dtype=np.int64)
        signs = np.repeat(np.array([self.value, -self.value], np.int64), self.inputs)
        ends = np.concatenate([self.target, self.source])
        matrix = sparse.coo_matrix((signs, (ends, np.tile(face, 2))), (self.holders, self.inputs)).tocsr()
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
        matrix.sort_indices()
        return Rows(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64), matrix.data.astype(np.int64))

    def selected(self, rows: Integers) -> Rows:
        """The connections of some target neurons alone, in the given order.

        Parameters
        ----------
        rows : int64 array

        Returns
        -------
        Rows
        """
        return _sliced(self.rows, rows)

    def revalued(self, change: Callable[[Values], Values]) -> Explicit:
        """With other values, spelled out; zeros are dropped."""
        rows = self.rows
        return Explicit(rows.starts, rows.columns, rows.values, self.inputs).revalued(change)


@dataclass(frozen=True)
class Ends:
    """From the cell at one end of each face to the face; an end that is a reservoir, which never sends, has none.

    Attributes
    ----------
    holder : int64 array [faces]
        Holder at that end.
    cells, holders : int
    value : int
    """

    holder: Integers
    cells: int
    holders: int
    value: int

    @property
    def inputs(self) -> int:
        """Size of the source population: cells and reservoirs."""
        return self.holders

    @property
    def outputs(self) -> int:
        """Size of the target population: faces."""
        return int(self.holder.size)

    @property
    def entries(self) -> int:
        """Number of connections."""
        return int(np.count_nonzero(self.holder < self.cells))

    @property
    def pattern(self) -> tuple[Integers, NDArray[np.int32] | Integers]:
        """Where the connections of each target neuron start, and their source neurons."""
        return self.rows.starts, self.rows.columns

    @property
    def distinct(self) -> tuple[Integers, Values]:
        """Starts and values of rows among which every row has its like."""
        count = min(1, self.entries)
        return np.arange(count + 1, dtype=np.int64), np.full(count, self.value, np.int64)

    @cached_property
    def rows(self) -> Rows:
        """The connections of each target neuron."""
        connected = self.holder < self.cells
        columns = self.holder[connected]
        starts = np.concatenate([[0], np.cumsum(connected)]).astype(np.int64)
        return Rows(starts, columns, np.full(columns.size, self.value, np.int64))

    def selected(self, rows: Integers) -> Rows:
        """The connections of some target neurons alone, in the given order.

        Parameters
        ----------
        rows : int64 array

        Returns
        -------
        Rows
        """
        return _sliced(self.rows, rows)

    def revalued(self, change: Callable[[Values], Values]) -> Explicit:
        """With other values, spelled out; zeros are dropped."""
        rows = self.rows
        return Explicit(rows.starts, rows.columns, rows.values, self.inputs).revalued(change)


Connections = Explicit | Stencil | Blocks | Incidence | Ends


def explicit(matrix: sparse.csr_matrix) -> Explicit:
    """Spell a matrix out.

    Parameters
    ----------
    matrix : scipy.sparse.csr_matrix [target, source]
        Rows sorted, without duplicates and zeros.

    Returns
    -------
    Explicit
    """
    starts, columns = matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64)
    return Explicit(starts, columns, matrix.data, int(matrix.shape[1]))


def _sliced(whole: Rows, rows: Integers) -> Rows:
    lengths = whole.starts[rows + 1] - whole.starts[rows]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    at = np.arange(starts[-1]) + np.repeat(whole.starts[rows] - starts[:-1], lengths)
    return Rows(starts, whole.columns[at], whole.values[at])


def _shortened(starts: Integers, kept: NDArray[np.bool_]) -> Integers:
    """Starts of rows of which only some entries are kept."""
    return np.asarray(np.concatenate([[0], np.cumsum(kept)])[starts], np.int64)

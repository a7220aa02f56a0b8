"""What arrives over the synapses of a large mesh, without a matrix of all connections.

A *stencil* slides: where a box of faces is large and no window of it wraps around the mesh, each entry is a slice of
the field, times a weight. The other faces, a number that grows with the surface of the mesh, have a sparse matrix.
Packets are *routed*: each is added to the holder that it enters, and subtracted from the one that it leaves.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.exact_sums import LARGEST, largest
from pisnn_deploy.core.rows import Rows, added, starts_of
from pisnn_deploy.graph.connections import Incidence
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.rows import Integers, Values
from pisnn_deploy.graph.stencil import Stencil
from pisnn_deploy.graph.synapse import Synapse, are_whole, effective
from pisnn_deploy.mesh import face_grid
from pisnn_deploy.mesh.window import Boxes

LEAST = 1 << 14
"""Fewest neurons for which slices and routes are quicker than a matrix."""
EXACT = 1 << 53
"""Integers below are exact in float64, and so are their sums if these are."""
AT_ONCE = 1 << 15
"""Faces whose sums are added up together, so that they stay in a cache."""

Slices = tuple[slice, ...]


@dataclass(frozen=True)
class _Piece:
    """Faces of a box whose windows do not wrap around the mesh.

    Attributes
    ----------
    faces : tuple of slice
        Their places on the grid of all faces of an axis.
    cells : tuple of tuple of slice
        For each entry, the cells that the faces read.
    weights : array [entries]
        Weight of each entry, in the order in which a row of a matrix has them.
    """

    axis: int
    output: int
    faces: Slices
    cells: tuple[Slices, ...]
    weights: Values


class Sliding:
    """A stencil that can be multiplied by values of cells."""

    def __init__(self, stencil: Stencil) -> None:
        self._stencil = stencil
        pieces, others = _divided(stencil)
        self._pieces, self._others = tuple(pieces), others

    @property
    def is_worthwhile(self) -> bool:
        """Whether most of the faces slide."""
        return bool(self._pieces)

    @cached_property
    def _rest(self) -> Rows:
        return self._others.rows

    @cached_property
    def _most(self) -> int:
        """Largest sum of the absolute values of the weights of a target neuron, or something larger."""
        return largest(self._stencil.values) * int(np.diff(self._stencil.starts).max(initial=0))

    def __matmul__(self, values: Values) -> Values:
        """Product with a vector that begins with the values of the cells.

        Floats are added in the order in which a row of the matrix has its entries. Integers that may not fit 64 bits
        are left to the matrix.

        Parameters
        ----------
        values : int64 or float64 array [cells or more]
            Values of the cells; what follows is not read.

        Returns
        -------
        int64 or float64 array [outputs]
            What each target neuron hears.
        """
        mesh, per_face = self._stencil.mesh, self._stencil.outputs_per_face
        is_float = "f" in (values.dtype.kind, self._stencil.values.dtype.kind)
        if not is_float and self._most * largest(values) > LARGEST:
            return self._stencil.rows @ values
        field = values[: mesh.cells].reshape(mesh.shape)
        if values.size != self._stencil.inputs:
            values = np.concatenate([values, np.zeros(self._stencil.inputs - values.size, values.dtype)])
        total = self._rest @ values
        by_face = total.reshape(mesh.faces, per_face)
        for piece in self._pieces:
            base, _, counts = face_grid(mesh, piece.axis)
            faces = by_face[base : base + math.prod(counts), piece.output].reshape(counts)[piece.faces]
            _slide(piece, field, faces)
        return total


class Routed:
    """Packets of channels as what they change at the holders at both ends."""

    def __init__(self, incidence: Incidence, value: int) -> None:
        self._incidence, self._value = incidence, value

    @cached_property
    def _most(self) -> int:
        """Most channels of a holder."""
        return int((self._at(self._incidence.target) + self._at(self._incidence.source)).max(initial=0))

    def _at(self, ends: Integers, packets: Integers | None = None) -> NDArray[Any]:
        return np.bincount(ends, packets, self._incidence.holders)

    def __matmul__(self, packets: Integers) -> Integers:
        """Change of each holder.

        Sums are those of float64, which holds them exactly; packets that are too large for that are left to the matrix.

        Parameters
        ----------
        packets : int64 array [channels]
            Packets, positive from source to target.

        Returns
        -------
        int64 array [holders]
            Change in quanta.
        """
        if self._most * largest(packets) >= EXACT or abs(self._value) * self._most * largest(packets) > LARGEST:
            return self._incidence.revalued(lambda _: np.array([self._value, -self._value])).rows @ packets
        change = self._at(self._incidence.target, packets)
        change -= self._at(self._incidence.source, packets)
        total = change.astype(np.int64)
        total *= self._value
        return total


LinearMap = Rows | Sliding | Routed
"""What can be multiplied by what a population sent."""


def map_of(synapses: Sequence[Synapse]) -> LinearMap:
    """Sum of the effective weights of parallel synapses.

    Parameters
    ----------
    synapses : sequence of Synapse
        From one output of a population to one port of another, at least one.
    """
    first = synapses[0].connections
    large = max(first.inputs, first.outputs) >= LEAST
    if large and all(are_whole(synapse.distinct_mantissas, synapse.exponent) for synapse in synapses):
        if isinstance(first, Incidence) and len(synapses) == 1:
            return Routed(first, int(effective(np.array([first.value]), synapses[0].exponent)[0]))
        if isinstance(first, Stencil):
            sliding = _sliding(synapses, first)
            if sliding is not None and sliding.is_worthwhile:
                return sliding
    return added((synapse.matrix() for synapse in synapses), (first.outputs, first.inputs))


def weights_of_port(graph: IntegerGraph, target: str, port: str) -> list[tuple[str, int, Rows]]:
    """Sources of a port.

    Parameters
    ----------
    target, port : str
        Population and its port.

    Returns
    -------
    list of (str, int, Rows)
        Population and output that send, and the sum of the effective weights, int64 [target, source].
    """
    sums: dict[tuple[str, int], Rows] = {}
    for synapse in graph.into(target, port):
        key = synapse.source, synapse.output
        matrix = synapse.matrix()
        sums[key] = sums[key] + matrix if key in sums else matrix
    return [(source, output, matrix) for (source, output), matrix in sums.items()]


def maps_of_port(graph: IntegerGraph, target: str, port: str) -> list[tuple[str, int, LinearMap]]:
    """As `weights_of_port`, without spelling out what repeats over a large mesh."""
    synapses: dict[tuple[str, int], list[Synapse]] = {}
    for synapse in graph.into(target, port):
        synapses.setdefault((synapse.source, synapse.output), []).append(synapse)
    return [(source, output, map_of(parallel)) for (source, output), parallel in synapses.items()]


def _sliding(synapses: Sequence[Synapse], first: Stencil) -> Sliding | None:
    stencils = []
    for synapse in synapses:
        stencil = synapse.connections
        if not isinstance(stencil, Stencil) or not _are_on_the_same_boxes(stencil, first):
            return None
        stencils.append(replace(stencil, values=effective(stencil.values, synapse.exponent)))
    return Sliding(_joined(stencils))


def _are_on_the_same_boxes(stencil: Stencil, other: Stencil) -> bool:
    names = ("axis", "lower", "shape")
    alike = all(np.array_equal(getattr(stencil.boxes, name), getattr(other.boxes, name)) for name in names)
    return alike and stencil.outputs_per_face == other.outputs_per_face


def _joined(stencils: Sequence[Stencil]) -> Stencil:
    """Entries of stencils on the same boxes, behind each other in each row."""
    if len(stencils) == 1:
        return stencils[0]
    rows = range(stencils[0].starts.size - 1)
    pairs = [
        (stencil, slice(int(a), int(b)))
        for row in rows
        for stencil in stencils
        for a, b in [stencil.starts[row : row + 2]]
    ]
    lengths = np.array([part.stop - part.start for _, part in pairs], np.int64).reshape(-1, len(stencils)).sum(axis=1)
    return replace(
        stencils[0],
        starts=starts_of(lengths),
        offsets=np.concatenate([stencil.offsets[part] for stencil, part in pairs]),
        values=np.concatenate([stencil.values[part] for stencil, part in pairs]),
    )


def _slide(piece: _Piece, field: Values, faces: Values) -> None:
    """Store the sums of a piece, some rows of faces at a time."""
    step = max(1, AT_ONCE // max(1, math.prod(faces.shape[1:])))
    for first in range(0, faces.shape[0], step):
        into = faces[first : first + step]
        part = np.empty(into.shape, into.dtype)
        summed = np.zeros(into.shape, into.dtype)
        for number, ((along, *others), weight) in enumerate(zip(piece.cells, piece.weights, strict=True)):
            seen = (slice(along.start + first, along.start + first + into.shape[0]), *others)
            np.multiply(field[seen], weight, out=part if number else summed)
            if number:
                summed += part
        into[...] = summed


def _divided(stencil: Stencil) -> tuple[list[_Piece], Stencil]:
    """Divide a stencil into pieces that slide and a stencil of all other faces."""
    per_face, pieces = stencil.outputs_per_face, []
    others: list[tuple[int, tuple[tuple[int, int], ...], int]] = []
    for box in range(stencil.boxes.axis.size):
        axis = int(stencil.boxes.axis[box])
        whole = tuple(zip(stencil.boxes.lower[box].tolist(), stencil.boxes.shape[box].tolist(), strict=True))
        inner = _inner(stencil, box)
        if math.prod(count for _, count in inner) < LEAST:
            others.append((axis, whole, box))
            continue
        pieces += [_piece(stencil, box, output, inner) for output in range(per_face)]
        others += [(axis, part, box) for part in _around(whole, inner)]
    axes = len(stencil.mesh.shape)
    corners = np.array([part for _, part, _ in others], np.int64).reshape(-1, axes, 2)
    boxes = Boxes(np.array([axis for axis, *_ in others], np.int64), corners[:, :, 0], corners[:, :, 1])
    rows = [box * per_face + output for *_, box in others for output in range(per_face)]
    parts = [slice(int(stencil.starts[row]), int(stencil.starts[row + 1])) for row in rows]
    starts = starts_of(np.array([part.stop - part.start for part in parts], np.int64))
    offsets = np.concatenate([stencil.offsets[:0], *(stencil.offsets[part] for part in parts)])
    values = np.concatenate([stencil.values[:0], *(stencil.values[part] for part in parts)])
    return pieces, replace(stencil, boxes=boxes, starts=starts, offsets=offsets, values=values)


def _inner(stencil: Stencil, box: int) -> tuple[tuple[int, int], ...]:
    """First lower cell, and number of faces, along each axis where no window wraps around the mesh."""
    rows = slice(box * stencil.outputs_per_face, (box + 1) * stencil.outputs_per_face + 1)
    starts = stencil.starts[rows]
    offsets = stencil.nearest(stencil.offsets[int(starts[0]) : int(starts[-1])])
    if not len(offsets):
        return ((0, 0),) * len(stencil.mesh.shape)
    inner = []
    for a, count in enumerate(stencil.mesh.shape):
        low, extent = int(stencil.boxes.lower[box, a]), int(stencil.boxes.shape[box, a])
        first = max(low, -int(offsets[:, a].min()))
        last = min(low + extent, count - int(offsets[:, a].max()))
        inner.append((first, max(0, last - first)))
    return tuple(inner)


def _around(
    whole: Sequence[tuple[int, int]], inner: Sequence[tuple[int, int]]
) -> Iterator[tuple[tuple[int, int], ...]]:
    """Boxes that together with the inner one make the whole one."""
    for a, ((low, count), (first, number)) in enumerate(zip(whole, inner, strict=True)):
        for begin, end in ((low, first), (first + number, low + count)):
            if end > begin:
                yield (*inner[:a], (begin, end - begin), *whole[a + 1 :])


def _piece(stencil: Stencil, box: int, output: int, inner: Sequence[tuple[int, int]]) -> _Piece:
    mesh, axis = stencil.mesh, int(stencil.boxes.axis[box])
    _, begin, _ = face_grid(mesh, axis)
    firsts = [first - (begin if a == axis else 0) for a, (first, _) in enumerate(inner)]
    faces = tuple(slice(first, first + count) for first, (_, count) in zip(firsts, inner, strict=True))
    part, order = stencil.part(box, output)
    cells = tuple(
        tuple(slice(first + by, first + by + count) for by, (first, count) in zip(offset, inner, strict=True))
        for offset in stencil.nearest(stencil.offsets[part][order]).tolist()
    )
    return _Piece(axis, output, faces, cells, stencil.values[part][order])

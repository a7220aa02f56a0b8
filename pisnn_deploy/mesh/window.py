"""Input windows of flux networks on structured meshes, with ghost cells resolved."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.mesh.base import Indices
from pisnn_deploy.mesh.boundary import DIRICHLET, PERIODIC
from pisnn_deploy.mesh.reflection import Walls
from pisnn_deploy.mesh.structured import Mesh, face_grid, reservoir_layers

Wall = Literal["reflection", "quadratic"]
"""How ghost cells beyond a Dirichlet side are computed from the field."""
REFLECTION: Wall = "reflection"
QUADRATIC: Wall = "quadratic"


@dataclass(frozen=True)
class Window:
    """Inputs of the flux network of each face, with ghost cells resolved.

    Position ``p`` of face ``f`` shows ``sum_t numerator[f, p, t] * value[cell[f, p, t]] / denominator + offset[f, p]``.

    Attributes
    ----------
    cell : int64 array [faces, positions, terms]
        Flat cell indices.
    numerator : int64 array [faces, positions, terms]
        Factor of each cell's value; 0 for unused terms.
    denominator : int
        1, or 2 with quadratic ghost cells.
    offset : float64 or int64 array [faces, positions]
        Contribution of reservoirs.
    axis : int64 array [faces]
        Axis of each face.
    """

    cell: Indices
    numerator: Indices
    denominator: int
    offset: NDArray[Any]
    axis: Indices

    def values(self, field: NDArray[np.float64]) -> NDArray[np.float64]:
        """Input values of each face.

        Parameters
        ----------
        field : float64 array [cells]
            Cell values.

        Returns
        -------
        float64 array [faces, positions]
            Values at each position, including ghost cells.
        """
        seen = (self.numerator * field[self.cell]).sum(axis=2) / self.denominator
        return np.asarray(seen + self.offset, np.float64)


@dataclass(frozen=True)
class Boxes:
    """Boxes of faces with equal windows, which together cover the mesh.

    Within the reach of their windows, all faces of a box are equally far from each wall and reservoir. Box ``b`` holds
    the faces normal to ``axis[b]`` whose lower cells have coordinates from ``lower[b]`` on, ``shape[b]`` of them along
    each axis. A reservoir in place of a lower cell has the coordinate -1.

    Attributes
    ----------
    axis : int64 array [boxes]
        Axis normal to the faces of each box.
    lower, shape : int64 array [boxes, axes]
        Coordinates of the first lower cell, and number of faces along each axis.
    """

    axis: Indices
    lower: Indices
    shape: Indices

    def faces(self, mesh: Mesh, box: int) -> Indices:
        """Indices of the faces of a box, in C order.

        Parameters
        ----------
        box : int
            Index of the box.

        Returns
        -------
        int64 array [faces of the box]
            Face indices.
        """
        axis = int(self.axis[box])
        base, first, counts = face_grid(mesh, axis)
        ranges = [np.arange(n) + low for low, n in zip(self.lower[box], self.shape[box], strict=True)]
        ranges[axis] = ranges[axis] - first
        numbers = np.zeros((1,) * len(counts), np.int64)
        for a, along in enumerate(ranges):
            numbers = numbers * counts[a] + along.reshape([-1 if a == b else 1 for b in range(len(counts))])
        return np.asarray(base + numbers.reshape(-1), np.int64)


def face_boxes(mesh: Mesh, half_width: int, transverse: int) -> Boxes:
    """Divide the faces into boxes with equal windows.

    Parameters
    ----------
    half_width, transverse : int
        Size of the window, see `window_cells`.

    Returns
    -------
    Boxes
        On large meshes, their number does not depend on the number of cells.
    """
    placed: list[tuple[int, tuple[tuple[int, int], ...]]] = []
    for axis in range(len(mesh.shape)):
        _, first, counts = face_grid(mesh, axis)
        if 0 in counts:
            continue
        runs = []
        for a, (count, number) in enumerate(zip(mesh.shape, counts, strict=True)):
            begin = first if a == axis else 0
            end = begin + number
            below, above = (half_width - 1, count - half_width) if a == axis else (transverse, count - transverse)
            if mesh.boundary[a] == (PERIODIC, PERIODIC):
                below, above = begin, end
            below, above = min(max(below, begin), end), max(min(above, end), begin)
            singles = [*range(begin, below), *range(max(above, below), end)]
            runs.append(sorted([(at, 1) for at in singles] + ([(below, above - below)] if above > below else [])))
        placed += [(axis, combination) for combination in itertools.product(*runs)]
    axes = len(mesh.shape)
    corners = np.array([list(runs) for _, runs in placed], np.int64).reshape(-1, axes, 2)
    return Boxes(np.array([axis for axis, _ in placed], np.int64), corners[:, :, 0], corners[:, :, 1])


def distinct_faces(mesh: Mesh, half_width: int, transverse: int) -> Indices:
    """Representative faces for all windows of the mesh: one per box, and all whose window may reach a reservoir.

    Neighbouring reservoirs may hold different values, so every face that sees one is included.

    Parameters
    ----------
    half_width, transverse : int
        Size of the window, see `window_cells`.

    Returns
    -------
    int64 array
        Face indices, ascending.
    """
    boxes = face_boxes(mesh, half_width, transverse)
    faces = [boxes.faces(mesh, box) for box in range(boxes.axis.size)]
    fixed = [a for a, sides in enumerate(mesh.boundary) if DIRICHLET in sides]
    near = (boxes.shape[:, fixed] == 1).any(axis=1)
    return np.sort(np.concatenate([numbers if near[box] else numbers[:1] for box, numbers in enumerate(faces)]))


def window_cells(
    mesh: Mesh,
    half_width: int,
    transverse: int,
    reservoirs: NDArray[Any],
    wall: Wall = REFLECTION,
    faces: Indices | None = None,
) -> Window:
    """Inputs of the flux network of each face, with ghost cells resolved.

    The window of a face spans `half_width` cells on each side along the face's axis, and `transverse` cells to either
    side along each other axis. Beyond a no-flux side the field is reflected evenly: ghost cell ``-1 - i`` is cell
    ``i``. Beyond a Dirichlet side with the value ``g``, it depends on `wall`:

    * ``reflection``: reflected oddly, ``2 g - u_i``; beyond several sides at once see `mesh.reflection`;
    * ``quadratic``: the average of the parabola that has the value ``g`` at the side and the averages ``u_0`` and
      ``u_1``: ``c g + a u_0 + b u_1`` with ``b = (3 i + 2)(i + 1) / 4``, ``a = -(2 i + 1) - 3 b``, ``c = 1 - a - b``.

    Parameters
    ----------
    half_width : int
        Cells on either side along the face's axis, at least 1.
    transverse : int
        Cells to either side along each other axis, at least 0.
    reservoirs : float64 or int64 array [reservoirs]
        Reservoir values; their dtype is that of the offsets.
    wall : str
        ``quadratic`` needs ``transverse == 0`` and at least two cells along each axis with a Dirichlet side.
    faces : int64 array, optional
        Indices of the faces, ascending (default: all).

    Returns
    -------
    Window
        Positions are in C order, the face's axis first (slowest), then the other axes.
    """
    dimensions = len(mesh.shape)
    quadratic = wall == QUADRATIC and mesh.reservoirs > 0
    terms = 2 if quadratic else 1
    positions = 2 * half_width * (2 * transverse + 1) ** (dimensions - 1)
    numbers = np.arange(mesh.faces) if faces is None else faces
    cell = np.empty((numbers.size, positions, terms), np.int64)
    numerator = np.zeros((numbers.size, positions, terms), np.int64)
    offset = np.zeros((numbers.size, positions), reservoirs.dtype)
    layers, walls = reservoir_layers(mesh), Walls(mesh, reservoirs)
    strides = np.array([math.prod(mesh.shape[axis + 1 :]) for axis in range(dimensions)])
    for axis in range(dimensions):
        base, first, counts = face_grid(mesh, axis)
        here = slice(*np.searchsorted(numbers, [base, base + math.prod(counts)]))
        lower = list(np.unravel_index(numbers[here] - base, counts))
        lower[axis] = lower[axis] + first
        others = [a for a in range(dimensions) if a != axis]
        along, across = np.arange(1 - half_width, half_width + 1), np.arange(-transverse, transverse + 1)
        steps = np.meshgrid(along, *(across,) * len(others), indexing="ij")
        step = dict(zip((axis, *others), (s.reshape(-1) for s in steps), strict=True))
        coordinates = [lower[a][:, None] + step[a] for a in range(dimensions)]
        inside = dict(enumerate(coordinates))
        signs, offset[here] = walls.reflected((), inside, axis)
        cell[here] = sum(inside[a] * stride for a, stride in enumerate(strides))[:, :, None]
        numerator[here, :, 0] = terms * signs
        if quadratic:
            for out, cells, numerators, ghosts in _parabolas(mesh, axis, coordinates, layers[axis], reservoirs):
                cell[here][out] = cells
                numerator[here][out] = numerators
                offset[here][out] = ghosts
    return Window(cell, numerator, terms, offset, mesh.axis[numbers])


def _parabolas(
    mesh: Mesh, axis: int, coordinates: list[Indices], layers: tuple[Indices, Indices], reservoirs: NDArray[Any]
) -> Iterator[tuple[NDArray[np.bool_], Indices, Indices, NDArray[Any]]]:
    """Yield the ghost cells beyond each Dirichlet side of an axis: mask, source cells, their numerators, offsets."""
    count = mesh.shape[axis]
    others = tuple(c for a, c in enumerate(coordinates) if a != axis)
    for end, side in enumerate(mesh.boundary[axis]):
        if side != DIRICHLET:
            continue
        depth = -1 - coordinates[axis] if end == 0 else coordinates[axis] - count
        out = depth >= 0
        i = depth[out]
        second = (3 * i + 2) * (i + 1) // 2
        first = -2 * (2 * i + 1) - 3 * second
        nearest = (0, 1) if end == 0 else (count - 1, count - 2)
        cells = []
        for along in nearest:
            place = [c[out] for c in coordinates]
            place[axis] = np.full_like(i, along)
            cells.append(np.ravel_multi_index(tuple(place), mesh.shape))
        offsets = (2 - first - second) // 2 * reservoirs[_behind(layers[end], others, out)]
        yield out, np.stack(cells, axis=-1), np.stack([first, second], axis=-1), offsets


def _behind(layer: Indices, others: tuple[Indices, ...], out: NDArray[np.bool_]) -> Indices:
    """Reservoir of each ghost cell in the mask `out`."""
    numbers = layer[tuple(along[out] for along in others)] if others else layer
    return np.asarray(numbers, np.int64)

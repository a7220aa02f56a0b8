"""Structured meshes in one to three dimensions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.mesh.boundary import AXES, DIRICHLET, PERIODIC, Sides

Indices = NDArray[np.int64]
Wall = Literal["reflection", "quadratic"]
"""How ghost cells beyond a Dirichlet side follow from the field."""
REFLECTION: Wall = "reflection"
QUADRATIC: Wall = "quadratic"
Number = TypeVar("Number", np.int64, np.float64)


@dataclass(frozen=True)
class Mesh:
    """Uniform cells of a box, the faces through which packets pass, and reservoirs behind Dirichlet sides.

    Faces are listed axis after axis; within an axis in the C order of what is on their lower side. A positive packet
    on face ``f`` leaves ``source[f]`` and enters ``target[f]``: the incidence ``D`` has -1 and +1 there. A no-flux side
    has no face. A Dirichlet side has one, with a reservoir of its own behind it.

    Cells and reservoirs together are called holders: holder ``i`` is cell ``i`` (flat, C order) below `cells`, and
    reservoir ``i - cells`` from there on. Reservoirs are numbered in the order of their faces.

    Attributes
    ----------
    shape : tuple of int
        Cells along each axis.
    lengths : tuple of float
        Extent of the domain along each axis, in the problem's unit of length.
    boundary : tuple of (str, str)
        Condition of the lower and the upper side of each axis.
    source, target : int64 array [faces]
        Holders on both sides of each face.
    axis : int64 array [faces]
        Axis normal to each face.
    """

    shape: tuple[int, ...]
    lengths: tuple[float, ...]
    boundary: tuple[Sides, ...]
    source: Indices
    target: Indices
    axis: Indices

    @property
    def cells(self) -> int:
        """Number of cells."""
        return math.prod(self.shape)

    @property
    def faces(self) -> int:
        """Number of faces."""
        return int(self.source.size)

    @property
    def reservoirs(self) -> int:
        """Number of reservoirs: one per face of a Dirichlet side."""
        cells = self.cells
        return sum(
            (cells // count) * sides.count(DIRICHLET) for count, sides in zip(self.shape, self.boundary, strict=True)
        )

    @property
    def holders(self) -> int:
        """Number of cells and reservoirs."""
        return self.cells + self.reservoirs

    @property
    def boundary_text(self) -> str:
        """Conditions for people, such as ``periodic`` or ``x: no-flux dirichlet, y: periodic``."""
        parts = [lower if lower == upper else f"{lower} {upper}" for lower, upper in self.boundary]
        if len(set(parts)) == 1:
            return parts[0]
        return ", ".join(f"{name}: {part}" for name, part in zip(AXES, parts, strict=False))

    @property
    def spacing(self) -> tuple[float, ...]:
        """Width of a cell along each axis."""
        return tuple(length / count for length, count in zip(self.lengths, self.shape, strict=True))

    @property
    def volume(self) -> float:
        """Volume of a cell."""
        return math.prod(self.spacing)

    def divergence(self, flux: NDArray[Number]) -> NDArray[Number]:
        """What arrives at each holder, ``D k``.

        Parameters
        ----------
        flux : int64 or float64 array [faces]
            Signed packets through each face, or a float flux.

        Returns
        -------
        array [holders], same dtype
            What each cell gains, then what each reservoir gains.
        """
        gain = np.zeros(self.holders, flux.dtype)
        np.add.at(gain, self.target, flux)
        np.subtract.at(gain, self.source, flux)
        return gain


@dataclass(frozen=True)
class Window:
    """What the flux network of each face sees, ghost cells resolved.

    Position ``p`` of face ``f`` shows ``sum_t numerator[f, p, t] * value[cell[f, p, t]] / denominator + offset[f, p]``.

    Attributes
    ----------
    cell : int64 array [faces, positions, terms]
        Flat cell indices.
    numerator : int64 array [faces, positions, terms]
    denominator : int
        1, or 2 if some ghost cell is quadratic.
    offset : float64 or int64 array [faces, positions]
        What reservoirs add.
    """

    cell: Indices
    numerator: Indices
    denominator: int
    offset: NDArray[Any]

    def values(self, field: NDArray[np.float64]) -> NDArray[np.float64]:
        """The values that each face sees.

        Parameters
        ----------
        field : float64 array [cells]

        Returns
        -------
        float64 array [faces, positions]
        """
        seen = (self.numerator * field[self.cell]).sum(axis=2) / self.denominator
        return np.asarray(seen + self.offset, np.float64)


def structured_mesh(shape: tuple[int, ...], lengths: tuple[float, ...], boundary: tuple[Sides, ...]) -> Mesh:
    """Build a structured mesh.

    Parameters
    ----------
    shape : tuple of int
        Cells along each axis, one to three axes.
    lengths : tuple of float
        Extent along each axis.
    boundary : tuple of (str, str)
        Conditions of each axis.

    Returns
    -------
    Mesh
    """
    sources, targets, axes = [], [], []
    for axis, padded in enumerate(_padded(shape, boundary)):
        ends = (slice(None, -1), slice(1, None))
        lower, upper = (padded[tuple(end if a == axis else slice(None) for a in range(len(shape)))] for end in ends)
        sources.append(lower.reshape(-1))
        targets.append(upper.reshape(-1))
        axes.append(np.full(lower.size, axis, np.int64))
    return Mesh(shape, lengths, boundary, np.concatenate(sources), np.concatenate(targets), np.concatenate(axes))


def reservoir_layers(mesh: Mesh) -> tuple[tuple[Indices, Indices], ...]:
    """Numbers of the reservoirs at the lower and the upper side of each axis.

    Parameters
    ----------
    mesh : Mesh

    Returns
    -------
    tuple of (int64 array, int64 array)
        Counted from 0, in the shape of the mesh without that axis; empty arrays where there are none.
    """
    nothing = np.zeros(0, np.int64)
    layers = []
    for axis, (padded, sides) in enumerate(zip(_padded(mesh.shape, mesh.boundary), mesh.boundary, strict=True)):
        ends: tuple[Indices, Indices] = (np.take(padded, 0, axis), np.take(padded, -1, axis))
        lower, upper = (
            np.asarray(end) - mesh.cells if side == DIRICHLET else nothing
            for end, side in zip(ends, sides, strict=True)
        )
        layers.append((lower, upper))
    return tuple(layers)


def window_cells(
    mesh: Mesh, half_width: int, transverse: int, reservoirs: NDArray[Any], wall: Wall = REFLECTION
) -> Window:
    """What the flux network of each face sees, ghost cells resolved.

    The window of a face holds the `half_width` cells on its lower side and as many on its upper side, along the
    face's axis, and as far as `transverse` cells to either side along each other axis. Beyond a no-flux side the field
    is reflected evenly: ghost cell ``-1 - i`` is cell ``i``. Beyond a Dirichlet side with the value ``g`` it is, by
    `wall`,

    * ``reflection``: reflected oddly, ``2 g - u_i``;
    * ``quadratic``: the average of the parabola that has the value ``g`` at the side and the averages ``u_0`` and
      ``u_1``: ``c g + a u_0 + b u_1`` with ``b = (3 i + 2)(i + 1) / 4``, ``a = -(2 i + 1) - 3 b``, ``c = 1 - a - b``.

    Parameters
    ----------
    mesh : Mesh
    half_width : int
        Cells on either side along the face's axis, at least 1.
    transverse : int
        Cells to either side along each other axis, at least 0.
    reservoirs : float64 or int64 array [reservoirs]
        Values of the reservoirs; their type is that of the offsets.
    wall : str
        ``quadratic`` asks for ``transverse == 0`` and for two cells along each axis with a Dirichlet side.

    Returns
    -------
    Window
        Positions in C order: along the face's axis first (slowest), then along the other axes in their order.
    """
    dimensions = len(mesh.shape)
    quadratic = wall == QUADRATIC and mesh.reservoirs > 0
    terms = 2 if quadratic else 1
    positions = 2 * half_width * (2 * transverse + 1) ** (dimensions - 1)
    cell = np.empty((mesh.faces, positions, terms), np.int64)
    numerator = np.zeros((mesh.faces, positions, terms), np.int64)
    offset = np.zeros((mesh.faces, positions), reservoirs.dtype)
    layers = reservoir_layers(mesh)
    strides = np.array([math.prod(mesh.shape[axis + 1 :]) for axis in range(dimensions)])
    for axis in range(dimensions):
        faces = np.flatnonzero(mesh.axis == axis)
        lower = _lower_coordinates(mesh, axis)
        others = [a for a in range(dimensions) if a != axis]
        along, across = np.arange(1 - half_width, half_width + 1), np.arange(-transverse, transverse + 1)
        steps = np.meshgrid(along, *(across,) * len(others), indexing="ij")
        step = dict(zip((axis, *others), (s.reshape(-1) for s in steps), strict=True))
        coordinates = [lower[a][:, None] + step[a] for a in range(dimensions)]
        inside = [
            _mirrored(c, count, sides) for c, count, sides in zip(coordinates, mesh.shape, mesh.boundary, strict=True)
        ]
        signs, offsets = _reflected(mesh, coordinates, inside, layers, reservoirs)
        cell[faces] = (np.stack(inside, axis=-1) @ strides)[:, :, None]
        numerator[faces, :, 0], offset[faces] = terms * signs, offsets
        if quadratic:
            for out, cells, numerators, ghosts in _parabolas(mesh, axis, coordinates, layers[axis], reservoirs):
                face, position = np.nonzero(out)
                cell[faces[face], position] = cells
                numerator[faces[face], position] = numerators
                offset[faces[face], position] = ghosts
    return Window(cell, numerator, terms, offset)


def _reflected(
    mesh: Mesh,
    coordinates: list[Indices],
    inside: list[Indices],
    layers: tuple[tuple[Indices, Indices], ...],
    reservoirs: NDArray[Any],
) -> tuple[Indices, NDArray[Any]]:
    """Signs and offsets of reflections into the mesh, axis after axis; wide stencils reflect repeatedly."""
    signs = np.ones(coordinates[0].shape, np.int64)
    offsets = np.zeros(coordinates[0].shape, reservoirs.dtype)
    for axis, (count, sides) in enumerate(zip(mesh.shape, mesh.boundary, strict=True)):
        along = coordinates[axis].copy()
        if sides == (PERIODIC, PERIODIC):
            continue
        others = tuple(inside[a] for a in range(len(mesh.shape)) if a != axis)
        while True:
            beyond = (along < 0, along >= count)
            if not (beyond[0].any() or beyond[1].any()):
                break
            for which, out in enumerate(beyond):
                if sides[which] == DIRICHLET and out.any():
                    offsets[out] += 2 * signs[out] * reservoirs[_behind(layers[axis][which], others, out)]
                    signs[out] *= -1
                along[out] = -1 - along[out] if which == 0 else 2 * count - 1 - along[out]
    return signs, offsets


def _parabolas(
    mesh: Mesh, axis: int, coordinates: list[Indices], layers: tuple[Indices, Indices], reservoirs: NDArray[Any]
) -> Iterator[tuple[NDArray[np.bool_], Indices, Indices, NDArray[Any]]]:
    """Ghost cells beyond each Dirichlet side of an axis: which, of what cells, how many halves of these, offsets."""
    count = mesh.shape[axis]
    others = tuple(c for a, c in enumerate(coordinates) if a != axis)
    for which, side in enumerate(mesh.boundary[axis]):
        if side != DIRICHLET:
            continue
        depth = -1 - coordinates[axis] if which == 0 else coordinates[axis] - count
        out = depth >= 0
        i = depth[out]
        second = (3 * i + 2) * (i + 1) // 2
        first = -2 * (2 * i + 1) - 3 * second
        nearest = (0, 1) if which == 0 else (count - 1, count - 2)
        cells = []
        for along in nearest:
            place = [c[out] for c in coordinates]
            place[axis] = np.full_like(i, along)
            cells.append(np.ravel_multi_index(tuple(place), mesh.shape))
        offsets = (2 - first - second) // 2 * reservoirs[_behind(layers[which], others, out)]
        yield out, np.stack(cells, axis=-1), np.stack([first, second], axis=-1), offsets


def _behind(layer: Indices, others: tuple[Indices, ...], out: NDArray[np.bool_]) -> Indices:
    """Reservoirs behind the ghost cells that `out` marks."""
    numbers = layer[tuple(along[out] for along in others)] if others else layer
    return np.asarray(numbers, np.int64)


def _mirrored(along: Indices, count: int, sides: Sides) -> Indices:
    if sides == (PERIODIC, PERIODIC):
        return along % count
    along = along % (2 * count)
    return np.where(along < count, along, 2 * count - 1 - along)


def _lower_coordinates(mesh: Mesh, axis: int) -> list[Indices]:
    """Coordinates of what is on the lower side of the faces of an axis; -1 for a reservoir there."""
    first = -1 if mesh.boundary[axis][0] == DIRICHLET else 0
    last = mesh.shape[axis] if mesh.boundary[axis][1] in (DIRICHLET, PERIODIC) else mesh.shape[axis] - 1
    ranges = [np.arange(first, last) if a == axis else np.arange(count) for a, count in enumerate(mesh.shape)]
    return [grid.reshape(-1) for grid in np.meshgrid(*ranges, indexing="ij")]


def _padded(shape: tuple[int, ...], boundary: tuple[Sides, ...]) -> list[Indices]:
    """Holders along each axis, with what stands beyond both of its sides added."""
    numbers = np.arange(math.prod(shape), dtype=np.int64).reshape(shape)
    next_reservoir = numbers.size
    padded = []
    for axis, (lower, upper) in enumerate(boundary):
        parts = [numbers]
        unknown = np.full_like(numbers.take([0], axis), -1)
        if lower == DIRICHLET:
            parts.insert(0, unknown)
        if upper == PERIODIC:
            parts.append(numbers.take([0], axis))
        elif upper == DIRICHLET:
            parts.append(unknown)
        found = np.concatenate(parts, axis)
        count = int(np.count_nonzero(found < 0))
        found[found < 0] = np.arange(next_reservoir, next_reservoir + count)
        next_reservoir += count
        padded.append(found)
    return padded

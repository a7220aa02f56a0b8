"""Structured meshes in one to three dimensions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.mesh.base import FaceMesh, Indices
from pisnn_deploy.mesh.boundary import AXES, DIRICHLET, PERIODIC, SIDE_NAMES, Sides
from pisnn_deploy.mesh.geometry import Field, Geometry
from pisnn_deploy.mesh.view import Line, Plane, View


@dataclass(frozen=True)
class Mesh(FaceMesh):
    """Uniform cells of a box, the faces between them, and reservoirs behind Dirichlet sides.

    Faces are ordered by axis, then by their lower holder in C order. A positive packet on face ``f`` leaves
    ``source[f]`` and enters ``target[f]``: the incidence ``D`` has -1 and +1 there. No-flux sides have no faces. Each
    face of a Dirichlet side has its own reservoir.

    Cells and reservoirs together are called holders: holder ``i`` is cell ``i`` (flat, C order) below `cells`, and
    reservoir ``i - cells`` from there on. Reservoirs are numbered in the order of their faces.

    Attributes
    ----------
    shape : tuple of int
        Cells along each axis.
    lengths : tuple of float
        Extent of the domain along each axis, in the problem's unit of length.
    boundary : tuple of (str, str)
        Conditions of the lower and upper side of each axis.
    source, target : int64 array [faces]
        Holder on either side of each face.
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
    def reservoirs(self) -> int:
        """Number of reservoirs: one per face of a Dirichlet side."""
        cells = self.cells
        return sum(
            (cells // count) * sides.count(DIRICHLET) for count, sides in zip(self.shape, self.boundary, strict=True)
        )

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes of a field."""
        return tuple(AXES[: len(self.shape)])

    @property
    def is_line(self) -> bool:
        """Whether the cells form a single row."""
        return len(self.shape) == 1

    @property
    def grid(self) -> Mesh:
        """The mesh itself."""
        return self

    @property
    def material_of_cells(self) -> Indices:
        """Material of each cell: its own."""
        return np.arange(self.cells, dtype=np.int64)

    @property
    def group_of_reservoirs(self) -> Indices:
        """Group of each reservoir: its own."""
        return np.arange(self.reservoirs, dtype=np.int64)

    @property
    def reservoirs_by_side(self) -> dict[str, Indices]:
        """Reservoirs behind each Dirichlet side: left and right, bottom and top, back and front."""
        layers = zip(SIDE_NAMES, reservoir_layers(self), strict=False)
        sides = [pair for names, both in layers for pair in zip(names, both, strict=True)]
        return {name: np.sort(layer.reshape(-1)) for name, layer in sides if layer.size}

    @property
    def boundary_text(self) -> str:
        """Boundary conditions as text, such as ``periodic`` or ``x: no-flux dirichlet, y: periodic``."""
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

    def geometry(self) -> Geometry:
        """Cell volumes, face areas, and distances from cell centres to faces."""
        spacing = np.array(self.spacing)[self.axis]
        inside = np.stack([self.source, self.target], axis=1) < self.cells
        return Geometry(np.full(self.cells, self.volume), self.volume / spacing, inside * spacing[:, None] / 2)

    def centres(self) -> Field:
        """Centre of each cell, float64 [cells, dimensions]."""
        rows = [(np.arange(count) + 0.5) * width for count, width in zip(self.shape, self.spacing, strict=True)]
        return np.stack([part.reshape(-1) for part in np.meshgrid(*rows, indexing="ij")], axis=-1)

    def angles(self) -> Field | None:
        """None: all lines of centres are normal to their faces."""
        return None

    def centres_along(self, axis: str) -> Field | None:
        """Positions of the cells along an axis of a field, float64."""
        number = self.axes.index(axis)
        return (np.arange(self.shape[number]) + 0.5) * self.lengths[number] / self.shape[number]

    def described(self) -> dict[str, object]:
        """Plain data for exported files."""
        return super().described() | {"shape": self.shape, "lengths": self.lengths, "boundary": self.boundary}

    def lengths_by_name(self) -> dict[str, float]:
        """Extent along each axis."""
        return {f"mesh length {axis}": length for axis, length in enumerate(self.lengths)}

    def defects(self) -> Iterator[str]:
        """Yield inconsistencies: faces that do not match the shape, cells without a volume."""
        ideal = structured_mesh(self.shape, self.lengths, self.boundary)
        for name in ("source", "target", "axis"):
            if not np.array_equal(getattr(self, name), getattr(ideal, name)):
                yield f"mesh {name} does not match shape {self.shape} with boundary {self.boundary}"
        if not 0 < self.volume < math.inf:
            yield f"mesh lengths {self.lengths} give cells a volume of {self.volume}"

    def view(self, most_cells: int | None = None) -> View:
        """Draw a line or a plane; for a box, its middle plane normal to the first axis.

        Parameters
        ----------
        most_cells : int, optional
            Maximum number of cells to draw.
        """
        numbers, names = np.arange(self.cells).reshape(self.shape), self.axes
        plane = None
        if numbers.ndim == 3:
            plane = names[0], self.shape[0] // 2, self.shape[0]
            numbers, names = numbers[self.shape[0] // 2], names[1:]
        stride = 1
        while most_cells is not None and math.prod(-(-count // stride) for count in numbers.shape) > most_cells:
            stride += 1
        if stride > 1:
            numbers = numbers[(slice(stride // 2, None, stride),) * numbers.ndim]
        extent = tuple(end for length in self.lengths[-numbers.ndim :] for end in (0.0, float(length)))
        return View(
            "line" if numbers.ndim == 1 else "plane",
            numbers.reshape(-1),
            numbers.shape,
            extent,
            names if numbers.ndim == 2 else ("position",),
            plane=plane,
            stride=stride,
        )

    def planes(self, chosen: Plane | None = None) -> tuple[View, ...]:
        """Views that together show the mesh, see `FaceMesh.planes`."""
        if len(self.shape) < 3:
            return super().planes(chosen)
        if chosen is None:
            return tuple(self._plane(axis, count // 2) for axis, count in enumerate(self.shape))
        if chosen.axis not in self.axes:
            raise UsageError(f"`plane` {chosen.axis}: expected one of the axes {', '.join(self.axes)}")
        axis = self.axes.index(chosen.axis)
        length, count = self.lengths[axis], self.shape[axis]
        if not 0 <= chosen.position <= length:
            raise UsageError(f"`plane` {chosen.axis}: lies outside the domain, which is {length:g} long")
        return (self._plane(axis, min(count - 1, int(chosen.position / length * count))),)

    def _plane(self, axis: int, index: int) -> View:
        """The cells of one plane normal to an axis."""
        numbers = np.arange(self.cells).reshape(self.shape).take(index, axis)
        others = [other for other in range(len(self.shape)) if other != axis]
        return View(
            "plane",
            numbers.reshape(-1),
            numbers.shape,
            tuple(end for other in others for end in (0.0, float(self.lengths[other]))),
            tuple(self.axes[other] for other in others),
            plane=(self.axes[axis], index, self.shape[axis]),
        )

    def middle_line(self) -> Line:
        """Cells along the last axis, through the middle of the others."""
        numbers = np.arange(self.cells).reshape(self.shape)
        cells = np.asarray(numbers[tuple(count // 2 for count in self.shape[:-1])], np.int64)
        positions = (np.arange(self.shape[-1]) + 0.5) * self.spacing[-1]
        return Line(cells, positions, "position" if self.is_line else self.axes[-1], self.lengths[-1])


def structured_mesh(shape: tuple[int, ...], lengths: tuple[float, ...], boundary: tuple[Sides, ...]) -> Mesh:
    """Build a structured mesh.

    Parameters
    ----------
    shape : tuple of int
        Cells along each axis, one to three axes.
    lengths : tuple of float
        Extent along each axis.
    boundary : tuple of (str, str)
        Conditions of the lower and upper side of each axis.
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
    """Indices of the reservoirs at the lower and upper side of each axis.

    Returns
    -------
    tuple of (int64 array, int64 array)
        Reservoir indices from 0, in the shape of the mesh without that axis; empty without reservoirs.
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


def face_grid(mesh: Mesh, axis: int) -> tuple[int, int, tuple[int, ...]]:
    """Numbering of the faces normal to an axis: by the coordinates of their lower holder, in C order.

    Parameters
    ----------
    axis : int
        Axis that the faces are normal to.

    Returns
    -------
    base : int
        Index of the first of these faces.
    first : int
        Coordinate of its lower holder along the axis: -1 for a reservoir, else 0.
    counts : tuple of int
        Faces along each axis.
    """
    base = 0
    for a, (count, (lower, upper)) in enumerate(zip(mesh.shape, mesh.boundary, strict=True)):
        first = -1 if lower == DIRICHLET else 0
        along = (count if upper in (DIRICHLET, PERIODIC) else count - 1) - first
        counts = (*mesh.shape[:a], along, *mesh.shape[a + 1 :])
        if a == axis:
            return base, first, counts
        base += math.prod(counts)
    raise ValueError(f"the mesh has no axis {axis}")


def _padded(shape: tuple[int, ...], boundary: tuple[Sides, ...]) -> list[Indices]:
    """Holders along each axis, extended by the holders beyond both sides."""
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
        holders = np.concatenate(parts, axis)
        count = int(np.count_nonzero(holders < 0))
        holders[holders < 0] = np.arange(next_reservoir, next_reservoir + count)
        next_reservoir += count
        padded.append(holders)
    return padded

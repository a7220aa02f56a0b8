"""Cells of a grid and the faces normal to each axis, with those at the sides of the domain."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.mesh.boundary import SIDE_NAMES

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Faces:
    """Faces normal to an axis: first those between cells, then those of the lower side, then of the upper side.

    Attributes
    ----------
    left, right : int64 array [faces]
        Cell on either side; -1 outside the domain.
    inner : int
        Number of faces between cells.
    """

    axis: int
    left: Indices
    right: Indices
    inner: int

    @property
    def size(self) -> int:
        """Number of faces."""
        return int(self.left.size)

    @cached_property
    def sides(self) -> tuple[Indices, Indices]:
        """Faces of the lower and of the upper side, int64 each; empty where the axis is periodic."""
        count = (self.size - self.inner) // 2
        start = np.arange(count, dtype=np.int64)
        return self.inner + start, self.inner + count + start


@dataclass(frozen=True)
class Grid:
    """Equal cells of a box.

    Attributes
    ----------
    periodic : tuple of bool
        Whether each axis closes on itself.
    """

    shape: tuple[int, ...]
    lengths: tuple[float, ...]
    origin: tuple[float, ...]
    periodic: tuple[bool, ...]

    @property
    def cells(self) -> int:
        """Number of cells."""
        return math.prod(self.shape)

    @property
    def spacing(self) -> tuple[float, ...]:
        """Width of a cell along each axis."""
        return tuple(length / count for length, count in zip(self.lengths, self.shape, strict=True))

    @cached_property
    def numbers(self) -> Indices:
        """Number of each cell, in the shape of the grid."""
        return np.arange(self.cells, dtype=np.int64).reshape(self.shape)

    @cached_property
    def faces(self) -> tuple[Faces, ...]:
        """Faces normal to each axis."""
        return tuple(self._faces(axis) for axis in range(len(self.shape)))

    def _faces(self, axis: int) -> Faces:
        numbers = self.numbers
        if self.periodic[axis]:
            left, right = numbers.reshape(-1), np.roll(numbers, -1, axis).reshape(-1)
            return Faces(axis, left, right, int(left.size))
        count = self.shape[axis]
        inner = [np.take(numbers, range(start, count - 1 + start), axis).reshape(-1) for start in (0, 1)]
        lower, upper = (np.take(numbers, end, axis).reshape(-1) for end in (0, count - 1))
        outside = np.full(lower.size, -1, np.int64)
        left = np.concatenate([inner[0], outside, upper])
        right = np.concatenate([inner[1], lower, outside])
        return Faces(axis, left, right, int(inner[0].size))

    def neighbour(self, axis: int, step: int) -> Indices:
        """Cell `step` cells further along an axis for each cell, flat; -1 outside the domain."""
        rolled = np.roll(self.numbers, -step, axis)
        if not self.periodic[axis]:
            rolled = np.moveaxis(rolled.copy(), axis, 0)
            rolled[-step:] = -1 if step > 0 else rolled[-step:]
            if step < 0:
                rolled[:-step] = -1
            rolled = np.moveaxis(rolled, 0, axis)
        return np.ascontiguousarray(rolled).reshape(-1)

    def centres(self) -> dict[str, Floats]:
        """Coordinates of the centre of each cell, flat, by name."""
        along = [
            start + (np.arange(count) + 0.5) * width
            for start, count, width in zip(self.origin, self.shape, self.spacing, strict=True)
        ]
        return {name: axis.reshape(-1) for name, axis in zip("xyz", np.meshgrid(*along, indexing="ij"), strict=False)}

    def face_centres(self, axis: int) -> dict[str, Floats]:
        """Coordinates of the centre of each face normal to an axis, by name."""
        faces, centres = self.faces[axis], self.centres()
        of_left = np.where(faces.left >= 0, faces.left, faces.right)
        shift = np.where(faces.left >= 0, 0.5, -0.5) * self.spacing[axis]
        return {name: values[of_left] + (shift if name == "xyz"[axis] else 0.0) for name, values in centres.items()}

    def side_name(self, axis: int, upper: int) -> str:
        """Name of a side, such as ``left``."""
        return SIDE_NAMES[axis][upper]

"""Uniform grids of float64 solvers: cell averages of a field are an array of the grid's shape."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float64]
AXES = "xyz"


@dataclass(frozen=True)
class Grid:
    """Equal cells of a box.

    Attributes
    ----------
    shape : tuple of int
        Cells along each axis.
    lengths, origin : tuple of float
        Extent of the box along each axis, and its lower corner.
    """

    shape: tuple[int, ...]
    lengths: tuple[float, ...]
    origin: tuple[float, ...]

    @property
    def spacing(self) -> tuple[float, ...]:
        """Width of a cell along each axis."""
        return tuple(length / count for length, count in zip(self.lengths, self.shape, strict=True))

    @property
    def volume(self) -> float:
        """Volume of a cell."""
        return math.prod(self.spacing)

    def edges(self, axis: int) -> Field:
        """Positions of the faces along an axis, float64 [cells + 1]."""
        count = self.shape[axis]
        return self.origin[axis] + np.arange(count + 1) * (self.lengths[axis] / count)

    def centres(self, axis: int) -> Field:
        """Positions of the centres along an axis, float64 [cells]."""
        count = self.shape[axis]
        return self.origin[axis] + (np.arange(count) + 0.5) * (self.lengths[axis] / count)

    def places(self, normal: int | None = None) -> dict[str, Field]:
        """Centres of the cells, or of the faces normal to an axis.

        Parameters
        ----------
        normal : int, optional
            Axis normal to the faces; None for cells.

        Returns
        -------
        dict of str to float64 array
            Coordinate ``x``, ``y``, ``z``; each array varies along its own axis and broadcasts along the others.
        """
        rows = [self.edges(axis) if axis == normal else self.centres(axis) for axis in range(len(self.shape))]
        return dict(zip(AXES, np.meshgrid(*rows, indexing="ij", sparse=True), strict=False))

    def refined(self, factor: int) -> Grid:
        """The same box with `factor` times as many cells along each axis."""
        return Grid(tuple(factor * count for count in self.shape), self.lengths, self.origin)


def averaged_down(values: Field, factor: int) -> Field:
    """Averages over blocks of `factor` cells along each axis."""
    blocks = [size for count in values.shape for size in (count // factor, factor)]
    return np.asarray(values.reshape(blocks).mean(axis=tuple(range(1, 2 * values.ndim, 2))), np.float64)

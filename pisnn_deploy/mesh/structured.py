"""Structured meshes in one to three dimensions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.mesh.boundary import NO_FLUX, PERIODIC, Side

Indices = NDArray[np.int64]
Number = TypeVar("Number", np.int64, np.float64)


@dataclass(frozen=True)
class Mesh:
    """Uniform cells of a box, and the faces through which packets pass.

    Faces are listed axis after axis; within an axis in the C order of the cell on their lower side. A positive
    packet on face ``f`` leaves cell ``source[f]`` and enters cell ``target[f]``: the incidence ``D`` has -1 and +1
    there. A no-flux side has no face.

    Attributes
    ----------
    shape : tuple of int
        Cells along each axis.
    lengths : tuple of float
        Extent of the domain along each axis, in the problem's unit of length.
    boundary : tuple of str
        Condition of each axis (both of its sides).
    source, target : int64 array [faces]
        Flat (C order) indices of the cells on both sides of each face.
    axis : int64 array [faces]
        Axis normal to each face.
    """

    shape: tuple[int, ...]
    lengths: tuple[float, ...]
    boundary: tuple[Side, ...]
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
    def spacing(self) -> tuple[float, ...]:
        """Width of a cell along each axis."""
        return tuple(length / count for length, count in zip(self.lengths, self.shape, strict=True))

    @property
    def volume(self) -> float:
        """Volume of a cell."""
        return math.prod(self.spacing)

    def divergence(self, flux: NDArray[Number]) -> NDArray[Number]:
        """What arrives in each cell, ``D k``.

        Parameters
        ----------
        flux : int64 or float64 array [faces]
            Signed packets through each face, or a float flux.

        Returns
        -------
        array [cells], same dtype
            What each cell gains.
        """
        gain = np.zeros(self.cells, flux.dtype)
        np.add.at(gain, self.target, flux)
        np.subtract.at(gain, self.source, flux)
        return gain


def structured_mesh(shape: tuple[int, ...], lengths: tuple[float, ...], boundary: tuple[Side, ...]) -> Mesh:
    """Build a structured mesh.

    Parameters
    ----------
    shape : tuple of int
        Cells along each axis, one to three axes.
    lengths : tuple of float
        Extent along each axis.
    boundary : tuple of str
        Condition of each axis.

    Returns
    -------
    Mesh
    """
    numbers = np.arange(math.prod(shape), dtype=np.int64).reshape(shape)
    sources, targets, axes = [], [], []
    for axis, side in enumerate(boundary):
        upper = np.roll(numbers, -1, axis)
        inside = slice(None) if side == PERIODIC else slice(0, -1)
        window = tuple(inside if a == axis else slice(None) for a in range(len(shape)))
        sources.append(numbers[window].reshape(-1))
        targets.append(upper[window].reshape(-1))
        axes.append(np.full(sources[-1].size, axis, np.int64))
    return Mesh(shape, lengths, boundary, np.concatenate(sources), np.concatenate(targets), np.concatenate(axes))


def window_cells(mesh: Mesh, half_width: int) -> Indices:
    """Cells that the flux network of each face sees, ghost cells resolved.

    The window of a face holds the `half_width` cells on its lower side and as many on its upper side, along the
    face's axis. Beyond a no-flux side the field is reflected evenly: ghost cell ``-1 - i`` is cell ``i``.

    Parameters
    ----------
    mesh : Mesh
    half_width : int
        Cells on either side, at least 1.

    Returns
    -------
    int64 array [faces, 2 * half_width]
        Flat cell indices, from the lowest to the highest position.
    """
    offsets = np.arange(1 - half_width, half_width + 1, dtype=np.int64)
    result = np.empty((mesh.faces, 2 * half_width), np.int64)
    for axis, side in enumerate(mesh.boundary):
        faces = np.flatnonzero(mesh.axis == axis)
        coordinates = list(np.unravel_index(mesh.source[faces], mesh.shape))
        count = mesh.shape[axis]
        along = coordinates[axis][:, None] + offsets
        if side == NO_FLUX:
            along = along % (2 * count)
            along = np.where(along < count, along, 2 * count - 1 - along)
        else:
            along = along % count
        full = [np.broadcast_to(c[:, None], along.shape) for c in coordinates]
        full[axis] = along
        result[faces] = np.ravel_multi_index(tuple(full), mesh.shape)
    return result

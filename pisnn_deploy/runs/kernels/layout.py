"""Flat, padded numbering of cells and faces for the structured kernels."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.mesh import DIRICHLET, PERIODIC, Mesh
from pisnn_deploy.mesh.structured import face_grid
from pisnn_deploy.runs.kernels.stencils import Kernel

Values = NDArray[Any]
"""Integers of 16, 32 or 64 bits."""


@dataclass(frozen=True)
class Layout:
    """Positions of the cells and faces of a mesh in the padded numbering.

    Attributes
    ----------
    guard : int
        Number of places before and after the padded mesh.
    pads : tuple of (int, int)
        Padding below and above along each axis.
    """

    mesh: Mesh
    guard: int
    pads: tuple[tuple[int, int], ...]

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Shape of the padded mesh."""
        return tuple(low + count + high for count, (low, high) in zip(self.mesh.shape, self.pads, strict=True))

    @cached_property
    def strides(self) -> tuple[int, ...]:
        """Distance of neighbours along each axis."""
        return tuple(math.prod(self.shape[a + 1 :]) for a in range(len(self.shape)))

    @property
    def size(self) -> int:
        """Length of an array in the padded numbering."""
        return 2 * self.guard + math.prod(self.shape)

    def box(self, flat: Values, lower: tuple[int, ...], shape: tuple[int, ...]) -> Values:
        """Return a view of a box of cells.

        Parameters
        ----------
        flat : array [size]
            Values in the padded numbering.
        lower : tuple of int
            Coordinates of the first cell; pads are below 0 and beyond the number of cells.

        Returns
        -------
        array [shape]
            View of `flat`.
        """
        padded = flat[self.guard : flat.size - self.guard].reshape(self.shape)
        return padded[tuple(slice(p + at, p + at + n) for (p, _), at, n in zip(self.pads, lower, shape, strict=True))]

    def cells(self, flat: Values) -> Values:
        """Return a view of all cells."""
        return self.box(flat, (0,) * len(self.shape), self.mesh.shape)

    def faces(self, flat: Values, axis: int) -> Values:
        """All faces of an axis, in the order of their numbers, as a view of an array in the padded numbering."""
        _, first, counts = face_grid(self.mesh, axis)
        return self.box(flat, tuple(first if a == axis else 0 for a in range(len(self.shape))), counts)

    def gather(self, padded: Values) -> Integers:
        """Values of all faces, int64 [faces], from an array [axes, size]."""
        parts = [self.faces(padded[a], a).reshape(-1) for a in range(len(self.shape))]
        return np.asarray(np.concatenate(parts), np.int64)

    def scatter(self, values: Integers, padded: Values) -> None:
        """Put values of all faces into an array [axes, size]."""
        begin = 0
        for axis in range(len(self.shape)):
            view = self.faces(padded[axis], axis)
            view[...] = values[begin : begin + view.size].reshape(view.shape)
            begin += view.size


def layout_of(mesh: Mesh, kernel: Kernel) -> Layout:
    """Choose the padding of a mesh, as wide as a kernel reaches across periodic sides."""
    axes = len(mesh.shape)
    pads = []
    for axis, sides in enumerate(mesh.boundary):
        reach = 1
        if sides == (PERIODIC, PERIODIC):
            reach = max([1, *(abs(offset[axis]) for entries in kernel.entries for offset in entries)])
        pads.append((reach, reach if sides[1] in (PERIODIC, DIRICHLET) else 0))
    layout = Layout(mesh, 0, tuple(pads))
    deltas = [
        abs(sum(o * s for o, s in zip(offset, layout.strides, strict=True)))
        for entries in kernel.entries
        for offset in entries
    ]
    # The common kernel is also computed at faces near a wall, where it may reach beyond the padded mesh.
    return Layout(mesh, max([layout.strides[0], *deltas]) + axes, tuple(pads))


def reservoir_order(layout: Layout) -> Integers:
    """Numbers of the reservoirs in the order of the positions of their faces, int64 [reservoirs]."""
    mesh = layout.mesh
    positions = np.arange(layout.size, dtype=np.int64)
    face_position = np.concatenate([layout.faces(positions, a).reshape(-1) for a in range(len(layout.shape))])
    behind = np.maximum(mesh.source, mesh.target)
    faces = np.flatnonzero(behind >= mesh.cells)
    faces = faces[np.argsort(behind[faces])]
    return np.argsort(face_position[faces], kind="stable")


def pad_values(graph: IntegerGraph, layout: Layout, mass: Values) -> None:
    """Write reservoir values next to their faces, where the audit of slopes reads them."""
    mesh = layout.mesh
    positions = np.arange(layout.size, dtype=np.int64)
    for axis in range(len(layout.shape)):
        base, _, _ = face_grid(mesh, axis)
        at = layout.faces(positions, axis).reshape(-1)
        faces = np.arange(base, base + at.size)
        stride = layout.strides[axis]
        for holder, place_of in ((mesh.source[faces], at), (mesh.target[faces], at + stride)):
            out = holder >= mesh.cells
            mass[place_of[out]] = graph.sole_field.reservoirs[holder[out] - mesh.cells]


def wraps_of(layout: Layout, positions: Integers) -> tuple[Integers, Integers, Integers, Integers]:
    """Packets to copy from the last faces of a periodic axis to the places below its first cells.

    The first axis is excluded, because its packets pass from slab to slab.
    """
    mesh = layout.mesh
    wraps = []
    for axis in range(1, len(layout.shape)):
        if mesh.boundary[axis] != (PERIODIC, PERIODIC):
            continue
        lower = tuple(-1 if a == axis else 0 for a in range(len(layout.shape)))
        shape = tuple(1 if a == axis else n for a, n in enumerate(mesh.shape))
        target = layout.box(positions, lower, shape)
        length = target.shape[-1]
        starts = target[..., 0].reshape(-1)
        distance = mesh.shape[axis] * layout.strides[axis]
        wraps.append((np.full(starts.size, axis), starts, starts + distance, np.full(starts.size, length)))
    if not wraps:
        nothing = np.zeros(0, np.int64)
        return nothing, nothing, nothing, nothing
    axis_of, target_of, source_of, length_of = (
        np.concatenate(column).astype(np.int64) for column in zip(*wraps, strict=True)
    )
    return axis_of, target_of, source_of, length_of


def halo_of(layout: Layout, positions: Integers) -> tuple[Integers, Integers]:
    """Pads beyond periodic sides, and the cells that they copy."""
    mesh = layout.mesh
    targets, sources = [], []
    axes = len(layout.shape)
    periodic = [a for a in range(axes) if mesh.boundary[a] == (PERIODIC, PERIODIC)]
    for beyond in itertools.product((False, True), repeat=len(periodic)):
        out = {a for a, flag in zip(periodic, beyond, strict=True) if flag}
        if not out:
            continue
        along = []
        for a in range(axes):
            low, high = layout.pads[a]
            n = mesh.shape[a]
            along.append(np.concatenate([np.arange(-low, 0), np.arange(n, n + high)]) if a in out else np.arange(n))
        grid = np.zeros((1,) * axes, np.int64)
        inside = np.zeros((1,) * axes, np.int64)
        for a in range(axes):
            dimensions = [-1 if a == b else 1 for b in range(axes)]
            pad, stride = layout.pads[a][0], layout.strides[a]
            grid = grid + ((along[a] + pad) * stride).reshape(dimensions)
            inside = inside + ((along[a] % mesh.shape[a] + pad) * stride).reshape(dimensions)
        targets.append((layout.guard + grid).reshape(-1))
        sources.append((layout.guard + inside).reshape(-1))
    if not targets:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    return np.concatenate(targets).astype(np.int64), np.concatenate(sources).astype(np.int64)

"""Continue fields and reservoir values beyond the walls of a structured mesh.

Beyond a no-flux side a field is even. Beyond a Dirichlet side with the value ``g`` it is odd: ``u(-x) = 2 g - u(x)``.
Beyond two such sides at once ``u(-x, -y) = 2 g_x(-y) - u(x, -y)``, so the values of a side must be continued as well.
The same rules apply: oddly about the value ``e`` of the edge where both sides meet, and in 3D the values of an edge
oddly about the value of the vertex. Then

    u(-x, -y) = 4 e - 2 g_x(y) - 2 g_y(x) + u(x, y)

whichever side comes first, so rotating or mirroring a mesh rotates or mirrors its ghost cells. The value of an edge is
the mean of both sides extrapolated to it, ``(3 g_0 - g_1) / 2`` from their two nearest reservoirs: exact for a linear
field, and halfway between sides that disagree. The value of a vertex is the mean of its three edges.

Where ``g`` varies along a side, a steady field has the curvature ``-g''`` across it, so ghost cell ``i`` differs from
``2 g - u`` by the average of ``-x^2 g''`` over it, ``-(i (i + 1) + 1/3) d`` with ``d`` the second difference of ``g``.
Where ``g`` jumps, ``d`` is not a curvature: it is split into a smooth part, the smallest of three neighbouring ``d`` if
they have the same sign, and a rough rest. Faces along the side's normal see ``-1/3`` of the rest. For faces across, a
jump of ``2 g`` would be a flux that refining does not reduce; for them ``(i + 1) / 2`` of the rest smooths the side.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.mesh.base import Indices
from pisnn_deploy.mesh.boundary import DIRICHLET, PERIODIC
from pisnn_deploy.mesh.structured import Mesh, reservoir_layers

Meeting = tuple[tuple[int, int], ...]
"""Dirichlet sides that meet, each an axis and an end (0 lower, 1 upper), sorted by axis."""
Coordinates = dict[int, Indices]
"""Coordinates by axis, arrays of equal shape."""


@dataclass(frozen=True)
class Walls:
    """Continuation of a field beyond the walls of a mesh.

    Parameters
    ----------
    reservoirs : float64 or int64 array [reservoirs]
        Reservoir values; their dtype is that of the offsets.
    """

    mesh: Mesh
    reservoirs: NDArray[Any]

    def reflected(
        self, sides: Meeting, coordinates: Coordinates, face_axis: int | None = None
    ) -> tuple[Indices, NDArray[Any]]:
        """Reflect places into the mesh, repeatedly if they are far outside.

        Parameters
        ----------
        sides : tuple of (int, int)
            Empty for the field itself; else the values where these sides meet, times 2 for each side.
        coordinates : dict of int to int64 array
            Coordinates along the axes of the field; replaced by the reflected ones.
        face_axis : int, optional
            Axis of the faces that see the field.

        Returns
        -------
        signs : int64 array
            1 or -1.
        offsets : array of the dtype of the reservoirs
            The value at a place is its sign times the value at the reflected place, plus its offset.
        """
        shape = next(iter(coordinates.values())).shape if coordinates else ()
        signs, offsets = np.ones(shape, np.int64), np.zeros(shape, self.reservoirs.dtype)
        for axis, conditions in enumerate(self.mesh.boundary):
            if axis not in coordinates:
                continue
            count = self.mesh.shape[axis]
            if conditions == (PERIODIC, PERIODIC):
                coordinates[axis] = coordinates[axis] % count
                continue
            along = coordinates[axis] = coordinates[axis].copy()
            while True:
                beyond = (along < 0, along >= count)
                if not (beyond[0].any() or beyond[1].any()):
                    break
                for end, out in enumerate(beyond):
                    if conditions[end] == DIRICHLET and out.any():
                        there = {a: c[out] for a, c in coordinates.items() if a != axis}
                        depth = (-1 - along[out] if end == 0 else along[out] - count) if not sides else None
                        wall = tuple(sorted((*sides, (axis, end))))
                        offsets[out] += signs[out] * self._at(wall, there, depth, axis == face_axis)
                        signs[out] *= -1
                    along[out] = -1 - along[out] if end == 0 else 2 * count - 1 - along[out]
        return signs, offsets

    def _at(self, sides: Meeting, coordinates: Coordinates, depth: Indices | None, normal: bool) -> NDArray[Any]:
        """Values where sides meet, also beyond the mesh, times 2 for each side.

        With a `depth` in cells for each place, the values that a single side shows at that depth behind it.
        """
        signs, offsets = self.reflected(sides, coordinates)
        place = tuple(coordinates[a] for a in sorted(coordinates))
        if depth is None:
            return np.asarray(signs * self._held[sides][place] + offsets)
        shown = self._shown(sides, int(depth.max()) + 1, normal)
        behind = (depth, *place)
        return np.asarray(signs * shown[behind] + offsets)

    def _shown(self, sides: Meeting, depths: int, normal: bool) -> NDArray[Any]:
        """Values that a side shows at each depth behind it: ``2 g`` corrected for its curvature [depths, ...]."""
        levels, (smooth, rough) = self._held[sides], self._bends[sides]
        depth = np.arange(depths).reshape(-1, *(1,) * levels.ndim)
        bowed = 2 * (3 * depth * (depth + 1) + 1) * smooth
        total = 12 * levels - bowed + (-2 if normal else 3 * (depth + 1)) * rough
        if levels.dtype == np.int64:
            return np.asarray((total + 6) // 12, np.int64)
        return np.asarray(total / 12)

    @cached_property
    def _bends(self) -> dict[Meeting, tuple[NDArray[Any], NDArray[Any]]]:
        """Second differences of twice the values of a side, summed over its directions: smooth part and rough rest."""
        bends: dict[Meeting, tuple[NDArray[Any], NDArray[Any]]] = {}
        for sides in [sides for sides in self._held if len(sides) == 1]:
            axes = [a for a in range(len(self.mesh.shape)) if a != sides[0][0]]
            smooth = rough = np.zeros_like(self._held[sides])
            for number, axis in enumerate(axes):
                before, here, after = self._three_bends(np.moveaxis(self._held[sides], number, 0), axis)
                common = _least(_least(before, here), after)
                smooth = smooth + np.moveaxis(common, 0, number)
                rough = rough + np.moveaxis(here - common, 0, number)
            bends[sides] = smooth, rough
        return bends

    def _three_bends(self, levels: NDArray[Any], axis: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Second differences along the first dimension, which is `axis` of the mesh: before, at and after each place.

        At another Dirichlet side they are the smaller of the two nearest ones, if these have the same sign.
        """
        count, (lower, upper) = self.mesh.shape[axis], self.mesh.boundary[axis]
        first, last = (0 if lower == DIRICHLET else -2), (count - 1 if upper == DIRICHLET else count + 1)
        places = np.arange(first, last + 1) % (count if lower == PERIODIC else 2 * count)
        values = levels[np.where(places < count, places, 2 * count - 1 - places)]
        bends = np.zeros((count + 2, *levels.shape[1:]), levels.dtype)  # from place -1 on
        known = values[2:] - 2 * values[1:-1] + values[:-2]
        bends[first + 2 : first + 2 + len(known)] = known
        if lower == DIRICHLET and last - 1 >= 2:
            bends[:2] = _least(bends[2], bends[3])
        if upper == DIRICHLET and first + 1 <= count - 3:
            bends[-2:] = _least(bends[-3], bends[-4])
        return bends[:-2], bends[1:-1], bends[2:]

    @cached_property
    def _held(self) -> dict[Meeting, NDArray[Any]]:
        """Values where sides meet, times 2 for each side, in the shape of the remaining axes."""
        levels: dict[Meeting, NDArray[Any]] = {}
        ends = []
        for axis, layers in enumerate(reservoir_layers(self.mesh)):
            for end, layer in enumerate(layers):
                if self.mesh.boundary[axis][end] == DIRICHLET:
                    levels[((axis, end),)] = 2 * self.reservoirs[layer]
                    ends.append((axis, end))
        for number in range(2, len(self.mesh.shape) + 1):
            for sides in itertools.combinations(ends, number):
                if len({axis for axis, _ in sides}) == number:
                    levels[sides] = self._mean(sides, levels)
        return levels

    def _mean(self, sides: Meeting, levels: dict[Meeting, NDArray[Any]]) -> NDArray[Any]:
        """Mean of the values that the sides extrapolate to where they meet, each from its two nearest values."""
        parts = []
        for side in sides:
            others = tuple(other for other in sides if other != side)
            meeting = levels[others]
            remaining = [a for a in range(len(self.mesh.shape)) if a not in [axis for axis, _ in others]]
            along, count = remaining.index(side[0]), self.mesh.shape[side[0]]
            nearest, next_one = (0, min(1, count - 1)) if side[1] == 0 else (count - 1, max(0, count - 2))
            parts.append(3 * np.take(meeting, nearest, along) - np.take(meeting, next_one, along))
        # Sorted, so that sums of floats do not depend on the order of the axes.
        total = np.sort(np.stack(parts), axis=0).sum(axis=0)
        if total.dtype == np.int64:
            # Exact for two sides, whose values are even; the values of three edges need not be.
            return np.asarray((2 * total + len(sides)) // (2 * len(sides)), np.int64)
        return np.asarray(total / len(sides))


def _least(first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
    """Value nearer to 0, or 0 where signs differ."""
    return np.where(np.sign(first) == np.sign(second), np.sign(first) * np.minimum(np.abs(first), np.abs(second)), 0)

"""Ghost cells face by face, from the definition of the walls of a structured mesh.

It follows docs/reference/artifact.md and is independent of the compiler's vectorised code.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.mesh import DIRICHLET, PERIODIC, Mesh, Sides

Weights = dict[int, int]
Point = dict[int, int]
"""A coordinate for each axis."""
Meeting = tuple[tuple[int, int], ...]
"""Sides that meet at an edge or corner, each an axis and 0 (lower) or 1 (upper)."""


def fold_line(place: int, count: int, sides: Sides, quadratic: bool) -> Weights:
    """Express a place on a line by the cells 0 to count - 1 and the reservoirs at -1 and count.

    Parameters
    ----------
    place : int
        Position on the line, also beyond its ends.
    quadratic : bool
        Whether ghost cells beyond a reservoir follow a parabola; weights are then in halves.

    Returns
    -------
    dict of int to int
        Weight of each cell or reservoir.
    """
    unit = 2 if quadratic else 1
    if sides == (PERIODIC, PERIODIC):
        return {place % count: unit}
    if quadratic and not 0 <= place < count and sides[place >= count] == DIRICHLET:
        upper = place >= count
        depth = place - count if upper else -1 - place
        second = (3 * depth + 2) * (depth + 1) // 2
        first = -2 * (2 * depth + 1) - 3 * second
        nearest = (count, count - 1, count - 2) if upper else (-1, 0, 1)
        return dict(zip(nearest, (2 - first - second, first, second), strict=True))
    weights: Weights = {}
    sign = unit
    while not 0 <= place < count:
        upper = place >= count
        if sides[upper] == DIRICHLET:
            end = count if upper else -1
            weights[end] = weights.get(end, 0) + 2 * sign
            sign = -sign
        place = 2 * count - 1 - place if upper else -1 - place
    weights[place] = sign
    return {at: weight for at, weight in weights.items() if weight}


@dataclass(frozen=True)
class Folding:
    """The flux network of a graph laid out face by face.

    Parameters
    ----------
    graph : IntegerGraph
        On a structured mesh.
    """

    graph: IntegerGraph

    @property
    def quadratic(self) -> bool:
        """Whether weights are in halves."""
        return self.graph.model_spec.wall == "quadratic" and self.graph.grid.reservoirs > 0

    @property
    def one(self) -> int:
        """Integer that represents the weight 1."""
        return 2 if self.quadratic else 1

    @cached_property
    def held(self) -> dict[tuple[int, int, int], int]:
        """Value of the reservoir next to a cell, in quanta, by axis, side (0 lower, 1 upper) and cell."""
        mesh = self.graph.grid
        values = {}
        for face in np.flatnonzero(np.maximum(mesh.source, mesh.target) >= mesh.cells).tolist():
            ends = (int(mesh.source[face]), int(mesh.target[face]))
            upper = ends[1] >= mesh.cells
            number = ends[upper] - mesh.cells
            values[int(mesh.axis[face]), int(upper), ends[not upper]] = int(self.graph.sole_field.reservoirs[number])
        return values

    @property
    def lines_go_on(self) -> bool:
        """Whether lines of ghost cells mirror lines of the mesh.

        They do if all reservoirs are equal, or are along one axis only and equal along each side.
        """
        sides: dict[tuple[int, int], set[int]] = {}
        for (axis, upper, _), value in self.held.items():
            sides.setdefault((axis, upper), set()).add(value)
        one_axis = len({axis for axis, _ in sides}) == 1
        return len(set().union(*sides.values())) <= 1 or (one_axis and all(len(v) == 1 for v in sides.values()))

    def row(self, face: int, weights: list[int]) -> tuple[Weights, int]:
        """Fold one row of the operator at a face into weights of cells and a constant from reservoirs.

        Parameters
        ----------
        weights : list of int
            Weights of the window's positions.

        Returns
        -------
        cells : dict of int to int
            Nonzero weight of each cell.

        Raises
        ------
        ValueError
            If half weights do not add up to an integer.
        """
        mesh, spec = self.graph.grid, self.graph.model_spec
        axis = int(mesh.axis[face])
        lower = self.lower(face)
        along, across = range(1 - spec.half_width, spec.half_width + 1), range(-spec.transverse, spec.transverse + 1)
        others = [a for a in range(len(lower)) if a != axis]
        cells: Weights = {}
        constant = 0
        for weight, steps in zip(weights, itertools.product(along, *(across for _ in others)), strict=True):
            point = list(lower)
            for a, step in zip((axis, *others), steps, strict=True):
                point[a] += step
            seen, added = self._ghost(point, axis)
            constant += weight * added
            for cell, part in seen.items():
                cells[cell] = cells.get(cell, 0) + weight * part
        if constant % self.one or any(weight % self.one for weight in cells.values()):
            raise ValueError(f"the weights at face {face} are not integers")
        return {cell: weight // self.one for cell, weight in cells.items() if weight}, constant // self.one

    def lower(self, face: int) -> list[int]:
        """Coordinates of the cell on the lower side of a face; -1 along the axis for a reservoir."""
        mesh = self.graph.grid
        beside = mesh.source[face] < mesh.cells
        point = [int(c) for c in np.unravel_index(int(mesh.source[face] if beside else mesh.target[face]), mesh.shape)]
        point[int(mesh.axis[face])] -= not beside
        return point

    def _ghost(self, point: list[int], normal_axis: int) -> tuple[Weights, int]:
        mesh = self.graph.grid
        if not self.quadratic:
            sign, inside, added = self._reflected((), dict(enumerate(point)), normal_axis)
            return {_flat(mesh, [*inside.values()]): sign}, added
        # Windows are one cell wide across, so a point lies beyond the sides of at most one axis.
        for axis, (place, count, sides) in enumerate(zip(point, mesh.shape, mesh.boundary, strict=True)):
            if 0 <= place < count:
                continue
            weights: Weights = {}
            constant = 0
            for at, weight in fold_line(place, count, sides, quadratic=True).items():
                beside = _flat(mesh, [*point[:axis], min(max(at, 0), count - 1), *point[axis + 1 :]])
                if 0 <= at < count:
                    weights[beside] = weight
                else:
                    constant += weight * self.held[axis, int(at >= count), beside]
            return weights, constant
        return {_flat(mesh, point): self.one}, 0

    def _reflected(self, sides: Meeting, point: Point, normal_axis: int = -1) -> tuple[int, Point, int]:
        """Reflect a point into the mesh, or a wall point into its wall: sign, inner point, added constant.

        Wall values are scaled by 2 for each side in `sides`.
        """
        mesh = self.graph.grid
        for axis, place in point.items():
            count = mesh.shape[axis]
            if 0 <= place < count:
                continue
            upper = place >= count
            condition = mesh.boundary[axis][upper]
            if condition == PERIODIC:
                return self._reflected(sides, {**point, axis: place % count}, normal_axis)
            mirrored = {**point, axis: 2 * count - 1 - place if upper else -1 - place}
            sign, inside, added = self._reflected(sides, mirrored, normal_axis)
            if condition != DIRICHLET:
                return sign, inside, added
            wall = (*sides, (axis, int(upper)))
            along = {other_axis: there for other_axis, there in point.items() if other_axis != axis}
            turn, there, more = self._reflected(wall, along)
            shown = self._meeting(wall, there)
            if not sides:
                depth = place - count if upper else -1 - place
                shown = self._shown(wall, there, depth, across=axis != normal_axis)
            return -sign, inside, turn * shown + more - added
        return 1, point, 0

    def _shown(self, wall: Meeting, point: Point, depth: int, *, across: bool) -> int:
        """Twice the value of a side, corrected for its curvature along each direction and rounded to an integer."""
        key = (wall, tuple(point.items()), depth, across)
        if key not in self._known:
            twelfths = 12 * self._meeting(wall, point)
            for axis in point:
                before, here, after = (self._bend(wall, point, axis, point[axis] + step) for step in (-1, 0, 1))
                smooth = _nearest_to_zero(before, here, after)
                twelfths -= (6 * depth * (depth + 1) + 2) * smooth
                twelfths += (3 * (depth + 1) if across else -2) * (here - smooth)
            self._known[key] = (twelfths + 6) // 12
        return self._known[key]

    @cached_property
    def _known(self) -> dict[object, int]:
        return {}

    def _bend(self, wall: Meeting, point: Point, axis: int, place: int) -> int:
        """Second difference of a side's values, times 2.

        Next to a Dirichlet side it is the common part of the two nearest inner ones.
        """
        last, (lower, upper) = self.graph.grid.shape[axis] - 1, self.graph.grid.boundary[axis]

        def inner(at: int) -> int | None:
            if (lower == DIRICHLET and at < 1) or (upper == DIRICHLET and at > last - 1):
                return None
            left, middle, right = (
                self._meeting(wall, self._reflected(wall, {**point, axis: at + step})[1]) for step in (-1, 0, 1)
            )
            return left - 2 * middle + right

        if lower == DIRICHLET and place <= 0:
            near, far = inner(1), inner(2)
        elif upper == DIRICHLET and place >= last:
            near, far = inner(last - 1), inner(last - 2)
        else:
            near = far = inner(place)
        return 0 if near is None or far is None else _nearest_to_zero(near, far)

    def _meeting(self, sides: Meeting, point: Point) -> int:
        """Value of the sides where they meet, times 2 for each side."""
        mesh = self.graph.grid
        if len(sides) == 1:
            ((axis, upper),) = sides
            beside = {**point, axis: mesh.shape[axis] - 1 if upper else 0}
            return 2 * self.held[axis, upper, _flat(mesh, [beside[a] for a in range(len(mesh.shape))])]
        total = 0
        for axis, upper in sides:
            others = tuple(side for side in sides if side != (axis, upper))
            last = mesh.shape[axis] - 1
            nearest = last if upper else 0
            following = max(last - 1, 0) if upper else min(1, last)
            total += 3 * self._meeting(others, {**point, axis: nearest})
            total -= self._meeting(others, {**point, axis: following})
        # The mean, rounded to the nearest integer.
        return (2 * total + len(sides)) // (2 * len(sides))


def _nearest_to_zero(*numbers: int) -> int:
    """Return the number nearest to 0 if all have the same sign, else 0."""
    return max(0, min(numbers)) + min(0, max(numbers))


def _flat(mesh: Mesh, point: list[int]) -> int:
    number = 0
    for coordinate, count in zip(point, mesh.shape, strict=True):
        number = number * count + coordinate
    return number

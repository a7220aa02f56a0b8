"""Ghost cells by hand: what each face of a structured mesh sees, one face at a time, from the definition of the walls.

Written to be read beside docs/artifact.md, and apart from the vectorised code that the compiler uses.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.mesh import DIRICHLET, PERIODIC, Mesh, Sides

Weights = dict[int, int]


def fold_line(place: int, count: int, sides: Sides, quadratic: bool) -> Weights:
    """A place on a line of cells, in terms of the cells 0 to count - 1 and of the reservoirs at -1 and at count.

    Parameters
    ----------
    place : int
        May lie beyond the ends.
    count : int
    sides : tuple of (str, str)
    quadratic : bool
        Whether ghost cells beyond a reservoir are averages of a parabola; weights are then in halves.

    Returns
    -------
    dict of int to int
        Weight of each place.
    """
    one = 2 if quadratic else 1
    if sides == (PERIODIC, PERIODIC):
        return {place % count: one}
    if quadratic and not 0 <= place < count and sides[place >= count] == DIRICHLET:
        upper = place >= count
        depth = place - count if upper else -1 - place
        second = (3 * depth + 2) * (depth + 1) // 2
        first = -2 * (2 * depth + 1) - 3 * second
        nearest = (count, count - 1, count - 2) if upper else (-1, 0, 1)
        return dict(zip(nearest, (2 - first - second, first, second), strict=True))
    found: Weights = {}
    sign = one
    while not 0 <= place < count:
        upper = place >= count
        if sides[upper] == DIRICHLET:
            end = count if upper else -1
            found[end] = found.get(end, 0) + 2 * sign
            sign = -sign
        place = 2 * count - 1 - place if upper else -1 - place
    found[place] = sign
    return {at: weight for at, weight in found.items() if weight}


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
        return self.graph.spec.wall == "quadratic" and self.graph.grid.reservoirs > 0

    @property
    def one(self) -> int:
        """What stands for the weight 1."""
        return 2 if self.quadratic else 1

    @cached_property
    def held(self) -> dict[tuple[int, int, int], int]:
        """Value of the reservoir beside a cell, by axis, side (0 lower, 1 upper) and cell."""
        mesh = self.graph.grid
        found = {}
        for face in np.flatnonzero(np.maximum(mesh.source, mesh.target) >= mesh.cells).tolist():
            ends = (int(mesh.source[face]), int(mesh.target[face]))
            upper = ends[1] >= mesh.cells
            number = ends[upper] - mesh.cells
            found[int(mesh.axis[face]), int(upper), ends[not upper]] = int(self.graph.membrane.reservoirs[number])
        return found

    def row(self, face: int, weights: list[int]) -> tuple[Weights, int]:
        """Weights of the cells that a face sees, and what reservoirs add.

        Parameters
        ----------
        face : int
        weights : list of int
            Of the window's positions.

        Returns
        -------
        cells : dict of int to int
            Without zeros.
        constant : int

        Raises
        ------
        ValueError
            Halves that do not add up to an integer.
        """
        mesh, spec = self.graph.grid, self.graph.spec
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
            seen, added = self._ghost(point)
            constant += weight * added
            for cell, part in seen.items():
                cells[cell] = cells.get(cell, 0) + weight * part
        if constant % self.one or any(weight % self.one for weight in cells.values()):
            raise ValueError(f"the weights at face {face} are no integers")
        return {cell: weight // self.one for cell, weight in cells.items() if weight}, constant // self.one

    def lower(self, face: int) -> list[int]:
        """Coordinates of what is on the lower side of a face; -1 for a reservoir there."""
        mesh = self.graph.grid
        beside = mesh.source[face] < mesh.cells
        point = [int(c) for c in np.unravel_index(int(mesh.source[face] if beside else mesh.target[face]), mesh.shape)]
        point[int(mesh.axis[face])] -= not beside
        return point

    def _ghost(self, point: list[int]) -> tuple[Weights, int]:
        mesh = self.graph.grid
        lines = [
            fold_line(p, n, sides, self.quadratic) for p, n, sides in zip(point, mesh.shape, mesh.boundary, strict=True)
        ]
        inside = [
            next(iter(fold_line(p, n, _even(sides), False)))
            for p, n, sides in zip(point, mesh.shape, mesh.boundary, strict=True)
        ]
        found: Weights = {}
        constant, sign = 0, 1
        for axis, line in enumerate(lines):
            count = mesh.shape[axis]
            for end in (-1, count):
                if end in line:
                    at = [*inside[:axis], 0 if end < 0 else count - 1, *inside[axis + 1 :]]
                    constant += sign * line[end] * self.held[axis, int(end > 0), _flat(mesh, at)]
            interior = {place: weight for place, weight in line.items() if 0 <= place < count}
            if len(interior) > 1 or next(iter(interior.values())) not in (self.one, -self.one):
                # A parabola: windows are then one cell wide across.
                for place, weight in interior.items():
                    found[_flat(mesh, [*inside[:axis], place, *inside[axis + 1 :]])] = weight
                return found, constant
            sign *= next(iter(interior.values())) // self.one
        return {_flat(mesh, inside): sign * self.one}, constant


def _even(sides: Sides) -> Sides:
    return sides if sides == (PERIODIC, PERIODIC) else ("no-flux", "no-flux")


def _flat(mesh: Mesh, point: list[int]) -> int:
    number = 0
    for coordinate, count in zip(point, mesh.shape, strict=True):
        number = number * count + coordinate
    return number

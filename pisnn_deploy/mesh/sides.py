"""Interior and boundary faces of a mesh of simplices, and their groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.mesh.content import Elements, Indices
from pisnn_deploy.mesh.geometry import face_geometry


@dataclass(frozen=True)
class Sides:
    """Faces of a mesh.

    Attributes
    ----------
    interior : int64 array [interior faces, 2]
        Cells on both sides, the lower index first, sorted.
    interior_corners : int64 array [interior faces, dims]
        Points of each interior face.
    boundary : int64 array [boundary faces]
        Cell of each boundary face, sorted.
    boundary_corners : int64 array [boundary faces, dims]
        Points of each boundary face.
    member, group : int64 array [memberships]
        Boundary face, and index into the names of the elements' groups; sorted, without duplicates.
    inside, outside : mapping of str to int
        Number of interior faces, and of elements that are no face of a cell, in each group that has some.
    """

    interior: Indices
    interior_corners: Indices
    boundary: Indices
    boundary_corners: Indices
    member: Indices
    group: Indices
    inside: Mapping[str, int]
    outside: Mapping[str, int]


def match_sides(path: Path, points: NDArray[np.float64], corners: Indices, elements: Elements) -> Sides:
    """Match the sides of all cells with each other and with the elements that name groups.

    Parameters
    ----------
    path : Path
        File that error messages name.
    points : float64 array [points, dims]
        Coordinates.
    corners : int64 array [cells, dims + 1]
        Points of each cell.
    elements : Elements
        Elements of one dimension less than the cells; a point that is in no cell is -1.

    Raises
    ------
    FileError
        A face has more than two cells, or two cells on the same side.
    """
    count, per_cell = corners.shape
    opposite = [np.delete(np.arange(per_cell), k) for k in range(per_cell)]
    sides = np.concatenate([corners[:, columns] for columns in opposite])
    cell = np.tile(np.arange(count), per_cell)
    apex = corners.T.reshape(-1)
    order, face = equal_rows(np.sort(np.concatenate([sides, elements.corners]), axis=1))
    # The sort is stable, so the sides of a face come before the elements on it.
    order = order[order < len(sides)]
    number, element_face = face[order], face[len(sides) :]
    cells_of = np.bincount(number, minlength=int(face.max()) + 1)
    if (cells_of > 2).any():
        shared = sides[order[np.searchsorted(number, np.argmax(cells_of > 2))]]
        where = ", ".join(place(point) for point in points[shared])
        raise FileError(path, f"has a face of more than two cells, between {where}")

    pairs = order[cells_of[number] == 2].reshape(-1, 2)
    pairs = np.take_along_axis(pairs, np.argsort(cell[pairs], axis=1), axis=1)
    interior = cell[pairs]
    by_cells = np.lexsort((interior[:, 1], interior[:, 0]))
    interior, pairs = interior[by_cells], pairs[by_cells]
    interior_corners = sides[pairs[:, 0]]
    _, normal, on_face = face_geometry(points[interior_corners])
    heights = [((points[apex[pairs[:, k]]] - on_face) * normal).sum(axis=1) for k in (0, 1)]
    folded = np.flatnonzero(np.sign(heights[0]) == np.sign(heights[1]))
    if folded.size:
        first, second = interior[folded[0]]
        raise FileError(path, f"has overlapping cells, numbers {first} and {second} counted from 0")

    alone = order[cells_of[number] == 1]
    alone = alone[np.argsort(cell[alone], kind="stable")]
    place_of = np.full(cells_of.size, -1, np.int64)
    place_of[face[alone]] = np.arange(alone.size)
    named = element_face[elements.member]
    on_boundary = place_of[named] >= 0
    pair = np.stack([place_of[named], elements.group], axis=1)[on_boundary]
    distinct = np.unique(np.concatenate([np.zeros((0, 2), np.int64), pair]), axis=0)
    return Sides(
        interior,
        interior_corners,
        cell[alone],
        sides[alone],
        distinct[:, 0],
        distinct[:, 1],
        _counts(elements, named, cells_of[named] == 2),
        # Elements with a point in no cell may compare equal, so elements are counted here, not faces.
        _counts(elements, elements.member, cells_of[named] == 0),
    )


def _counts(elements: Elements, number: Indices, chosen: NDArray[np.bool_]) -> dict[str, int]:
    """Number of distinct chosen values in each group."""
    pairs = np.unique(np.stack([elements.group, number], axis=1)[chosen], axis=0)
    counts = np.bincount(pairs[:, 0], minlength=len(elements.names))
    return {name: int(counts[k]) for k, name in enumerate(elements.names) if counts[k]}


def equal_rows(rows: Indices) -> tuple[Indices, Indices]:
    """Sorting order of the rows, and a number for each row that only equal rows share."""
    order = np.lexsort(rows.T[::-1])
    ordered = rows[order]
    new = np.ones(len(rows), np.int64)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    number = np.empty(len(rows), np.int64)
    number[order] = np.cumsum(new) - 1
    return order, number


def first_twice(number: Indices) -> tuple[int, int] | None:
    """Indices of the first two equal entries, or None."""
    twice = np.flatnonzero(np.bincount(number)[number] > 1)
    if not twice.size:
        return None
    first, second = np.flatnonzero(number == number[twice[0]])[:2]
    return int(first), int(second)


def place(point: NDArray[np.float64]) -> str:
    """Format a point, such as ``(0.5, 2)``."""
    return f"({', '.join(f'{x:g}' for x in point)})"

"""Find cells that overlap and faces that touch without sharing points, from geometry alone and in near linear time.

A valid mesh covers each place once. The number of cells that cover a place changes only across boundary faces, by one;
so if any cells overlap, some boundary cell overlaps another cell, just inside its boundary face. It is therefore enough
to compare boundary cells with all cells, and boundary faces with each other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.connected import connected_sets
from pisnn_deploy.core.errors import FileError
from pisnn_deploy.mesh.base import Indices
from pisnn_deploy.mesh.sides import equal_rows, first_twice, place
from pisnn_deploy.mesh.simplex_pairs import (
    cell_axes,
    edges_of,
    face_axes,
    in_one_plane,
    near_pairs,
    overlapping,
)
from pisnn_deploy.mesh.welding import join_points, smallest_edge

CLOSE = 1e-2
"""Fraction of an edge within which points and faces coincide, and beyond which cells overlap."""
_ENOUGH = 10_000
"""The search stops after this many overlaps."""
_NEEDLE = 1e-6
"""Cells with a smaller ratio of height to length are skipped: rounding moves their projections by more than a width."""

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Contact:
    """Overlaps and contacts in a mesh.

    Attributes
    ----------
    parts : tuple of int
        Number of cells in each connected part, largest first.
    overlaps : int64 array [pairs, 2]
        Cells that overlap, the first of them at the boundary; some pairs may be missing, but never all.
    matching : int
        Number of boundary faces that lie on another one and have the same corners.
    odd : int64 array
        Boundary faces that lie on another one but have other corners.
    coinciding : int64 array [pairs, 2]
        Points of such faces that coincide, the lower index first.
    distance : float
        Largest distance between two coinciding points, in the file's unit of length.
    is_complete : bool
        Whether all pairs were examined.
    """

    parts: tuple[int, ...]
    overlaps: Indices
    matching: int
    odd: Indices
    coinciding: Indices
    distance: float
    is_complete: bool


def find_contact(points: Points, corners: Indices, interior: Indices, boundary: Indices, outer: Indices) -> Contact:
    """Find overlapping cells and touching faces.

    Parameters
    ----------
    points : float64 array [points, dims]
        Coordinates.
    corners : int64 array [cells, dims + 1]
        Points of each cell.
    interior : int64 array [interior faces, 2]
        Cells on both sides.
    boundary : int64 array [boundary faces]
        Cell of each boundary face.
    outer : int64 array [boundary faces, dims]
        Points of each boundary face.
    """
    overlaps, cells_done = _overlaps(points[corners], np.unique(boundary))
    matching, odd, coinciding, distance, faces_done = _touching_faces(points, outer)
    return Contact(
        _parts(len(corners), interior), overlaps, matching, odd, coinciding, distance, cells_done and faces_done
    )


def contact_warnings(points: Points, corners: Indices, outer: Indices, contact: Contact) -> tuple[str, ...]:
    """Warnings about parts that touch without sharing faces, or are disconnected.

    Parameters
    ----------
    points, corners, outer
        As in `find_contact`.
    contact : Contact
        Must have no overlaps.
    """
    sentences = []
    if len(contact.parts) > 1:
        sizes = ", ".join(map(str, contact.parts[:5])) + (", ..." if len(contact.parts) > 5 else "")
        sentences.append(
            f"mesh: the cells form {len(contact.parts)} disconnected parts ({sizes} cells); nothing flows between them"
        )
    if contact.matching:
        tolerance = _suggested(smallest_edge(points, corners), contact.distance)
        remedy = "they are too far apart to weld" if tolerance is None else f"--weld {tolerance:g} joins them"
        count = "1 pair" if len(contact.coinciding) == 1 else f"{len(contact.coinciding)} pairs"
        first = place(points[contact.coinciding[0, 0]])
        apart = f", up to {contact.distance:.1g} apart" if contact.distance else ""
        sentences.append(
            f"mesh: {contact.matching} cell faces lie on each other without sharing points, so nothing flows "
            f"through them; {count} of points coincide{apart}, the first at {first}; {remedy}"
        )
    if contact.odd.size:
        middle = place(points[outer[contact.odd[0]]].mean(axis=0))
        sentences.append(
            f"mesh: {contact.odd.size} cell faces touch faces with other corners, the first around {middle}; "
            "nothing flows through them, and --weld cannot join them: mesh both parts together"
        )
    if not contact.is_complete:
        sentences.append(
            "mesh: not all pairs of cells were checked for overlap and contact, because cells are very thin or very "
            "dense in places"
        )
    return tuple(sentences)


def require_no_overlaps(path: Path, points: Points, corners: Indices, contact: Contact) -> None:
    """Refuse overlapping cells.

    Raises
    ------
    FileError
        Some cells overlap or occur twice.
    """
    if not len(contact.overlaps):
        return
    joined = join_points(points, CLOSE * smallest_edge(points, corners))
    _, same = equal_rows(np.sort(joined[corners], axis=1))
    twice = first_twice(same)
    first, second = contact.overlaps[0].tolist() if twice is None else twice
    where = f"numbers {first} and {second} counted from 0, around {place(points[corners[first]].mean(axis=0))}"
    if twice is not None:
        count = len(corners) - np.unique(same).size
        raise FileError(
            path, f"has {count} cells twice, with different points: first {where}", remedy="keep one of each"
        )
    raise FileError(
        path,
        f"has overlapping cells, at least {len(contact.overlaps)} pairs: first {where}",
        remedy="remove the overlap",
    )


def _suggested(smallest: float, distance: float) -> float | None:
    """A round tolerance that joins points at this distance and keeps the smallest edge; None if there is none."""
    tolerance = 10.0 ** math.floor(math.log10(max(smallest * 1e-3, 2 * distance)))
    tolerance *= 10 if tolerance < 2 * distance else 1
    return tolerance if distance < tolerance < smallest else None


def _parts(cells: int, interior: Indices) -> tuple[int, ...]:
    label = connected_sets(cells, interior[:, 0], interior[:, 1])
    return tuple(sorted(np.bincount(label).tolist(), reverse=True))


def _overlaps(at: Points, outer: Indices) -> tuple[Indices, bool]:
    """Overlapping pairs of a boundary cell and another cell, and whether all pairs were examined."""
    longest = np.max([np.linalg.norm(edge, axis=1) for edge in edges_of(at)], axis=0)
    # A lower bound of the smallest height: no face is larger than the square of the longest edge.
    heights = abs(np.linalg.det((at[:, 1:] - at[:, :1]) / longest[:, None, None])) * longest
    # Rounding moves the projections of needles by more than their width.
    heights[heights < _NEEDLE * longest] = np.inf
    overlaps, is_complete = [np.zeros((0, 2), np.int64)], True
    for pairs in near_pairs(at[outer], at):
        if pairs is None:
            is_complete = False
            break
        cell, other = outer[pairs[:, 0]], pairs[:, 1]
        allowed = CLOSE * np.minimum(heights[cell], heights[other])
        allowed[(cell == other) | ~np.isfinite(heights[cell]) | ~np.isfinite(heights[other])] = np.inf
        deep = overlapping(at, cell, at, other, cell_axes(at.shape[2]), allowed)
        overlaps.append(np.stack([cell[deep], other[deep]], axis=1))
        if sum(map(len, overlaps)) > _ENOUGH:
            break
    pairs = np.unique(np.sort(np.concatenate(overlaps), axis=1), axis=0)
    return pairs, is_complete


def _touching_faces(points: Points, outer: Indices) -> tuple[int, Indices, Indices, float, bool]:
    """Faces that lie on each other: number of matching ones, the others, coinciding points, distance, completeness."""
    at = points[outer]
    shortest = _shortest_edges(at)
    odd, even, coinciding, is_complete = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros((0, 2))], True
    longest = 0.0
    for pairs in near_pairs(at, at):
        if pairs is None:
            is_complete = False
            break
        pairs = pairs[pairs[:, 0] < pairs[:, 1]]
        allowed = CLOSE * np.minimum(shortest[pairs[:, 0]], shortest[pairs[:, 1]])
        pairs, allowed = in_one_plane(at, pairs, allowed)
        lies = overlapping(at, pairs[:, 0], at, pairs[:, 1], face_axes(at.shape[2]), allowed)
        pairs, allowed = pairs[lies], allowed[lies]
        gaps = np.linalg.norm(at[pairs[:, 0]][:, :, None] - at[pairs[:, 1]][:, None], axis=3)
        close = gaps <= allowed[:, None, None]
        matches = close.any(axis=2).all(axis=1)
        even.append(pairs[matches].reshape(-1))
        odd.append(pairs[~matches].reshape(-1))
        pair, i, j = np.nonzero(close)
        ends = np.stack([outer[pairs[pair, 0], i], outer[pairs[pair, 1], j]], axis=1)
        apart = ends[:, 0] != ends[:, 1]
        coinciding.append(np.sort(ends[apart], axis=1))
        longest = max(longest, float(gaps[close][apart].max(initial=0.0)))
    equal = np.unique(np.concatenate(coinciding).astype(np.int64), axis=0)
    return np.unique(np.concatenate(even)).size, np.unique(np.concatenate(odd)), equal, longest, is_complete


def _shortest_edges(at: Points) -> NDArray[np.float64]:
    lengths = [np.linalg.norm(edge, axis=1) for edge in edges_of(at)]
    return np.asarray(np.min(lengths, axis=0), np.float64)

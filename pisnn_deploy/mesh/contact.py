"""Parts of a mesh that lie on each other without sharing points: found by their geometry, in near linear time.

A mesh without such faults covers each place once. How often a place is covered changes only across faces of the
boundary, by one; so where cells overlap, some cell of the boundary overlaps another one, just inside of its face. That
is why only cells of the boundary are compared with all others, and only faces of the boundary with each other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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
"""Points and faces that are nearer than this part of an edge coincide, and cells that overlap by more overlap."""
_ENOUGH = 10_000
"""Overlaps after which no more are looked for."""
_NEEDLE = 1e-6
"""Height over length of cells whose overlaps are not looked for: their shadows are rounded by more than their width."""

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Contact:
    """What of a mesh lies on each other.

    Attributes
    ----------
    parts : tuple of int
        Cells of each part whose cells are joined by faces, the largest first.
    overlaps : int64 array [pairs, 2]
        Cells that overlap, the first of them at the boundary; not all pairs, but some if there are any.
    matching : int
        Faces of the boundary that lie on another one with all their corners on its corners.
    odd : int64 array
        Faces of the boundary that lie on another one otherwise.
    coinciding : int64 array [pairs, 2]
        Points of such faces that lie on each other, the lower number first.
    distance : float
        Largest distance of two such points.
    is_complete : bool
        Whether all pairs were looked at.
    """

    parts: tuple[int, ...]
    overlaps: Indices
    matching: int
    odd: Indices
    coinciding: Indices
    distance: float
    is_complete: bool


def find_contact(points: Points, corners: Indices, interior: Indices, boundary: Indices, outer: Indices) -> Contact:
    """Look for what lies on each other.

    Parameters
    ----------
    points : float64 array [points, dims]
        Coordinates.
    corners : int64 array [cells, dims + 1]
        Points of each cell.
    interior : int64 array [interior faces, 2]
        Cells on both sides.
    boundary : int64 array [boundary faces]
        The cell of each face of the boundary.
    outer : int64 array [boundary faces, dims]
        Points of each face of the boundary.
    """
    overlaps, cells_done = _overlaps(points[corners], np.unique(boundary))
    matching, odd, coinciding, distance, faces_done = _touching_faces(points, outer)
    return Contact(
        _parts(len(corners), interior), overlaps, matching, odd, coinciding, distance, cells_done and faces_done
    )


def contact_warnings(points: Points, corners: Indices, outer: Indices, contact: Contact) -> tuple[str, ...]:
    """What a user must hear of parts that touch or do not touch.

    Parameters
    ----------
    points, corners, outer
        As in `find_contact`.
    contact : Contact
        Without overlaps.
    """
    sentences = []
    if len(contact.parts) > 1:
        sizes = ", ".join(map(str, contact.parts[:5])) + (", ..." if len(contact.parts) > 5 else "")
        sentences.append(
            f"mesh: the cells fall into {len(contact.parts)} parts that share no face ({sizes} cells); nothing flows "
            "from one to another"
        )
    if contact.matching:
        tolerance = _suggested(smallest_edge(points, corners), contact.distance)
        remedy = "they are too far apart to weld" if tolerance is None else f"--weld {tolerance:g} joins them"
        count = "1 pair" if len(contact.coinciding) == 1 else f"{len(contact.coinciding)} pairs"
        first = place(points[contact.coinciding[0, 0]])
        apart = f", up to {contact.distance:.1g} apart" if contact.distance else ""
        sentences.append(
            f"mesh: {contact.matching} sides of cells lie on each other without sharing points, so nothing flows "
            f"through them; {count} of points coincide{apart}, the first at {first}; {remedy}"
        )
    if contact.odd.size:
        middle = place(points[outer[contact.odd[0]]].mean(axis=0))
        sentences.append(
            f"mesh: {contact.odd.size} sides of cells touch sides that do not match them, the first around {middle}; "
            "nothing flows through them, and --weld cannot join them: mesh both parts as one"
        )
    if not contact.is_complete:
        sentences.append(
            "mesh: not all pairs of cells were looked at for parts that overlap or touch; the cells are too long and "
            "thin, or too many in one place"
        )
    return tuple(sentences)


def require_no_overlaps(path: Path, points: Points, corners: Indices, contact: Contact) -> None:
    """Refuse cells that lie in each other.

    Raises
    ------
    FileError
        There are such cells.
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
            path, f"has {count} cells twice, under different points: first {where}", remedy="keep one of each"
        )
    raise FileError(
        path,
        f"has overlapping cells, at least {len(contact.overlaps)} pairs: first {where}",
        remedy="let no cells lie in each other",
    )


def _suggested(smallest: float, distance: float) -> float | None:
    """A round tolerance that joins points so far apart and keeps the smallest edge; None if there is none."""
    tolerance = 10.0 ** math.floor(math.log10(max(smallest * 1e-3, 2 * distance)))
    tolerance *= 10 if tolerance < 2 * distance else 1
    return tolerance if distance < tolerance < smallest else None


def _parts(cells: int, interior: Indices) -> tuple[int, ...]:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(interior)), (interior[:, 0], interior[:, 1])), shape=(cells, cells))
    _, label = connected_components(graph, directed=False)
    return tuple(sorted(np.bincount(label).tolist(), reverse=True))


def _overlaps(at: Points, outer: Indices) -> tuple[Indices, bool]:
    """Pairs of a cell of the boundary and another cell that overlap, and whether all pairs were looked at."""
    longest = np.max([np.linalg.norm(edge, axis=1) for edge in edges_of(at)], axis=0)
    # A bound of the least height from below: no face is larger than the square of the longest edge.
    heights = abs(np.linalg.det((at[:, 1:] - at[:, :1]) / longest[:, None, None])) * longest
    # The shadows of needles are rounded by more than they are wide.
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
    """Faces that lie on each other: those that match, those that do not, and the points that coincide."""
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

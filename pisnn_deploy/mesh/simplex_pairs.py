"""Find pairs of simplices that are near each other or overlap, in arrays of limited size."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.mesh.base import Indices

Points = NDArray[np.float64]
MOST_PAIRS = 500
"""Limit on pairs per simplex, counting at least 1,000 simplices; a mesh of needles may exceed it."""
_AT_ONCE = 200_000
_AT_ONCE_OF_TREE = 4096
_ROOM = 2e-2
"""Margin around a simplex, in radii."""
_PARALLEL = 1e-9
"""Sine of an angle below which edges are parallel."""
PAIRS = {count: tuple(itertools.combinations(range(count), 2)) for count in (2, 3, 4)}
"""Edges of a simplex by its number of corners."""


def near_pairs(first: Points, second: Points) -> Iterator[Indices | None]:
    """Yield arrays of pairs of simplices whose boxes meet; a final None means that there are too many.

    Simplices are grouped by size, so that a few large ones do not pair all small ones with each other.
    """
    from scipy.spatial import cKDTree  # of an extra: `read_mesh_file` asks for it

    (lower, upper), (other_lower, other_upper) = (_boxes(at) for at in (first, second))
    groups = [_by_size(at) for at in (first, second)]
    trees = [[(number, radius, cKDTree(centre)) for number, centre, radius in group] for group in groups]
    seen = 0
    for (number, radius, tree), (other_number, other_radius, other_tree) in itertools.product(*trees):
        reach = radius + other_radius
        # Query a few points at a time to bound the memory.
        for start in range(0, len(number), _AT_ONCE_OF_TREE):
            part = cKDTree(tree.data[start : start + _AT_ONCE_OF_TREE])
            seen += int(part.count_neighbors(other_tree, reach))
            if seen > MOST_PAIRS * max(1000, len(second)):
                yield None
                return
            close = part.sparse_distance_matrix(other_tree, reach, output_type="ndarray")
            pairs = np.stack([number[start + close["i"]], other_number[close["j"]]], axis=1)
            for at in range(0, len(pairs), _AT_ONCE):
                some = pairs[at : at + _AT_ONCE]
                near, other = some.T
                meet = (lower[near] <= other_upper[other]) & (other_lower[other] <= upper[near])
                yield some[meet.all(axis=1)]


def _radii(at: Points) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(at - at.mean(axis=1)[:, None], axis=2).max(axis=1), np.float64)


def _boxes(at: Points) -> tuple[Points, Points]:
    """Lower and upper corner of a box around each simplex, with a margin for simplices that almost touch."""
    room = _ROOM * _radii(at)[:, None]
    return at.min(axis=1) - room, at.max(axis=1) + room


def _by_size(at: Points) -> list[tuple[Indices, Points, float]]:
    """Group simplices by size: indices, centres, and largest radius including the margin."""
    centre, radius = at.mean(axis=1), (1 + _ROOM) * _radii(at)
    size = np.floor(np.log2(radius)).astype(np.int64)
    return [
        (numbers, centre[numbers], float(radius[numbers].max()))
        for numbers in (np.flatnonzero(size == number) for number in np.unique(size))
    ]


Axis = Callable[[Points, Points], Points]
"""Gives a direction per pair of simplices; two simplices overlap if their projections on all axes do."""


def cell_axes(dims: int) -> list[Axis]:
    """Separating axes of two cells: normals of their faces, and of pairs of their edges."""
    if dims == 2:
        return [partial(_across_edge, side, edge) for side in (0, 1) for edge in PAIRS[3]]
    faces: list[Axis] = [
        partial(_across_face, side, corners) for side in (0, 1) for corners in itertools.combinations(range(4), 3)
    ]
    pairs = itertools.product(PAIRS[4], PAIRS[4])
    edges: list[Axis] = [partial(_across_edges, edge, other_edge) for edge, other_edge in pairs]
    return faces + edges


def face_axes(dims: int) -> list[Axis]:
    """Separating axes of two faces in the same plane."""
    if dims == 2:
        return [_along]
    return [partial(_across_edge_in_plane, side, edge) for side in (0, 1) for edge in PAIRS[3]]


def overlapping(
    first: Points,
    first_numbers: Indices,
    second: Points,
    second_numbers: Indices,
    axes: list[Axis],
    allowed: NDArray[np.float64],
) -> Indices:
    """Indices of the pairs that overlap by more than `allowed` along all axes; a few axes rule out most pairs."""
    remaining = np.flatnonzero(np.isfinite(allowed))
    for axis in axes:
        if not remaining.size:
            break
        here, there = first[first_numbers[remaining]], second[second_numbers[remaining]]
        # Relative to a corner, which avoids rounding far from the origin.
        origin = here[:, :1].copy()
        here, there = here - origin, there - origin
        direction = axis(here, there)
        length = np.linalg.norm(direction, axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            unit = direction / length[:, None]
        shadows = [(at * unit[:, None]).sum(axis=2) for at in (here, there)]
        overlap = np.minimum(*(s.max(axis=1) for s in shadows)) - np.maximum(*(s.min(axis=1) for s in shadows))
        # Parallel edges have no common normal.
        remaining = remaining[(overlap > allowed[remaining]) | ~(length > 0)]
    return remaining


def in_one_plane(at: Points, pairs: Indices, allowed: NDArray[np.float64]) -> tuple[Indices, NDArray[np.float64]]:
    """Select pairs of faces in one plane: the corners of each are near the plane of the other."""
    near = np.ones(len(pairs), np.bool_)
    for plane_side, corner_side in ((0, 1), (1, 0)):
        plane, corners = at[pairs[:, plane_side]], at[pairs[:, corner_side]]
        edge = plane[:, 1] - plane[:, 0]
        normal = _turned(edge) if at.shape[2] == 2 else np.cross(edge, plane[:, 2] - plane[:, 0])
        unit = normal / np.linalg.norm(normal, axis=1)[:, None]
        away = ((corners - plane[:, :1]) * unit[:, None]).sum(axis=2)
        near &= (abs(away) <= allowed[:, None]).all(axis=1)
    return pairs[near], allowed[near]


def edges_of(at: Points) -> Iterator[Points]:
    """Yield each edge of simplices [count, corners, dims]."""
    for i, j in PAIRS[at.shape[1]]:
        yield _edge(at, (i, j))


def _edge(at: Points, corners: tuple[int, int]) -> Points:
    return np.asarray(at[:, corners[1]] - at[:, corners[0]], np.float64)


def _along(first: Points, second: Points) -> Points:
    return _edge(first, (0, 1))


def _across_edge(side: int, corners: tuple[int, int], first: Points, second: Points) -> Points:
    return _turned(_edge((first, second)[side], corners))


def _across_face(side: int, corners: tuple[int, int, int], first: Points, second: Points) -> Points:
    at = (first, second)[side]
    return _across(_edge(at, (corners[0], corners[1])), _edge(at, (corners[0], corners[2])))


def _across_edges(edge: tuple[int, int], other_edge: tuple[int, int], first: Points, second: Points) -> Points:
    return _across(_edge(first, edge), _edge(second, other_edge))


def _across_edge_in_plane(side: int, corners: tuple[int, int], first: Points, second: Points) -> Points:
    return _across(_across_face(0, (0, 1, 2), first, second), _edge((first, second)[side], corners))


def _across(edge: Points, other_edge: Points) -> Points:
    """Direction normal to two edges; zero where they are almost parallel."""
    lengths = np.linalg.norm(edge, axis=1) * np.linalg.norm(other_edge, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        across = np.cross(edge, other_edge) / lengths[:, None]
    return np.where((abs(across) > _PARALLEL).any(axis=1)[:, None], across, 0.0)


def _turned(edge: Points) -> Points:
    return np.stack([edge[:, 1], -edge[:, 0]], axis=1)

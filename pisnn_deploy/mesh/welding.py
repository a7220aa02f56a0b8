"""Join points of a mesh that lie within a tolerance of each other."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.connected import connected_sets
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.mesh.base import Indices
from pisnn_deploy.mesh.simplex_pairs import edges_of

Points = NDArray[np.float64]


def welded(path: Path, points: Points, corners: Indices, tolerance: float) -> Indices:
    """Index of the point that each point is joined with; its own index if it is alone.

    Parameters
    ----------
    path : Path
        File that error messages name.
    points : float64 array [points, dims]
        Coordinates.
    corners : int64 array [cells, dims + 1]
        Points of each cell.
    tolerance : float
        Largest distance between joined points, in the file's unit of length.

    Raises
    ------
    UsageError
        The tolerance is not positive, or joins two corners of a cell.
    """
    if not (math.isfinite(tolerance) and tolerance > 0):
        raise UsageError(f"weld: the tolerance {tolerance:g} is not a positive number")
    smallest = smallest_edge(points, corners)
    if tolerance >= smallest:
        raise UsageError(
            f"{path}: welding within {tolerance:g} would join corners of a cell: the shortest edge is {smallest:g}; "
            "choose a smaller tolerance"
        )
    joined = join_points(points, tolerance)
    ends = np.sort(joined[corners], axis=1)
    lost = np.flatnonzero((ends[:, 1:] == ends[:, :-1]).any(axis=1))
    if lost.size:
        raise UsageError(
            f"{path}: welding within {tolerance:g} would join corners of cell {lost[0]} through points between them; "
            "choose a smaller tolerance"
        )
    return joined


def smallest_edge(points: Points, corners: Indices) -> float:
    """Length of the shortest edge of all cells."""
    return min(float(np.linalg.norm(edge, axis=1).min()) for edge in edges_of(points[corners]))


def join_points(points: Points, tolerance: float) -> Indices:
    """Index of the point that each point is joined with: the first of those within a tolerance of each other.

    Points that are joined through others may be farther apart.

    Parameters
    ----------
    points : float64 array [points, dims]
        Coordinates.
    tolerance : float
        Largest distance between two joined points.
    """
    from scipy.spatial import cKDTree  # of an extra: `read_mesh_file` asks for it

    _, first, joined = np.unique(points, axis=0, return_index=True, return_inverse=True)
    joined = joined.reshape(-1)
    while True:
        places = points[first]
        bound = float(np.nextafter(tolerance, np.inf))
        distances, numbers = cKDTree(places).query(places, k=2, distance_upper_bound=bound)
        near, other = np.asarray(distances), np.asarray(numbers)
        close = np.flatnonzero(near[:, 1] <= tolerance)
        if not close.size:
            break
        # With two points at almost the same place, the point itself need not come first.
        partner = np.where(other[close, 0] == close, other[close, 1], other[close, 0])
        label = connected_sets(len(places), close, partner)
        lowest = np.full(int(label.max()) + 1, len(points), np.int64)
        np.minimum.at(lowest, label, first)
        first, joined = lowest, label[joined]
    return first[joined].astype(np.int64)

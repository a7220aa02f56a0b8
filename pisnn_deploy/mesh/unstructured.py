"""Meshes of triangles or tetrahedra from files, for the two-point flux scheme.

The flux through the face between two cells is taken from their two values alone, ``area / distance * (u_s - u_t)``.
That is exact for linear fields where the line between the two points that the values belong to is normal to the face,
and the circumcentres of simplices have that property: R. Eymard, T. Gallouet, R. Herbin, "Finite Volume Methods",
Handbook of Numerical Analysis VII, 2000, section 9 (admissible meshes). Where a circumcentre lies outside its cell
the centroid takes its place, and `non_orthogonality` says how far the scheme is from what it assumes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.mesh.base import FaceMesh, Indices

_INSIDE = 1e-3
"""Least barycentric coordinate of a circumcentre that counts as inside.

Opposite a right angle it is 0 but for rounding, and next to 0 two centres would all but meet at their face: its
conductance would know no bound, and explicit time steps would vanish.
"""


@dataclass(frozen=True)
class UnstructuredMesh(FaceMesh):
    """Simplices, the faces through which packets pass, and reservoirs behind Dirichlet faces.

    A positive packet on face ``f`` leaves ``source[f]`` and enters ``target[f]``: the incidence ``D`` has -1 and +1
    there. Holders are the cells, then the reservoirs. Interior faces come first, sorted by source and target,
    with ``source < target``. Then comes one face for each Dirichlet face of the boundary, sorted by cell, with a
    reservoir of its own as its target. Other faces of the boundary let nothing pass and are not listed.

    Attributes
    ----------
    points : float64 array [points, dims]
        Coordinates of the corners, in the file's unit of length; ``dims`` is 2 or 3.
    corners : int64 array [cells, dims + 1]
        Points of each cell, in the file's order of cells and corners.
    source, target : int64 array [faces]
        Holders on both sides of each face.
    volumes : float64 array [cells]
        Volume of each cell, in 2D its area.
    centres : float64 array [cells, dims]
        The circumcentre where it lies inside the cell (all barycentric coordinates above 1e-3), else the centroid.
    area : float64 array [faces]
        Area of each face, in 2D its length.
    distance : float64 array [faces, 2]
        From the centre of source and of target to the face, along the normal of the face; 0 on a reservoir's side.
    material : int64 array [cells]
        Index into `material_names`.
    material_names : tuple of str
        Sorted.
    group : int64 array [reservoirs]
        Index into `group_names`.
    group_names : tuple of str
        Groups of the boundary that have reservoirs, sorted.
    face_corners : int64 array [faces, dims]
        Points of each face.
    """

    points: NDArray[np.float64]
    corners: Indices
    source: Indices
    target: Indices
    volumes: NDArray[np.float64]
    centres: NDArray[np.float64]
    area: NDArray[np.float64]
    distance: NDArray[np.float64]
    material: Indices
    material_names: tuple[str, ...]
    group: Indices
    group_names: tuple[str, ...]
    face_corners: Indices

    @property
    def cells(self) -> int:
        """Number of cells."""
        return len(self.corners)

    @property
    def reservoirs(self) -> int:
        """Number of reservoirs: one per Dirichlet face of the boundary."""
        return int(self.group.size)


def non_orthogonality(mesh: UnstructuredMesh) -> NDArray[np.float64]:
    """Angle between the line of centres and the normal of each interior face; 0 is what the two-point scheme assumes.

    Parameters
    ----------
    mesh : UnstructuredMesh

    Returns
    -------
    float64 array [interior faces]
        Degrees.
    """
    interior = mesh.target < mesh.cells
    source, target = mesh.source[interior], mesh.target[interior]
    first, second = mesh.corners[source], mesh.corners[target]
    dims = mesh.points.shape[1]
    shared = first[(first[:, :, None] == second[:, None, :]).any(axis=2)].reshape(-1, dims)
    _, normal, _ = face_geometry(mesh.points[shared])
    between = mesh.centres[target] - mesh.centres[source]
    along = (between * normal).sum(axis=1)
    across = np.linalg.norm(between - along[:, None] * normal, axis=1)
    return np.asarray(np.degrees(np.arctan2(across, abs(along))), np.float64)


def adjugates(edges: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Vectors ``a_i`` normal to all edges ``e_j`` of a corner but ``e_i``, and ``a_i . e_i``, the determinant."""
    if edges.shape[2] == 2:
        adjugates = np.empty_like(edges)
        adjugates[:, 0, 0], adjugates[:, 0, 1] = edges[:, 1, 1], -edges[:, 1, 0]
        adjugates[:, 1, 0], adjugates[:, 1, 1] = -edges[:, 0, 1], edges[:, 0, 0]
    else:
        adjugates = np.cross(edges[:, [1, 2, 0]], edges[:, [2, 0, 1]])
    return adjugates, (adjugates[:, 0] * edges[:, 0]).sum(axis=1)


def volumes_and_centres(at: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Volumes and centres of cells from their corners [cells, dims + 1, dims]."""
    edges = at[:, 1:] - at[:, :1]
    adjugate, determinant = adjugates(edges)
    gradients = adjugate / determinant[:, None, None]
    # The circumcentre r, seen from corner 0, is equally far from it and from corner i: e_i . r = |e_i|^2 / 2.
    radius = (gradients * (edges**2).sum(axis=2)[:, :, None] / 2).sum(axis=1)
    barycentric = (gradients * radius[:, None, :]).sum(axis=2)
    least = np.minimum(barycentric.min(axis=1), 1 - barycentric.sum(axis=1))
    centres = np.where((least > _INSIDE)[:, None], at[:, 0] + radius, at.mean(axis=1))
    return abs(determinant) / math.factorial(at.shape[2]), centres


def face_geometry(at: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Area, unit normal and a point of faces from their corners [faces, dims, dims]."""
    if at.shape[2] == 2:
        along = at[:, 1] - at[:, 0]
        across = np.stack([along[:, 1], -along[:, 0]], axis=1)
    else:
        across = np.cross(at[:, 1] - at[:, 0], at[:, 2] - at[:, 0]) / 2
    area = np.linalg.norm(across, axis=1)
    # A corner: unlike a mean, it is not rounded, and far from the origin that is much.
    return area, across / area[:, None], at[:, 0]

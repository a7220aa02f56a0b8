"""Geometry of cells and faces for the two-point flux scheme.

The flux through the face between two cells is taken from their two values alone, ``area / distance * (u_s - u_t)``.
That is exact for linear fields where the line between the two points that the values belong to is normal to the face,
and the circumcentres of simplices have that property: R. Eymard, T. Gallouet, R. Herbin, "Finite Volume Methods",
Handbook of Numerical Analysis VII, 2000, section 9 (admissible meshes). Where a circumcentre lies outside its cell
the centroid takes its place, and the angles of a mesh say how far the scheme is from what it assumes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float64]

_INSIDE = 1e-3
"""Least barycentric coordinate of a circumcentre that counts as inside.

Opposite a right angle it is 0 but for rounding, and next to 0 two centres would all but meet at their face: its
conductance would know no bound, and explicit time steps would vanish.
"""


@dataclass(frozen=True)
class Geometry:
    """Sizes of cells and faces, in the mesh's unit of length.

    Attributes
    ----------
    volumes : float64 array [cells]
        In 2D areas.
    area : float64 array [faces]
        In 2D lengths.
    distance : float64 array [faces, 2]
        From the centre of source and of target to the face, along the normal of the face; 0 on a reservoir's side.
    """

    volumes: Field
    area: Field
    distance: Field


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

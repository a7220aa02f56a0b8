"""Geometry of cells and faces for the two-point flux scheme.

The flux through the face between two cells depends on their two values alone, ``area / distance * (u_s - u_t)``. That
is exact for linear fields if the line between the two cell centres is normal to the face, which holds for circumcentres
of simplices: R. Eymard, T. Gallouet, R. Herbin, "Finite Volume Methods", Handbook of Numerical Analysis VII, 2000,
section 9 (admissible meshes). Where a circumcentre lies outside its cell the centroid is used instead; `angles` of a
mesh measures how far this violates the assumption.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float64]

_INSIDE = 1e-3
"""Smallest barycentric coordinate at which a circumcentre counts as inside.

Opposite a right angle the coordinate is 0 up to rounding. Near 0 the centres of two cells almost meet at their face:
its conductance would be unbounded and explicit time steps would vanish.
"""


@dataclass(frozen=True)
class Geometry:
    """Sizes of cells and faces, in the mesh's unit of length.

    Attributes
    ----------
    volumes : float64 array [cells]
        Cell volumes; areas in 2D.
    area : float64 array [faces]
        Face areas; lengths in 2D.
    distance : float64 array [faces, 2]
        Distances from the centres of source and target to the face, along its normal; 0 for a reservoir.
    """

    volumes: Field
    area: Field
    distance: Field


def adjugates(edges: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Vectors ``a_i`` normal to all edges ``e_j`` of a corner except ``e_i``, and the determinant ``a_i . e_i``."""
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
    # The circumcentre r, relative to corner 0, is equally far from corner 0 and corner i: e_i . r = |e_i|^2 / 2.
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
    # A corner, because a mean would be rounded, noticeably so far from the origin.
    return area, across / area[:, None], at[:, 0]

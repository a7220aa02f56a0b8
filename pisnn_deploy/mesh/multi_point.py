"""Multi-point fluxes on simplices: exact for linear fields, with any angles and with conductivities that jump.

The scheme is the symmetric O-method: each simplex is cut into one part for each of its corners, and each part has a
gradient of its own. It follows from the value at the centroid and from one value on each face of that corner, at the
point with the barycentric coordinates ``2 / (d + 1)`` at the corner and ``1 / (d + 1)`` at the other points of the
face. The values on faces are eliminated around each point of the mesh: what leaves one cell enters the next. The
resulting matrix is symmetric and positive, so an explicit step is stable if it is short enough. C. Le Potier, "Schema
volumes finis monotone pour des operateurs de diffusion fortement anisotropes sur des maillages de triangles non
structures", C. R. Acad. Sci. Paris 341, 2005; L. Agelas, R. Masson, "Convergence of the finite volume MPFA O scheme for
heterogeneous anisotropic diffusion problems on general meshes", C. R. Acad. Sci. Paris 346, 2008.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pisnn_deploy.core.rows import Rows, from_triplets
from pisnn_deploy.mesh.base import Indices
from pisnn_deploy.mesh.cell_mesh import CellMesh
from pisnn_deploy.mesh.geometry import Field, adjugates

_NUMBERS_AT_ONCE = 1 << 22
"""Most entries of the matrices of points that are solved together."""
_NEGLIGIBLE = 1e-14
"""Part of a face's largest coefficient below which another one is a rounding error."""


def centroids(mesh: CellMesh) -> Field:
    """Centre of gravity of each cell, where multi-point fluxes have its value, float64 [cells, dims]."""
    return np.asarray(mesh.points[mesh.corners].mean(axis=1), np.float64)


def multi_point_fluxes(mesh: CellMesh, conductivity: Field) -> Rows:
    """Flux through each face, per unit of time, as a sum over the values of holders.

    Parameters
    ----------
    conductivity : float64 array [cells]
        In length squared per time.

    Returns
    -------
    Rows, float64 [faces, holders]
        Coefficients of cells (values at their centroids) and of reservoirs (values on their faces). They sum to 0 in
        each row up to rounding. Sides of the mesh without a reservoir carry nothing.
    """
    around = fluxes_around_points(mesh, conductivity)
    return _without_noise(from_triplets(around.face, around.holder, around.value, (mesh.faces, mesh.holders)))


@dataclass(frozen=True)
class FluxesAroundPoints:
    """Fluxes through the parts of faces at each point, whose sum over the points of a face is its flux.

    Attributes
    ----------
    face, holder, point : int64 array [entries]
        Which value counts at which part.
    value : float64 array [entries]
        Coefficient, in length to the power of the dimension per time.
    """

    face: Indices
    holder: Indices
    point: Indices
    value: Field


def fluxes_around_points(mesh: CellMesh, conductivity: Field) -> FluxesAroundPoints:
    """Fluxes as in `multi_point_fluxes`, part by part.

    Parameters
    ----------
    conductivity : float64 array [cells]
        In length squared per time.
    """
    parts = _Parts.of(mesh, conductivity)
    around = [np.zeros((4, 0)), *(parts.fluxes_around(points) for points in parts.alike())]
    face, holder, point, value = np.concatenate(around, axis=1)
    return FluxesAroundPoints(face.astype(np.int64), holder.astype(np.int64), point.astype(np.int64), value)


@dataclass(frozen=True)
class _Parts:
    """Parts of cells, numbered ``cell * corners + corner``, and parts of sides, one for each of their points.

    Attributes
    ----------
    stiffness : float64 array [cells, corners, corners]
        Flux out of a part through the part of the side opposite corner ``i`` per difference between the cell and its
        value on the side opposite corner ``j``.
    side_part : int64 array [cells, corners, corners]
        Number of the part of side ``i`` (opposite corner ``i``) at corner ``s``, sorted by point; -1 if ``i = s``.
    first : int64 array [points + 1]
        First of the parts of sides at each point.
    face : int64 array [parts of sides]
        Face of the mesh, -1 where nothing flows.
    reservoir : int64 array [parts of sides]
        Holder that prescribes the value there; -1 in the interior and where nothing flows.
    source : int64 array [parts of sides]
        Cell from which positive fluxes come.
    parts_at : tuple of int64 array
        Parts of cells in the order of their points, and the first at each point, [points + 1].
    """

    corners: Indices
    stiffness: Field
    side_part: Indices
    first: Indices
    face: Indices
    reservoir: Indices
    source: Indices
    parts_at: tuple[Indices, Indices]

    @classmethod
    def of(cls, mesh: CellMesh, conductivity: Field) -> _Parts:
        """Number the parts and measure the cells."""
        cells, size = mesh.corners.shape
        others = np.array([[k for k in range(size) if k != i] for i in range(size)])
        listed = np.concatenate([mesh.corners[:, others].reshape(-1, size - 1), mesh.face_corners])
        sides, number = np.unique(np.sort(listed, axis=1), axis=0, return_inverse=True)
        number = number.reshape(-1)
        side, of_face = number[: cells * size].reshape(cells, size), number[cells * size :]
        face = np.full(len(sides), -1, np.int64)
        face[of_face] = np.arange(mesh.faces)
        at = np.where(np.eye(size, dtype=bool), -1, np.broadcast_to(mesh.corners[:, None, :], (cells, size, size)))
        inside = at >= 0
        # One number for each pair of a point and a side, in the order of the points.
        pairs = at[inside] * len(sides) + np.broadcast_to(side[:, :, None], at.shape)[inside]
        distinct, place = np.unique(pairs, return_inverse=True)
        side_part = np.full(at.shape, -1, np.int64)
        side_part[inside] = place.reshape(-1)
        faces = face[distinct % len(sides)]
        ends = mesh.target[faces]
        by_point = np.argsort(mesh.corners, axis=None, kind="stable")
        counts = np.bincount(mesh.corners.reshape(-1), minlength=len(mesh.points))
        return cls(
            mesh.corners,
            _stiffness(mesh.points[mesh.corners], conductivity),
            side_part,
            np.searchsorted(distinct // len(sides), np.arange(len(mesh.points) + 1)),
            faces,
            np.where((faces >= 0) & (ends >= mesh.cells), ends, -1),
            np.where(faces >= 0, mesh.source[faces], -1),
            (by_point, np.concatenate([[0], np.cumsum(counts)])),
        )

    def alike(self) -> Iterator[Indices]:
        """Yield points with equal numbers of cells and sides, not too many at once."""
        sides, cells = np.diff(self.first), np.diff(self.parts_at[1])
        key = sides * (int(cells.max(initial=0)) + 1) + cells
        order = np.argsort(key, kind="stable")
        order = order[sides[order] > 0]
        for points in np.split(order, np.flatnonzero(np.diff(key[order])) + 1):
            if points.size:
                each = int(sides[points[0]]) * int(sides[points[0]] + cells[points[0]])
                yield from np.array_split(points, -(-points.size * each // _NUMBERS_AT_ONCE))

    def fluxes_around(self, points: Indices) -> Field:
        """Fluxes through the parts of sides at some points with equal numbers of cells and sides.

        Returns
        -------
        float64 array [4, entries]
            Face, holder, point and coefficient.
        """
        size = self.corners.shape[1]
        sides, count = int(self.first[points[0] + 1] - self.first[points[0]]), points.size
        cells = int(self.parts_at[1][points[0] + 1] - self.parts_at[1][points[0]])
        part = self.parts_at[0][self.parts_at[1][points][:, None] + np.arange(cells)]
        cell, corner = part // size, part % size
        others = np.array([[k for k in range(size) if k != s] for s in range(size)])[corner]
        # [points, cells, sides of the cell at the point]
        local = self.side_part[cell[..., None], others, corner[..., None]] - self.first[points][:, None, None]
        stiffness = self.stiffness[cell[..., None, None], others[..., :, None], others[..., None, :]]
        group = np.arange(count)[:, None, None]
        matrix = np.zeros((count, sides, sides))
        np.add.at(matrix, (group[..., None], local[..., :, None], local[..., None, :]), stiffness)
        # Unknowns to the right: values of the cells, then the values that reservoirs prescribe on sides.
        given = np.zeros((count, sides, cells + sides))
        column = np.broadcast_to(np.arange(cells)[None, :, None], local.shape)
        np.add.at(given, (group, local, column), stiffness.sum(axis=3))
        number = self.first[points][:, None] + np.arange(sides)
        known = self.reservoir[number] >= 0
        matrix[known], given[known] = 0.0, 0.0
        place = np.nonzero(known)
        matrix[place[0], place[1], place[1]] = 1.0
        given[place[0], place[1], cells + place[1]] = 1.0
        on_sides = np.linalg.solve(matrix, given)
        # Flux out of each cell: stiffness times its value less the values on its sides.
        fluxes = -np.einsum("gcij,gcjh->gcih", stiffness, on_sides[group, local])
        own = np.eye(cells + sides)[:cells]
        fluxes += stiffness.sum(axis=3)[..., None] * own[None, :, None, :]
        parts = number[group, local]
        kept = (self.face[parts] >= 0) & (self.source[parts] == cell[..., None])
        holder = np.concatenate([cell, self.reservoir[number]], axis=1)
        at, _, _ = np.nonzero(kept)
        face, value = self.face[parts[kept]], fluxes[kept]
        entries = (holder[at] >= 0) & (value != 0)
        faces, around = (np.broadcast_to(each[:, None], entries.shape)[entries] for each in (face, points[at]))
        return np.stack([faces, holder[at][entries], around, value[entries]])


def _stiffness(at: Field, conductivity: Field) -> Field:
    """``k V (d + 1) grad_i . grad_j`` of the barycentric coordinates of each cell, [cells, corners, corners]."""
    edges = at[:, 1:] - at[:, :1]
    adjugate, determinant = adjugates(edges)
    gradients = adjugate / determinant[:, None, None]
    gradients = np.concatenate([-gradients.sum(axis=1, keepdims=True), gradients], axis=1)
    dims = at.shape[2]
    scale = conductivity * abs(determinant) / math.factorial(dims) * (dims + 1)
    return np.asarray(np.einsum("c,cix,cjx->cij", scale, gradients, gradients), np.float64)


def _without_noise(fluxes: Rows) -> Rows:
    """Leave out coefficients that are 0 but for rounding; each row then sums to 0 up to rounding as before."""
    largest = np.zeros(fluxes.shape[0])
    np.maximum.at(largest, fluxes.row_of, abs(fluxes.values))
    kept = abs(fluxes.values) > _NEGLIGIBLE * largest[fluxes.row_of]
    return from_triplets(fluxes.row_of[kept], fluxes.columns[kept], fluxes.values[kept], fluxes.shape)

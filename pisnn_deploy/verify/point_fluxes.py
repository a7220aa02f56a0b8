"""Multi-point fluxes as the checker computes them, with code of its own: a system of equations around each point.

A part of a cell at one of its corners has one gradient. It follows from the value of the cell at its centroid and from
one value on each side at that corner, at the point ``(2 x_corner + other points of the side) / (d + 1)``. What leaves
one cell through a part of a side enters the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.rows import Rows, from_triplets
from pisnn_deploy.mesh import CellMesh

Field = NDArray[np.float64]
Integers = NDArray[np.int64]
_ENTRIES_AT_ONCE = 1 << 21
"""Most entries of the matrices of points that are solved together."""


@dataclass(frozen=True)
class PartFluxes:
    """Fluxes through the parts of faces at points; a face's flux is the sum over its points.

    Attributes
    ----------
    point, face, holder : int64 array [entries]
        Which value counts in which part.
    value : float64 array [entries]
        Coefficient.
    """

    point: Integers
    face: Integers
    holder: Integers
    value: Field


def coefficients(mesh: CellMesh, conductivity: Field) -> Rows:
    """Multi-point flux through each face, float64 [faces, holders]."""
    parts = part_fluxes(mesh, conductivity)
    total = from_triplets(parts.face, parts.holder, parts.value, (mesh.faces, mesh.holders))
    largest = np.zeros(mesh.faces)
    np.maximum.at(largest, total.row_of, np.abs(total.values))
    kept = np.abs(total.values) > 1e-14 * largest[total.row_of]
    return from_triplets(total.row_of[kept], total.columns[kept], total.values[kept], total.shape)


def part_fluxes(mesh: CellMesh, conductivity: Field) -> PartFluxes:
    """Flux through the part of each face at each of its points."""
    parts = _measured(mesh, conductivity)
    around = mesh.corners.reshape(-1)
    sides, local = np.unique(around[:, None] * parts.face.size + parts.side, return_inverse=True)
    of_point = sides // parts.face.size
    start = np.searchsorted(of_point, np.arange(len(mesh.points) + 1))
    local = local.reshape(parts.side.shape) - start[around][:, None]
    members = np.argsort(around, kind="stable")
    begin = np.concatenate([[0], np.cumsum(np.bincount(around, minlength=len(mesh.points)))])
    found = [np.zeros((4, 0))]
    sizes = np.stack([np.diff(begin), np.diff(start)], axis=1)
    for count, number in np.unique(sizes[sizes[:, 0] > 0], axis=0).tolist():
        every = np.flatnonzero((sizes == (count, number)).all(axis=1))
        for points in np.array_split(every, -(-every.size * number * (number + count) // _ENTRIES_AT_ONCE)):
            here = members[begin[points][:, None] + np.arange(count)]
            face = parts.face[sides[start[points][:, None] + np.arange(number)] % parts.face.size]
            found.append(_around(mesh, here, local[here], parts.out[here], face, points))
    point, face, holder, value = np.concatenate(found, axis=1)
    return PartFluxes(point.astype(np.int64), face.astype(np.int64), holder.astype(np.int64), value)


@dataclass(frozen=True)
class _Parts:
    """Parts of cells at their corners, numbered cell by cell.

    Attributes
    ----------
    side : int64 array [parts, dims]
        Number of each side of the cell at that corner.
    out : float64 array [parts, dims, dims]
        Flux out of the part through each of its sides, per difference of the cell and each value on a side.
    face : int64 array [sides]
        Face of the mesh, -1 where nothing flows.
    """

    side: Integers
    out: Field
    face: Integers


def _measured(mesh: CellMesh, conductivity: Field) -> _Parts:
    size, dims = mesh.corners.shape[1], mesh.dimensions
    number: dict[tuple[int, ...], int] = {}
    opposite = [[k for k in range(size) if k != i] for i in range(size)]
    corners = np.sort(mesh.corners[:, opposite], axis=2).reshape(-1, dims)
    _, first, side = np.unique(corners, axis=0, return_index=True, return_inverse=True)
    side = side.reshape(mesh.cells, size)
    for place, corner in enumerate(corners[first].tolist()):
        number[tuple(corner)] = place
    face = np.full(first.size, -1, np.int64)
    for own, corner in enumerate(np.sort(mesh.face_corners, axis=1).tolist()):
        face[number[tuple(corner)]] = own
    at = mesh.points[mesh.corners]
    centre = at.mean(axis=1)
    area = np.empty((mesh.cells, size, dims))
    for i in range(size):
        first_corner, *others = (at[:, k] for k in opposite[i])
        edges = [other - first_corner for other in others]
        normal = np.stack([edges[0][:, 1], -edges[0][:, 0]], axis=1) if dims == 2 else np.cross(edges[0], edges[1]) / 2
        outward = np.sign((normal * (first_corner - centre)).sum(axis=1))
        area[:, i] = normal * outward[:, None] / dims
    sides, out = [], []
    for s in range(size):
        others_of = [i for i in range(size) if i != s]
        # The corner counts twice in the point on each side.
        whole = at.sum(axis=1) + at[:, s]
        points = np.stack([(whole - at[:, i]) / (dims + 1) for i in others_of], axis=1)
        # The gradient g solves (point - centre) . g = value - value of the cell.
        inverse = np.linalg.inv(points - centre[:, None])
        out.append(np.einsum("cik,ckj->cij", area[:, others_of], inverse) * conductivity[:, None, None])
        sides.append(side[:, others_of])
    return _Parts(np.stack(sides, axis=1).reshape(-1, dims), np.stack(out, axis=1).reshape(-1, dims, dims), face)


def _around(mesh: CellMesh, members: Integers, local: Integers, out: Field, faces: Integers, points: Integers) -> Field:
    """Fluxes around some points with equal numbers of cells and sides.

    Parameters
    ----------
    members : int64 array [points, cells]
        Parts at each point.
    local : int64 array [points, cells, dims]
        Their sides, numbered at each point.
    out : float64 array [points, cells, dims, dims]
        As in `_Parts`.
    faces : int64 array [points, sides]
        Face of each side, or -1.
    points : int64 array [points]
        Numbers of the points.

    Returns
    -------
    float64 array [4, entries]
        Points, faces, holders and coefficients.
    """
    cells = members // mesh.corners.shape[1]
    (count, size), number = cells.shape, faces.shape[1]
    ends = np.where(faces >= 0, mesh.target[faces], -1)
    known = ends >= mesh.cells
    holders = np.concatenate([cells, np.where(known, ends, -1)], axis=1)
    place = np.arange(count)[:, None, None]
    matrix, given = np.zeros((count, number, number)), np.zeros((count, number, size + number))
    np.add.at(matrix, (place[..., None], local[..., :, None], local[..., None, :]), out)
    np.add.at(given, (place, local, np.arange(size)[None, :, None]), out.sum(axis=3))
    matrix[known], given[known] = 0.0, 0.0
    at, side = np.nonzero(known)
    matrix[at, side, side] = 1.0
    given[at, side, size + side] = 1.0
    values = np.linalg.solve(matrix, given)
    # Out of the cell: what the gradient takes, with the sign of a flux.
    through = -np.matmul(out, values[place, local])
    own = np.arange(size)
    through[:, own, :, own] += out.sum(axis=3).transpose(1, 0, 2)
    face = faces[place, local]
    used = (face >= 0) & (mesh.source[face] == cells[..., None])
    row = np.nonzero(used)[0]
    kept = holders[row] >= 0
    named = [np.broadcast_to(each[:, None], kept.shape)[kept] for each in (points[row], face[used])]
    return np.stack([*named, holders[row][kept], through[used][kept]])

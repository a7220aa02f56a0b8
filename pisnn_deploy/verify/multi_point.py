"""Check of multi-point fluxes, with code of its own: one system of equations around each point of the mesh.

A part of a cell at one of its corners has one gradient. It follows from the value of the cell at its centroid and from
one value on each side at that corner, at the point ``(2 x_corner + other points of the side) / (d + 1)``. What leaves
one cell through a part of a side enters the other.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.rows import Rows, from_triplets
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.mesh import CellMesh
from pisnn_deploy.verify.medium import face_bias, shown_levels

Field = NDArray[np.float64]
Integers = NDArray[np.int64]
OF_SCALE = 1e-5
"""Relative tolerance: the scale is a quotient of sums of rounded and of exact weights."""


def multi_point(graph: IntegerGraph, weights: Rows) -> tuple[float, dict[str, float]] | str:
    """Scale from fluxes to integer weights and figures of the claim, or an error.

    Parameters
    ----------
    weights : Rows, int64 [faces, cells]
        Integer weights of levels at each face.
    """
    mesh, materials, shown = graph.mesh, graph.materials, shown_levels(graph)
    assert materials is not None
    if not isinstance(mesh, CellMesh) or shown is None:
        return "a face of a grid sees more than the two cells beside it"
    exact = coefficients(mesh, materials.conductivity)
    inside, held = exact.between(0, mesh.cells), exact.between(mesh.cells, mesh.holders)
    scale = int(np.abs(weights.values).sum()) / math.fsum(np.abs(inside.values))
    wanted = inside.valued(lambda values: scale * values)
    largest, entries = np.zeros(mesh.faces), inside.lengths + held.lengths
    np.maximum.at(largest, wanted.row_of, np.abs(wanted.values))
    off = weights.valued(lambda values: values.astype(np.float64)) - wanted
    # Each is rounded to the nearest, and one entry of a face takes what the others were rounded by.
    room = 1 + entries / 2 + OF_SCALE * largest
    far = np.flatnonzero(np.abs(off.values) > room[off.row_of])
    if far.size:
        return f"a weight of face {int(off.row_of[far[0]])} is {abs(off.values[far[0]]):.3g} off the multi-point flux"
    wrong = _reservoirs(graph, weights, held, shown, scale * held.values, room)
    if wrong:
        return wrong
    return scale, {
        "coefficient_error": float((np.abs(off.values) / largest[off.row_of]).max(initial=0.0)),
        "most_values": int(entries.max()),
    }


def _reservoirs(graph: IntegerGraph, weights: Rows, held: Rows, shown: Integers, wanted: Field, room: Field) -> str:
    """Error in what reservoirs add to a face, or an empty string.

    Where all reservoirs of a face show one value, it is exact: the weights of the face sum to 0. Else it is known up to
    the rounding of each weight.
    """
    bias, sums = face_bias(graph), weights.sums()
    low, high = np.full(graph.mesh.faces, np.iinfo(np.int64).max), np.full(graph.mesh.faces, np.iinfo(np.int64).min)
    np.minimum.at(low, held.row_of, shown[held.columns])
    np.maximum.at(high, held.row_of, shown[held.columns])
    alone, alike = held.lengths == 0, low == high
    wrong = np.flatnonzero((alone & ((sums != 0) | (bias != 0))) | (alike & (bias != -sums * np.where(alike, low, 0))))
    if wrong.size:
        return f"the weights of face {int(wrong[0])} and of its reservoirs do not sum to 0, so a constant field moves"
    exact = np.zeros(graph.mesh.faces)
    np.add.at(exact, held.row_of, wanted * shown[held.columns])
    reach = np.zeros(graph.mesh.faces)
    np.add.at(reach, held.row_of, room[held.row_of] * np.abs(shown[held.columns]))
    far = np.flatnonzero(~alone & ~alike & (np.abs(bias - exact) > reach))
    return f"the bias of face {int(far[0])} is not what its reservoirs give" if far.size else ""


def coefficients(mesh: CellMesh, conductivity: Field) -> Rows:
    """Multi-point flux through each face, float64 [faces, holders]."""
    parts = _measured(mesh, conductivity)
    rows, columns, values = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0)]
    around: dict[int, list[int]] = defaultdict(list)
    for part, point in enumerate(mesh.corners.reshape(-1).tolist()):
        around[point].append(part)
    for members in around.values():
        face, holder, value = _around(parts, np.array(members), mesh)
        rows.append(face)
        columns.append(holder)
        values.append(value)
    total = from_triplets(
        np.concatenate(rows), np.concatenate(columns), np.concatenate(values), (mesh.faces, mesh.holders)
    )
    largest = np.zeros(mesh.faces)
    np.maximum.at(largest, total.row_of, np.abs(total.values))
    kept = np.abs(total.values) > 1e-14 * largest[total.row_of]
    return from_triplets(total.row_of[kept], total.columns[kept], total.values[kept], total.shape)


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


def _around(parts: _Parts, members: Integers, mesh: CellMesh) -> tuple[Integers, Integers, Field]:
    """Fluxes around one point: faces, holders and coefficients."""
    cells = members // mesh.corners.shape[1]
    sides, local = np.unique(parts.side[members], return_inverse=True)
    local = local.reshape(members.size, -1)
    faces = parts.face[sides]
    targets = np.where(faces >= 0, mesh.target[faces], -1)
    known = np.flatnonzero(targets >= mesh.cells)
    holders = np.concatenate([cells, targets[known]])
    matrix, given = np.zeros((sides.size, sides.size)), np.zeros((sides.size, holders.size))
    for place, (own, out) in enumerate(zip(local, parts.out[members], strict=True)):
        matrix[np.ix_(own, own)] += out
        given[own, place] += out.sum(axis=1)
    matrix[known], given[known] = 0.0, 0.0
    matrix[known, known] = 1.0
    given[known, cells.size + np.arange(known.size)] = 1.0
    values = np.linalg.solve(matrix, given)
    rows, entries = [], []
    for place, (own, out) in enumerate(zip(local, parts.out[members], strict=True)):
        # Out of the cell: what the gradient takes, with the sign of a flux.
        through = out @ (-values[own])
        through[:, place] += out.sum(axis=1)
        kept = (faces[own] >= 0) & (mesh.source[faces[own]] == cells[place])
        rows.append(faces[own][kept])
        entries.append(through[kept])
    face = np.concatenate(rows)
    return np.repeat(face, holders.size), np.tile(holders, face.size), np.concatenate(entries).reshape(-1)

"""Check of the integer weights of multi-point fluxes against `pisnn_deploy.verify.point_fluxes`."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.rows import Rows
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.mesh import CellMesh
from pisnn_deploy.verify.medium import face_bias, shown_levels
from pisnn_deploy.verify.point_fluxes import coefficients

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

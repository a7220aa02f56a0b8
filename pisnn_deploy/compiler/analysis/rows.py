"""Bounds of weighted sums of masses, row by row.

Ghost cells of walls are folded into the weights, so that a value that a window shows twice counts once. Rows repeat
over the mesh; only distinct ones are examined.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.rows import Rows
from pisnn_deploy.graph import IntegerLayer, OperatingWindow
from pisnn_deploy.graph.layout import window_bias, window_matrix
from pisnn_deploy.mesh import DIRICHLET, PERIODIC, Mesh, distinct_faces, reservoir_layers, window_cells
from pisnn_deploy.physics.model import ModelSpec

Integers = NDArray[np.int64]
Ends = tuple[Integers, Integers]
"""Lower and upper ends of intervals, int64 [rows] each."""


@dataclass(frozen=True)
class LinearRows:
    """Coefficients that bound weighted sums of masses, row by row.

    A row is ``constant + sum(w m)``. Where the weights of each line of cells sum to zero, the value of a reservoir on
    that line counted in, it is also ``excess + sum(C_i (m_i - m_{i+1}))`` with the partial sums ``C_i`` of its weights
    (summation by parts): differences of neighbours bound it.

    Attributes
    ----------
    constant : int64 array [rows]
        Part that does not depend on masses.
    positive, negative : int64 array [rows]
        Sums of the positive and of the negative weights of cells.
    excess : int64 array [rows]
        What is left of a row when all masses on each line equal the reservoir's value there.
    variation : int64 array [rows]
        ``sum(|C_i|)`` times twice the distance in cells; -1 where differences give no bound.
    """

    constant: Integers
    positive: Integers
    negative: Integers
    excess: Integers
    variation: Integers

    def intervals(self, window: OperatingWindow) -> Ends:
        """Lower and upper ends of the intervals of all rows, int64 [rows] each."""
        low = self.constant + self.positive * window.lower + self.negative * window.upper
        high = self.constant + self.positive * window.upper + self.negative * window.lower
        if window.difference is not None:
            reach = self.variation * window.difference // 2
            known = self.variation >= 0
            low = np.where(known, np.maximum(low, self.excess - reach), low)
            high = np.where(known, np.minimum(high, self.excess + reach), high)
        return low, high


def face_rows(mesh: Mesh, spec: ModelSpec, layer: IntegerLayer, reservoirs: Integers) -> LinearRows:
    """The first layer at all faces whose windows differ.

    Parameters
    ----------
    reservoirs : int64 array [reservoirs]
        Values in quanta.

    Returns
    -------
    LinearRows
        Row ``f * outputs + o`` is output ``o`` at the ``f``-th of these faces.
    """
    faces = distinct_faces(mesh, spec.half_width, spec.transverse)
    window = window_cells(mesh, spec.half_width, spec.transverse, reservoirs, spec.wall, faces)
    weight = spec.by_axis(layer.weight)
    matrix = window_matrix(weight, window, mesh.holders)
    below = np.where(mesh.source[faces] < mesh.cells, mesh.source[faces], mesh.target[faces])
    outputs = weight.shape[-2]
    constant = window_bias(weight, layer.bias, window)
    return _linear_rows(
        mesh, matrix, constant, np.repeat(mesh.axis[faces], outputs), np.repeat(below, outputs), reservoirs
    )


def _linear_rows(
    mesh: Mesh, matrix: Rows, constant: Integers, axis: Integers, origin: Integers, reservoirs: Integers
) -> LinearRows:
    """Bound rows, each of which sees lines of cells along its own axis, around the cell `origin`."""
    rows = matrix.shape[0]
    row, cell, weight = matrix.row_of, matrix.columns, matrix.values
    positive, negative = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
    np.add.at(positive, row, np.maximum(weight, 0))
    np.add.at(negative, row, np.minimum(weight, 0))
    shape = np.array(mesh.shape)
    stride = np.array([int(shape[a + 1 :].prod()) for a in range(shape.size)])
    own = axis[row]
    along = cell // stride[own] % shape[own]
    line = cell - along * stride[own]
    periodic = np.array([sides == (PERIODIC, PERIODIC) for sides in mesh.boundary])
    half = shape[own] // 2
    around = (along - origin[row] // stride[own] % shape[own] + half) % shape[own] - half
    place = 2 * np.where(periodic[own], around, along) + 1
    # Lines of a row, and the weights of the reservoirs at their ends, which make the sum zero.
    key, line_of = np.unique(row * mesh.cells + line, return_inverse=True)
    sums = np.zeros(key.size, np.int64)
    np.add.at(sums, line_of, weight)
    excess, known = constant.copy(), np.ones(rows, np.bool_)
    open_lines = np.flatnonzero(sums)
    at_row, at_line = key[open_lines] // mesh.cells, key[open_lines] % mesh.cells
    ends = [np.array([sides[which] == DIRICHLET for sides in mesh.boundary])[axis[at_row]] for which in (0, 1)]
    near_upper = 2 * (origin[at_row] // stride[axis[at_row]] % shape[axis[at_row]]) >= shape[axis[at_row]]
    upper = ends[1] & (near_upper | ~ends[0])
    known[at_row[~(ends[0] | ends[1])]] = False
    if open_lines.size and reservoirs.size:
        shown = _reservoir_values(mesh, axis[at_row], at_line, upper, reservoirs)
        np.add.at(excess, at_row, np.where(ends[0] | ends[1], sums[open_lines] * shown, 0))
    row = np.concatenate([row, at_row])
    place = np.concatenate([place, np.where(upper, 2 * shape[axis[at_row]], 0)])
    line_of = np.concatenate([line_of, open_lines])
    weight = np.concatenate([weight, -sums[open_lines]])
    kept = known[row]
    order = np.lexsort((place[kept], line_of[kept]))
    row, place, line_of, weight = (array[kept][order] for array in (row, place, line_of, weight))
    partial = np.abs(np.cumsum(weight))[:-1] * np.diff(place)
    partial = np.where(np.diff(line_of) == 0, partial, 0)
    variation = np.zeros(rows, np.int64)
    np.add.at(variation, row[:-1], partial)
    return LinearRows(constant, positive, negative, excess, np.where(known, variation, -1))


def _reservoir_values(
    mesh: Mesh, axis: Integers, line: Integers, upper: NDArray[np.bool_], reservoirs: Integers
) -> Integers:
    """Values of the reservoirs at the ends of lines, each named by its cell of coordinate 0; 0 without one."""
    layers = reservoir_layers(mesh)
    coordinates = np.unravel_index(line, mesh.shape)
    reservoir_values = np.zeros(line.size, np.int64)
    for a in range(len(mesh.shape)):
        others = tuple(c for b, c in enumerate(coordinates) if b != a)
        for which in (0, 1):
            here = np.flatnonzero((axis == a) & (upper == bool(which)))
            layer = layers[a][which]
            if here.size and layer.size:
                reservoir_values[here] = reservoirs[layer[tuple(c[here] for c in others)] if others else layer]
    return reservoir_values


def holder_rows(weights: Rows, window: OperatingWindow, volumes: Integers) -> Ends:
    """Bounds of weighted sums of masses by the operating window alone.

    Parameters
    ----------
    weights : Rows, int64 [rows, holders]
        Weights; those of reservoirs are zero.
    volumes : int64 array [cells]
        Inverse volumes; masses times these are in the window.

    Returns
    -------
    lower, upper : int64 array [rows]
        Bounds of each row.
    """
    volume = volumes[weights.columns]
    ends = np.sort([weights.values * window.lower, weights.values * window.upper], axis=0)
    sums = np.cumsum(np.stack([ends[0] // volume, -(-ends[1] // volume)]), axis=1)
    lower, upper = np.diff(np.pad(sums, ((0, 0), (1, 0)))[:, weights.starts], axis=1)
    return lower, upper

"""Interval analysis of the integer flux network over the operating window.

The first layer is bounded row by row, with the ghost cells of walls folded into the weights, so that a value that a
window shows twice counts once. Rows repeat over the mesh; only those that differ are looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pisnn_deploy.core.arithmetic import MEMORYLESS
from pisnn_deploy.graph import IntegerGraph, IntegerLayer, Medium, OperatingWindow, Stock
from pisnn_deploy.graph.integer import FLUX
from pisnn_deploy.graph.layout import route_matrix, window_bias, window_matrix
from pisnn_deploy.mesh import (
    DIRICHLET,
    PERIODIC,
    Mesh,
    distinct_faces,
    reservoir_layers,
    structured_mesh,
    window_cells,
)
from pisnn_deploy.physics.model import ModelSpec

Integers = NDArray[np.int64]
Interval = tuple[int, int]


@dataclass(frozen=True)
class LinearRows:
    """What bounds weighted sums of masses, row by row.

    A row is ``constant + sum(w m)``. Where the weights of each line of cells sum to zero, the value of a reservoir on
    that line counted in, it is also ``excess + sum(C_i (m_i - m_{i+1}))`` with the partial sums ``C_i`` of its weights
    (summation by parts): differences of neighbours bound it.

    Attributes
    ----------
    constant : int64 array [rows]
    positive, negative : int64 array [rows]
        Sums of the positive and of the negative weights of cells.
    excess : int64 array [rows]
        What is left of a row when all masses on each line equal the reservoir's value there.
    variation : int64 array [rows]
        ``sum(|C_i|)`` times twice the distance in cells; -1 where differences bound nothing.
    """

    constant: Integers
    positive: Integers
    negative: Integers
    excess: Integers
    variation: Integers

    def intervals(self, window: OperatingWindow) -> tuple[Integers, Integers]:
        """Lower and upper ends of the intervals of all rows, int64 [rows] each."""
        low = self.constant + self.positive * window.lower + self.negative * window.upper
        high = self.constant + self.positive * window.upper + self.negative * window.lower
        if window.difference is not None:
            reach = self.variation * window.difference // 2
            known = self.variation >= 0
            low = np.where(known, np.maximum(low, self.excess - reach), low)
            high = np.where(known, np.minimum(high, self.excess + reach), high)
        return low, high


@dataclass(frozen=True)
class NetworkIntervals:
    """Intervals of a flux network and of its flux compartment.

    Attributes
    ----------
    drives : tuple of interval
        Of each layer, bias included; the last is the drive of the flux compartment.
    activations : tuple of interval
        Of each hidden layer.
    current, potential, residue, packet : interval
        Of the flux compartment; the potential is the residue with the current added, before firing.
    """

    drives: tuple[Interval, ...]
    activations: tuple[Interval, ...]
    current: Interval
    potential: Interval
    residue: Interval
    packet: Interval


def face_rows(mesh: Mesh, spec: ModelSpec, layer: IntegerLayer, reservoirs: Integers) -> LinearRows:
    """The first layer at all faces whose windows differ.

    Parameters
    ----------
    mesh : Mesh
    spec : ModelSpec
    layer : IntegerLayer
    reservoirs : int64 array [reservoirs]
        Values in quanta.

    Returns
    -------
    LinearRows
        Row ``f * outputs + o`` is output ``o`` at the ``f``-th of these faces.
    """
    faces = distinct_faces(mesh, spec.half_width, spec.transverse)
    window = window_cells(mesh, spec.half_width, spec.transverse, reservoirs, spec.wall, faces)
    matrix = window_matrix(layer.weight, window, mesh.holders)
    below = np.where(mesh.source[faces] < mesh.cells, mesh.source[faces], mesh.target[faces])
    outputs = layer.weight.shape[0]
    constant = window_bias(layer.weight, layer.bias, window)
    return _linear_rows(
        mesh, matrix, constant, np.repeat(mesh.axis[faces], outputs), np.repeat(below, outputs), reservoirs
    )


def reservoirs_extend(mesh: Mesh, reservoirs: Integers) -> bool:
    """Whether lines of cells go on beyond reservoirs as lines that the mesh has.

    Parameters
    ----------
    mesh : Mesh
    reservoirs : int64 array [reservoirs]

    Returns
    -------
    bool
        True where reservoirs stand along one axis only and are alike along each side, or are all alike.
    """
    if reservoirs.size == 0 or int(reservoirs.min()) == int(reservoirs.max()):
        return True
    sides = [(axis, layer) for axis, pair in enumerate(reservoir_layers(mesh)) for layer in pair if layer.size]
    alike = all(int(reservoirs[layer].min()) == int(reservoirs[layer].max()) for _, layer in sides)
    return alike and len({axis for axis, _ in sides}) == 1


def largest_change(mesh: Mesh, spec: ModelSpec, weight: Integers, window: OperatingWindow) -> int:
    """What one PDE step of a linear memoryless network adds to a cell at most, in flux units and before rounding.

    The change ``D W m`` is a sum over the lines of cells that run through the windows along each axis. Each line sums
    to zero, reservoirs counted in, so ranges and differences bound it; a line of a few cells has the rows of all
    longer ones. Holds where `reservoirs_extend`.

    Parameters
    ----------
    mesh : Mesh
    spec : ModelSpec
    weight : int64 array [positions]
        Sums to zero.
    window : OperatingWindow

    Returns
    -------
    int
    """
    positive, variation = 0, 0
    for count, sides in zip(mesh.shape, mesh.boundary, strict=True):
        line = structured_mesh((min(count, 4 * spec.half_width + 2),), (1.0,), (sides,))
        updates = [_line_update(line, spec, along) for along in weight.reshape(2 * spec.half_width, -1).T]
        positive += int(np.sum([np.maximum(update, 0).sum(axis=1) for update in updates], axis=0).max())
        variation += int(np.sum([_variation(line, update) for update in updates], axis=0).max())
    reach = positive * (window.upper - window.lower)
    return reach if window.difference is None else min(reach, variation * window.difference // 2)


def _line_update(line: Mesh, spec: ModelSpec, weight: Integers) -> Integers:
    """``D W`` on a line, int64 [cells, holders], the weights of reservoirs included."""
    held = np.eye(line.reservoirs, dtype=np.int64)
    drive = np.zeros((line.faces, line.holders), np.int64)
    nothing = np.zeros(line.reservoirs, np.int64)
    seen = window_cells(line, spec.half_width, 0, nothing, spec.wall)
    drive[:, : line.cells] = window_matrix(weight[None, :], seen, line.holders).toarray()[:, : line.cells]
    for number, values in enumerate(held):
        seen = window_cells(line, spec.half_width, 0, values, spec.wall)
        drive[:, line.cells + number] = window_bias(weight[None, :], np.zeros(1, np.int64), seen)
    return np.asarray((route_matrix(line) @ drive)[: line.cells], np.int64)


def _variation(line: Mesh, update: Integers) -> Integers:
    """Twice the sum of the absolute partial sums of each row, times the distances in cells, int64 [cells]."""
    cells = update[:, : line.cells]
    if line.boundary[0] == (PERIODIC, PERIODIC):
        # Around the row's own cell, so that the partial sums follow the shorter way.
        turned = (np.arange(line.cells)[:, None] + np.arange(line.cells) - line.cells // 2) % line.cells
        partial = np.cumsum(np.take_along_axis(cells, turned, axis=1), axis=1)
        return np.asarray(2 * np.abs(partial).sum(axis=1), np.int64)
    lower, upper = (side == DIRICHLET for side in line.boundary[0])
    ends = [np.zeros(line.cells, np.int64) + update[:, line.cells] if lower else np.zeros(line.cells, np.int64)]
    ends.append(update[:, -1] if upper else np.zeros(line.cells, np.int64))
    partial = np.abs(np.cumsum(np.column_stack([ends[0], cells, ends[1]]), axis=1))
    return np.asarray(partial[:, 0] + 2 * partial[:, 1:-2].sum(axis=1) + partial[:, -2], np.int64)


def _linear_rows(
    mesh: Mesh, matrix: sparse.csr_matrix, constant: Integers, axis: Integers, origin: Integers, reservoirs: Integers
) -> LinearRows:
    """Bound rows, each of which sees lines of cells along its own axis, around the cell `origin`."""
    rows = matrix.shape[0]
    row = np.repeat(np.arange(rows), np.diff(matrix.indptr))
    cell, weight = matrix.indices.astype(np.int64), matrix.data.astype(np.int64)
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
    # Lines of a row, and what their weights lack of zero: the weight of the reservoir that the line ends at.
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
        held = _held(mesh, axis[at_row], at_line, upper, reservoirs)
        np.add.at(excess, at_row, np.where(ends[0] | ends[1], sums[open_lines] * held, 0))
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


def _held(mesh: Mesh, axis: Integers, line: Integers, upper: NDArray[np.bool_], reservoirs: Integers) -> Integers:
    """Values of the reservoirs at the ends of lines, each named by its cell of coordinate 0; 0 without one."""
    layers = reservoir_layers(mesh)
    coordinates = np.unravel_index(line, mesh.shape)
    held = np.zeros(line.size, np.int64)
    for a in range(len(mesh.shape)):
        others = tuple(c for b, c in enumerate(coordinates) if b != a)
        for which in (0, 1):
            here = np.flatnonzero((axis == a) & (upper == bool(which)))
            layer = layers[a][which]
            if here.size and layer.size:
                held[here] = reservoirs[layer[tuple(c[here] for c in others)] if others else layer]
    return held


def network_intervals(
    rows: LinearRows,
    operator: Sequence[IntegerLayer],
    window: OperatingWindow,
    threshold_exponent: int,
    leak: int,
    stock: Stock | None = None,
) -> NetworkIntervals:
    """Intervals that hold while the masses stay in the operating window.

    Parameters
    ----------
    rows : LinearRows
        Of the first layer, see `face_rows`.
    operator : sequence of IntegerLayer
    window : OperatingWindow
    threshold_exponent, leak : int
        Of the flux compartment.
    stock : Stock, optional
        For Lava's own processes; the drive is then what the `Sparse` gives, after its shift.

    Returns
    -------
    NetworkIntervals
        In Python integers.
    """
    low, high = rows.intervals(window)
    drives, activations = [(int(low.min()), int(high.max()))], []
    for number, layer in enumerate(operator[1:]):
        shift, inputs = operator[number].shift, operator[number].weight.shape[0]
        low, high = (np.maximum(end, 0).reshape(-1, inputs) >> shift for end in (low, high))
        activations.append((int(low.min()), int(high.max())))
        up, down = np.maximum(layer.weight, 0).T, np.minimum(layer.weight, 0).T
        low, high = layer.bias + low @ up + high @ down, layer.bias + high @ up + low @ down
        drives.append((int(low.min()), int(high.max())))
    if stock is not None:
        return _stock_intervals(drives[-1], window, threshold_exponent, stock)
    return flux_intervals(drives, activations, window, threshold_exponent, leak)


def _stock_intervals(total: Interval, window: OperatingWindow, shift: int, stock: Stock) -> NetworkIntervals:
    """Intervals of faces that send whole residues, from that of the weighted masses before the shift."""
    half = (1 << shift) // 2
    drive = ((total[0] + half) >> shift, (total[1] + half) >> shift)
    if window.current is not None:
        drive = (max(drive[0], -window.current), min(drive[1], window.current))
    kept = stock.send_threshold - 1
    potential = (drive[0] - kept, drive[1] + kept)
    packet = (min(potential[0], 0), max(potential[1], 0))
    return NetworkIntervals((drive,), (), drive, potential, (-kept, kept), packet)


def medium_intervals(graph: IntegerGraph, medium: Medium) -> NetworkIntervals:
    """Intervals with a medium: of levels where cells differ, and of the differences of two values at each face.

    Parameters
    ----------
    graph : IntegerGraph
    medium : Medium

    Returns
    -------
    NetworkIntervals
    """
    window = graph.window
    weights = graph.matrix(graph.chain[-2], FLUX)
    positive = np.asarray(weights.maximum(0).sum(axis=1)).reshape(-1).astype(np.int64)
    negative = np.asarray(weights.minimum(0).sum(axis=1)).reshape(-1).astype(np.int64)

    def drives(level: Interval) -> Interval:
        low = graph.flux.bias + positive * level[0] + negative * level[1]
        high = graph.flux.bias + positive * level[1] + negative * level[0]
        return int(low.min()), int(high.max())

    if not graph.hidden:
        found = [drives((window.lower, window.upper))]
        return flux_intervals(found, [], window, graph.flux.threshold_exponent, graph.flux.leak)
    population = graph.hidden[0]
    least, most = int(population.bias.min()), int(population.bias.max())
    # A mass is an integer, so its level need not reach the ends of the window; inside them it may be anywhere.
    drive = (window.lower + least, window.upper + most)
    level = (max(drive[0], 0) >> population.shift, max(drive[1], 0) >> population.shift)
    return flux_intervals([drive, drives(level)], [level], window, graph.flux.threshold_exponent, graph.flux.leak)


def flux_intervals(
    drives: Sequence[Interval],
    activations: Sequence[Interval],
    window: OperatingWindow,
    threshold_exponent: int,
    leak: int,
) -> NetworkIntervals:
    """Intervals of the flux compartments from those of their drives.

    Parameters
    ----------
    drives, activations : sequence of interval
        Of each layer; the last drive is that of the flux compartments.
    window : OperatingWindow
    threshold_exponent, leak : int

    Returns
    -------
    NetworkIntervals
    """
    low, high = drives[-1]
    # The leak keeps at most (4096 - leak) / 4096 of the current: a geometric series.
    current = (-(max(-low, 0) * MEMORYLESS // leak), max(high, 0) * MEMORYLESS // leak)
    if window.current is not None:
        limit = window.current
        kept = limit * (MEMORYLESS - leak) // MEMORYLESS
        current = (max(current[0], -limit), min(current[1], limit))
        low, high = max(low, -limit - kept), min(high, limit + kept)
    half = (1 << threshold_exponent) // 2
    potential = (current[0] - half, current[1] + half)
    packet = (-((half - 1 - potential[0]) >> threshold_exponent), (potential[1] + half - 1) >> threshold_exponent)
    return NetworkIntervals((*drives[:-1], (low, high)), tuple(activations), current, potential, (-half, half), packet)

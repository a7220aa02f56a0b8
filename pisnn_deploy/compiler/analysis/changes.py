"""Bounds on what a PDE step adds to a cell, line by line from ``D W``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.graph import OperatingWindow
from pisnn_deploy.graph.layout import route_matrix, window_bias, window_matrix
from pisnn_deploy.mesh import DIRICHLET, PERIODIC, Mesh, reservoir_layers, structured_mesh, window_cells
from pisnn_deploy.physics.model import ModelSpec

Integers = NDArray[np.int64]


def reservoirs_extend(mesh: Mesh, reservoirs: Integers) -> bool:
    """Whether lines of cells, extended beyond reservoirs, are again lines of the mesh.

    Parameters
    ----------
    reservoirs : int64 array [reservoirs]
        Levels of the reservoirs.

    Returns
    -------
    bool
        True where reservoirs lie along one axis only and are equal along each side, or are all equal.
    """
    if reservoirs.size == 0 or int(reservoirs.min()) == int(reservoirs.max()):
        return True
    sides = [(axis, layer) for axis, pair in enumerate(reservoir_layers(mesh)) for layer in pair if layer.size]
    alike = all(int(reservoirs[layer].min()) == int(reservoirs[layer].max()) for _, layer in sides)
    return alike and len({axis for axis, _ in sides}) == 1


def largest_change(mesh: Mesh, spec: ModelSpec, weights: Sequence[Integers], window: OperatingWindow) -> int:
    """Most that one PDE step of a linear memoryless network adds to a cell, in flux units before rounding.

    The change ``D W m`` is a sum over the lines of cells that run through the windows along each axis. Each line sums
    to zero, reservoirs counted in, so ranges and differences bound it; a line of a few cells has the rows of all
    longer ones. Holds where `reservoirs_extend`.

    Parameters
    ----------
    weights : sequence of int64 array [positions]
        Kernel of each axis; sums to zero.
    """
    positive, variation = 0, 0
    for count, sides, weight in zip(mesh.shape, mesh.boundary, weights, strict=True):
        line = structured_mesh((min(count, 4 * spec.half_width + 2),), (1.0,), (sides,))
        updates = [_line_update(line, spec, along) for along in weight.reshape(2 * spec.half_width, -1).T]
        positive += int(np.sum([np.maximum(update, 0).sum(axis=1) for update in updates], axis=0).max())
        variation += int(np.sum([_variation(line, update) for update in updates], axis=0).max())
    reach = positive * (window.upper - window.lower)
    return reach if window.difference is None else min(reach, variation * window.difference // 2)


def _line_update(line: Mesh, spec: ModelSpec, weight: Integers) -> Integers:
    """``D W`` on a line, int64 [cells, holders], including the weights of reservoirs."""
    reservoir_weights = np.eye(line.reservoirs, dtype=np.int64)
    drive = np.zeros((line.faces, line.holders), np.int64)
    nothing = np.zeros(line.reservoirs, np.int64)
    seen = window_cells(line, spec.half_width, 0, nothing, spec.wall)
    drive[:, : line.cells] = window_matrix(weight[None, :], seen, line.holders).toarray()[:, : line.cells]
    for number, values in enumerate(reservoir_weights):
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

"""Cut a graph on a structured mesh into domains: rows of cells along the first axis, with halos.

A domain owns some rows and has copies of `halo` more rows on either side, followed by an artificial wall. Values near
that wall are wrong, but errors spread by at most `reach` rows per PDE step. With ``halo = reach * rounds`` the owned
rows are exact for `rounds` PDE steps, after which the halos (masses, currents and residues) are copied from the
neighbours again. Near the artificial wall the field may leave the operating range, so a domain's graph has a wider
range, and owned values are checked when halos are exchanged.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.core.rows import added
from pisnn_deploy.graph import IntegerGraph, Synapse
from pisnn_deploy.graph.connections import Blocks, Connections, Incidence
from pisnn_deploy.graph.integer import FLUX, MEMBRANE, Integers, OperatingWindow
from pisnn_deploy.graph.layout import layers_of, synapses, window_stencil
from pisnn_deploy.graph.limiter import ChannelEnds, Joined, limiter_synapses
from pisnn_deploy.graph.parts import Part, restricted
from pisnn_deploy.graph.residues import residue_synapses, sees_residues
from pisnn_deploy.graph.traits import LATE, MATERIALS, OFF_GRID, SEVERAL_FIELDS, refuse
from pisnn_deploy.mesh import NO_FLUX, PERIODIC, Mesh, face_grid, structured_mesh


@dataclass(frozen=True)
class Domain:
    """One part of a cut graph.

    Attributes
    ----------
    graph : IntegerGraph
        Graph of its rows, with walls at the ends of the halos.
    first : int
        Row of the whole mesh that is its row 0; negative if a halo wraps around a periodic axis.
    own : tuple of int
        Start and end of the owned rows, in local numbers.
    cells, reservoirs, faces : int64 array
        Number in the whole mesh of each local cell, reservoir (from 0) and face.
    owns_reservoir, owns_face : bool array
        Whether each local reservoir or face is owned.
    window : OperatingWindow
        Operating window of the whole graph, for owned values.
    """

    graph: IntegerGraph
    first: int
    own: tuple[int, int]
    cells: Integers
    reservoirs: Integers
    faces: Integers
    owns_reservoir: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
    owns_face: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
    window: OperatingWindow

    @property
    def owned_cells(self) -> slice:
        """Slice of the owned cells."""
        width = self.graph.mesh.cells // self.graph.mesh.shape[0]
        return slice(self.own[0] * width, self.own[1] * width)


def reach(graph: IntegerGraph) -> int:
    """Number of rows by which a PDE step spreads information."""
    # A limiter's answer depends on all faces of the cell on the other side of a face, as does the limb of a cell.
    further = bool(graph.order.answers) or sees_residues(graph)
    return max(graph.model_spec.half_width, graph.model_spec.transverse) + further


def require_divisible(graph: IntegerGraph) -> None:
    """Refuse graphs that cannot be cut into domains.

    Raises
    ------
    UsageError
        The graph has several fields, no grid, materials, or stock processes.
    """
    refuse(graph, "domains", (SEVERAL_FIELDS, OFF_GRID, MATERIALS, LATE), "run it undivided")


def cut(graph: IntegerGraph, parts: int, rounds: int) -> tuple[Domain, ...]:
    """Cut a graph into domains.

    Parameters
    ----------
    graph : IntegerGraph
        A graph on a structured mesh, without materials.
    parts : int
        Number of domains, at least 2.
    rounds : int
        Number of PDE steps between two exchanges, at least 1.

    Raises
    ------
    UsageError
        If the mesh has no rows or too few, or the graph uses stock processes.
    """
    require_divisible(graph)
    rows, halo = graph.grid.shape[0], reach(graph) * rounds
    bounds = [rows * part // parts for part in range(parts + 1)]
    fewest = min(high - low for low, high in zip(bounds, bounds[1:], strict=False))
    if parts < 2 or fewest < halo or (parts == 2 and fewest < 2 * halo):
        raise UsageError(
            f"domains: {parts} domains of {fewest} rows are smaller than their halos of {halo} rows; use fewer domains"
        )
    return tuple(_domain(graph, low, high, halo) for low, high in zip(bounds, bounds[1:], strict=False))


def _domain(graph: IntegerGraph, low: int, high: int, halo: int) -> Domain:
    mesh = graph.grid
    rows, (lower, upper) = mesh.shape[0], mesh.boundary[0]
    ring = (lower, upper) == (PERIODIC, PERIODIC)
    first, last = (low - halo, high + halo) if ring else (max(0, low - halo), min(rows, high + halo))
    sides = (lower if first == 0 and not ring else NO_FLUX, upper if last == rows and not ring else NO_FLUX)
    lengths = (mesh.spacing[0] * (last - first), *mesh.lengths[1:])
    small = structured_mesh((last - first, *mesh.shape[1:]), lengths, (sides, *mesh.boundary[1:]))
    faces, face_rows = _faces(mesh, small, first)
    cells = (np.arange(first, last)[:, None] % rows * (mesh.cells // rows) + np.arange(mesh.cells // rows)).reshape(-1)
    beside = np.maximum(small.source, small.target) >= small.cells
    outer = np.maximum(small.source, small.target)[beside] - small.cells
    whole = np.maximum(mesh.source, mesh.target)[faces[beside]] - mesh.cells
    reservoirs = np.zeros(small.reservoirs, np.int64)
    reservoirs[outer] = whole
    owns_face = (face_rows >= low - first) & (face_rows < high - first) | (face_rows < 0) & (low == 0)
    owns_reservoir = np.zeros(small.reservoirs, np.bool_)
    owns_reservoir[outer] = owns_face[beside]
    laid_out = _synapses(graph, small, graph.model_spec.half_width, graph.model_spec.transverse)
    part = restricted(graph, Part(small, cells, reservoirs, faces), tuple(laid_out))
    return Domain(
        replace(part.with_field(window=_wider(graph.window)), certificate=None),
        first,
        (low - first, high - first),
        cells,
        reservoirs,
        faces,
        owns_reservoir,
        owns_face,
        graph.window,
    )


def _faces(mesh: Mesh, small: Mesh, first: int) -> tuple[Integers, Integers]:
    """Global number of each local face, and the local row on its lower side."""
    numbers, rows_below = [], []
    for axis in range(len(mesh.shape)):
        base, begin, counts = face_grid(mesh, axis)
        _, small_begin, small_counts = face_grid(small, axis)
        begin, small_begin = (begin, small_begin) if axis == 0 else (0, 0)
        across = math.prod(counts[1:])
        rows = np.arange(small_counts[0]) + small_begin
        wrapped = rows + first if begin < 0 else (rows + first) % mesh.shape[0]
        numbers.append((base + ((wrapped - begin) * across)[:, None] + np.arange(across)).reshape(-1))
        rows_below.append(np.repeat(rows, across))
    return np.concatenate(numbers).astype(np.int64), np.concatenate(rows_below).astype(np.int64)


def _wider(window: OperatingWindow) -> OperatingWindow:
    span = _SLACK * (window.upper - window.lower)
    limits = (None if limit is None else _SLACK * limit for limit in (window.difference, window.current))
    return OperatingWindow(window.lower - span, window.upper + span, *limits)


_SLACK = 1 << 10
"""Factor by which a domain's operating window is wider; declared widths still limit values near artificial walls."""


def _synapses(graph: IntegerGraph, small: Mesh, half_width: int, transverse: int) -> Iterator[Synapse]:
    first, *rest = graph.operator
    connections: list[Connections] = [
        window_stencil(graph.model_spec.by_axis(first.weight), small, half_width, transverse, graph.model_spec.wall),
        *(Blocks(layer.weight, small.faces) for layer in rest),
    ]
    names = layers_of(graph)
    for source, target, connection in zip(names, names[1:], connections, strict=False):
        laid_out = synapses(source, target, connection)
        yield from laid_out
        if (source, target) == (MEMBRANE, FLUX) and sees_residues(graph):
            weights = added((synapse.matrix() for synapse in laid_out), (small.faces, small.holders))
            yield from residue_synapses(weights, small)
    for answers in graph.order.answers:
        ends = ChannelEnds(small.source, small.target, small.cells, small.holders)
        yield from limiter_synapses(ends, graph.sole_channels.program, Joined(MEMBRANE, FLUX, answers))
    yield from synapses(FLUX, MEMBRANE, Incidence(small.source, small.target, small.holders, 1))

"""Cutting a graph on a structured mesh into domains: rows of cells along the first axis, with halos.

A domain owns some rows and holds copies of `halo` more on either side. Beyond them it has a wall that the whole mesh
has not, so what it computes near that wall is wrong; but wrong values travel no further than `reach` rows a PDE step.
With ``halo = reach * rounds`` the rows that it owns are exact for `rounds` PDE steps, after which the halos are copied
from the neighbours again: masses, and the currents and residues of the faces. Near that wall the field may also leave
the operating range, which means nothing; so a domain's own graph has a wider one, and what it owns is looked at when
halos are exchanged.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph import IntegerGraph, Synapse
from pisnn_deploy.graph.connections import Blocks, Connections, Incidence
from pisnn_deploy.graph.integer import ARRIVAL, FLUX, MEMBRANE, Integers, OperatingWindow
from pisnn_deploy.graph.layout import share_synapses, synapses, window_stencil
from pisnn_deploy.graph.parts import Part, restricted
from pisnn_deploy.graph.traits import LATE, MATERIALS, OFF_GRID, refuse
from pisnn_deploy.mesh import NO_FLUX, PERIODIC, Mesh, face_grid, structured_mesh


@dataclass(frozen=True)
class Domain:
    """One part of a cut graph.

    Attributes
    ----------
    graph : IntegerGraph
        Of the rows that it holds, with a wall where the halo ends.
    first : int
        Row of the whole mesh that is its row 0; negative where a halo goes round a periodic axis.
    own : tuple of int
        Its own rows, from and to before, in its own numbers.
    cells, reservoirs, faces : int64 array
        Cell, reservoir and face of the whole mesh for each of its own; reservoirs counted from 0.
    owns_reservoir, owns_face : bool array
        Which of its reservoirs and faces are its to report.
    window : OperatingWindow
        That of the whole graph, for what it owns.
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
        """Its own cells among those that it holds."""
        width = self.graph.mesh.cells // self.graph.mesh.shape[0]
        return slice(self.own[0] * width, self.own[1] * width)


def reach(graph: IntegerGraph) -> int:
    """Rows of cells that a PDE step carries anything."""
    return max(graph.spec.half_width, graph.spec.transverse)


def cut(graph: IntegerGraph, parts: int, rounds: int) -> tuple[Domain, ...]:
    """Cut a graph into domains.

    Parameters
    ----------
    graph : IntegerGraph
        On a structured mesh, without a medium.
    parts : int
        Number of domains, at least 2.
    rounds : int
        PDE steps between two exchanges, at least 1.

    Returns
    -------
    tuple of Domain

    Raises
    ------
    UsageError
        The mesh has no rows, or too few of them, or processes are stock.
    """
    refuse(graph, "domains", (OFF_GRID, MATERIALS, LATE), "run it undivided")
    rows, halo = graph.grid.shape[0], reach(graph) * rounds
    bounds = [rows * part // parts for part in range(parts + 1)]
    fewest = min(high - low for low, high in zip(bounds, bounds[1:], strict=False))
    if parts < 2 or fewest < halo or (parts == 2 and fewest < 2 * halo):
        raise UsageError(
            f"domains: {parts} of {fewest} rows and halos of {halo}; a domain needs as many rows as halos, so take "
            "fewer domains, or exchange more often"
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
    laid_out = _synapses(graph, small, graph.spec.half_width, graph.spec.transverse)
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
    """Face of the whole mesh for each face of a domain, and the domain's row on the lower side of each."""
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
"""Only declared widths limit what happens near a wall that is not there."""


def _synapses(graph: IntegerGraph, small: Mesh, half_width: int, transverse: int) -> Iterator[Synapse]:
    first, *rest = graph.operator
    connections: list[Connections] = [
        window_stencil(first.weight, small, half_width, transverse, graph.spec.wall),
        *(Blocks(layer.weight, small.faces) for layer in rest),
    ]
    for source, target, connection in zip(graph.chain, graph.chain[1:], connections, strict=False):
        yield from synapses(source, target, connection)
    if any(synapse.port != ARRIVAL for synapse in graph.synapses):
        yield from share_synapses(small)
    yield from synapses(FLUX, MEMBRANE, Incidence(small.source, small.target, small.holders, 1))

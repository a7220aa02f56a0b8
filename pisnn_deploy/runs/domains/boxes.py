"""Domains of a structured mesh: boxes of cells with halos, and artificial walls at the ends of the halos.

The flux network is laid out again on the smaller mesh, so a stencil is never spelled out, and the kernels of a domain
are those of a whole mesh.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.core.rows import added
from pisnn_deploy.graph import IntegerGraph, Synapse
from pisnn_deploy.graph.connections import Blocks, Connections, Incidence
from pisnn_deploy.graph.integer import FLUX, MEMBRANE, Integers
from pisnn_deploy.graph.layout import layers_of, synapses, window_stencil
from pisnn_deploy.graph.limiter import ChannelEnds, Joined, limiter_synapses
from pisnn_deploy.graph.parts import Part, restricted
from pisnn_deploy.graph.residues import residue_synapses, sees_residues
from pisnn_deploy.mesh import NO_FLUX, PERIODIC, Mesh, face_grid, structured_mesh
from pisnn_deploy.mesh.boundary import Side
from pisnn_deploy.runs.domains.layout import Domain, Layout, Mask


@dataclass(frozen=True)
class Box:
    """A box of cells with its halo.

    Attributes
    ----------
    low, high : tuple of int
        First owned cell along each axis, and the one after the last.
    first, last : tuple of int
        The same with the halo; beyond the mesh where a halo wraps around a periodic axis.
    """

    low: tuple[int, ...]
    high: tuple[int, ...]
    first: tuple[int, ...]
    last: tuple[int, ...]

    def sides(self, axis: int, mesh: Mesh) -> tuple[Side, Side]:
        """Conditions of the sides of an axis: those of the mesh, or artificial walls."""
        lower, upper = mesh.boundary[axis]
        if (self.low[axis], self.high[axis]) == (0, mesh.shape[axis]):
            return lower, upper
        if (lower, upper) == (PERIODIC, PERIODIC):
            return NO_FLUX, NO_FLUX
        is_first, is_last = self.first[axis] == 0, self.last[axis] == mesh.shape[axis]
        return lower if is_first else NO_FLUX, upper if is_last else NO_FLUX


def reach(graph: IntegerGraph) -> int:
    """Number of cells by which a PDE step spreads information."""
    # A limiter's answer depends on all faces of the cell on the other side of a face, as does the limb of a cell.
    further = bool(graph.order.answers) or sees_residues(graph)
    return max(graph.model_spec.half_width, graph.model_spec.transverse) + further


def halo_of(graph: IntegerGraph, rounds: int) -> int:
    """Cells of a halo that is copied after each `rounds` PDE steps."""
    # After the last of these steps, populations between cells and faces answer the masses, and the audit compares those
    # on both sides of a face.
    return reach(graph) * (rounds + bool(graph.between_fields)) + (graph.window.difference is not None)


def blocks_of(shape: tuple[int, ...], count: int) -> tuple[int, ...]:
    """Number of blocks along each axis whose faces between blocks are fewest; first axes are cut first.

    Raises
    ------
    UsageError
        The mesh has fewer cells along its axes than there would be blocks.
    """
    cells = math.prod(shape)
    choices = [
        blocks
        for blocks in itertools.product(*([n for n in range(1, count + 1) if count % n == 0] for _ in shape))
        if math.prod(blocks) == count and all(n <= extent for n, extent in zip(blocks, shape, strict=True))
    ]
    if not choices:
        raise UsageError(f"{count} ranks: a mesh of {'x'.join(map(str, shape))} cells is too small; use fewer ranks")

    def surface(blocks: tuple[int, ...]) -> tuple[float, tuple[int, ...]]:
        # A cut along the last axis shortens rows of cells, which kernels run through, so it counts twice.
        weights = [1] * (len(shape) - 1) + [2]
        pairs = zip(blocks, shape, weights, strict=True)
        return sum(weight * (n - 1) * cells / extent for n, extent, weight in pairs), tuple(-n for n in blocks)

    return min(choices, key=surface)


def boxes_of(mesh: Mesh, count: int, halo: int) -> list[Box]:
    """Divide a mesh into boxes.

    Raises
    ------
    UsageError
        A halo would meet itself around a periodic axis.
    """
    blocks = blocks_of(mesh.shape, count)
    ranges = [
        [_range(extent, n, place, halo, is_ring=sides == (PERIODIC, PERIODIC)) for place in range(n)]
        for extent, n, sides in zip(mesh.shape, blocks, mesh.boundary, strict=True)
    ]
    for extent, parts in zip(mesh.shape, ranges, strict=True):
        if any(last - first > extent for *_, first, last in parts):
            raise UsageError(
                f"{count} ranks: parts of {extent} cells along an axis are too small for halos of {halo} cells; "
                "use fewer ranks"
            )
    boxes = []
    for chosen in itertools.product(*ranges):
        low, high, first, last = zip(*chosen, strict=True)
        boxes.append(Box(low, high, first, last))
    return boxes


def _range(extent: int, blocks: int, place: int, halo: int, *, is_ring: bool) -> tuple[int, int, int, int]:
    low, high = extent * place // blocks, extent * (place + 1) // blocks
    if blocks == 1:
        return low, high, low, high
    if is_ring:
        return low, high, low - halo, high + halo
    return low, high, max(0, low - halo), min(extent, high + halo)


class BoxPart:
    """Numbers of the cells, reservoirs and faces of a box in the whole mesh."""

    def __init__(self, mesh: Mesh, box: Box) -> None:
        self.box, self.whole = box, mesh
        extents = [last - first for first, last in zip(box.first, box.last, strict=True)]
        sides = tuple(box.sides(axis, mesh) for axis in range(len(extents)))
        lengths = [width * extent for width, extent in zip(mesh.spacing, extents, strict=True)]
        self.mesh = structured_mesh(tuple(extents), tuple(lengths), sides)
        places = [
            np.arange(first, last) % extent for first, last, extent in zip(box.first, box.last, mesh.shape, strict=True)
        ]
        self.cells: Integers = np.ravel_multi_index(np.ix_(*places), mesh.shape).reshape(-1).astype(np.int64)
        self.faces, self.owns_face = self._faces()
        beside = np.maximum(self.mesh.source, self.mesh.target) >= self.mesh.cells
        outer = np.maximum(self.mesh.source, self.mesh.target)[beside] - self.mesh.cells
        numbers = self.faces[beside]
        self.reservoirs = np.zeros(self.mesh.reservoirs, np.int64)
        self.reservoirs[outer] = np.maximum(mesh.source[numbers], mesh.target[numbers]) - mesh.cells
        self._owns_reservoir = np.zeros(self.mesh.reservoirs, np.bool_)
        self._owns_reservoir[outer] = self.owns_face[beside]

    @property
    def owns_cell(self) -> Mask:
        """Whether each local cell is owned."""
        is_owned = np.zeros(self.mesh.shape, np.bool_)
        ranges = zip(self.box.low, self.box.high, self.box.first, strict=True)
        is_owned[tuple(slice(low - first, high - first) for low, high, first in ranges)] = True
        return is_owned.reshape(-1)

    def layout(self) -> Layout:
        """Holders and channels of the box."""
        holders = np.concatenate([self.cells, self.whole.cells + self.reservoirs])
        owns_holder = np.concatenate([self.owns_cell, self._owns_reservoir])
        return Layout(holders, self.faces, owns_holder, self.owns_face)

    def _faces(self) -> tuple[Integers, Mask]:
        """Number of each local face in the whole mesh, and whether it is owned: with the cell on its lower side."""
        numbers, owned = [], []
        mesh, box = self.whole, self.box
        for axis in range(len(mesh.shape)):
            base, begin, counts = face_grid(mesh, axis)
            _, small_begin, small_counts = face_grid(self.mesh, axis)
            places, is_own = [], []
            for other, count in enumerate(small_counts):
                offset = small_begin if other == axis else 0
                at = np.arange(count) + offset + box.first[other]
                inside = (at >= box.low[other]) & (at < box.high[other])
                if other == axis:
                    inside |= (at < 0) & (box.low[other] == 0) & (small_begin < 0)
                    at = at - begin if begin < 0 else at % mesh.shape[other]
                else:
                    at = at % mesh.shape[other]
                places.append(at)
                is_own.append(inside)
            numbers.append((base + np.ravel_multi_index(np.ix_(*places), counts)).reshape(-1))
            owned.append(functools.reduce(np.logical_and.outer, is_own).reshape(-1))
        return np.concatenate(numbers).astype(np.int64), np.concatenate(owned)


def box_domain(graph: IntegerGraph, part: BoxPart) -> Domain:
    """Lay a graph out on a box."""
    small, faces = part.mesh, part.mesh.faces
    laid_out = _synapses(graph, small, graph.model_spec.half_width, graph.model_spec.transverse)
    local = restricted(graph, Part(small, part.cells, part.reservoirs, part.faces), tuple(laid_out))
    layout = part.layout()
    numbers, owns = {MEMBRANE: layout.holders, FLUX: layout.channels}, {MEMBRANE: layout.owns_holder}
    owns[FLUX] = layout.owns_channel
    for each in local.populations:
        if each.name in graph.order.answers:
            numbers[each.name], owns[each.name] = part.cells, part.owns_cell
        elif each.name not in numbers:
            of_a_face = each.size // faces
            numbers[each.name] = (part.faces[:, None] * of_a_face + np.arange(of_a_face)).reshape(-1)
            owns[each.name] = np.repeat(part.owns_face, of_a_face)
    return Domain(replace(local, certificate=None), layout, numbers, owns)


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

"""Tables of the structured kernels: runs of faces and cells of each block, and positions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.mesh import DIRICHLET
from pisnn_deploy.runs.kernels.faces import begins_with
from pisnn_deploy.runs.kernels.layout import Layout, Values, halo_of, reservoir_order, wraps_of
from pisnn_deploy.runs.kernels.places import TILE
from pisnn_deploy.runs.kernels.stencils import Kernel

LONG_ROW = 4096
"""Smallest row, in faces or cells, that gets separate loops."""
LARGEST_SPREAD = 1.5
"""Largest ratio of all places to used places in a merged run."""
BLOCK = 8192
"""Approximate number of cells of a block (in whole planes), so that its packets fit the second-level cache."""
FIRST_BLOCK = 256
"""Approximate number of cells of the first block of each of several slabs, which are finished sequentially."""


class Grid(NamedTuple):
    """Blocks of planes, slabs of blocks, and pads beyond periodic sides; int64 like all tables."""

    strides: Integers
    block_start: Integers
    slab_block: Integers
    halo: Integers
    """[2, pads]: each pad, and the cell that it copies."""


class Network(NamedTuple):
    """Inputs of a face: the entries of its axis, in pairs of opposite weight where possible.

    Special faces use the entries of their box instead.
    """

    bias: Integers
    pair_first: Integers
    pairs: Integers
    """[3, pairs]: offsets of the two cells, weight of the first."""
    single_first: Integers
    singles: Integers
    """[2, entries]: distance and weight."""
    box_first: Integers
    boxes: Integers
    """[2, entries]: distance and weight."""
    specials: Integers
    """[3, special faces]: position, box and bias."""


class Runs(NamedTuple):
    """Consecutive faces of an axis in a block; gaps are places without a face."""

    block: Integers
    start: Integers
    length: Integers
    special: Integers
    gap: Integers
    gaps: Integers


class Lines(NamedTuple):
    """Consecutive cells of a block; gaps are places without a cell."""

    block: Integers
    start: Integers
    length: Integers
    gap: Integers
    gaps: Integers


class Wraps(NamedTuple):
    """Packets of each block to copy from the last faces of a periodic axis to below its first cells."""

    block: Integers
    places: Integers
    """[4, wraps]: axis, first target, first source, number."""


class Edges(NamedTuple):
    """Reservoirs of each block."""

    block: Integers
    places: Integers
    """[5, reservoirs]: axis and position of the face, sign of inflow, position of the cell, value."""


class Tables(NamedTuple):
    """All tables; positions are in the padded numbering."""

    grid: Grid
    network: Network
    of_limbs: Network
    """The same weights without biases, for the limbs of the cells; reservoirs have none."""
    runs: Runs
    lines: Lines
    wraps: Wraps
    edges: Edges


def tables_of(graph: IntegerGraph, kernel: Kernel, layout: Layout, slabs: int) -> Tables:
    """Build the tables of the kernels.

    Parameters
    ----------
    graph : IntegerGraph
        A graph that `kernel_of` supports.
    slabs : int
        Requested number of slabs; small meshes have fewer.
    """
    positions = np.arange(layout.size, dtype=np.int64)
    block_start, slab_block = _blocks(layout, slabs)
    wide, specials = _specials(graph, kernel, layout, positions)
    wraps = np.stack(wraps_of(layout, positions))
    wraps = wraps[:, np.argsort(wraps[1], kind="stable")]
    runs, special_order = _face_runs(layout, positions, block_start, specials)
    network = _network(kernel, layout, wide, np.stack(specials[1:])[:, special_order])
    cell_start, cell_length, gaps = _runs(layout.cells(positions), block_start, merged=_pads_are_inside(graph))
    cell_gap, cell_gaps = _gaps_of(cell_start, cell_length, [gaps], np.zeros_like(cell_start))
    return Tables(
        Grid(np.array(layout.strides, np.int64), block_start, slab_block, np.stack(halo_of(layout, positions))),
        network,
        network._replace(bias=np.zeros_like(network.bias), specials=network.specials * np.array([[1], [1], [0]])),
        runs,
        Lines(np.searchsorted(cell_start, block_start), cell_start, cell_length, cell_gap, cell_gaps),
        Wraps(np.searchsorted(wraps[1], block_start), wraps),
        _edges(graph, layout, positions, block_start),
    )


def _pads_are_inside(graph: IntegerGraph) -> bool:
    """Whether the values in the pads are within the operating range, so that the audit may include them."""
    values, window = graph.sole_field.reservoirs, graph.sole_field.window
    return bool(np.all((values >= window.lower) & (values <= window.upper)))


def _face_runs(
    layout: Layout, positions: Integers, block_start: Integers, specials: tuple[Integers, Integers, Integers, Integers]
) -> tuple[Runs, Integers]:
    axes = len(layout.shape)
    of_axes = [_runs(layout.faces(positions, axis), block_start, merged=True) for axis in range(axes)]
    axis_of = np.repeat(np.arange(axes), [start.size for start, _, _ in of_axes])
    run_start = np.concatenate([start for start, _, _ in of_axes])
    run_length = np.concatenate([length for _, length, _ in of_axes])
    key = (np.searchsorted(block_start, run_start, side="right") - 1) * axes + axis_of
    order = np.argsort(key, kind="stable")
    run_start, run_length, axis_of = run_start[order], run_length[order], axis_of[order]

    special_axis, special_position, _, _ = specials
    special_key = special_axis * layout.size + special_position
    run_key = axis_of * layout.size + run_start
    # Sort special faces by run.
    run_at = np.argsort(run_key, kind="stable")
    of_run = special_key
    if special_key.size:
        of_run = run_at[np.searchsorted(run_key[run_at], special_key, side="right") - 1]
    special_order = np.lexsort((special_position, of_run))
    runs = Runs(
        np.searchsorted(key[order], np.arange((block_start.size - 1) * axes + 1)),
        run_start,
        run_length,
        np.searchsorted(of_run[special_order], np.arange(run_start.size + 1)),
        *_gaps_of(run_start, run_length, [gaps for _, _, gaps in of_axes], axis_of),
    )
    return runs, special_order


def _edges(graph: IntegerGraph, layout: Layout, positions: Integers, block_start: Integers) -> Edges:
    mesh = layout.mesh
    face_position = np.concatenate([layout.faces(positions, a).reshape(-1) for a in range(len(layout.shape))])
    behind = np.maximum(mesh.source, mesh.target)
    faces = np.flatnonzero(behind >= mesh.cells)
    faces = faces[np.argsort(behind[faces])]
    enters = mesh.target[faces] >= mesh.cells
    cell_position = layout.cells(positions).reshape(-1)
    reservoir_cell = cell_position[np.where(enters, mesh.source[faces], mesh.target[faces])]
    by_position = reservoir_order(layout)
    reservoir_position = face_position[faces][by_position]
    places = (
        mesh.axis[faces][by_position],
        reservoir_position,
        np.where(enters, 1, -1)[by_position],
        reservoir_cell[by_position],
        graph.sole_field.reservoirs[by_position],
    )
    return Edges(np.searchsorted(reservoir_position, block_start), np.stack(places).astype(np.int64))


def _blocks(layout: Layout, slabs: int) -> tuple[Integers, Integers]:
    """Start of each block and first block of each slab, both followed by the end."""
    first = -1 if layout.mesh.boundary[0][0] == DIRICHLET else 0
    stride, planes = layout.strides[0], layout.mesh.shape[0] - first
    origin = layout.guard + (layout.pads[0][0] + first) * stride
    slabs = max(1, min(slabs, planes))
    starts, slab_block = [], [0]
    for slab in range(slabs):
        begin, end = planes * slab // slabs, planes * (slab + 1) // slabs
        size = max(1, (BLOCK if slabs == 1 else FIRST_BLOCK) // stride)
        while begin < end:
            starts.append(begin)
            begin = min(begin + size, end)
            size = max(1, BLOCK // stride)
        slab_block.append(len(starts))
    return origin + stride * np.array([*starts, planes], np.int64), np.array(slab_block, np.int64)


def _runs(view: Values, block_start: Integers, *, merged: bool) -> tuple[Integers, Integers, Integers]:
    """Starts and lengths of runs of consecutive positions, cut at blocks and tiles, and their gaps.

    If `merged`, short rows are merged into runs across the pads between them; the third array has these gaps.
    """
    nothing = np.zeros(0, np.int64)
    if view.size == 0:
        return nothing, nothing, nothing
    starts = view[..., 0].reshape(-1)
    length, gaps = view.shape[-1], nothing
    if view.ndim == 1:
        pieces = _cut(int(starts[0]), int(starts[0]) + length, block_start)
    elif merged and length < LONG_ROW and view.reshape(-1)[-1] + 1 - starts[0] <= LARGEST_SPREAD * view.size:
        spanned = np.ones(view.reshape(-1)[-1] + 1 - starts[0], bool)
        spanned[view.reshape(-1) - starts[0]] = False
        gaps = starts[0] + np.flatnonzero(spanned)
        pieces = _cut(int(starts[0]), int(starts[0]) + spanned.size, block_start)
    else:
        pieces = [(int(start), length) for start in starts]
    tiles = [(start + at, min(TILE, size - at)) for start, size in pieces for at in range(0, size, TILE)]
    table = np.array(tiles, np.int64).reshape(-1, 2)
    return np.ascontiguousarray(table[:, 0]), np.ascontiguousarray(table[:, 1]), gaps


def _cut(begin: int, end: int, block_start: Integers) -> list[tuple[int, int]]:
    """Cut a run at the starts of blocks; return starts and lengths."""
    cuts = np.unique(np.concatenate([block_start, [begin, end]]))
    cuts = cuts[(cuts >= begin) & (cuts <= end)]
    return list(zip(cuts[:-1].tolist(), np.diff(cuts).tolist(), strict=True))


def _gaps_of(start: Integers, length: Integers, gaps: list[Integers], axis_of: Integers) -> tuple[Integers, Integers]:
    """First gap of each run, followed by the end, and positions of the gaps."""
    segments = [
        gaps[axis][slice(*np.searchsorted(gaps[axis], (at, at + n)))] if gaps[axis].size else gaps[axis]
        for at, n, axis in zip(start.tolist(), length.tolist(), axis_of.tolist(), strict=True)
    ]
    counts = [segment.size for segment in segments]
    return np.cumsum([0, *counts], dtype=np.int64), np.concatenate([np.zeros(0, np.int64), *segments])


def _specials(
    graph: IntegerGraph, kernel: Kernel, layout: Layout, positions: Integers
) -> tuple[list[tuple[int, int]], tuple[Integers, Integers, Integers, Integers]]:
    """Bias and number of the largest box of each axis, and the other faces: axes, positions, boxes, biases."""
    axes = len(layout.shape)
    counts = kernel.shape.prod(axis=1)
    bias = np.zeros((axes, layout.size), np.int64)
    layout.scatter(begins_with(graph.sole_channels), bias)
    wide: list[tuple[int, int]] = []
    special: list[tuple[Values, Values, Values, Values]] = []
    for axis in range(axes):
        boxes = np.flatnonzero(kernel.axis == axis)
        chosen = int(boxes[np.argmax(counts[boxes])]) if boxes.size else -1
        common = 0
        for box in boxes:
            at = layout.box(
                positions, tuple(int(c) for c in kernel.lower[box]), tuple(int(n) for n in kernel.shape[box])
            ).reshape(-1)
            values = bias[axis, at]
            if box == chosen:
                common = int(values[0])
                differs = values != common
                at, values = at[differs], values[differs]
            special.append((np.full(at.size, axis), at, np.full(at.size, box), values))
        wide.append((common, chosen))
    columns = [np.concatenate(column) for column in zip(*special, strict=True)] if special else [np.zeros(0)] * 4
    axis_of, at_of, box_of, bias_of = (column.astype(np.int64) for column in columns)
    return wide, (axis_of, at_of, box_of, bias_of)


def _flat_entries(entries: dict[tuple[int, ...], int], layout: Layout) -> list[tuple[int, int]]:
    return sorted(
        (sum(o * s for o, s in zip(offset, layout.strides, strict=True)), weight)
        for offset, weight in entries.items()
        if weight
    )


def _network(kernel: Kernel, layout: Layout, wide: list[tuple[int, int]], specials: Integers) -> Network:
    pairs: list[tuple[int, int, int]] = []
    singles: list[tuple[int, int]] = []
    pair_first, single_first = [0], [0]
    for _, box in wide:
        left: dict[int, list[int]] = {}
        for delta, weight in _flat_entries(kernel.entries[box], layout) if box >= 0 else []:
            mates = left.get(-weight, [])
            if mates:
                mate = mates.pop()
                pairs.append((delta, mate, weight) if weight > 0 else (mate, delta, -weight))
            else:
                left.setdefault(weight, []).append(delta)
        singles += [(delta, weight) for weight, deltas in left.items() for delta in deltas]
        pair_first.append(len(pairs))
        single_first.append(len(singles))
    flat = [_flat_entries(entries, layout) for entries in kernel.entries]
    return Network(
        np.array([bias for bias, _ in wide], np.int64),
        np.array(pair_first, np.int64),
        np.array(pairs, np.int64).reshape(-1, 3).T.copy(),
        np.array(single_first, np.int64),
        np.array(singles, np.int64).reshape(-1, 2).T.copy(),
        np.cumsum([0, *(len(entries) for entries in flat)], dtype=np.int64),
        np.array([entry for entries in flat for entry in entries], np.int64).reshape(-1, 2).T.copy(),
        np.ascontiguousarray(specials),
    )

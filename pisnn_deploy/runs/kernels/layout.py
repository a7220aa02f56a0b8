"""The flat, padded numbering in which the structured kernels work, and the tables that they follow."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.arithmetic import MEMORYLESS
from pisnn_deploy.graph.connections import Incidence, Stencil
from pisnn_deploy.graph.integer import FLUX, MEMBRANE, IntegerGraph, Integers
from pisnn_deploy.mesh import DIRICHLET, PERIODIC, Mesh
from pisnn_deploy.mesh.structured import face_grid
from pisnn_deploy.runs.kernels import structured as place

Values = NDArray[Any]
"""Integers of 16, 32 or 64 bits."""

TILE = 2048
"""Most faces or cells of one loop: what a loop reads and writes then fits the first-level cache."""
BLOCK = 8192
"""Cells of a block, as far as whole planes allow: its packets then fit the second-level cache."""
FIRST_BLOCK = 256
"""Cells of the first block of a slab where there are several slabs: they are finished one slab after another."""
UNLIMITED = 2**62


class Tables(NamedTuple):
    """What the kernels follow; int64 arrays throughout, positions in the padded numbering.

    The drive of a face is the sum of the entries of its axis, in pairs of opposite weight as far as there are, unless
    the face is special: then it is the sum of those of its box.
    Runs are consecutive faces of an axis, or cells, of one block.
    """

    strides: Integers
    bias: Integers
    pair_first: Integers
    pair_plus: Integers
    pair_minus: Integers
    pair_weight: Integers
    single_first: Integers
    single_delta: Integers
    single_weight: Integers
    box_first: Integers
    box_delta: Integers
    box_weight: Integers
    special_position: Integers
    special_box: Integers
    special_bias: Integers
    block_start: Integers
    slab_block: Integers
    block_run: Integers
    run_start: Integers
    run_length: Integers
    run_special: Integers
    block_cell: Integers
    cell_start: Integers
    cell_length: Integers
    block_wrap: Integers
    wrap_axis: Integers
    wrap_target: Integers
    wrap_source: Integers
    wrap_length: Integers
    block_reservoir: Integers
    reservoir_axis: Integers
    reservoir_position: Integers
    reservoir_sign: Integers
    reservoir_cell: Integers
    reservoir_value: Integers
    halo_target: Integers
    halo_source: Integers


@dataclass(frozen=True)
class Kernel:
    """A linear flux network as effective weights, alike within boxes of faces.

    Attributes
    ----------
    axis : int64 array [boxes]
    lower, shape : int64 array [boxes, axes]
        See `pisnn_deploy.mesh.window.Boxes`.
    entries : tuple of dict of offsets to weight
        Of each box; offsets as in `Stencil`.
    """

    axis: Integers
    lower: Integers
    shape: Integers
    entries: tuple[dict[tuple[int, ...], int], ...]

    @property
    def largest(self) -> int:
        """Largest sum of the absolute weights of a face."""
        return max((sum(abs(w) for w in box.values()) for box in self.entries), default=0)


def kernel_of(graph: IntegerGraph) -> Kernel | None:
    """The flux network of a graph as the structured kernels can run it.

    Parameters
    ----------
    graph : IntegerGraph

    Returns
    -------
    Kernel or None
        None where the graph is of another form: unstructured, with hidden layers, a medium or a limiter, with synapses
        spelled out, or with a route that is not the incidence of its mesh.
    """
    mesh = graph.mesh
    if not isinstance(mesh, Mesh) or graph.hidden or graph.medium is not None or not _is_incidence(graph, mesh):
        return None
    if graph.flux.share_shift is not None:
        return None
    found: Kernel | None = None
    for synapse in graph.between(MEMBRANE, FLUX):
        stencil = synapse.connections
        if not isinstance(stencil, Stencil) or stencil.outputs_per_face != 1:
            return None
        weights = _effective(stencil.values, synapse.exponent)
        if weights is None:
            return None
        boxes = stencil.boxes
        if found is None:
            found = Kernel(boxes.axis, boxes.lower, boxes.shape, tuple({} for _ in boxes.axis))
        elif not all(
            np.array_equal(a, b)
            for a, b in ((found.axis, boxes.axis), (found.lower, boxes.lower), (found.shape, boxes.shape))
        ):
            return None
        for box, entries in enumerate(found.entries):
            for e in range(stencil.starts[box], stencil.starts[box + 1]):
                offset = tuple(
                    _nearest(int(o), count, sides == (PERIODIC, PERIODIC))
                    for o, count, sides in zip(stencil.offsets[e], mesh.shape, mesh.boundary, strict=True)
                )
                entries[offset] = entries.get(offset, 0) + int(weights[e])
    return found


def _is_incidence(graph: IntegerGraph, mesh: Mesh) -> bool:
    value = 0
    for synapse in graph.between(FLUX, MEMBRANE):
        route = synapse.connections
        if not isinstance(route, Incidence) or route.holders != mesh.holders:
            return False
        if not (np.array_equal(route.source, mesh.source) and np.array_equal(route.target, mesh.target)):
            return False
        weight = _effective(np.array([route.value]), synapse.exponent)
        if weight is None:
            return False
        value += int(weight[0])
    return value == 1


def _effective(mantissas: Integers, exponent: int) -> Integers | None:
    if exponent >= 0:
        return mantissas << exponent
    weights = mantissas >> -exponent
    return weights if np.array_equal(weights << -exponent, mantissas) else None


def _nearest(offset: int, count: int, periodic: bool) -> int:
    if not periodic:
        return offset
    offset %= count
    return offset - count if 2 * offset > count else offset


@dataclass(frozen=True)
class Layout:
    """Where the cells and faces of a mesh are in the padded numbering.

    Attributes
    ----------
    mesh : Mesh
    guard : int
        Numbers before the first and after the last place of the padded mesh.
    pads : tuple of (int, int)
        Padding below and above along each axis.
    """

    mesh: Mesh
    guard: int
    pads: tuple[tuple[int, int], ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the padded mesh."""
        return tuple(low + count + high for count, (low, high) in zip(self.mesh.shape, self.pads, strict=True))

    @property
    def strides(self) -> tuple[int, ...]:
        """Distance of neighbours along each axis."""
        return tuple(math.prod(self.shape[a + 1 :]) for a in range(len(self.shape)))

    @property
    def size(self) -> int:
        """Length of an array in the padded numbering."""
        return 2 * self.guard + math.prod(self.shape)

    def box(self, flat: Values, lower: tuple[int, ...], shape: tuple[int, ...]) -> Values:
        """A box of cells as a view of an array in the padded numbering.

        Parameters
        ----------
        flat : array [size]
        lower : tuple of int
            Coordinates of its first cell; pads have those below 0 and from the number of cells on.
        shape : tuple of int

        Returns
        -------
        array [shape], a view
        """
        padded = flat[self.guard : flat.size - self.guard].reshape(self.shape)
        return padded[tuple(slice(p + at, p + at + n) for (p, _), at, n in zip(self.pads, lower, shape, strict=True))]

    def cells(self, flat: Values) -> Values:
        """All cells as a view of an array in the padded numbering."""
        return self.box(flat, (0,) * len(self.shape), self.mesh.shape)

    def faces(self, flat: Values, axis: int) -> Values:
        """All faces of an axis, in the order of their numbers, as a view of an array in the padded numbering."""
        _, first, counts = face_grid(self.mesh, axis)
        return self.box(flat, tuple(first if a == axis else 0 for a in range(len(self.shape))), counts)

    def gather(self, padded: Values) -> Integers:
        """Values of all faces, int64 [faces], from an array [axes, size]."""
        parts = [self.faces(padded[a], a).reshape(-1) for a in range(len(self.shape))]
        return np.asarray(np.concatenate(parts), np.int64)

    def scatter(self, values: Integers, padded: Values) -> None:
        """Put values of all faces into an array [axes, size]."""
        begin = 0
        for axis in range(len(self.shape)):
            view = self.faces(padded[axis], axis)
            view[...] = values[begin : begin + view.size].reshape(view.shape)
            begin += view.size


def layout_of(mesh: Mesh, kernel: Kernel) -> Layout:
    """Choose the padding of a mesh, as wide as a kernel reaches across periodic sides."""
    axes = len(mesh.shape)
    pads = []
    for axis, sides in enumerate(mesh.boundary):
        reach = 1
        if sides == (PERIODIC, PERIODIC):
            reach = max([1, *(abs(offset[axis]) for entries in kernel.entries for offset in entries)])
        pads.append((reach, reach if sides[1] in (PERIODIC, DIRICHLET) else 0))
    layout = Layout(mesh, 0, tuple(pads))
    deltas = [
        abs(sum(o * s for o, s in zip(offset, layout.strides, strict=True)))
        for entries in kernel.entries
        for offset in entries
    ]
    # A drive of the wide box is also computed at faces near a wall, where it may look beyond the padded mesh.
    return Layout(mesh, max([layout.strides[0], *deltas]) + axes, tuple(pads))


def tables_of(graph: IntegerGraph, kernel: Kernel, layout: Layout, slabs: int) -> Tables:
    """Write down what the kernels do at each place.

    Parameters
    ----------
    graph : IntegerGraph
        One that `kernel_of` accepts.
    kernel : Kernel
    layout : Layout
    slabs : int
        Number of slabs that are asked for; there are fewer where the mesh is too small.

    Returns
    -------
    Tables
    """
    mesh, strides, axes = layout.mesh, layout.strides, len(layout.shape)
    positions = np.arange(layout.size, dtype=np.int64)
    face_position = np.concatenate([layout.faces(positions, a).reshape(-1) for a in range(axes)])
    block_start, slab_block = _blocks(layout, slabs)
    wide, specials = _specials(graph, kernel, layout, positions)

    runs = [_runs(layout.faces(positions, axis), block_start) for axis in range(axes)]
    axis_of = np.repeat(np.arange(axes), [start.size for start, _ in runs])
    run_start = np.concatenate([start for start, _ in runs])
    run_length = np.concatenate([length for _, length in runs])
    key = (np.searchsorted(block_start, run_start, side="right") - 1) * axes + axis_of
    order = np.argsort(key, kind="stable")
    block_run = np.searchsorted(key[order], np.arange((block_start.size - 1) * axes + 1))

    special_axis, special_position, special_box, special_bias = specials
    special_key = special_axis * layout.size + special_position
    run_key = (axis_of * layout.size + run_start)[order]
    # Special faces stand in the order of runs; those of one run follow each other.
    run_at = np.argsort(run_key, kind="stable")
    of_run = (
        run_at[np.searchsorted(run_key[run_at], special_key, side="right") - 1] if special_key.size else special_key
    )
    special_order = np.lexsort((special_position, of_run))
    run_special = np.searchsorted(of_run[special_order], np.arange(run_start.size + 1))

    cell_start, cell_length = _runs(layout.cells(positions), block_start)
    wraps = _wraps(layout, positions)
    wrap_order = np.argsort(wraps[1], kind="stable")
    wrap_axis, wrap_target, wrap_source, wrap_length = (column[wrap_order] for column in wraps)

    behind = np.maximum(mesh.source, mesh.target) >= mesh.cells if mesh.faces else np.zeros(0, bool)
    faces = np.flatnonzero(behind)
    reservoir = np.maximum(mesh.source, mesh.target)[faces] - mesh.cells
    by_number = np.argsort(reservoir)
    faces = faces[by_number]
    enters = mesh.target[faces] >= mesh.cells
    cell_position = layout.cells(positions).reshape(-1)
    reservoir_cell = cell_position[np.where(enters, mesh.source[faces], mesh.target[faces])]
    by_position = reservoir_order(layout)
    reservoir_position = face_position[faces][by_position]
    halo_target, halo_source = _halo(layout, positions)
    return Tables(
        strides=np.array(strides, np.int64),
        bias=np.array([bias for bias, _ in wide], np.int64),
        **_wide_tables(kernel, layout, [box for _, box in wide]),
        **_box_tables(kernel, layout),
        special_position=special_position[special_order],
        special_box=special_box[special_order],
        special_bias=special_bias[special_order],
        block_start=block_start,
        slab_block=slab_block,
        block_run=block_run,
        run_start=run_start[order],
        run_length=run_length[order],
        run_special=run_special,
        block_cell=np.searchsorted(cell_start, block_start),
        cell_start=cell_start,
        cell_length=cell_length,
        block_wrap=np.searchsorted(wrap_target, block_start),
        wrap_axis=wrap_axis,
        wrap_target=wrap_target,
        wrap_source=wrap_source,
        wrap_length=wrap_length,
        block_reservoir=np.searchsorted(reservoir_position, block_start),
        reservoir_axis=mesh.axis[faces][by_position],
        reservoir_position=reservoir_position,
        reservoir_sign=np.where(enters, 1, -1)[by_position].astype(np.int64),
        reservoir_cell=reservoir_cell[by_position],
        reservoir_value=graph.membrane.reservoirs[by_position].astype(np.int64),
        halo_target=halo_target,
        halo_source=halo_source,
    )


def reservoir_order(layout: Layout) -> Integers:
    """Numbers of the reservoirs in the order of the positions of their faces, int64 [reservoirs]."""
    mesh = layout.mesh
    positions = np.arange(layout.size, dtype=np.int64)
    face_position = np.concatenate([layout.faces(positions, a).reshape(-1) for a in range(len(layout.shape))])
    behind = np.maximum(mesh.source, mesh.target)
    faces = np.flatnonzero(behind >= mesh.cells)
    faces = faces[np.argsort(behind[faces])]
    return np.argsort(face_position[faces], kind="stable")


def pad_values(graph: IntegerGraph, layout: Layout, mass: Values) -> None:
    """Put the values that reservoirs show behind their faces, where only the audit of slopes looks."""
    mesh = layout.mesh
    positions = np.arange(layout.size, dtype=np.int64)
    for axis in range(len(layout.shape)):
        base, _, _ = face_grid(mesh, axis)
        at = layout.faces(positions, axis).reshape(-1)
        faces = np.arange(base, base + at.size)
        stride = layout.strides[axis]
        for holder, place_of in ((mesh.source[faces], at), (mesh.target[faces], at + stride)):
            out = holder >= mesh.cells
            mass[place_of[out]] = graph.membrane.reservoirs[holder[out] - mesh.cells]


def fill_halo(tables: Tables, mass: Values) -> None:
    """Copy what cells hold to the pads beyond periodic sides."""
    mass[tables.halo_target] = mass[tables.halo_source]


def _blocks(layout: Layout, slabs: int) -> tuple[Integers, Integers]:
    """Starts of the blocks and first block of each slab, one more of each than there are."""
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


def _runs(view: Values, block_start: Integers) -> tuple[Integers, Integers]:
    """Starts and lengths of runs of consecutive positions, none across the start of a block or longer than a tile."""
    if view.size == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    starts = view[..., 0].reshape(-1)
    length = view.shape[-1]
    found = []
    if view.ndim == 1:
        cuts = np.unique(np.concatenate([block_start, starts, starts + length]))
        cuts = cuts[(cuts >= starts[0]) & (cuts <= starts[0] + length)]
        pieces = list(zip(cuts[:-1].tolist(), np.diff(cuts).tolist(), strict=True))
    else:
        pieces = [(int(start), length) for start in starts]
    for start, size in pieces:
        found += [(start + at, min(TILE, size - at)) for at in range(0, size, TILE)]
    table = np.array(found, np.int64).reshape(-1, 2)
    return np.ascontiguousarray(table[:, 0]), np.ascontiguousarray(table[:, 1])


def _specials(
    graph: IntegerGraph, kernel: Kernel, layout: Layout, positions: Integers
) -> tuple[list[tuple[int, int]], tuple[Integers, Integers, Integers, Integers]]:
    """Bias and number of the wide box of each axis, and the faces that differ: axes, positions, boxes, biases."""
    axes = len(layout.shape)
    counts = kernel.shape.prod(axis=1)
    bias = np.zeros((axes, layout.size), np.int64)
    layout.scatter(graph.flux.bias, bias)
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


def _wide_tables(kernel: Kernel, layout: Layout, boxes: list[int]) -> dict[str, Integers]:
    pairs: list[tuple[int, int, int]] = []
    singles: list[tuple[int, int]] = []
    pair_first, single_first = [0], [0]
    for box in boxes:
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
    pair_table = np.array(pairs, np.int64).reshape(-1, 3).T.copy()
    single_table = np.array(singles, np.int64).reshape(-1, 2).T.copy()
    return {
        "pair_first": np.array(pair_first, np.int64),
        "pair_plus": pair_table[0],
        "pair_minus": pair_table[1],
        "pair_weight": pair_table[2],
        "single_first": np.array(single_first, np.int64),
        "single_delta": single_table[0],
        "single_weight": single_table[1],
    }


def _box_tables(kernel: Kernel, layout: Layout) -> dict[str, Integers]:
    flat = [_flat_entries(entries, layout) for entries in kernel.entries]
    return {
        "box_first": np.cumsum([0, *(len(entries) for entries in flat)], dtype=np.int64),
        "box_delta": np.array([delta for entries in flat for delta, _ in entries], np.int64),
        "box_weight": np.array([weight for entries in flat for _, weight in entries], np.int64),
    }


def _wraps(layout: Layout, positions: Integers) -> tuple[Integers, Integers, Integers, Integers]:
    """Packets to copy from the last faces of a periodic axis to the places below its first cells.

    The first axis is not among them: its packets pass from slab to slab.
    """
    mesh = layout.mesh
    found = []
    for axis in range(1, len(layout.shape)):
        if mesh.boundary[axis] != (PERIODIC, PERIODIC):
            continue
        lower = tuple(-1 if a == axis else 0 for a in range(len(layout.shape)))
        shape = tuple(1 if a == axis else n for a, n in enumerate(mesh.shape))
        target = layout.box(positions, lower, shape)
        length = target.shape[-1]
        starts = target[..., 0].reshape(-1)
        distance = mesh.shape[axis] * layout.strides[axis]
        found.append((np.full(starts.size, axis), starts, starts + distance, np.full(starts.size, length)))
    if not found:
        nothing = np.zeros(0, np.int64)
        return nothing, nothing, nothing, nothing
    axis_of, target_of, source_of, length_of = (
        np.concatenate(column).astype(np.int64) for column in zip(*found, strict=True)
    )
    return axis_of, target_of, source_of, length_of


def _halo(layout: Layout, positions: Integers) -> tuple[Integers, Integers]:
    """Pads beyond periodic sides and the cells that they repeat."""
    mesh = layout.mesh
    targets, sources = [], []
    axes = len(layout.shape)
    periodic = [a for a in range(axes) if mesh.boundary[a] == (PERIODIC, PERIODIC)]
    for beyond in itertools.product((False, True), repeat=len(periodic)):
        out = {a for a, flag in zip(periodic, beyond, strict=True) if flag}
        if not out:
            continue
        along = []
        for a in range(axes):
            low, high = layout.pads[a]
            n = mesh.shape[a]
            along.append(np.concatenate([np.arange(-low, 0), np.arange(n, n + high)]) if a in out else np.arange(n))
        grid = np.zeros((1,) * axes, np.int64)
        inside = np.zeros((1,) * axes, np.int64)
        for a in range(axes):
            dimensions = [-1 if a == b else 1 for b in range(axes)]
            pad, stride = layout.pads[a][0], layout.strides[a]
            grid = grid + ((along[a] + pad) * stride).reshape(dimensions)
            inside = inside + ((along[a] % mesh.shape[a] + pad) * stride).reshape(dimensions)
        targets.append((layout.guard + grid).reshape(-1))
        sources.append((layout.guard + inside).reshape(-1))
    if not targets:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    return np.concatenate(targets).astype(np.int64), np.concatenate(sources).astype(np.int64)


def limits_of(graph: IntegerGraph) -> Integers:
    """Limits that the kernels compare with, int64; absolute values where both ends of a width are meant."""
    bits = {(bound.population, bound.quantity): bound.bits for bound in graph.bounds}

    def largest(population: str, quantity: str) -> int:
        width = bits.get((population, quantity))
        return UNLIMITED if width is None else min(UNLIMITED, (1 << (width - 1)) - 1)

    window = graph.window
    limits = np.zeros(place.LIMITS, np.int64)
    mass = largest(MEMBRANE, "mass")
    limits[place.LOWER] = max(window.lower, -mass)
    limits[place.UPPER] = min(window.upper, mass)
    limits[place.PAYLOAD] = largest(MEMBRANE, "payload") if graph.coding == "delta" else UNLIMITED
    limits[place.DRIVE] = largest(FLUX, "drive")
    limits[place.ABSOLUTE_CURRENT] = min(
        largest(FLUX, "current"), UNLIMITED if window.current is None else window.current
    )
    if graph.flux.leak == MEMORYLESS:  # the current is the drive
        limits[place.ABSOLUTE_CURRENT] = min(limits[place.ABSOLUTE_CURRENT], limits[place.DRIVE])
    limits[place.POTENTIAL] = largest(FLUX, "potential")
    limits[place.PACKET] = largest(FLUX, "packet")
    limits[place.RESIDUE] = largest(FLUX, "residue")
    limits[place.LEDGER] = largest(MEMBRANE, "ledger")
    limits[place.DIFFERENCE] = UNLIMITED if window.difference is None else window.difference
    limits[place.HALF_DIFFERENCE] = UNLIMITED if window.difference is None else window.difference // 2
    limits[place.EXPONENT] = graph.flux.threshold_exponent
    limits[place.KEPT] = MEMORYLESS - graph.flux.leak
    limits[place.CHANGES_COUNT] = int(graph.coding == "delta")
    limits[place.PERIODIC_FIRST_AXIS] = int(graph.grid.boundary[0] == (PERIODIC, PERIODIC))
    return limits


def fits_narrow(graph: IntegerGraph, kernel: Kernel, limits: Integers) -> bool:
    """Whether 32 bits (16 for residues) hold every value of a step before the audit has looked at it.

    A step starts from a state that the audit has passed: masses within the operating range, residues and currents
    within their widths. From there on every value is bounded by what it is made of, whatever the declared widths say;
    partial sums of a drive may wrap, because only the sum modulo 2^32 counts and that is exact. What has been counted
    in a run of faces is only kept if packets were within their width.
    """
    reservoirs = graph.membrane.reservoirs
    word = 2**31 - 1
    mass = max(abs(int(limits[place.LOWER])), abs(int(limits[place.UPPER])))
    if reservoirs.size:
        mass = max(mass, int(np.abs(reservoirs).max()))
    residue = int(limits[place.RESIDUE])
    bias = int(np.abs(graph.flux.bias).max(initial=0))
    drive = kernel.largest * mass + bias
    kept = int(limits[place.ABSOLUTE_CURRENT]) if limits[place.KEPT] else 0
    potential = residue + kept + drive
    half = (1 << graph.flux.threshold_exponent) // 2
    packet = (potential + half) >> graph.flux.threshold_exponent
    arriving = 2 * len(graph.grid.shape) * packet
    return (
        residue < 2**15
        and half < 2**15
        and potential + half <= word
        and mass + arriving <= word
        and 2 * mass <= word
        and int(limits[place.PACKET]) * TILE <= word
        and word >= TILE * 2**15
        and bool(np.abs(np.array([w for e in kernel.entries for w in e.values()], np.int64)).max(initial=0) <= word)
    )

"""Kernels for linear flux networks on structured meshes whose faces ask before they send.

A PDE step has four phases, each of which sweeps all planes: faces fire and ask, cells answer, faces send, cells change.
Numbering, runs and audit are those of `pisnn_deploy.runs.kernels.structured`; what faces ask and send is kept for the
whole mesh. The planes are divided into slabs, one for each thread, which wait for each other after each phase.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from pisnn_deploy.runs.kernels.arrivals import arrive, clear, steepest
from pisnn_deploy.runs.kernels.common import LAYERS, settle_step
from pisnn_deploy.runs.kernels.compiled import part
from pisnn_deploy.runs.kernels.exchange import cells, reservoirs
from pisnn_deploy.runs.kernels.places import (
    AUDITED,
    DIFFERENCE,
    FLAG_RANGE,
    FLAGS,
    LARGEST_CURRENT,
    PERIODIC_FIRST_AXIS,
    UNLIMITED,
)
from pisnn_deploy.runs.kernels.structured import too_steep  # noqa: F401 - a kernel

KERNELS = ("ask", "grant", "tell", "send", "collect", "join", "too_steep")
_MODULES = ("arrivals", "common", "exchange", "places", "structured")
PARTS = tuple(f"pisnn_deploy.runs.kernels.{name}" for name in _MODULES)
AXES = 1  # replaced by the number of axes of the mesh
HAS_LOW = 1  # replaced by 0 where faces have no low flux


class LimitedRow(NamedTuple):
    """Buffers of one slab: for its longest run, and its row of results."""

    arrivals: Any
    before: Any
    leaving: Any
    coming: Any
    balance: Any
    result: Any


def ask_run(*arguments):
    """Fire a run of faces, and store what they ask for; replaced by generated code."""
    raise NotImplementedError


def audit_ask_run(*arguments):
    """Audit the results of `ask_run`; replaced by generated code."""
    raise NotImplementedError


def grant_run(*arguments):
    """Compute the answers of a run of cells; replaced by generated code."""
    raise NotImplementedError


def audit_grant_run(*arguments):
    """Audit the results of `grant_run`; replaced by generated code."""
    raise NotImplementedError


def send_run(*arguments):
    """Send the packets of a run of faces; replaced by generated code."""
    raise NotImplementedError


def audit_send_run(*arguments):
    """Audit the results of `send_run`; replaced by generated code."""
    raise NotImplementedError


@part
def _row(buffers, slab):
    asks = buffers.asks[slab]
    return LimitedRow(buffers.arrivals[slab], buffers.before[slab], asks[0], asks[1], asks[2], buffers.results[slab])


@part
def _clear_asks(runs, run, axis, arrays):
    """Let faces that do not exist ask for nothing."""
    for g in range(runs.gap[run], runs.gap[run + 1]):
        arrays.asked[axis, runs.gaps[g]] = 0
        if HAS_LOW:
            arrays.low[axis, runs.gaps[g]] = 0


def ask(tables, programs, mass, arrays, buffers, slab):
    """Fire the faces of a slab, and store what they ask for; nonexistent faces ask for nothing."""
    grid, network, _, runs, _, _, _ = tables
    limits, numbers, widths, _, _ = programs
    of_faces = (arrays.states, arrays.parameters, arrays.transported, arrays.ends)
    faces = (*of_faces, arrays.asked, arrays.low, arrays.short, arrays.full)
    row, most = _row(buffers, slab), limits[DIFFERENCE]
    for block in range(grid.slab_block[slab], grid.slab_block[slab + 1]):
        for axis in range(AXES):
            stride = np.uint64(grid.strides[axis])
            for run in range(runs.block[block * AXES + axis], runs.block[block * AXES + axis + 1]):
                at, n = np.uint64(runs.start[run]), np.uint64(runs.length[run])
                place = (axis, at, at, stride, n)
                arrive(network, runs, axis, run, mass, row.arrivals)
                ask_run(numbers, widths, mass, faces, row, arrays.packets, place)
                if limits[AUDITED]:
                    largest = limits[LARGEST_CURRENT]
                    audit_ask_run(numbers, widths, mass, faces, row, arrays.packets, place, largest)
                    if most < UNLIMITED and steepest(runs, run, stride, mass, row.before) > most:
                        row.result[FLAGS] |= FLAG_RANGE
                _clear_asks(runs, run, axis, arrays)


@part
def _wrap_planes(grid, limits, values, slab):
    """Copy the values of the last plane to below the first one, along a periodic first axis."""
    if slab == 0 and limits[PERIODIC_FIRST_AXIS]:
        front = grid.strides[0]
        to, source = grid.block_start[0] - front, grid.block_start[-1] - front
        for x in range(front):
            values[0, to + x] = values[0, source + x]


@part
def _wrap(tables, limits, values, slab):
    """Copy values of the last faces of periodic axes to below the first cells of a slab."""
    grid, _, _, _, _, wraps, _ = tables
    first, last = wraps.block[grid.slab_block[slab]], wraps.block[grid.slab_block[slab + 1]]
    for w in range(first, last):
        axis, to, source = wraps.places[0, w], wraps.places[1, w], wraps.places[2, w]
        for x in range(wraps.places[3, w]):
            values[axis, to + x] = values[axis, source + x]
    _wrap_planes(grid, limits, values, slab)


@part
def _sum_asks(asked, low, row, at, below, n):
    """Add up what is asked of a run of cells, and what their low fluxes bring."""
    t = row.leaving.dtype.type
    zero = t(0)
    for x in range(n):
        out, into = asked[0, at + x], asked[0, below[0] + x]
        row.leaving[x] = t(max(out, zero) + max(t(-into), zero))
        row.coming[x] = t(max(t(-out), zero) + max(into, zero))
    if HAS_LOW:
        for x in range(n):
            row.balance[x] = t(low[0, below[0] + x] - low[0, at + x])
    for axis in range(1, AXES):
        lower = below[axis]
        for x in range(n):
            out, into = asked[axis, at + x], asked[axis, lower + x]
            row.leaving[x] = t(row.leaving[x] + t(max(out, zero) + max(t(-into), zero)))
            row.coming[x] = t(row.coming[x] + t(max(t(-out), zero) + max(into, zero)))
        if HAS_LOW:
            for x in range(n):
                row.balance[x] = t(row.balance[x] + t(low[axis, lower + x] - low[axis, at + x]))


@part
def _sum_asks_again(asked, low, row, at, below, n):
    """As `_sum_asks`, independently: sums of absolute values and of differences, for the audit."""
    t = row.leaving.dtype.type
    for x in range(n):
        row.leaving[x], row.coming[x], row.balance[x] = t(0), t(0), t(0)
    for back in range(AXES):
        axis = AXES - 1 - back
        lower = below[axis]
        for x in range(n):
            into, out = asked[axis, lower + x], asked[axis, at + x]
            net, both = t(into - out), t(max(into, t(-into)) + max(out, t(-out)))
            row.coming[x] = t(row.coming[x] + t(t(both + net) >> t(1)))
            row.leaving[x] = t(row.leaving[x] + t(t(both - net) >> t(1)))
        if HAS_LOW:
            for x in range(n):
                row.balance[x] = t(t(row.balance[x] + low[axis, lower + x]) - low[axis, at + x])


def grant(tables, programs, mass, arrays, buffers, slab):
    """Compute the answers of the cells of a slab, and audit them."""
    grid, _, _, _, lines, _, _ = tables
    limits, _, _, numbers, widths = programs
    row = _row(buffers, slab)
    _wrap(tables, limits, arrays.asked, slab)
    if HAS_LOW:
        _wrap(tables, limits, arrays.low, slab)
    for run in range(lines.block[grid.slab_block[slab]], lines.block[grid.slab_block[slab + 1]]):
        at, n = np.uint64(lines.start[run]), np.uint64(lines.length[run])
        below = (
            at - np.uint64(grid.strides[0]),
            at - np.uint64(grid.strides[1 if AXES > 1 else 0]),
            at - np.uint64(grid.strides[2 if AXES > 2 else 0]),
        )
        for again in range(2 if limits[AUDITED] else 1):
            if again:
                _sum_asks_again(arrays.asked, arrays.low, row, at, below, n)
            else:
                _sum_asks(arrays.asked, arrays.low, row, at, below, n)
            for values in (row.leaving, row.coming, row.balance):
                clear(values, lines.start[run], lines.gaps, lines.gap[run], lines.gap[run + 1])
            answering = (mass, arrays.limits, row, arrays.short, arrays.full)
            if again:
                audit_grant_run(numbers, widths, *answering, at, n)
            else:
                row.result[LAYERS] += grant_run(numbers, widths, *answering, at, n)


def tell(tables, arrays):
    """Copy answers into the halo of periodic boundaries."""
    halo = tables[0].halo
    for x in range(halo.shape[1]):
        arrays.short[halo[0, x]] = arrays.short[halo[1, x]]
    if arrays.full.size > 1:
        for x in range(halo.shape[1]):
            arrays.full[halo[0, x]] = arrays.full[halo[1, x]]


def send(tables, programs, mass, arrays, buffers, slab):
    """Send the packets of a slab, and audit them."""
    grid, _, _, runs, _, _, _ = tables
    limits, numbers, widths, _, _ = programs
    of_faces = (arrays.states, arrays.parameters, arrays.transported, arrays.ends)
    faces = (*of_faces, arrays.asked, arrays.low, arrays.short, arrays.full)
    row = _row(buffers, slab)
    for block in range(grid.slab_block[slab], grid.slab_block[slab + 1]):
        for axis in range(AXES):
            stride = np.uint64(grid.strides[axis])
            for run in range(runs.block[block * AXES + axis], runs.block[block * AXES + axis + 1]):
                at, n = np.uint64(runs.start[run]), np.uint64(runs.length[run])
                place = (axis, at, at, stride, n)
                _clear_asks(runs, run, axis, arrays)  # gaps have what `_wrap` copied there
                send_run(numbers, widths, mass, faces, row, arrays.packets, place)
                if limits[AUDITED]:
                    audit_send_run(numbers, widths, mass, faces, row, arrays.packets, place)


def collect(tables, programs, mass, new, arrays, buffers, slab):
    """Update and audit the cells and reservoirs of a slab."""
    grid, _, _, _, lines, wraps, edges = tables
    limits, row = programs[0], _row(buffers, slab)
    _wrap_planes(grid, limits, arrays.packets, slab)
    for block in range(grid.slab_block[slab], grid.slab_block[slab + 1]):
        begin = grid.block_start[block] - grid.strides[0]
        packets = arrays.packets[:, begin:]
        cells((grid, lines, wraps), limits, block, mass, new, row, packets)
        reservoirs(edges, limits, block, begin, mass, arrays, packets, row.result)


def join(tables, programs, new, buffers, counters):
    """Finish a PDE step after all phases, and return its flags."""
    halo = tables[0].halo
    for x in range(halo.shape[1]):
        new[halo[0, x]] = new[halo[1, x]]
    return settle_step(new, buffers.results, counters, programs[0][AUDITED])

"""Kernels for linear flux networks on structured meshes: inputs, firing, exchange and the audit.

Cells and faces have a flat, padded numbering (`pisnn_deploy.runs.kernels.layout`): the face on the upper side of a cell
has the cell's position, so that loops run over consecutive integers. A sweep processes blocks of planes that fit the
second-level cache; packets stay in it. The planes are divided into slabs, one for each thread.

The functions are combined with generated code of a program (`pisnn_deploy.runs.kernels.faces`) and the number of axes.
They work for all integer types. Sums are cast after each operation, because numba widens them to 64 bits; narrow types
are used only if all values are proved to fit (`limits.fits_narrow`). Positions are unsigned, because numba checks
signed ones for negative indices.

The audit reads stored values: each check is a separate loop over arrays that the step has written before, so that the
compiler cannot remove it. A check sets a bit of `flags`; the reference then finds the violation.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from pisnn_deploy.runs.kernels.arrivals import arrive, ask_ahead, steepest
from pisnn_deploy.runs.kernels.common import settle_step
from pisnn_deploy.runs.kernels.compiled import part
from pisnn_deploy.runs.kernels.exchange import cells, enter, leave, reservoirs
from pisnn_deploy.runs.kernels.limbs import limbs
from pisnn_deploy.runs.kernels.places import (
    AUDITED,
    DIFFERENCE,
    FLAG_RANGE,
    FLAGS,
    HALF_DIFFERENCE,
    LARGEST_CURRENT,
    PERIODIC_FIRST_AXIS,
    UNLIMITED,
)

KERNELS = ("sweep", "join", "advance", "too_steep")
PARTS = tuple(f"pisnn_deploy.runs.kernels.{name}" for name in ("arrivals", "common", "exchange", "limbs", "places"))
AXES = 1  # replaced by the number of axes of the mesh
SEES = 0  # replaced by 1 where faces see residues


class Row(NamedTuple):
    """Buffers of one slab: for its longest run, and its row of results."""

    arrivals: Any
    before: Any
    result: Any
    low: Any


class Held(NamedTuple):
    """What cells hold, in the padded numbering: their masses, and their low limbs where faces see residues."""

    mass: Any
    limb: Any


def fire_run(*arguments):
    """Fire a run of faces; replaced by generated code."""
    raise NotImplementedError


def audit_run(*arguments):
    """Audit the results of `fire_run`; replaced by generated code."""
    raise NotImplementedError


@part
def _faces(tables, limits, programs, block, now, arrays, row, packets):
    """Fire the faces of a block into `packets`; nonexistent faces stay 0."""
    grid, network, of_limbs, runs = tables
    mass = now.mass
    numbers, widths = programs
    front = grid.strides[0]
    begin = grid.block_start[block]
    several = grid.block_start.size > 2  # with a single block, packets are still clear
    if several:
        for axis in range(AXES):
            for x in range(np.uint64(front), np.uint64(front + grid.block_start[block + 1] - begin)):
                packets[axis, x] = 0
    for axis in range(AXES):
        stride = np.uint64(grid.strides[axis])
        for run in range(runs.block[block * AXES + axis], runs.block[block * AXES + axis + 1]):
            at, n = np.uint64(runs.start[run]), np.uint64(runs.length[run])
            place = at - np.uint64(begin) + np.uint64(front)
            if several:
                ask_ahead(arrays.transported, axis, runs.start[run], runs.length[run])
                ask_ahead(arrays.states[0], axis, runs.start[run], runs.length[run])
                ask_ahead(arrays.states[-1], axis, runs.start[run], runs.length[run])
            arrive(network, runs, axis, run, mass, row.arrivals)
            if SEES:
                arrive(of_limbs, runs, axis, run, now.limb, row.low)
            fire_run(numbers, widths, mass, arrays, row, packets, (axis, at, place, stride, n))
            if limits[AUDITED]:
                largest = limits[LARGEST_CURRENT]
                audit_run(numbers, widths, mass, arrays, row, packets, (axis, at, place, stride, n), largest)
                steepest_allowed = limits[DIFFERENCE]
                if steepest_allowed < UNLIMITED and steepest(runs, run, stride, mass, row.before) > steepest_allowed:
                    row.result[FLAGS] |= FLAG_RANGE


@part
def _fill_halo(halo, new):
    """Copy masses and limbs into the halo of periodic boundaries."""
    for x in range(halo.shape[1]):
        new.mass[halo[0, x]] = new.mass[halo[1, x]]
    if SEES:
        for x in range(halo.shape[1]):
            new.limb[halo[0, x]] = new.limb[halo[1, x]]


@part
def _update(tables, limits, block, now, new, arrays, row, packets):
    """Update the cells of a block and the reservoirs beside them, once all its packets are known."""
    grid, lines, wraps, edges = tables
    cells((grid, lines, wraps), limits, block, now.mass, new.mass, row, packets)
    begin = grid.block_start[block] - grid.strides[0]
    reservoirs(edges, limits, block, begin, now.mass, arrays, packets, row.result)
    if SEES:
        limbs((grid, lines, wraps), limits, block, now.limb, new.limb, arrays.states[-1], row.result)


def sweep(tables, programs, now, new, arrays, buffers, slab):
    """Run one PDE step of a slab, except for the cells of its first block, which need packets of the previous slab."""
    grid, network, of_limbs, runs, lines, wraps, edges = tables
    limits = programs[0]
    row = Row(buffers.arrivals[slab], buffers.before[slab], buffers.results[slab], buffers.low[slab])
    begin, end = grid.slab_block[slab], grid.slab_block[slab + 1]
    for block in range(begin, end):
        packets = buffers.head[slab] if block == begin else buffers.work[slab]
        _faces((grid, network, of_limbs, runs), limits, programs[1:], block, now, arrays, row, packets)
        if block > begin:
            for x in range(grid.strides[0]):
                packets[0, x] = buffers.tail[slab, x]
            _update((grid, lines, wraps, edges), limits, block, now, new, arrays, row, packets)
        leave(grid, block, packets, buffers.tail, slab)


def join(tables, programs, now, new, arrays, buffers, counters):
    """Finish a PDE step after all slabs are swept, and return its flags."""
    grid, _, _, _, lines, wraps, edges = tables
    limits = programs[0]
    for slab in range(grid.slab_block.size - 1):
        block = grid.slab_block[slab]
        row = Row(buffers.arrivals[slab], buffers.before[slab], buffers.results[slab], buffers.low[slab])
        enter(grid, limits[PERIODIC_FIRST_AXIS], buffers.head[slab], buffers.tail, slab)
        _update((grid, lines, wraps, edges), limits, block, now, new, arrays, row, buffers.head[slab])
    _fill_halo(grid.halo, new)
    return settle_step(new.mass, buffers.results, counters, limits[AUDITED])


def advance(tables, programs, now, new, arrays, buffers, counters, steps):
    """Run PDE steps of a mesh with a single slab, up to one with a flag; return their number."""
    grid, network, of_limbs, runs, lines, wraps, edges = tables
    limits = programs[0]
    blocks = grid.slab_block[1]
    row = Row(buffers.arrivals[0], buffers.before[0], buffers.results[0], buffers.low[0])
    head, work = buffers.head[0], buffers.work[0]
    for step in range(steps):
        # The cells of the first block need the packets of the last one.
        for turn in range(blocks + 1):
            block = turn % blocks
            packets = head if block == 0 else work
            if turn < blocks:
                _faces((grid, network, of_limbs, runs), limits, programs[1:], turn, now, arrays, row, packets)
            if turn > 0:
                if turn < blocks:
                    for x in range(grid.strides[0]):
                        packets[0, x] = buffers.tail[0, x]
                else:
                    enter(grid, limits[PERIODIC_FIRST_AXIS], head, buffers.tail, 0)
                _update((grid, lines, wraps, edges), limits, block, now, new, arrays, row, packets)
            if turn < blocks:
                leave(grid, turn, packets, buffers.tail, 0)
        _fill_halo(grid.halo, new)
        if settle_step(new.mass, buffers.results, counters, limits[AUDITED]):
            return step + 1
        now, new = new, now
    return steps


def too_steep(tables, programs, mass, slopes):
    """Whether masses across any face differ by more than the operating range allows."""
    grid, _, _, runs, _, _, edges = tables
    limits = programs[0]
    for block in range(grid.block_start.size - 1):
        for axis in range(AXES):
            stride = np.uint64(grid.strides[axis])
            for run in range(runs.block[block * AXES + axis], runs.block[block * AXES + axis + 1]):
                if steepest(runs, run, stride, mass, slopes) > limits[DIFFERENCE]:
                    return True
    for j in range(edges.places.shape[1]):
        if abs(edges.places[4, j] - np.int64(mass[edges.places[3, j]])) > limits[HALF_DIFFERENCE]:
            return True
    return False

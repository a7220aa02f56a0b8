"""Updates of cells and reservoirs of a structured mesh by packets, and their audit."""

from __future__ import annotations

import numpy as np

from pisnn_deploy.runs.kernels.arrivals import clear
from pisnn_deploy.runs.kernels.common import outside, spikes
from pisnn_deploy.runs.kernels.compiled import part
from pisnn_deploy.runs.kernels.places import (
    AUDITED,
    CHANGES_COUNT,
    FLAG_LOCAL,
    FLAG_RANGE,
    FLAG_WIDTH,
    FLAGS,
    HALF_DIFFERENCE,
    LEDGER,
    LOWER,
    MASS,
    MASS_SUM,
    MEMBRANE_LINES,
    MEMBRANE_SPIKES,
    PAYLOAD,
    UPPER,
)

AXES = 1  # replaced by the number of axes of the mesh


@part
def _exchange(packets, gains, here, below, n):
    """Compute the gains of a run of cells."""
    t = gains.dtype.type
    for x in range(n):
        gain = t(packets[0, below[0] + x] - packets[0, here + x])
        if AXES > 1:
            gain = t(gain + t(packets[1, below[1] + x] - packets[1, here + x]))
        if AXES > 2:
            gain = t(gain + t(packets[2, below[2] + x] - packets[2, here + x]))
        gains[x] = gain


@part
def _take(mass, new, gains, at, n):
    """Add gains to a run of cells, and return the number of changed cells."""
    t = mass.dtype.type
    changed = t(0)
    for x in range(n):
        new[at + x] = t(mass[at + x] + gains[x])
        changed = t(changed + (t(1) if gains[x] != t(0) else t(0)))
    return changed


@part
def _losses(packets, losses, here, below, n):
    """Compute the net losses of a run of cells independently, for the audit."""
    t = losses.dtype.type
    for x in range(n):
        losses[x] = t(packets[0, here + x] - packets[0, below[0] + x])
    for axis in range(1, AXES):
        low = below[axis]
        for x in range(n):
            losses[x] = t(t(losses[x] + packets[axis, here + x]) - packets[axis, low + x])


@part
def _audit_cells(mass, new, losses, at, n):
    """Audit stored masses (I2, range and payload), and sum them for I1."""
    t = mass.dtype.type
    sign_bit = t(8 * mass.itemsize - 1)
    wrong, payload = t(0), t(0)
    lowest, highest = new[at], new[at]
    total = np.int64(0)
    for x in range(n):
        value = new[at + x]
        change = t(value - mass[at + x])
        wrong = t(wrong | t(change + losses[x]))
        payload = t(payload | t(change ^ t(change >> sign_bit)))
        lowest = min(lowest, value)
        highest = max(highest, value)
        total += value
    return wrong, payload, lowest, highest, total


@part
def cells(tables, limits, block, mass, new, row, packets):
    """Update and audit the cells of a block, once all its packets are known."""
    grid, lines, wraps = tables
    gains, result = row.arrivals, row.result
    front = grid.strides[0]
    begin = grid.block_start[block] - front
    for w in range(wraps.block[block], wraps.block[block + 1]):
        axis, to, source = wraps.places[0, w], wraps.places[1, w] - begin, wraps.places[2, w] - begin
        for x in range(wraps.places[3, w]):
            packets[axis, to + x] = packets[axis, source + x]
    for run in range(lines.block[block], lines.block[block + 1]):
        at, n = np.uint64(lines.start[run]), np.uint64(lines.length[run])
        here = at - np.uint64(begin)
        below = (
            here - np.uint64(front),
            here - np.uint64(grid.strides[1 if AXES > 1 else 0]),
            here - np.uint64(grid.strides[2 if AXES > 2 else 0]),
        )
        _exchange(packets, gains, here, below, n)
        clear(gains, lines.start[run], lines.gaps, lines.gap[run], lines.gap[run + 1])
        changed = _take(mass, new, gains, at, n)
        if not limits[CHANGES_COUNT]:
            for x in range(n):
                result[MEMBRANE_SPIKES] += spikes(new[at + x], limits[MEMBRANE_LINES])
            for g in range(lines.gap[run], lines.gap[run + 1]):
                result[MEMBRANE_SPIKES] -= spikes(new[lines.gaps[g]], limits[MEMBRANE_LINES])
        elif limits[MEMBRANE_LINES]:
            for x in range(n):
                result[MEMBRANE_SPIKES] += spikes(gains[x], limits[MEMBRANE_LINES])
        else:
            result[MEMBRANE_SPIKES] += changed
        if limits[AUDITED]:
            _losses(packets, gains, here, below, n)
            clear(gains, lines.start[run], lines.gaps, lines.gap[run], lines.gap[run + 1])
            wrong, payload, lowest, highest, total = _audit_cells(mass, new, gains, at, n)
            for g in range(lines.gap[run], lines.gap[run + 1]):
                total -= new[lines.gaps[g]]
            result[MASS_SUM] += total
            if wrong:
                result[FLAGS] |= FLAG_LOCAL
            if payload > limits[PAYLOAD] or outside(lowest, limits[MASS]) or outside(highest, limits[MASS]):
                result[FLAGS] |= FLAG_WIDTH
            if lowest < limits[LOWER] or highest > limits[UPPER]:
                result[FLAGS] |= FLAG_RANGE


@part
def reservoirs(edges, limits, block, begin, mass, arrays, packets, result):
    """Update and audit the reservoirs of a block."""
    for j in range(edges.block[block], edges.block[block + 1]):
        packet = packets[edges.places[0, j], edges.places[1, j] - begin]
        arrays.earlier[j] = arrays.ledger[j]
        arrays.ledger[j] += edges.places[2, j] * packet
    for j in range(edges.block[block], edges.block[block + 1]):
        packet = packets[edges.places[0, j], edges.places[1, j] - begin]
        gain = arrays.ledger[j] - arrays.earlier[j]
        if gain != (packet if edges.places[2, j] > 0 else -packet):
            result[FLAGS] |= FLAG_LOCAL
        if outside(arrays.ledger[j], limits[LEDGER]):
            result[FLAGS] |= FLAG_WIDTH
        if abs(edges.places[4, j] - np.int64(mass[edges.places[3, j]])) > limits[HALF_DIFFERENCE]:
            result[FLAGS] |= FLAG_RANGE
        result[MASS_SUM] += arrays.ledger[j]


@part
def enter(grid, is_periodic, head, tail, slab):
    """Put the packets that come from the slab before into the first places of a slab's first block."""
    slabs = tail.shape[0]
    for x in range(grid.strides[0]):
        if slab or is_periodic:
            head[0, x] = tail[(slab + slabs - 1) % slabs, x]
        else:
            head[0, x] = 0


@part
def leave(grid, block, packets, tail, slab):
    """Store the last packets along the first axis of a block for the next block."""
    size = grid.block_start[block + 1] - grid.block_start[block]
    for x in range(grid.strides[0]):
        tail[slab, x] = packets[0, size + x]

"""Compiled kernels of a linear flux network on a structured mesh: flux, fire and exchange in one sweep, and the audit.

Cells and faces live in one flat, padded numbering (`pisnn_deploy.runs.kernels.layout`): the face of an axis on the
upper side of a cell has the cell's position, so that all loops run over consecutive integers. A sweep works through
blocks of planes that fit the second-level cache; packets never leave it. The planes are dealt to slabs, one a thread.

Everything is written once for all integer types. Sums are cast at each operation, because numba widens them to 64
bits; that no true value leaves its type is proved (`layout.fits_narrow`) before narrow ones are chosen.

The audit reads what was stored: each check is a loop of its own over arrays that the step has written before, so that
the compiler cannot fold it away. A check answers by a bit of `flags`; who broke what is found by the reference.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from pisnn_deploy.runs.kernels.compiled import kernel

# Numba's cache looks at this file alone, so constants that are compiled in stand here.
# Places in the row of results of a slab; some are places in the counters of a run, too.
FLAGS, PACKETS, QUANTA, EVENTS, MASS_SUM, RESIDUE_SUM, CURRENT_SUM, OLD_RESIDUE, OLD_CURRENT = range(9)
DONE, IN_FLIGHT = 9, 10
RESULTS = 11
# Flags.
FLAG_GLOBAL, FLAG_LOCAL, FLAG_FLUX, FLAG_WIDTH, FLAG_RANGE, FLAG_CHAIN = 1, 2, 4, 8, 16, 32
# Places in the limits. Those of widths are of absolute values and so too strict by one at the lower end; a flag that
# the reference does not confirm is a false alarm.
LOWER, UPPER, PAYLOAD, DRIVE, ABSOLUTE_CURRENT, POTENTIAL, PACKET, RESIDUE, LEDGER = range(9)
DIFFERENCE, HALF_DIFFERENCE, EXPONENT, KEPT, CHANGES_COUNT, PERIODIC_FIRST_AXIS = range(9, 15)
LIMITS = 15
CACHE_LINE = 64


@intrinsic
def _ask_for(typing_context, address):
    """Ask the processor for the cache line at an address, which is going to be written."""

    def generate(context, builder, signature, arguments):
        pointer = builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())
        function_type = ir.FunctionType(ir.VoidType(), [pointer.type, *[ir.IntType(32)] * 3])
        function = cgutils.get_or_insert_function(builder.module, function_type, "llvm.prefetch.p0i8")
        builder.call(function, [pointer, *(ir.Constant(ir.IntType(32), value) for value in (1, 3, 1))])
        return context.get_dummy_value()

    return types.void(types.uintp), generate


@kernel
def _ask_for_all(values):
    """Ask for consecutive numbers ahead of their use, so that they arrive while something else is computed."""
    begin = values.ctypes.data
    for offset in range(0, values.size * values.itemsize, CACHE_LINE):
        _ask_for(types.uintp(begin + offset))


# Loops instead of assignments to slices, which take seconds to compile.
@kernel
def _fill(values, value):
    for x in range(values.size):
        values[x] = value


@kernel
def _copy(target, source):
    for x in range(target.size):
        target[x] = source[x]


@kernel
def _add_four_pairs(total, m, at, plus, minus, weight):
    """Pairs of entries of opposite weight need one product each, and products are what is dear here."""
    t = total.dtype.type
    n = total.size
    a, b, c, d = m[at + plus[0] :][:n], m[at + plus[1] :][:n], m[at + plus[2] :][:n], m[at + plus[3] :][:n]
    e, f, g, h = m[at + minus[0] :][:n], m[at + minus[1] :][:n], m[at + minus[2] :][:n], m[at + minus[3] :][:n]
    wa, wb, wc, wd = t(weight[0]), t(weight[1]), t(weight[2]), t(weight[3])
    for x in range(n):
        first = t(t(wa * t(a[x] - e[x])) + t(wb * t(b[x] - f[x])))
        second = t(t(wc * t(c[x] - g[x])) + t(wd * t(d[x] - h[x])))
        total[x] = t(total[x] + t(first + second))


@kernel
def _add_pair(total, m, at, plus, minus, weight):
    t = total.dtype.type
    n = total.size
    a, b, w = m[at + plus :][:n], m[at + minus :][:n], t(weight)
    for x in range(n):
        total[x] = t(total[x] + t(w * t(a[x] - b[x])))


@kernel
def _add_one(total, m, at, delta, weight):
    t = total.dtype.type
    n = total.size
    a, w = m[at + delta :][:n], t(weight)
    for x in range(n):
        total[x] = t(total[x] + t(w * a[x]))


@kernel
def _leak(current, drive, kept):
    """Current of compartments that keep some of it; `drive` becomes the current too."""
    t = drive.dtype.type
    keep, sign_bit, low = t(kept), t(8 * drive.itemsize - 1), t(4095)
    top = t(0)
    for x in range(drive.size):
        old, new = t(current[x]), drive[x]
        sign = t(old >> sign_bit)
        size = t((old ^ sign) - sign)
        # |c| * keep >> 12 in two parts, so that the product stays as narrow as the current.
        part = t(t(t(size >> t(12)) * keep) + t(t(t(size & low) * keep) >> t(12)))
        top = max(top, max(new, t(-new)))
        drive[x] = t(t((part ^ sign) - sign) + new)
    _copy(current, drive)
    return top


@kernel
def _fire(current, residue, packets, before, exponent):
    """Packets of one run of faces; returns the largest potential, how many fired, and how much."""
    t = current.dtype.type
    half, sign_bit, shift = t((1 << exponent) // 2 - 1), t(8 * current.itemsize - 1), t(exponent)
    potential, count, quanta = t(0), t(0), t(0)
    for x in range(current.size):
        old = t(residue[x])
        new = t(old + current[x])
        sign = t(new >> sign_bit)
        size = t(t(new ^ sign) - sign)
        fired = t(t(size + half) >> shift)
        potential = max(potential, size)
        count = t(count + min(fired, t(1)))  # a comparison would be counted in 64 bits
        quanta = t(quanta + fired)
        packets[x] = t(t(fired ^ sign) - sign)
        before[x] = old
    return potential, count, quanta


@kernel
def _reset(current, residue, packets, before, transported, exponent):
    t, r = current.dtype.type, residue.dtype.type
    shift = t(exponent)
    for x in range(current.size):
        residue[x] = r(t(t(before[x] + current[x]) - t(packets[x] << shift)))
        transported[x] = t(transported[x] + packets[x])


@kernel
def _audit_faces(current, residue, packets, before, exponent):
    """I3 from what was stored: what is wrong of it, sums of residues before and after, largest current and residue."""
    t = current.dtype.type
    shift = t(exponent)
    wrong, old_sum, new_sum, top, widest = t(0), t(0), t(0), t(0), t(0)
    for x in range(current.size):
        new, c = t(residue[x]), current[x]
        wrong = t(wrong | t(t(t(packets[x] << shift) + t(new - before[x])) - c))
        old_sum = t(old_sum + before[x])
        new_sum = t(new_sum + new)
        top = max(top, max(c, t(-c)))
        widest = max(widest, max(new, t(-new)))
    return wrong, old_sum, new_sum, top, widest


@kernel
def _steepest(lower, upper):
    t = lower.dtype.type
    top = t(0)
    for x in range(lower.size):
        steep = t(upper[x] - lower[x])
        top = max(top, max(steep, t(-steep)))
    return top


@kernel
def _exchange_one(mass, new, in0, out0):
    t = mass.dtype.type
    changed = t(0)
    for x in range(mass.size):
        gain = t(in0[x] - out0[x])
        changed = t(changed + min(max(gain, t(-gain)), t(1)))
        new[x] = t(mass[x] + gain)
    return changed


@kernel
def _exchange_two(mass, new, in0, out0, in1, out1):
    t = mass.dtype.type
    changed = t(0)
    for x in range(mass.size):
        gain = t(t(in0[x] - out0[x]) + t(in1[x] - out1[x]))
        changed = t(changed + min(max(gain, t(-gain)), t(1)))
        new[x] = t(mass[x] + gain)
    return changed


@kernel
def _exchange_three(mass, new, in0, out0, in1, out1, in2, out2):
    t = mass.dtype.type
    changed = t(0)
    for x in range(mass.size):
        gain = t(t(t(in0[x] - out0[x]) + t(in1[x] - out1[x])) + t(in2[x] - out2[x]))
        changed = t(changed + min(max(gain, t(-gain)), t(1)))
        new[x] = t(mass[x] + gain)
    return changed


@kernel
def _audit_first_gain(expected, incoming, outgoing):
    """Start `expected` with what came through the faces of the first axis."""
    t = expected.dtype.type
    for x in range(expected.size):
        expected[x] = t(outgoing[x] - incoming[x])


@kernel
def _audit_gain(expected, incoming, outgoing):
    """Take what came through the faces of one axis off `expected`."""
    t = expected.dtype.type
    for x in range(expected.size):
        expected[x] = t(t(expected[x] + outgoing[x]) - incoming[x])


@kernel
def _audit_cells(mass, new, unexplained):
    """I2, range and payload from what was stored, and the sum for I1."""
    t = mass.dtype.type
    wrong, payload = t(0), t(0)
    lowest, highest = new[0], new[0]
    total = np.int64(0)
    for x in range(mass.size):
        value = new[x]
        change = t(value - mass[x])
        wrong = t(wrong | t(change + unexplained[x]))
        payload = max(payload, max(change, t(-change)))
        lowest = min(lowest, value)
        highest = max(highest, value)
        total += value
    return wrong, payload, lowest, highest, total


@kernel
def _nonzero(values):
    count = 0
    for x in range(values.size):
        count += values[x] != 0
    return count


@kernel
def _sum(values):
    total = np.int64(0)
    for x in range(values.size):
        total += values[x]
    return total


@kernel
def _drive(tables, axis, run, at, total, mass):
    """Drive of a run of faces: the kernel of the wide box, then those faces whose kernel or bias is another."""
    t = total.dtype.type
    _fill(total, t(tables.bias[axis]))
    first, last = tables.pair_first[axis], tables.pair_first[axis + 1]
    while last - first >= 4:
        four = slice(first, first + 4)
        _add_four_pairs(total, mass, at, tables.pair_plus[four], tables.pair_minus[four], tables.pair_weight[four])
        first += 4
    while first < last:
        _add_pair(total, mass, at, tables.pair_plus[first], tables.pair_minus[first], tables.pair_weight[first])
        first += 1
    for e in range(tables.single_first[axis], tables.single_first[axis + 1]):
        _add_one(total, mass, at, tables.single_delta[e], tables.single_weight[e])
    for s in range(tables.run_special[run], tables.run_special[run + 1]):
        place, box = tables.special_position[s], tables.special_box[s]
        value = np.int64(tables.special_bias[s])
        for e in range(tables.box_first[box], tables.box_first[box + 1]):
            value += tables.box_weight[e] * np.int64(mass[place + tables.box_delta[e]])
        total[place - at] = t(value)


@kernel
def _faces(tables, limits, block, mass, arrays, packets, drive, before, result, audited):
    """Flux and fire at the faces of a block; `packets` get what fired, the faces that do not exist stay 0."""
    axes = tables.strides.size
    front = tables.strides[0]
    begin = tables.block_start[block]
    size = tables.block_start[block + 1] - begin
    for axis in range(axes):
        _fill(packets[axis, front : front + size], 0)
    kept, exponent = limits[KEPT], limits[EXPONENT]
    flags = np.int64(0)
    for axis in range(axes):
        for run in range(tables.block_run[block * axes + axis], tables.block_run[block * axes + axis + 1]):
            at, n = tables.run_start[run], tables.run_length[run]
            current, old = drive[:n], before[:n]
            _ask_for_all(arrays.residue[axis, at : at + n])
            _ask_for_all(arrays.transported[axis, at : at + n])
            if kept:
                _ask_for_all(arrays.current[axis, at : at + n])
            _drive(tables, axis, run, at, current, mass)
            residue = arrays.residue[axis, at : at + n]
            fired = packets[axis, front + at - begin : front + at - begin + n]
            if kept:
                stored = arrays.current[axis, at : at + n]
                if audited:
                    result[OLD_CURRENT] += _sum(stored)
                if _leak(stored, current, kept) > limits[DRIVE]:
                    flags |= FLAG_WIDTH
                if audited:
                    result[CURRENT_SUM] += _sum(stored)
                current = stored
            potential, count, quanta = _fire(current, residue, fired, old, exponent)
            _reset(current, residue, fired, old, arrays.transported[axis, at : at + n], exponent)
            result[PACKETS] += count
            result[QUANTA] += quanta
            if audited:
                wrong, old_sum, new_sum, top, widest = _audit_faces(current, residue, fired, old, exponent)
                result[OLD_RESIDUE] += old_sum
                result[RESIDUE_SUM] += new_sum
                if wrong:
                    flags |= FLAG_FLUX
                if top > limits[ABSOLUTE_CURRENT] or potential > limits[POTENTIAL]:
                    flags |= FLAG_WIDTH
                # The largest packet is that of the largest potential.
                largest = (np.int64(potential) + (1 << exponent) // 2 - 1) >> exponent
                if widest > limits[RESIDUE] or largest > limits[PACKET]:
                    flags |= FLAG_WIDTH
                upper = at + tables.strides[axis]
                if _steepest(mass[at : at + n], mass[upper : upper + n]) > limits[DIFFERENCE]:
                    flags |= FLAG_RANGE
    result[FLAGS] |= flags


@kernel
def _cells(tables, limits, block, mass, new, arrays, packets, scratch, result, audited):
    """Exchange at the cells and reservoirs of a block, all of whose packets are known."""
    axes = tables.strides.size
    front = tables.strides[0]
    begin = tables.block_start[block] - front
    for w in range(tables.block_wrap[block], tables.block_wrap[block + 1]):
        axis, to, source = tables.wrap_axis[w], tables.wrap_target[w] - begin, tables.wrap_source[w] - begin
        for x in range(tables.wrap_length[w]):
            packets[axis, to + x] = packets[axis, source + x]
    flags = np.int64(0)
    for run in range(tables.block_cell[block], tables.block_cell[block + 1]):
        at, n = tables.cell_start[run], tables.cell_length[run]
        here = at - begin
        old, after = mass[at : at + n], new[at : at + n]
        in0, out0 = packets[0, here - front : here - front + n], packets[0, here : here + n]
        if axes == 1:
            changed = _exchange_one(old, after, in0, out0)
        else:
            low = here - tables.strides[1]
            in1, out1 = packets[1, low : low + n], packets[1, here : here + n]
            if axes == 2:
                changed = _exchange_two(old, after, in0, out0, in1, out1)
            else:
                in2, out2 = packets[2, here - 1 : here - 1 + n], packets[2, here : here + n]
                changed = _exchange_three(old, after, in0, out0, in1, out1, in2, out2)
        result[EVENTS] += changed if limits[CHANGES_COUNT] else _nonzero(after)
        if audited:
            unexplained = scratch[:n]
            _audit_first_gain(unexplained, in0, out0)
            for axis in range(1, axes):
                low = here - tables.strides[axis]
                _audit_gain(unexplained, packets[axis, low : low + n], packets[axis, here : here + n])
            wrong, payload, lowest, highest, total = _audit_cells(old, after, unexplained)
            result[MASS_SUM] += total
            if wrong:
                flags |= FLAG_LOCAL
            if payload > limits[PAYLOAD]:
                flags |= FLAG_WIDTH
            if lowest < limits[LOWER] or highest > limits[UPPER]:
                flags |= FLAG_RANGE
    first, last = tables.block_reservoir[block], tables.block_reservoir[block + 1]
    if last > first:
        ledger, earlier = arrays.ledger, arrays.earlier
        for j in range(first, last):
            packet = packets[tables.reservoir_axis[j], tables.reservoir_position[j] - begin]
            earlier[j] = ledger[j]
            ledger[j] += tables.reservoir_sign[j] * packet
        if audited:
            for j in range(first, last):
                packet = packets[tables.reservoir_axis[j], tables.reservoir_position[j] - begin]
                gain = ledger[j] - earlier[j]
                if gain != (packet if tables.reservoir_sign[j] > 0 else -packet):
                    flags |= FLAG_LOCAL
                if abs(ledger[j]) > limits[LEDGER]:
                    flags |= FLAG_WIDTH
                steep = np.int64(tables.reservoir_value[j]) - mass[tables.reservoir_cell[j]]
                if abs(steep) > limits[HALF_DIFFERENCE]:
                    flags |= FLAG_RANGE
                result[MASS_SUM] += ledger[j]
    result[FLAGS] |= flags


@kernel
def sweep(tables, limits, mass, new, arrays, buffers, slab, audited):
    """One PDE step of a slab but for its first block, whose cells wait for the packets of the slab before it."""
    front = tables.strides[0]
    result = buffers.result[slab]
    _fill(result, 0)
    drive, before = buffers.drive[slab], buffers.before[slab]
    begin, end = tables.slab_block[slab], tables.slab_block[slab + 1]
    for block in range(begin, end):
        # Each kernel is called from one place only, because it is compiled into every one.
        packets = buffers.head[slab] if block == begin else buffers.work[slab]
        _faces(tables, limits, block, mass, arrays, packets, drive, before, result, audited)
        if block > begin:
            _copy(packets[0, :front], buffers.tail[slab])
            _cells(tables, limits, block, mass, new, arrays, packets, before, result, audited)
        size = tables.block_start[block + 1] - tables.block_start[block]
        _copy(buffers.tail[slab], packets[0, size : size + front])


@kernel
def join(tables, limits, mass, new, arrays, buffers, counters, audited):
    """Finish a PDE step that all slabs have swept; returns the flags of the whole step."""
    front = tables.strides[0]
    slabs = tables.slab_block.size - 1
    flags = np.int64(0)
    total, old_residue, residue, old_current, current = 0, 0, 0, 0, 0
    packets, quanta, events = 0, 0, 0
    for slab in range(slabs):
        head, result = buffers.head[slab], buffers.result[slab]
        if slab or limits[PERIODIC_FIRST_AXIS]:
            _copy(head[0, :front], buffers.tail[(slab + slabs - 1) % slabs])
        else:
            _fill(head[0, :front], 0)
        _cells(tables, limits, tables.slab_block[slab], mass, new, arrays, head, buffers.before[slab], result, audited)
        flags |= result[FLAGS]
        total += result[MASS_SUM]
        old_residue += result[OLD_RESIDUE]
        residue += result[RESIDUE_SUM]
        old_current += result[OLD_CURRENT]
        current += result[CURRENT_SUM]
        packets += result[PACKETS]
        quanta += result[QUANTA]
        events += result[EVENTS]
    for x in range(tables.halo_target.size):
        new[tables.halo_target[x]] = new[tables.halo_source[x]]
    if audited:
        if total != counters[MASS_SUM]:
            flags |= FLAG_GLOBAL
        if old_residue != counters[RESIDUE_SUM] or old_current != counters[CURRENT_SUM]:
            flags |= FLAG_CHAIN
        counters[RESIDUE_SUM], counters[CURRENT_SUM] = residue, current
    counters[PACKETS] += packets
    counters[QUANTA] += quanta
    counters[EVENTS] += events
    counters[IN_FLIGHT] = quanta
    counters[FLAGS] = flags
    counters[DONE] += 1
    return flags


@kernel
def too_steep(tables, limits, mass):
    """Whether masses on both sides of some face differ by more than the operating range allows."""
    axes = tables.strides.size
    blocks = tables.block_start.size - 1
    for block in range(blocks):
        for axis in range(axes):
            for run in range(tables.block_run[block * axes + axis], tables.block_run[block * axes + axis + 1]):
                at, n = tables.run_start[run], tables.run_length[run]
                upper = at + tables.strides[axis]
                if _steepest(mass[at : at + n], mass[upper : upper + n]) > limits[DIFFERENCE]:
                    return True
    for j in range(tables.reservoir_cell.size):
        if abs(np.int64(tables.reservoir_value[j]) - mass[tables.reservoir_cell[j]]) > limits[HALF_DIFFERENCE]:
            return True
    return False


@kernel
def advance(tables, limits, mass, new, arrays, buffers, counters, steps, audited):
    """Some PDE steps of a mesh that is one slab, up to one with a flag; returns how many."""
    for step in range(steps):
        sweep(tables, limits, mass, new, arrays, buffers, 0, audited)
        if join(tables, limits, mass, new, arrays, buffers, counters, audited):
            return step + 1
        mass, new = new, mass
    return steps

"""Compiled kernels of any integer graph: rows of sparse synapses, in 64 bits.

The phases of a PDE step are cut by rows: flux compartments fire, holders collect, hidden populations answer. Within a
phase no row reads what another writes, so that shares of the rows may run on threads of their own. The audit looks at
what was stored, in loops of its own, and at the incidence of the mesh instead of the synapses.
"""

from __future__ import annotations

import numpy as np

from pisnn_deploy.runs.kernels.compiled import kernel

# Numba's cache looks at this file alone, so constants that are compiled in stand here.
FLAG_GLOBAL, FLAG_LOCAL, FLAG_FLUX, FLAG_WIDTH, FLAG_RANGE, FLAG_CHAIN = 1, 2, 4, 8, 16, 32
# Places in the row of results of a share. Events by population follow.
FLAGS, MASS_SUM, OLD_RESIDUE, RESIDUE_SUM, OLD_CURRENT, CURRENT_SUM, QUANTA, EVENTS = range(8)
# Places in the limits; widths are given by the largest value, the smallest is one further from 0.
LOWER, UPPER, MASS, PAYLOAD, LEDGER, DRIVE, CURRENT, POTENTIAL, PACKET, RESIDUE = range(10)
LARGEST_CURRENT, DIFFERENCE, HALF_DIFFERENCE, EXPONENT, KEPT, CHANGES_COUNT = range(10, 16)
# With a limiter: the shift of a share, else -1; widths of the masses that faces hold and of shares.
SHARE_SHIFT, END_MASS, SHARE = range(16, 19)
LIMITS = 19


@kernel
def _outside(value, largest):
    return value > largest or value < -largest - 1


@kernel
def _limited(tables, limits, mass, f, packet):
    """A packet of face `f` cut down to what its giver has; reservoirs give without limit."""
    giver = tables.source[f] if packet > 0 else tables.target[f]
    if giver >= tables.inverse_volume.size:
        return packet
    share = max(mass[giver], 0) >> limits[SHARE_SHIFT]
    return min(packet, share) if packet > 0 else max(packet, -share)


@kernel
def _ends_are_wide(tables, limits, mass, begin, end):
    """Whether a mass beside faces `begin` to `end`, or its share, is outside its width."""
    cells = tables.inverse_volume.size
    for f in range(begin, end):
        for holder in (tables.source[f], tables.target[f]):
            if holder < cells:
                share = max(mass[holder], 0) >> limits[SHARE_SHIFT]
                if _outside(mass[holder], limits[END_MASS]) or share > limits[SHARE]:
                    return True
    return False


@kernel
def fire(tables, limits, mass, state, begin, end, result):
    """Flux compartments `begin` to `end`: drive, current, packets, residue."""
    exponent, kept = limits[EXPONENT], limits[KEPT]
    half = (np.int64(1) << exponent) // 2 - 1
    limited = limits[SHARE_SHIFT] >= 0
    layer = tables.first_row.size - 2
    row = tables.first_row[layer]
    source = mass if layer == 0 else state.activation[tables.first_unit[layer - 1] :]
    flags = np.int64(0)
    quanta, sent = np.int64(0), np.int64(0)
    old_current, new_current = np.int64(0), np.int64(0)
    for f in range(begin, end):
        drive = tables.bias[row + f]
        for e in range(tables.start[row + layer + f], tables.start[row + layer + f + 1]):
            drive += tables.weight[e] * source[tables.column[e]]
        old = state.current[f]
        old_current += old
        part = (abs(old) * kept) >> 12
        current = (part if old >= 0 else -part) + drive
        before = state.residue[f]
        potential = before + current
        size = (abs(potential) + half) >> exponent
        packet = size if potential >= 0 else -size
        state.current[f] = current
        state.before[f] = before
        state.residue[f] = potential - (packet << exponent)
        if limited:
            packet = _limited(tables, limits, mass, f, packet)
        state.packets[f] = packet
        state.transported[f] += packet
        quanta += abs(packet)
        sent += packet != 0
        if _outside(drive, limits[DRIVE]) or _outside(potential, limits[POTENTIAL]):
            flags |= FLAG_WIDTH
    old_sum, new_sum = np.int64(0), np.int64(0)
    for f in range(begin, end):
        packet, current, residue, before = state.packets[f], state.current[f], state.residue[f], state.before[f]
        left = packet
        if limited:
            # What left the potential says what would have fired.
            left = (current + before - residue) >> exponent
            if _limited(tables, limits, mass, f, left) != packet:
                flags |= FLAG_FLUX
        if (left << exponent) + residue - before != current:
            flags |= FLAG_FLUX
        old_sum += before
        new_sum += residue
        new_current += current
        if _outside(packet, limits[PACKET]) or _outside(residue, limits[RESIDUE]):
            flags |= FLAG_WIDTH
        if _outside(current, limits[CURRENT]):
            flags |= FLAG_WIDTH
        if abs(current) > limits[LARGEST_CURRENT]:
            flags |= FLAG_RANGE
    if limited and _ends_are_wide(tables, limits, mass, begin, end):
        flags |= FLAG_WIDTH
    if too_steep(tables, limits, mass, begin, end):
        flags |= FLAG_RANGE
    result[FLAGS] |= flags
    result[QUANTA] += quanta
    result[OLD_RESIDUE] += old_sum
    result[RESIDUE_SUM] += new_sum
    result[OLD_CURRENT] += old_current
    result[CURRENT_SUM] += new_current
    result[EVENTS + layer + 1] += sent


@kernel
def too_steep(tables, limits, mass, begin, end):
    """Whether masses on both sides of faces `begin` to `end` differ by more than the operating range allows."""
    cells = tables.inverse_volume.size
    for f in range(begin, end):
        lower, upper = tables.source[f], tables.target[f]
        limit = limits[DIFFERENCE]
        if lower >= cells or upper >= cells:
            limit = limits[HALF_DIFFERENCE]
        below = tables.reservoir[lower - cells] if lower >= cells else mass[lower] * tables.inverse_volume[lower]
        above = tables.reservoir[upper - cells] if upper >= cells else mass[upper] * tables.inverse_volume[upper]
        if abs(above - below) > limit:
            return True
    return False


@kernel
def collect(tables, limits, mass, new, state, begin, end, result):
    """Holders `begin` to `end` take their packets."""
    cells = tables.inverse_volume.size
    for i in range(begin, end):
        gain = np.int64(0)
        for e in range(tables.route_start[i], tables.route_start[i + 1]):
            gain += tables.route_weight[e] * state.packets[tables.route_face[e]]
        new[i] = mass[i] + gain
    flags = np.int64(0)
    total, events = np.int64(0), np.int64(0)
    for i in range(begin, end):
        expected = mass[i]
        for e in range(tables.mesh_start[i], tables.mesh_start[i + 1]):
            expected += tables.mesh_sign[e] * state.packets[tables.mesh_face[e]]
        found = new[i]
        if found != expected:
            flags |= FLAG_LOCAL
        total += found
        if i < cells:
            change = found - mass[i]
            events += change != 0 if limits[CHANGES_COUNT] else found != 0
            level = found * tables.inverse_volume[i]
            if level < limits[LOWER] or level > limits[UPPER]:
                flags |= FLAG_RANGE
            if _outside(found, limits[MASS]) or _outside(change, limits[PAYLOAD]):
                flags |= FLAG_WIDTH
        elif _outside(found, limits[LEDGER]):
            flags |= FLAG_WIDTH
    result[FLAGS] |= flags
    result[MASS_SUM] += total
    result[EVENTS] += events


@kernel
def answer(tables, limits, mass, state, layer, begin, end, result):
    """Neurons `begin` to `end` of a hidden population."""
    row, unit = tables.first_row[layer], tables.first_unit[layer]
    source = mass if layer == 0 else state.activation[tables.first_unit[layer - 1] :]
    shift, widest, largest = tables.shift[layer], tables.drive_limit[layer], tables.activation_limit[layer]
    flags, events = np.int64(0), np.int64(0)
    for j in range(begin, end):
        drive = tables.bias[row + j]
        for e in range(tables.start[row + layer + j], tables.start[row + layer + j + 1]):
            drive += tables.weight[e] * source[tables.column[e]]
        new = max(drive, 0) >> shift
        old = state.activation[unit + j]
        state.activation[unit + j] = new
        events += new != old if limits[CHANGES_COUNT] else new != 0
        if _outside(drive, widest) or _outside(new, largest):
            flags |= FLAG_WIDTH
    result[FLAGS] |= flags
    result[EVENTS + 1 + layer] += events


@kernel
def settle(results, counters, totals):
    """Add the results of all shares up after a PDE step; returns the flags of the whole step."""
    flags = np.int64(0)
    quanta, mass, old_residue, residue, old_current, current = 0, 0, 0, 0, 0, 0
    for share in range(results.shape[0]):
        result = results[share]
        flags |= result[FLAGS]
        quanta += result[QUANTA]
        mass += result[MASS_SUM]
        old_residue += result[OLD_RESIDUE]
        residue += result[RESIDUE_SUM]
        old_current += result[OLD_CURRENT]
        current += result[CURRENT_SUM]
        for place in range(EVENTS, result.size):
            counters[place] += result[place]
        for place in range(result.size):
            result[place] = 0
    if mass != totals[0]:
        flags |= FLAG_GLOBAL
    if old_residue != totals[1] or old_current != totals[2]:
        flags |= FLAG_CHAIN
    totals[1], totals[2] = residue, current
    counters[QUANTA] += quanta
    counters[MASS_SUM] = quanta
    counters[FLAGS] = flags
    return flags


@kernel
def advance(tables, limits, mass, new, state, results, counters, totals, steps, last_is_silent):
    """Some PDE steps on one thread, up to one with a flag; returns how many."""
    faces, holders, layers = tables.source.size, mass.size, tables.shift.size
    result = results[0]
    for step in range(steps):
        fire(tables, limits, mass, state, 0, faces, result)
        collect(tables, limits, mass, new, state, 0, holders, result)
        if step + 1 < steps or not last_is_silent:
            for layer in range(layers):
                count = tables.first_unit[layer + 1] - tables.first_unit[layer]
                answer(tables, limits, new, state, layer, 0, count, result)
        if settle(results, counters, totals):
            return step + 1
        mass, new = new, mass
    return steps

"""Kernels for any integer graph: sparse rows of synapses, in 64 bits.

A PDE step has up to four phases: faces hear residues, faces fire, holders collect, and the populations between them
answer. Within a phase rows are independent, so several threads may share them. The functions are combined with
generated code of the populations' programs. The audit reads stored values in separate loops, and uses the incidence of
the mesh instead of the synapses.

The array `values` has all values that are sent between two steps: masses and ledgers, then the outputs of the
populations between membranes and faces.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from pisnn_deploy.runs.kernels.common import LAYERS, outside, settle_step, spikes
from pisnn_deploy.runs.kernels.compiled import part
from pisnn_deploy.runs.kernels.places import (
    CHANGES_COUNT,
    DIFFERENCE,
    FLAG_LOCAL,
    FLAG_RANGE,
    FLAG_WIDTH,
    FLAGS,
    HALF_DIFFERENCE,
    LARGEST_CURRENT,
    LEDGER,
    LOWER,
    MASS,
    MASS_SUM,
    MEMBRANE_LINES,
    MEMBRANE_SPIKES,
    PAYLOAD,
    TILE,
    UNLIMITED,
    UPPER,
)
from pisnn_deploy.runs.kernels.structured import audit_run, fire_run

KERNELS = ("hear", "fire", "collect", "answer", "settle", "advance", "too_steep")
PARTS = ("pisnn_deploy.runs.kernels.common", "pisnn_deploy.runs.kernels.places")


class Row(NamedTuple):
    """Buffers of one share of the work, and its row of results."""

    arrivals: Any
    before: Any
    result: Any


def answer_run(*arguments):
    """Run the program of a population; replaced by generated code."""
    raise NotImplementedError


@part
def _arrive(synapses, population, at, n, values, arrivals):
    """Compute the inputs of some neurons of a population; populations after the holders count from 0."""
    row = synapses.first_row[population] + at
    for x in range(n):
        total = synapses.bias[row + x]
        for e in range(synapses.start[row + x], synapses.start[row + x + 1]):
            total += synapses.weight[e] * values[synapses.column[e]]
        arrivals[x] = total


@part
def _hear(hearing, states, begin, end):
    """Add up the residues that faces `begin` to `end` see, if they see any."""
    residue = states[-1]
    for f in range(begin, min(end, hearing.start.size - 1)):
        total = np.int64(0)
        for e in range(hearing.start[f], hearing.start[f + 1]):
            total += hearing.weight[e] * residue[0, hearing.face[e]]
        hearing.low[0, f] = total


@part
def _fire(synapses, mesh, programs, values, arrays, row, begin, end):
    limits, numbers, widths = programs
    faces = synapses.first_row.size - 2
    for at in range(begin, end, TILE):
        n = min(TILE, end - at)
        _arrive(synapses, faces, at, n, values, row.arrivals)
        run = (0, np.uint64(at), np.uint64(at), np.uint64(0), np.uint64(n))
        fire_run(numbers[faces], widths[faces], values, arrays, row, arrays.packets, run)
        audit_run(numbers[faces], widths[faces], values, arrays, row, arrays.packets, run, limits[LARGEST_CURRENT])
    if _is_too_steep(mesh, limits, values, begin, end):
        row.result[FLAGS] |= FLAG_RANGE


@part
def _is_too_steep(mesh, limits, values, begin, end):
    """Whether masses across faces `begin` to `end` differ by more than the operating range allows."""
    if limits[DIFFERENCE] == UNLIMITED:
        return False
    cells = mesh.inverse_volume.size
    for f in range(begin, end):
        lower, upper = mesh.ends[0, f], mesh.ends[1, f]
        limit = limits[DIFFERENCE]
        if lower >= cells or upper >= cells:
            limit = limits[HALF_DIFFERENCE]
        below = mesh.reservoir[lower - cells] if lower >= cells else values[lower] * mesh.inverse_volume[lower]
        above = mesh.reservoir[upper - cells] if upper >= cells else values[upper] * mesh.inverse_volume[upper]
        if abs(above - below) > limit:
            return True
    return False


@part
def _collect(route, mesh, limits, values, new, packets, result, share):
    begin, end = share
    cells = mesh.inverse_volume.size
    for i in range(begin, end):
        gain = np.int64(0)
        for e in range(route.start[i], route.start[i + 1]):
            gain += route.weight[e] * packets[0, route.face[e]]
        new[i] = values[i] + gain
    flags, total, events = np.int64(0), np.int64(0), np.int64(0)
    for i in range(begin, end):
        expected = values[i]
        for e in range(mesh.start[i], mesh.start[i + 1]):
            expected += mesh.sign[e] * packets[0, mesh.face[e]]
        stored = new[i]
        if stored != expected:
            flags |= FLAG_LOCAL
        total += stored
        if i < cells:
            change = stored - values[i]
            events += spikes(change if limits[CHANGES_COUNT] else stored, limits[MEMBRANE_LINES])
            level = stored * mesh.inverse_volume[i]
            if level < limits[LOWER] or level > limits[UPPER]:
                flags |= FLAG_RANGE
            if outside(stored, limits[MASS]) or outside(change, limits[PAYLOAD]):
                flags |= FLAG_WIDTH
        elif outside(stored, limits[LEDGER]):
            flags |= FLAG_WIDTH
    result[FLAGS] |= flags
    result[MASS_SUM] += total
    result[MEMBRANE_SPIKES] += events


@part
def _answer(synapses, programs, values, population, row, begin, end):
    limits, numbers, widths = programs
    first = synapses.first_unit[population]
    kind = synapses.kind[population]
    for at in range(begin, end, TILE):
        n = min(TILE, end - at)
        _arrive(synapses, population, at, n, values, row.arrivals)
        sent = answer_run(
            kind, numbers[population], widths[population], values, row, first + at, n, limits[CHANGES_COUNT]
        )
        row.result[LAYERS + population] += sent


def hear(tables, arrays, begin, end):
    """Add up the residues that faces `begin` to `end` see."""
    _hear(tables[3], arrays.states, begin, end)


def fire(tables, programs, values, arrays, buffers, begin, end, share):
    """Fire faces `begin` to `end`, and audit them."""
    row = Row(buffers.arrivals[share], buffers.before[share], buffers.results[share])
    _fire(tables[0], tables[2], programs, values, arrays, row, begin, end)


def collect(tables, programs, values, new, arrays, buffers, bounds, share):
    """Add packets to the holders within some bounds, and audit them."""
    _collect(tables[1], tables[2], programs[0], values, new, arrays.packets, buffers.results[share], bounds)


def answer(tables, programs, values, buffers, population, begin, end, share):
    """Run neurons `begin` to `end` of a population between membranes and faces."""
    row = Row(buffers.arrivals[share], buffers.before[share], buffers.results[share])
    _answer(tables[0], programs, values, population, row, begin, end)


def settle(values, buffers, counters):
    """Add up the results of all shares after a PDE step."""
    settle_step(values, buffers.results, counters, True)


def advance(tables, programs, values, new, arrays, buffers, counters, goal):
    """Run PDE steps on one thread, up to one with a flag; return their number.

    `goal` is the number of steps, and whether the last one is the end of the run.
    """
    steps, last_is_silent = goal
    synapses, route, mesh, hearing = tables
    row = Row(buffers.arrivals[0], buffers.before[0], buffers.results[0])
    faces, holders = mesh.ends.shape[1], mesh.start.size - 1
    for step in range(steps):
        _hear(hearing, arrays.states, 0, faces)
        _fire(synapses, mesh, programs, values, arrays, row, 0, faces)
        _collect(route, mesh, programs[0], values, new, arrays.packets, row.result, (0, holders))
        for place in range(holders, values.size):
            new[place] = values[place]
        if step + 1 < steps or not last_is_silent:
            for population in range(synapses.first_unit.size - 1):
                count = synapses.first_unit[population + 1] - synapses.first_unit[population]
                _answer(synapses, programs, new, population, row, 0, count)
        if settle_step(new, buffers.results, counters, True):
            return step + 1
        values, new = new, values
    return steps


def too_steep(tables, programs, values):
    """Whether masses across any face differ by more than the operating range allows."""
    return _is_too_steep(tables[2], programs[0], values, 0, tables[2].ends.shape[1])

"""Inputs of the faces of a structured mesh, and differences of the masses at their ends."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from pisnn_deploy.runs.kernels.compiled import part

CACHE_LINE = 64


@intrinsic
def _ask_for(typing_context, address):
    """Prefetch the cache line at an address for writing."""

    def generate(context, builder, signature, arguments):
        pointer = builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())
        function_type = ir.FunctionType(ir.VoidType(), [pointer.type, *[ir.IntType(32)] * 3])
        function = builder.module.declare_intrinsic("llvm.prefetch", [pointer.type], function_type)
        builder.call(function, [pointer, *(ir.Constant(ir.IntType(32), value) for value in (1, 3, 1))])
        return context.get_dummy_value()

    return types.void(types.uintp), generate


@part
def ask_ahead(values, axis, at, n):
    """Prefetch consecutive numbers while something else is computed."""
    begin = values.ctypes.data + (axis * values.shape[1] + at) * values.itemsize
    for offset in range(0, n * values.itemsize, CACHE_LINE):
        _ask_for(types.uintp(begin + offset))


@part
def arrive(network, runs, axis, run, mass, arrivals):
    """Compute the inputs of a run of faces with the common kernel, then faces with another kernel or bias."""
    t = arrivals.dtype.type
    pairs, singles = network.pairs, network.singles
    at, n = runs.start[run], np.uint64(runs.length[run])
    common = t(network.bias[axis])
    first, last = network.pair_first[axis], network.pair_first[axis + 1]
    for x in range(n):
        arrivals[x] = common
    # Entries of opposite weight share a product, because products dominate the cost.
    while first + 2 <= last:
        a, b = np.uint64(at + pairs[0, first]), np.uint64(at + pairs[0, first + 1])
        c, d = np.uint64(at + pairs[1, first]), np.uint64(at + pairs[1, first + 1])
        wa, wb = t(pairs[2, first]), t(pairs[2, first + 1])
        for x in range(n):
            two = t(t(wa * t(mass[a + x] - mass[c + x])) + t(wb * t(mass[b + x] - mass[d + x])))
            arrivals[x] = t(arrivals[x] + two)
        first += 2
    if first < last:
        a, c, wa = np.uint64(at + pairs[0, first]), np.uint64(at + pairs[1, first]), t(pairs[2, first])
        for x in range(n):
            arrivals[x] = t(arrivals[x] + t(wa * t(mass[a + x] - mass[c + x])))
    for entry in range(network.single_first[axis], network.single_first[axis + 1]):
        a, wa = np.uint64(at + singles[0, entry]), t(singles[1, entry])
        for x in range(n):
            arrivals[x] = t(arrivals[x] + t(wa * mass[a + x]))
    for s in range(runs.special[run], runs.special[run + 1]):
        place, box, value = network.specials[0, s], network.specials[1, s], network.specials[2, s]
        for e in range(network.box_first[box], network.box_first[box + 1]):
            value += network.boxes[1, e] * np.int64(mass[place + network.boxes[0, e]])
        arrivals[place - at] = t(value)
    clear(arrivals, at, runs.gaps, runs.gap[run], runs.gap[run + 1])


@part
def clear(values, at, gaps, first, last):
    """Set to 0 the places of a run that belong to no face or cell."""
    for gap in range(first, last):
        values[gaps[gap] - at] = 0


@part
def steepest(runs, run, stride, mass, slopes):
    """Largest difference between the masses on both sides of a run of faces."""
    t = slopes.dtype.type
    at, n = np.uint64(runs.start[run]), np.uint64(runs.length[run])
    upper = at + stride
    for x in range(n):
        slopes[x] = t(mass[upper + x] - mass[at + x])
    clear(slopes, runs.start[run], runs.gaps, runs.gap[run], runs.gap[run + 1])
    top = t(0)
    for x in range(n):
        top = max(top, max(slopes[x], t(-slopes[x])))
    return top

"""Common parts of kernels: spike counts, widths, and the end of a PDE step."""

from __future__ import annotations

import numpy as np
from numba.extending import intrinsic

from pisnn_deploy.runs.kernels.compiled import part
from pisnn_deploy.runs.kernels.places import (
    DONE,
    FLAG_CHAIN,
    FLAG_GLOBAL,
    FLAGS,
    FLUX_SPIKES,
    IN_FLIGHT,
    MASS_SUM,
    MEMBRANE_SPIKES,
    PACKETS,
    QUANTA,
    STATES,
)

LAYERS = STATES  # replaced by the place after the states


@intrinsic
def _bits_set(typing_context, value):
    """Number of set bits of an integer."""

    def generate(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return value(value), generate


@part
def spikes(payload, mask):
    """Number of spikes for a payload: one graded spike with mask 0, else one for each set bit within the mask."""
    if mask:
        return _bits_set(np.int64(payload) & mask)
    return np.int64(payload != 0)


@part
def outside(value, largest):
    """Whether a value exceeds a width."""
    return value > largest or value < -largest - 1


@part
def settle_step(mass, results, counters, audited):
    """Add up the results of all shares after a PDE step and clear their rows; return the flags of the step."""
    t = mass.dtype.type
    flags, total, quanta = np.int64(0), np.int64(0), np.int64(0)
    for share in range(results.shape[0]):
        flags |= results[share, FLAGS]
        total += results[share, MASS_SUM]
        quanta += results[share, QUANTA]
        counters[PACKETS] += results[share, PACKETS]
        counters[MEMBRANE_SPIKES] += results[share, MEMBRANE_SPIKES]
        counters[FLUX_SPIKES] += results[share, FLUX_SPIKES]
        for place in range(LAYERS, counters.size):
            counters[place] += results[share, place]
    if audited:
        if total != counters[MASS_SUM]:
            flags |= FLAG_GLOBAL
        for place in range(STATES, LAYERS, 2):
            before, after = np.int64(0), np.int64(0)
            for share in range(results.shape[0]):
                before += results[share, place]
                after += results[share, place + 1]
            # The sums may wrap, but both in the same way.
            if t(before - counters[place]) != t(0):
                flags |= FLAG_CHAIN
            counters[place] = after
    for share in range(results.shape[0]):
        for place in range(results.shape[1]):
            results[share, place] = 0
    counters[QUANTA] += quanta
    counters[IN_FLIGHT] = quanta
    counters[FLAGS] = flags
    counters[DONE] += 1
    return flags

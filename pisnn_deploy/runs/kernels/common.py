"""Parts of all kernels: spikes of payloads, widths, and the end of a PDE step."""

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

LAYERS = STATES  # bound to the place behind those of the states


@intrinsic
def _bits_set(typing_context, value):
    """Number of bits that are set in an integer."""

    def generate(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return value(value), generate


@part
def spikes(payload, mask):
    """Spikes that carry a payload: graded ones if the mask is 0, else one for each bit of the mask that is set."""
    if mask:
        return _bits_set(np.int64(payload) & mask)
    return np.int64(payload != 0)


@part
def outside(value, largest):
    """Whether a width does not hold a value."""
    return value > largest or value < -largest - 1


@part
def settle_step(mass, results, counters, audited):
    """Add up what all shares found in a PDE step and empty their rows; returns the flags of the whole step."""
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
            # Each sum of a run may have wrapped, but always alike.
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

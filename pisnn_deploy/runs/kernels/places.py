"""Indices of the arrays that kernels share with their callers, flags, and common constants."""

from __future__ import annotations

# Indices of the results of a share of the work; most are also indices of the counters of a run. From STATES on there
# are two for each state of a face (its sum before and after a step), then the spikes of each population between
# membranes and faces.
FLAGS, PACKETS, QUANTA, MEMBRANE_SPIKES, FLUX_SPIKES, MASS_SUM, DONE, IN_FLIGHT, STATES = range(9)
# Flags.
FLAG_GLOBAL, FLAG_LOCAL, FLAG_FLUX, FLAG_WIDTH, FLAG_RANGE, FLAG_CHAIN = 1, 2, 4, 8, 16, 32
FLAG_NAMES = ("global", "local", "flux", "width", "range", "state changed between steps")
"""Names of the flags, from the lowest bit."""
# Indices of the limits. A width is stored as its largest value; its smallest value is one further from 0.
LOWER, UPPER, MASS, PAYLOAD, LEDGER, LARGEST_CURRENT, DIFFERENCE, HALF_DIFFERENCE, CHANGES_COUNT = range(9)
MEMBRANE_LINES, PERIODIC_FIRST_AXIS, AUDITED = 9, 10, 11
LIMITS = 12
UNLIMITED = 2**62
TILE = 2048
"""Largest number of faces or cells of a loop, so that its data fits the first-level cache."""


def layers_at(states: int) -> int:
    """Index of the spikes of the first population between membranes and faces.

    Parameters
    ----------
    states : int
        Number of states of a face.
    """
    return STATES + 2 * states


def lines_mask(lines: int) -> int:
    """Mask of the binary lines of a payload, as a signed 64-bit integer; 0 for graded spikes."""
    return (1 << lines) - 1 if lines < 64 else -1

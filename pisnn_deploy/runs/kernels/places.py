"""Places in the arrays of numbers that kernels share with what calls them, their flags, and numbers of both."""

from __future__ import annotations

# Places in the row of results of a share of the work; most are places in the counters of a run, too. From STATES on,
# two for each state of a face: the sum of what a step found, and of what it left. Behind them the spikes of each
# population between membranes and faces.
FLAGS, PACKETS, QUANTA, MEMBRANE_SPIKES, FLUX_SPIKES, MASS_SUM, DONE, IN_FLIGHT, STATES = range(9)
# Flags.
FLAG_GLOBAL, FLAG_LOCAL, FLAG_FLUX, FLAG_WIDTH, FLAG_RANGE, FLAG_CHAIN = 1, 2, 4, 8, 16, 32
FLAG_NAMES = ("global", "local", "flux", "width", "range", "state changed between steps")
"""What the flags mean, from the lowest bit on."""
# Places in the limits. Widths are given by the largest value, the smallest is one further from 0.
LOWER, UPPER, MASS, PAYLOAD, LEDGER, LARGEST_CURRENT, DIFFERENCE, HALF_DIFFERENCE, CHANGES_COUNT = range(9)
MEMBRANE_LINES, PERIODIC_FIRST_AXIS, AUDITED = 9, 10, 11
LIMITS = 12
UNLIMITED = 2**62
TILE = 2048
"""Most faces or cells of one loop: what a loop reads and writes then fits the first-level cache."""


def layers_at(states: int) -> int:
    """Place of the spikes of the first population between membranes and faces.

    Parameters
    ----------
    states : int
        Of a face.
    """
    return STATES + 2 * states


def lines_mask(lines: int) -> int:
    """The bits of a payload that have a line each, as a signed integer of 64 bits; 0 where spikes are graded."""
    return (1 << lines) - 1 if lines < 64 else -1

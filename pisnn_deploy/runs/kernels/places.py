"""Places in the arrays of numbers that the structured kernels share with what calls them, and their flags."""

from __future__ import annotations

# Places in the row of results of a slab; some are places in the counters of a run, too. From STATES on, two for each
# state of a face: the sum of what a step found, and of what it left.
FLAGS, PACKETS, QUANTA, EVENTS, MASS_SUM, DONE, IN_FLIGHT, STATES = range(8)
# Flags.
FLAG_GLOBAL, FLAG_LOCAL, FLAG_FLUX, FLAG_WIDTH, FLAG_RANGE, FLAG_CHAIN = 1, 2, 4, 8, 16, 32
# Places in the limits.
LOWER, UPPER, PAYLOAD, LEDGER, LARGEST_CURRENT, DIFFERENCE, HALF_DIFFERENCE, CHANGES_COUNT = range(8)
PERIODIC_FIRST_AXIS, AUDITED = 8, 9
LIMITS = 10
UNLIMITED = 2**62

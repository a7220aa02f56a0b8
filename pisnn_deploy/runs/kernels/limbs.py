"""Low limbs of the cells of a structured mesh, where faces see residues.

The limb of a cell is what the faces around it have not fired yet, counted like their packets. It is computed from the
stored residues of a PDE step, for the faces of the next one.
"""

from __future__ import annotations

import numpy as np

from pisnn_deploy.runs.kernels.arrivals import clear
from pisnn_deploy.runs.kernels.compiled import part
from pisnn_deploy.runs.kernels.places import AUDITED, PERIODIC_FIRST_AXIS

AXES = 1  # replaced by the number of axes of the mesh
LIMBS = 0  # replaced by the place of the sums of the limbs


@part
def limbs(tables, limits, block, old, new, residue, result):
    """Compute the limbs of the cells of a block, once the residues of its faces and of those before it are known."""
    grid, lines, wraps = tables
    t = new.dtype.type
    for run in range(lines.block[block], lines.block[block + 1]):
        at, n = np.uint64(lines.start[run]), np.uint64(lines.length[run])
        for axis in range(AXES):
            below = at - np.uint64(grid.strides[axis])
            for x in range(n):
                limb = t(residue[axis, below + x] - residue[axis, at + x])
                new[at + x] = limb if axis == 0 else t(new[at + x] + limb)
        clear(new, 0, lines.gaps, lines.gap[run], lines.gap[run + 1])
    # The faces below the first cells of a periodic axis are the last ones.
    for w in range(wraps.block[block], wraps.block[block + 1]):
        axis, source = wraps.places[0, w], wraps.places[2, w]
        to = wraps.places[1, w] + grid.strides[axis]
        for x in range(wraps.places[3, w]):
            new[to + x] = t(new[to + x] + residue[axis, source + x])
    if block == 0 and limits[PERIODIC_FIRST_AXIS]:
        first, last = grid.block_start[0], grid.block_start[-1] - grid.strides[0]
        for x in range(grid.strides[0]):
            new[first + x] = t(new[first + x] + residue[0, last + x])
    if limits[AUDITED]:
        before, after = _sums(lines, block, old, new)
        result[LIMBS] += before
        result[LIMBS + 1] += after


@part
def _sums(lines, block, old, new):
    """Sums of the limbs of a block as the step found them, and as it leaves them."""
    before, after = np.int64(0), np.int64(0)
    for run in range(lines.block[block], lines.block[block + 1]):
        at, n = np.uint64(lines.start[run]), np.uint64(lines.length[run])
        for x in range(n):
            before += old[at + x]
            after += new[at + x]
        for gap in range(lines.gap[run], lines.gap[run + 1]):
            before -= old[lines.gaps[gap]]
    return before, after

"""Arrays as an artifact stores them: number by number, or as runs of equal numbers, expanded on demand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

LONGEST_RUN = 1 << 32
"""Most numbers in a run: no artifact holds a longer array, and sums of such lengths cannot wrap."""


@dataclass(frozen=True)
class Runs:
    """Runs of equal numbers.

    Attributes
    ----------
    values : int64 array [runs]
        Value of each run.
    lengths : int64 array [runs]
        At least 1 each.
    """

    values: Integers
    lengths: Integers

    @property
    def ndim(self) -> int:
        """Only lists are stored as runs."""
        return 1

    @property
    def size(self) -> int:
        """How many numbers the runs expand to, without expanding them."""
        return int(self.lengths.sum())

    @property
    def fewest(self) -> int:
        """Upper bound on how many numbers differ from their predecessor, counting the first."""
        return int(self.lengths.size)

    def expanded(self) -> Integers:
        """The numbers, int64 [size]."""
        if self.lengths.size == 1:
            return np.full(int(self.lengths[0]), self.values[0], np.int64)
        return np.repeat(self.values, self.lengths)


def runs_of(table: Integers) -> Runs:
    """Read runs from their table.

    Parameters
    ----------
    table : int64 array [runs, 2]
        Values and lengths.

    Raises
    ------
    ValueError
        Not such a table; the text completes a sentence about it.
    """
    is_paired = table.ndim == 2 and table.shape[1] == 2
    if not is_paired or not 1 <= int(table[:, 1].min(initial=1)) <= int(table[:, 1].max(initial=1)) <= LONGEST_RUN:
        raise ValueError(f"must be pairs of a value and a length of 1 to {LONGEST_RUN}")
    return Runs(table[:, 0], table[:, 1])

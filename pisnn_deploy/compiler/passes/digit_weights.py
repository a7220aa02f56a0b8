"""Fluxes rounded to integers of several digits."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.compiler.passes.alike import LARGEST_WEIGHT, SAFETY_OF_ROUNDING
from pisnn_deploy.core.rows import Rows
from pisnn_deploy.graph import CellGraph
from pisnn_deploy.graph.digits import split
from pisnn_deploy.graph.integer import FLUX_DIGITS

Field = NDArray[np.float64]
Integers = NDArray[np.int64]
LARGEST_EXPONENT = 18
FEWEST_WEIGHT = 1 << 12
"""Largest weight of any face is at least this, so that rounding costs little: digits are added until it is."""
WIDEST_DIGIT, NARROWEST_DIGIT = 7, 2
"""Bits of a digit other than the last."""


@dataclass(frozen=True)
class Weights:
    """Integer weights of the levels of all holders in each face, and the threshold of a face.

    Attributes
    ----------
    digits : int
        Number of digits.
    bits : int
        Of each digit but the last.
    exponent : int
        Of the threshold, in units of the last digit.
    """

    rows: Rows
    digits: int
    bits: int
    exponent: int

    @property
    def lower_bits(self) -> int:
        """Bits of all digits but the last."""
        return self.bits * (self.digits - 1)

    def fit(self, span: int, largest: int) -> bool:
        """Whether the sums of all digits over levels from 0 to `span` fit states."""
        for number, part in enumerate(split(self.rows.values, self.digits, self.bits)):
            positive, negative = (self.rows.with_values(np.maximum(sign * part, 0)).sums() for sign in (1, -1))
            spare = (2 if number + 1 < self.digits else 1 << self.exponent) + 2 * span
            if 2 * int(np.maximum(positive, negative).max()) * span + spare > 2 * largest:
                return False
        return True


@dataclass(frozen=True)
class Fluxes:
    """Fluxes in units in which the steepest cell loses its whole value in a unit of time, per its capacity.

    Attributes
    ----------
    rows : Rows, float64 [faces, holders]
        Coefficients divided by steepness and smallest capacity.
    reach : float64 array [faces]
        Sum of the positive coefficients of each face.
    """

    rows: Rows
    reach: Field
    graph: CellGraph

    @classmethod
    def of(cls, graph: CellGraph) -> Fluxes:
        """Fluxes of a graph."""
        scale = graph.steepness * float(graph.capacity.min())
        rows = graph.fluxes.valued(lambda values: values / scale)
        return cls(rows, rows.valued(lambda values: np.maximum(values, 0)).sums(), graph)

    @property
    def ratio(self) -> float:
        """Largest flux of a face over the smallest, for equal differences."""
        joined = self.reach[self.reach > 0]
        return float(joined.max() / joined.min())

    def rounded(self, span: int, spare: int, state_bits: int) -> Weights | None:
        """Integer weights; None where their sums do not fit their states.

        Parameters
        ----------
        span : int
            Number of levels.
        spare : int
            A level of the smallest cell is 2 to the power of this many quanta, and the threshold is as much lower.
        state_bits : int
            Of a drive.
        """
        largest = (1 << (state_bits - 1)) - 1
        most = float(self.reach.max())
        rows_largest = largest_of_rows(self.rows)
        smallest = float(rows_largest[rows_largest > 0].min())
        # A drive is a sum over the whole span, a carry, and half a threshold of residue.
        room = min(0.9 * largest / span / most, (LARGEST_WEIGHT - 1) / float(rows_largest.max()))
        exponent = min(LARGEST_EXPONENT, math.floor(math.log2(room / SAFETY_OF_ROUNDING)))
        if exponent < 2 + spare:
            return None
        scale = SAFETY_OF_ROUNDING * 2.0**exponent
        wanted = max(1, math.ceil(math.log2(max(1.0, FEWEST_WEIGHT / (scale * smallest)))))
        for lower in range(1, len(FLUX_DIGITS) + 1):
            bits = max(NARROWEST_DIGIT, -(-wanted // lower))
            if bits > WIDEST_DIGIT:
                continue
            rows = zero_sums(self.rows.with_values(np.rint(self.rows.values * scale * 2.0 ** (bits * lower))))
            weights = Weights(rows, 1 + lower, bits, exponent - spare)
            if weights.fit(span, largest):
                return weights
        return None


def zero_sums(rows: Rows) -> Rows:
    """Rows of integers that sum to 0: the largest entry of each takes what rounding left over."""
    values = rows.values.astype(np.int64)
    exact = Rows(rows.starts, rows.columns, values, rows.width)
    lacking = exact.sums()
    # Of equal entries the first is changed: sorted by row, and then by size.
    order = np.lexsort((-np.arange(values.size), abs(values), rows.row_of))
    occupied = rows.lengths > 0
    largest = order[rows.starts[1:][occupied] - 1]
    values[largest] -= lacking[occupied]
    return exact.valued(lambda _: values).without_zeros()


def largest_of_rows(rows: Rows) -> Field | Integers:
    """Largest absolute entry of each row, of the type of the entries, [rows]."""
    largest = np.zeros(rows.shape[0], rows.values.dtype)
    np.maximum.at(largest, rows.row_of, abs(rows.values))
    return largest

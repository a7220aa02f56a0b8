"""Flux networks along a line of windows: between two kinks every unit is an affine function."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from pisnn_deploy.graph import IntegerGraph

MOST_PLACES = 2048
"""Largest number of ends and kinks of a line that the compiler follows."""
MOST_PRODUCTS = 1 << 23
"""Largest number of products of weight and activation that the compiler computes for a line."""

Affine = tuple[Fraction, Fraction]
"""Value at ``t = 0``, and slope in ``t``."""
Scaled = tuple[int, int]
"""The same, times a power of two."""


@dataclass(frozen=True)
class Pieces:
    """Drive of a face along a line of windows, without the rounding of hidden units.

    Attributes
    ----------
    ends : tuple of Fraction
        Boundaries of the pieces in ``t``.
    drives : tuple of (Fraction, Fraction)
        Drive on each piece as an affine function of ``t``.
    lost, won : Fraction
        Smallest (at most 0) and largest change of the drive by rounding in hidden units.
    """

    ends: tuple[Fraction, ...]
    drives: tuple[Affine, ...]
    lost: Fraction
    won: Fraction

    def at(self, t: Fraction) -> Fraction:
        """Drive at ``t``."""
        for end, (offset, slope) in zip(self.ends[1:], self.drives, strict=True):
            if t <= end:
                return offset + slope * t
        raise ValueError(f"{t} is beyond the line")


def along(graph: IntegerGraph, start: list[int], step: list[int], first: int, last: int) -> Pieces | None:
    """Evaluate the flux network on the windows ``start + t * step``.

    Parameters
    ----------
    start, step : list of int
        Quanta at each position of the window, and their change with ``t``.
    first, last : int
        Range of ``t``; ``first < last``.

    Returns
    -------
    Pieces or None
        None if there are more kinks or products than the compiler follows.
    """
    ends = [Fraction(first), Fraction(last)]
    # Everything but places is a multiple of 1 / divisor: integers, because adding fractions takes ten times as long.
    divisor = 1
    pieces: list[list[Scaled]] = [list(zip(start, step, strict=True))]
    ranges = [(0, 0)] * len(start)
    work = 0
    for number, layer in enumerate(graph.operator):
        rows, biases = layer.weight.tolist(), layer.bias.tolist()
        work += layer.weight.size * len(ends)
        if work > MOST_PRODUCTS:
            return None
        pieces = [
            [_sum(row, bias * divisor, units) for row, bias in zip(rows, biases, strict=True)] for units in pieces
        ]
        ranges = [_range(row, ranges) for row in rows]
        if number + 1 == len(graph.operator):
            break
        cut_ends, cut_pieces = ends[:1], []
        for (left, right), units in zip(pairwise(ends), pieces, strict=True):
            zeros = {Fraction(-offset, slope) for offset, slope in units if slope}
            places = [*sorted(zero for zero in zeros if left < zero < right), right]
            for place in places:
                middle = (cut_ends[-1] + place) / 2
                cut_pieces.append(
                    [(a, b) if a * middle.denominator + b * middle.numerator > 0 else (0, 0) for a, b in units]
                )
                cut_ends.append(place)
            if len(cut_ends) > MOST_PLACES:
                return None
        ends, pieces = cut_ends, cut_pieces
        lost = divisor * ((1 << layer.shift) - 1)
        ranges = [(min(low, 0) - lost, max(high, 0)) for low, high in ranges]
        divisor <<= layer.shift
    drives = tuple((Fraction(units[0][0], divisor), Fraction(units[0][1], divisor)) for units in pieces)
    (low, high), *_ = ranges
    return Pieces(tuple(ends), drives, Fraction(low, divisor), Fraction(high, divisor))


def _sum(row: list[int], bias: int, units: list[Scaled]) -> Scaled:
    offset, slope = bias, 0
    for weight, (a, b) in zip(row, units, strict=True):
        offset += weight * a
        slope += weight * b
    return offset, slope


def _range(row: list[int], ranges: list[tuple[int, int]]) -> tuple[int, int]:
    products = [sorted((weight * low, weight * high)) for weight, (low, high) in zip(row, ranges, strict=True)]
    return sum(low for low, _ in products), sum(high for _, high in products)

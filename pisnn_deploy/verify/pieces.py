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
    pieces: list[list[Affine]] = [[(Fraction(a), Fraction(b)) for a, b in zip(start, step, strict=True)]]
    ranges = [(Fraction(0), Fraction(0))] * len(start)
    work = 0
    for number, layer in enumerate(graph.operator):
        rows, biases = layer.weight.tolist(), layer.bias.tolist()
        work += layer.weight.size * len(ends)
        if work > MOST_PRODUCTS:
            return None
        pieces = [[_sum(row, bias, units) for row, bias in zip(rows, biases, strict=True)] for units in pieces]
        ranges = [_range(row, ranges) for row in rows]
        if number + 1 == len(graph.operator):
            break
        cut_ends, cut_pieces = ends[:1], []
        for (left, right), units in zip(pairwise(ends), pieces, strict=True):
            zeros = {-offset / slope for offset, slope in units if slope}
            places = [*sorted(zero for zero in zeros if left < zero < right), right]
            for place in places:
                middle = (cut_ends[-1] + place) / 2
                divisor = 1 << layer.shift
                cut_pieces.append(
                    [(a / divisor, b / divisor) if a + b * middle > 0 else (a * 0, b * 0) for a, b in units]
                )
                cut_ends.append(place)
            if len(cut_ends) > MOST_PLACES:
                return None
        ends, pieces = cut_ends, cut_pieces
        unit, zero = Fraction(1, 1 << layer.shift), Fraction(0)
        ranges = [(min(low, zero) * unit - (1 - unit), max(high, zero) * unit) for low, high in ranges]
    return Pieces(tuple(ends), tuple(units[0] for units in pieces), *ranges[0])


def _sum(row: list[int], bias: int, units: list[Affine]) -> Affine:
    parts = [(weight, unit) for weight, unit in zip(row, units, strict=True) if weight and any(unit)]
    return (
        sum((weight * offset for weight, (offset, _) in parts), Fraction(bias)),
        sum((weight * slope for weight, (_, slope) in parts), Fraction(0)),
    )


def _range(row: list[int], ranges: list[tuple[Fraction, Fraction]]) -> tuple[Fraction, Fraction]:
    products = [sorted((weight * low, weight * high)) for weight, (low, high) in zip(row, ranges, strict=True)]
    return sum((low for low, _ in products), Fraction(0)), sum((high for _, high in products), Fraction(0))

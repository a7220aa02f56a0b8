"""A flux network along a line of windows: piecewise linear, with kinks where a hidden unit passes 0."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.graph.integer import IntegerLayer

MOST_KINKS = 2048
"""Most kinks of a line, including both ends."""
MOST_PRODUCTS = 1 << 23
"""Most products of a weight and an activation along one line."""

Exact = NDArray[np.object_]
"""Python integers or fractions."""


@dataclass(frozen=True)
class Line:
    """The drive of a face along ``base + t * direction``, before hidden units drop the bits below their shift.

    Attributes
    ----------
    places : tuple of Fraction
        Values of ``t`` at both ends and at each kink, ascending.
    drives : tuple of Fraction
        Drive of the face at these places; linear in between.
    below, above : Fraction
        Most that dropping bits takes from the drive, or adds to it.
    """

    places: tuple[Fraction, ...]
    drives: tuple[Fraction, ...]
    below: Fraction
    above: Fraction

    def at(self, place: Fraction) -> Fraction:
        """The drive at a value of ``t`` between both ends."""
        right = min(max(1, bisect_right(self.places, place)), len(self.places) - 1)
        start, end = self.places[right - 1 : right + 1]
        part = (place - start) / (end - start)
        return self.drives[right - 1] + part * (self.drives[right] - self.drives[right - 1])


def drives_along(
    operator: Sequence[IntegerLayer], base: Exact, direction: Exact, lower: int, upper: int
) -> Line | None:
    """Follow a flux network along a line of windows.

    Parameters
    ----------
    base, direction : int array [positions]
        Quanta.
    lower, upper : int
        Ends of ``t``; ``lower < upper``.

    Returns
    -------
    Line or None
        None if there are more kinks or products than `MOST_KINKS` and `MOST_PRODUCTS`.
    """
    # A column is a point of the line: activations, t, and the common denominator of all of them.
    points = np.array([[*(base + end * direction), end, 1] for end in (lower, upper)], object).T
    below = above = np.zeros(len(base), object)
    products = 0
    for layer in operator:
        weight = layer.weight.astype(object)
        products += weight.size * points.shape[1]
        if products > MOST_PRODUCTS:
            return None
        driven = weight @ points[:-2] + layer.bias.astype(object)[:, None] * points[-1]
        points = np.concatenate([driven, points[-2:]])
        gain, loss = np.maximum(weight, 0), np.minimum(weight, 0)
        below, above = gain @ below + loss @ above, gain @ above + loss @ below
        if layer is operator[-1]:
            break
        kinked = _with_kinks(points)
        if kinked is None:
            return None
        unit = 1 << layer.shift
        points = np.concatenate([np.maximum(kinked[:-2], 0), kinked[-2:] * unit])
        points //= np.gcd.reduce(points, axis=0)
        below = np.array([(min(Fraction(0), value) - unit + 1) / unit for value in below], object)
        above = np.array([max(Fraction(0), value) / unit for value in above], object)
    places = tuple(Fraction(int(t), int(scale)) for t, scale in points[-2:].T)
    drives = tuple(Fraction(int(drive), int(scale)) for drive, scale in points[[0, -1]].T)
    return Line(places, drives, Fraction(below[0]), Fraction(above[0]))


def _with_kinks(points: Exact) -> Exact | None:
    """Add the points where a unit passes 0, in order; None if there are too many."""
    left, right = points[:, :-1], points[:, 1:]
    unit, gap = np.nonzero((np.sign(left[:-2]) * np.sign(right[:-2])) < 0)
    before, after = left[unit, gap], right[unit, gap]
    # Between homogeneous columns a and b a unit with a_u > 0 > b_u passes 0 at a_u b - b_u a, up to its scale.
    crossing = abs(before) * right[:, gap] + abs(after) * left[:, gap]
    by_place = {Fraction(int(column[-2]), int(column[-1])): column for column in (*points.T, *crossing.T)}
    if len(by_place) > MOST_KINKS:
        return None
    return np.array([by_place[place] for place in sorted(by_place)], object).T

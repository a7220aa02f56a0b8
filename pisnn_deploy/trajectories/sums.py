"""Sums over cells that are exact, or as good as exact, so that what drifts is the trajectory and not the audit."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.trajectories.content import Array

Field = NDArray[np.float64]
_SPLIT = 134217729.0
"""``2^27 + 1``: splits a float64 in two halves whose products are exact (Veltkamp, Dekker)."""
_HALF = 32
_LOWER = (1 << _HALF) - 1


def total_of(values: Array, volumes: Field | None = None) -> Fraction:
    """Sum of a row.

    Parameters
    ----------
    values : array
        Integers, which are masses of cells and are summed exactly, or floats.
    volumes : float64 array, optional
        Factor of each float; none for 1.

    Returns
    -------
    Fraction
        Of floats with a relative error of about ``cells * 2^-106``.
    """
    flat = values.reshape(-1)
    if flat.dtype.kind == "O":
        return Fraction(sum(flat.tolist()))
    if flat.dtype.kind in "iu":
        # Halves of 32 bits cannot overflow a sum of 64 bits.
        wide = flat.astype(np.uint64 if flat.dtype.kind == "u" else np.int64)
        high, low = (wide >> wide.dtype.type(_HALF)).sum(), (wide & wide.dtype.type(_LOWER)).sum()
        return Fraction((int(high) << _HALF) + int(low))
    products, errors = flat.astype(np.float64), np.zeros(0)
    if volumes is not None:
        products, errors = _products(products, volumes.reshape(-1))
    return _compensated(products) + Fraction(float(errors.sum()))


def _products(first: Field, second: Field) -> tuple[Field, Field]:
    """Products and their rounding errors (Dekker)."""
    product = first * second
    high_1, low_1 = _halves(first)
    high_2, low_2 = _halves(second)
    return product, low_1 * low_2 - (((product - high_1 * high_2) - low_1 * high_2) - high_1 * low_2)


def _halves(values: Field) -> tuple[Field, Field]:
    scaled = values * _SPLIT
    high = scaled - (scaled - values)
    return high, values - high


def _compensated(values: Field) -> Fraction:
    """Pairwise sum with the rounding errors of all additions (Knuth's two-sum)."""
    errors = 0.0
    while values.size > 1:
        if values.size % 2:
            values = np.append(values, 0.0)
        first, second = values[::2], values[1::2]
        added = first + second
        back = added - first
        errors += float(((first - (added - back)) + (second - back)).sum())
        values = added
    return Fraction(float(values[0])) + Fraction(errors) if values.size else Fraction(0)

"""Weights of many digits: populations that add up the lower digits of a weighted sum and carry to the next.

A weight ``w`` is ``sum_k d_k 2^(b k)`` with digits of b bits, from ``-2^(b-1)`` to ``2^(b-1) - 1``, except the last,
which has what is left. Each digit but the last has a population that computes ``(x_k + carry + bias) >> b`` of its sum
``x_k``; what it sends is the carry into the next digit. Floors of floors are exact, so a sum of products of any width
is computed in states of 24 bits, and rounded once, to units of the last digit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


def split(weights: Integers, digits: int, bits: int) -> tuple[Integers, ...]:
    """Digits of some integers, lowest first; those of a number and of its negative differ in sign alone.

    Parameters
    ----------
    weights : int64 array
        Any integers.
    digits : int
        Number of digits, at least 1.
    bits : int
        Of each digit but the last, at least 1.

    Returns
    -------
    tuple of int64 array
        ``weights = sum(d << bits * k for k, d in enumerate(digits))``.
    """
    rest, sign, parts = np.abs(weights), np.sign(weights), []
    half = 1 << (bits - 1)
    for _ in range(digits - 1):
        digit = ((rest + half) & (2 * half - 1)) - half
        parts.append(sign * digit)
        rest = (rest - digit) >> bits
    return (*parts, sign * rest)

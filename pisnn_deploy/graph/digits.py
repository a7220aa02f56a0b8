"""Weights of many digits: populations that add up the lower digits of a weighted sum and carry to the next.

A weight ``w`` is ``sum_k d_k 128^k`` with digits of -64 to 63, except the last, which has what is left. Each digit but
the last has a population that computes ``(x_k + carry + 64) >> 7`` of its sum ``x_k``; what it sends is the carry into
the next digit. So a sum of products of any width is computed in states of 24 bits, and rounded once, to units of the
last digit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.graph.layout import DIGIT_BITS

Integers = NDArray[np.int64]


def split(weights: Integers, digits: int) -> tuple[Integers, ...]:
    """Digits of some integers, lowest first; those of a number and of its negative differ in sign alone.

    Parameters
    ----------
    weights : int64 array
        Any integers.
    digits : int
        Number of digits, at least 1.

    Returns
    -------
    tuple of int64 array
        ``weights = sum(d << 7 k for k, d in enumerate(digits))``.
    """
    rest, sign, parts = np.abs(weights), np.sign(weights), []
    half = 1 << (DIGIT_BITS - 1)
    for _ in range(digits - 1):
        digit = ((rest + half) & (2 * half - 1)) - half
        parts.append(sign * digit)
        rest = (rest - digit) >> DIGIT_BITS
    return (*parts, sign * rest)

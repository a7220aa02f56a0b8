"""The integer arithmetic of the numerics contract (docs/architecture.md), each operation once.

Every function takes and returns int64 arrays of any shape and is exact as long as its result fits int64. Nothing
saturates and nothing wraps within the widths that the compiler declares; `require_width` is how that is checked.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import OverflowViolation

Integers = NDArray[np.int64]

LEAK_BITS = 12
"""Width of the decay constant: a leak of 2^12 forgets everything (Loihi's 12-bit decay)."""
BOUNDLESS = 1 << 62
"""The share of a reservoir, which gives without limit."""
MEMORYLESS = 1 << LEAK_BITS
"""The leak of a flux compartment that keeps nothing of its current."""


def decay(current: Integers, leak: int) -> Integers:
    """Leaky current: ``sign(c) * ((|c| * (4096 - leak)) >> 12)``, rounded towards zero.

    Parameters
    ----------
    current : int64 array
        Current ``c`` in flux units.
    leak : int
        Decay constant, 0 (keeps all) to 4096 (keeps nothing), in units of 2^-12.

    Returns
    -------
    int64 array
        What is left of the current.
    """
    if leak == MEMORYLESS:
        return np.zeros_like(current)
    kept: Integers = np.sign(current) * ((np.abs(current) * (MEMORYLESS - leak)) >> LEAK_BITS)
    return kept


def packets(residue: Integers, threshold_exponent: int) -> Integers:
    """Packets that fire: ``sign(r) * ((|r| + theta/2 - 1) >> F)`` with ``theta = 2^F``.

    Odd in `residue`, and silent at a tie, so mirror-symmetric fields stay mirror-symmetric.

    Parameters
    ----------
    residue : int64 array
        Residue plus current, in flux units.
    threshold_exponent : int
        ``F``, at least 1.

    Returns
    -------
    int64 array
        Signed number of quanta.
    """
    half = (1 << threshold_exponent) // 2
    fired: Integers = np.sign(residue) * ((np.abs(residue) + half - 1) >> threshold_exponent)
    return fired


def shares(mass: Integers, shift: int) -> Integers:
    """What a cell gives through one of its faces at most: ``max(m, 0) >> s``.

    Through up to ``2^s`` faces it so never gives more than it has.

    Parameters
    ----------
    mass : int64 array
        Masses of the cells at the start of the PDE step.
    shift : int
        ``s``, at least 0.

    Returns
    -------
    int64 array
        Nonnegative number of quanta.
    """
    return rectify(mass, shift)


def limit_packets(fired: Integers, source_share: Integers, target_share: Integers) -> Integers:
    """Packets that their givers can pay for: ``min(max(k, -share(target)), share(source))``.

    Parameters
    ----------
    fired : int64 array [faces]
        Packets that would fire.
    source_share, target_share : int64 array [faces]
        Shares of the holders that a positive packet leaves and enters; a negative packet is given by the latter.

    Returns
    -------
    int64 array [faces]
        Packets of the same signs, none of them larger.
    """
    return np.minimum(np.maximum(fired, -target_share), source_share)


def rectify(drive: Integers, shift: int) -> Integers:
    """Rectified activation ``relu(drive) >> shift``.

    Parameters
    ----------
    drive : int64 array
        Weighted input plus bias.
    shift : int
        Right shift, at least 0.

    Returns
    -------
    int64 array
        Nonnegative activation.
    """
    return np.maximum(drive, 0) >> shift


def bit_lines(values: Integers, bits: int) -> Integers:
    """Two's-complement bits of integers, one line for each: ``values = sum_b 2^b line_b - 2^(bits-1) line_(bits-1)``.

    The sum runs over all lines but the last.

    Parameters
    ----------
    values : int64 array [n]
        Within `bits` signed bits.
    bits : int
        Number of lines, at least 1.

    Returns
    -------
    int64 array [bits, n]
        Zeros and ones.
    """
    return (values >> np.arange(bits, dtype=np.int64)[:, None]) & 1


def signed_width(lower: int, upper: int) -> int:
    """Smallest number of bits of a two's-complement integer that holds all of ``lower .. upper``.

    Parameters
    ----------
    lower, upper : int
        Ends of the interval, both included.

    Returns
    -------
    int
        At least 1.
    """
    return max((~lower if lower < 0 else lower).bit_length(), (~upper if upper < 0 else upper).bit_length()) + 1


def require_width(values: Integers, bits: int, population: str, quantity: str, step: int) -> None:
    """Refuse values outside `bits` signed bits.

    Parameters
    ----------
    values : int64 array
        The values to look at.
    bits : int
        Declared signed width, 1 to 64.
    population, quantity : str
        Names for the message.
    step : int
        PDE step for the message.

    Raises
    ------
    OverflowViolation
        Names the first value outside.
    """
    if values.size == 0:
        return
    limit = 1 << (bits - 1)
    # The reductions themselves, because the methods of an array cost as much again on small populations.
    if np.maximum.reduce(values, axis=None) >= limit or np.minimum.reduce(values, axis=None) < -limit:
        flat = values.reshape(-1)
        index = int(np.flatnonzero((flat >= limit) | (flat < -limit))[0])
        raise OverflowViolation(population, quantity, index, step, int(flat[index]), bits)

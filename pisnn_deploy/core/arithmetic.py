"""Integer arithmetic of the numerics contract (docs/architecture.md).

Every function takes and returns int64 arrays of any shape and is exact as long as its result fits int64. Within the
widths that the compiler declares nothing saturates or wraps, which `require_width` checks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import OverflowViolation

Integers = NDArray[np.int64]

LEAK_BITS = 12
"""Width of the decay constant: a leak of 2^12 forgets everything (Loihi's 12-bit decay)."""
MEMORYLESS = 1 << LEAK_BITS
"""Leak of a flux compartment that forgets its current at every step."""


def decay(current: Integers, leak: int) -> Integers:
    """Leaky current: ``sign(c) * ((|c| * (4096 - leak)) >> 12)``, rounded towards zero.

    Parameters
    ----------
    current : int64 array
        Current ``c`` in flux units.
    leak : int
        Decay constant in units of 2^-12, from 0 (no decay) to 4096 (decays to 0 at once).

    Returns
    -------
    int64 array
        Remaining current, in flux units.
    """
    if leak == MEMORYLESS:
        return np.zeros_like(current)
    remaining: Integers = np.sign(current) * ((np.abs(current) * (MEMORYLESS - leak)) >> LEAK_BITS)
    return remaining


def packets(residue: Integers, threshold_exponent: int) -> Integers:
    """Packets that fire: ``sign(r) * ((|r| + theta/2 - 1) >> F)`` with ``theta = 2^F``.

    The function is odd in `residue` and rounds ties to 0, so mirror-symmetric fields stay mirror-symmetric.

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
    """Largest number of quanta that a cell gives through one face: ``max(m, 0) >> s``.

    A cell with up to ``2^s`` faces therefore never gives more than it has.

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
    """Limit packets to the share of the holder that gives them: ``min(max(k, -share(target)), share(source))``.

    Parameters
    ----------
    fired : int64 array [faces]
        Packets before limiting, in quanta.
    source_share, target_share : int64 array [faces]
        Shares of the holders that a positive packet leaves and enters; the latter gives negative packets.

    Returns
    -------
    int64 array [faces]
        Packets with the same signs, none larger than before.
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
    """Split integers into two's-complement bits, one line per bit.

    ``values = sum_b 2^b line_b - 2^(bits-1) line_(bits-1)``, where the sum runs over all lines except the last.

    Parameters
    ----------
    values : int64 array [n]
        Integers that fit `bits` signed bits.
    bits : int
        Number of lines, at least 1.

    Returns
    -------
    int64 array [bits, n]
        Zeros and ones.
    """
    return (values >> np.arange(bits, dtype=np.int64)[:, None]) & 1


def signed_width(lower: int, upper: int) -> int:
    """Smallest number of two's-complement bits that hold all integers from `lower` to `upper`.

    Parameters
    ----------
    lower, upper : int
        Bounds, both inclusive.

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
        Values to check.
    bits : int
        Declared signed width, 1 to 64.
    population, quantity : str
        Names for the error message.
    step : int
        PDE step for the error message.

    Raises
    ------
    OverflowViolation
        A value is outside; the message names the first one.
    """
    if values.size == 0:
        return
    limit = 1 << (bits - 1)
    # Calling the ufuncs directly, because array methods double the cost on small populations.
    if np.maximum.reduce(values, axis=None) >= limit or np.minimum.reduce(values, axis=None) < -limit:
        flat = values.reshape(-1)
        index = int(np.flatnonzero((flat >= limit) | (flat < -limit))[0])
        raise OverflowViolation(population, quantity, index, step, int(flat[index]), bits)

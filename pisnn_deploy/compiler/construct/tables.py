"""Functions of one value as tables with linear interpolation, over the interval of their argument."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.compiler.construct.circuit import WORD, Circuit
from pisnn_deploy.programs.interval import Interval
from pisnn_deploy.programs.language import MAX_TABLE_ENTRIES, Operand


class Undefined(ValueError):
    """A function without a finite value inside the interval of its argument.

    Attributes
    ----------
    place : float
        Argument where it has none.
    """

    def __init__(self, place: float) -> None:
        super().__init__(place)
        self.place = place


Function = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Takes and returns float64 arrays."""
_KNOT_BITS = 10
"""A table has 2^10 to 2^11 pieces where its argument has as many bits."""
_SQUARED_BITS = 9
"""Bits of the place within a piece that a product by a table of squares sees."""


def most_fraction(largest: float, word: int) -> int:
    """Most fraction bits of values up to `largest` in a word, with room for one unit of rounding."""
    fraction = word - 1 - math.frexp(largest)[1]
    return fraction if largest * 2.0**fraction + 1 < 1 << (word - 1) else fraction - 1


def piece_bits(interval: Interval) -> int:
    """Bits of an argument within one piece of a table."""
    span = interval.upper - interval.lower
    bits = max(0, span.bit_length() - _KNOT_BITS)
    while bits and (span >> (bits - 1)) + 2 <= MAX_TABLE_ENTRIES:
        bits -= 1
    while (span >> bits) + 2 > MAX_TABLE_ENTRIES:
        bits += 1
    return bits


SPLIT_BITS = 6
"""The table of a coarse end covers 2^-6 of the range."""
_WRONG = 0.01
_COARSE = 2.0**-16
"""Error of the interpolation beyond which an end is coarse, relative to the largest value."""


def coarse_end(interval: Interval, scale: int, function: Function) -> Literal["lower", "upper"] | None:
    """End of an interval where the interpolation of a function is coarse, if only there."""
    errors, largest = _errors(interval, scale, function)
    coarse = np.flatnonzero(errors > _COARSE * largest)
    if not coarse.size or not np.isfinite(errors).all():
        return None
    part = errors.size >> SPLIT_BITS
    if coarse.max() <= 8 * part:
        return "lower"
    return "upper" if coarse.min() >= errors.size - 8 * part else None


def is_too_fast(interval: Interval, scale: int, function: Function) -> bool:
    """Whether a function changes too fast for a table: interpolation is off by 1 % of its largest value or more.

    Single pieces, such as those at a jump, do not count.
    """
    errors, largest = _errors(interval, scale, function)
    return bool(np.mean(errors > _WRONG * largest) > _WRONG)


def _errors(interval: Interval, scale: int, function: Function) -> tuple[NDArray[np.float64], float]:
    """Error of the interpolation in the middle of each piece of a table, and the largest value."""
    bits = piece_bits(interval)
    if not bits:
        return np.zeros(1), 1.0
    knots = np.arange(interval.lower, interval.upper + 1, 1 << bits, dtype=np.int64).astype(np.float64)
    places = np.append(knots, float(interval.upper)) * 2.0**-scale
    with np.errstate(all="ignore"):
        entries, middles = function(places), function((places[:-1] + places[1:]) / 2)
        errors = np.abs(middles - (entries[:-1] + entries[1:]) / 2)
    return errors, float(np.abs(entries).max())


def interpolated(
    circuit: Circuit, operand: Operand, scale: int, function: Function, multiplies: bool
) -> tuple[Operand, int]:
    """Add the operations of a table.

    Parameters
    ----------
    operand : str
        Argument.
    scale : int
        Its fraction bits.
    multiplies : bool
        Whether products are possible; otherwise a table of squares takes their place.

    Returns
    -------
    str, int
        Result, and its fraction bits.

    Raises
    ------
    Undefined
        The function is not finite in the whole interval.
    """
    interval = circuit.interval(operand)
    bits = piece_bits(interval)
    pieces = (interval.upper - interval.lower >> bits) + 1
    knots = interval.lower + np.arange(pieces + (bits > 0), dtype=np.int64) * (1 << bits)
    # The last knot may lie beyond the range, where the function need not be defined.
    inside = np.minimum(knots, interval.upper).astype(np.float64) * 2.0**-scale
    entries = np.asarray(function(inside), np.float64)
    if not np.isfinite(entries).all():
        place = inside[~np.isfinite(entries)][0]
        raise Undefined(float(place))
    entries = _extended(entries, knots, interval.upper, bits)
    largest = float(np.abs(entries).max() + np.abs(np.diff(entries)).max(initial=0.0))
    fraction = most_fraction(largest, WORD)  # entries have no more bits, however wide words are
    limit = (1 << (WORD - 1)) - 1
    numbers = np.clip(np.rint(entries * 2.0**fraction), -limit, limit).astype(np.int64)
    offset = circuit.apply("sub", operand, interval.lower)
    if not bits:
        return circuit.apply("table", offset, circuit.table(numbers.tolist())), fraction
    index = circuit.apply("asr", offset, bits)
    first = circuit.apply("table", index, circuit.table(numbers[:-1].tolist()))
    rest = circuit.apply("sub", offset, circuit.apply("shl", index, bits))
    # Always true, but intervals alone do not show it.
    rest = circuit.apply("min", circuit.apply("max", rest, 0), (1 << bits) - 1)
    if multiplies:
        slope = circuit.apply("table", index, circuit.table(np.diff(numbers).tolist()))
        return circuit.apply("add", first, circuit.apply("mul_shr", slope, rest, bits)), fraction
    rise = _product_by_squares(circuit, index, np.diff(numbers), rest, bits)
    return circuit.apply("add", first, rise), fraction


def _product_by_squares(
    circuit: Circuit, index: Operand, rises: NDArray[np.int64], rest: Operand, bits: int
) -> Operand:
    """``(rises[index] * rest) >> bits`` without a product: ``a b = (a + b)^2 / 4 - (a - b)^2 / 4`` by a table."""
    apply = circuit.apply
    dropped = max(0, bits - _SQUARED_BITS)
    rest, bits = apply("asr", rest, dropped), bits - dropped
    most = MAX_TABLE_ENTRIES - (1 << bits)
    largest = int(np.abs(rises).max(initial=0))
    # Both are halved as often as needed for the sum of the operands to be an index.
    shift = max(0, (largest // most).bit_length())
    slope = apply("table", index, circuit.table(np.rint(rises / 2.0**shift).astype(np.int64).tolist()))
    squares = circuit.table([number * number // 4 for number in range(MAX_TABLE_ENTRIES)])
    whole, difference = (apply("table", apply("abs", apply(name, slope, rest)), squares) for name in ("add", "sub"))
    product = apply("sub", whole, difference)
    return apply("asr", product, bits - shift) if bits >= shift else apply("shl", product, shift - bits)


def _extended(entries: NDArray[np.float64], knots: NDArray[np.int64], upper: int, bits: int) -> NDArray[np.float64]:
    """Entries whose last piece passes through the value at the end of the range, which may lie within the piece."""
    rest = upper - int(knots[-2]) if bits else 0
    if not bits or rest == 1 << bits:
        return entries
    extended = entries.copy()
    extended[-1] = entries[-2] + ((entries[-1] - entries[-2]) * (1 << bits) / rest if rest > 0 else 0.0)
    return extended

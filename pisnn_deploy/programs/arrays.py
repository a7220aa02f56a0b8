"""Reference reader of programs in numpy, for all neurons of a population at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Look = Callable[[str, Integers], None]


class Arrays:
    """Program reader on int64 arrays [neurons]; exact if every value and product fits 64 bits.

    Parameters
    ----------
    look : callable, optional
        Called with the name and the values of each result; raises an error to refuse it.
    """

    def __init__(self, look: Look | None = None) -> None:
        self._look = look

    def constant(self, number: int) -> Integers:
        return np.asarray(number, np.int64)

    def result(self, name: str, value: Integers) -> Integers:
        if self._look is not None:
            self._look(name, value)
        return value

    def add(self, a: Integers, b: Integers) -> Integers:
        return a + b

    def sub(self, a: Integers, b: Integers) -> Integers:
        return a - b

    def neg(self, a: Integers) -> Integers:
        return -a

    def abs(self, a: Integers) -> Integers:
        return np.abs(a)

    def min(self, a: Integers, b: Integers) -> Integers:
        return np.minimum(a, b)

    def max(self, a: Integers, b: Integers) -> Integers:
        return np.maximum(a, b)

    def shl(self, a: Integers, bits: int) -> Integers:
        return a << bits

    def asr(self, a: Integers, bits: int) -> Integers:
        return a >> bits

    def mul_shr(self, a: Integers, b: Integers, bits: int) -> Integers:
        return (a * b) >> bits

    def copysign(self, a: Integers, b: Integers) -> Integers:
        signed: Integers = np.sign(b) * a
        return signed

    def lt(self, a: Integers, b: Integers) -> Integers:
        return np.asarray(a < b, np.int64)

    def ge(self, a: Integers, b: Integers) -> Integers:
        return np.asarray(a >= b, np.int64)

    def eq(self, a: Integers, b: Integers) -> Integers:
        return np.asarray(a == b, np.int64)

    def select(self, condition: Integers, a: Integers, b: Integers) -> Integers:
        chosen: Integers = np.where(condition != 0, a, b)
        return chosen

    def table(self, index: Integers, entries: tuple[int, ...]) -> Integers:
        return _numbers(entries).take(index, mode="clip")

    def fire(self, potential: Integers, exponent: int) -> tuple[Integers, Integers]:
        packet = np.sign(potential) * ((np.abs(potential) + (1 << exponent) // 2 - 1) >> exponent)
        return packet, potential - (packet << exponent)


@lru_cache(maxsize=256)
def _numbers(entries: tuple[int, ...]) -> Integers:
    return np.asarray(entries, np.int64)

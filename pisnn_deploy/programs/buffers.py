"""Programs in numpy that allocate nothing from step to step: each operation of a program has an array of its own."""

from __future__ import annotations

import numpy as np

from pisnn_deploy.programs.arrays import Arrays, Integers


class Buffers(Arrays):
    """int64 arrays [neurons] that are written anew in every step; `begin` goes before each.

    What a step gave is good until the next one.

    Parameters
    ----------
    neurons : int
        Size of the population.
    """

    def __init__(self, neurons: int) -> None:
        super().__init__()
        self._neurons = neurons
        self._arrays: list[Integers] = []
        self._next = 0

    def begin(self) -> None:
        """Start with the first operation again."""
        self._next = 0

    def _out(self) -> Integers:
        if self._next == len(self._arrays):
            self._arrays.append(np.empty(self._neurons, np.int64))
        self._next += 1
        return self._arrays[self._next - 1]

    def add(self, a: Integers, b: Integers) -> Integers:
        return np.add(a, b, out=self._out())

    def sub(self, a: Integers, b: Integers) -> Integers:
        return np.subtract(a, b, out=self._out())

    def neg(self, a: Integers) -> Integers:
        return np.negative(a, out=self._out())

    def abs(self, a: Integers) -> Integers:
        return np.abs(a, out=self._out())

    def min(self, a: Integers, b: Integers) -> Integers:
        return np.minimum(a, b, out=self._out())

    def max(self, a: Integers, b: Integers) -> Integers:
        return np.maximum(a, b, out=self._out())

    def shl(self, a: Integers, bits: int) -> Integers:
        return np.left_shift(a, bits, out=self._out())

    def asr(self, a: Integers, bits: int) -> Integers:
        return np.right_shift(a, bits, out=self._out())

    def mul_shr(self, a: Integers, b: Integers, bits: int) -> Integers:
        product = np.multiply(a, b, out=self._out())
        product >>= bits
        return product

    def copysign(self, a: Integers, b: Integers) -> Integers:
        signed = np.sign(b, out=self._out())
        signed *= a
        return signed

    def lt(self, a: Integers, b: Integers) -> Integers:
        return np.less(a, b, out=self._out())

    def ge(self, a: Integers, b: Integers) -> Integers:
        return np.greater_equal(a, b, out=self._out())

    def eq(self, a: Integers, b: Integers) -> Integers:
        return np.equal(a, b, out=self._out())

    def select(self, condition: Integers, a: Integers, b: Integers) -> Integers:
        chosen = self._out()
        chosen[:] = b
        np.copyto(chosen, a, where=condition != 0)
        return chosen

    def table(self, index: Integers, entries: tuple[int, ...]) -> Integers:
        chosen = self._out()
        chosen[:] = np.take(np.asarray(entries, np.int64), index, mode="clip")
        return chosen

    def fire(self, potential: Integers, exponent: int) -> tuple[Integers, Integers]:
        packet, rest = np.abs(potential, out=self._out()), np.sign(potential, out=self._out())
        packet += (1 << exponent) // 2 - 1
        packet >>= exponent
        packet *= rest
        np.left_shift(packet, exponent, out=rest)
        np.subtract(potential, rest, out=rest)
        return packet, rest

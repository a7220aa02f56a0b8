"""Reference semantics of programs, in Python integers; every other reader is compared with it."""

from __future__ import annotations

import builtins


class Whole:
    """Program reader for a single neuron, exact at any size."""

    def constant(self, number: int) -> int:
        return number

    def result(self, name: str, value: int) -> int:
        return value

    def add(self, a: int, b: int) -> int:
        return a + b

    def sub(self, a: int, b: int) -> int:
        return a - b

    def neg(self, a: int) -> int:
        return -a

    def abs(self, a: int) -> int:
        return builtins.abs(a)

    def min(self, a: int, b: int) -> int:
        return builtins.min(a, b)

    def max(self, a: int, b: int) -> int:
        return builtins.max(a, b)

    def shl(self, a: int, bits: int) -> int:
        return a << bits

    def asr(self, a: int, bits: int) -> int:
        return a >> bits

    def mul_shr(self, a: int, b: int, bits: int) -> int:
        return (a * b) >> bits

    def copysign(self, a: int, b: int) -> int:
        return a if b > 0 else -a if b < 0 else 0

    def lt(self, a: int, b: int) -> int:
        return int(a < b)

    def ge(self, a: int, b: int) -> int:
        return int(a >= b)

    def eq(self, a: int, b: int) -> int:
        return int(a == b)

    def select(self, condition: int, a: int, b: int) -> int:
        return a if condition else b

    def table(self, index: int, entries: tuple[int, ...]) -> int:
        return entries[builtins.min(builtins.max(index, 0), len(entries) - 1)]

    def fire(self, potential: int, exponent: int) -> tuple[int, int]:
        packet = self.copysign((builtins.abs(potential) + (1 << exponent) // 2 - 1) >> exponent, potential)
        return packet, potential - (packet << exponent)

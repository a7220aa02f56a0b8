"""Integer intervals and their arithmetic: what each operation of a program does to bounds."""

from __future__ import annotations

import builtins
from collections.abc import Iterable
from dataclasses import dataclass, field

from pisnn_deploy.core.arithmetic import signed_width


@dataclass(frozen=True)
class Interval:
    """All integers from `lower` to `upper`, both included.

    Attributes
    ----------
    lower, upper : int
        Ends, with ``lower <= upper``.
    """

    lower: int
    upper: int

    def __post_init__(self) -> None:
        if self.lower > self.upper:
            raise ValueError(f"empty interval: {self.lower} to {self.upper}")

    @property
    def bits(self) -> int:
        """Signed width of the interval in bits."""
        return signed_width(self.lower, self.upper)


def hull(corners: Iterable[int]) -> Interval:
    """Smallest interval that holds some integers."""
    values = list(corners)
    return Interval(builtins.min(values), builtins.max(values))


@dataclass
class Intervals:
    """Interval arithmetic in Python integers: sound, and exact for each single operation.

    Attributes
    ----------
    products : list of Interval
        Full product of each ``mul_shr``, before the shift; it must fit a word of the target, too.
    """

    products: list[Interval] = field(default_factory=list)

    def constant(self, number: int) -> Interval:
        return Interval(number, number)

    def result(self, name: str, value: Interval) -> Interval:
        return value

    def add(self, a: Interval, b: Interval) -> Interval:
        return Interval(a.lower + b.lower, a.upper + b.upper)

    def sub(self, a: Interval, b: Interval) -> Interval:
        return Interval(a.lower - b.upper, a.upper - b.lower)

    def neg(self, a: Interval) -> Interval:
        return Interval(-a.upper, -a.lower)

    def abs(self, a: Interval) -> Interval:
        ends = (builtins.abs(a.lower), builtins.abs(a.upper))
        return Interval(0 if a.lower <= 0 <= a.upper else builtins.min(ends), builtins.max(ends))

    def min(self, a: Interval, b: Interval) -> Interval:
        return Interval(builtins.min(a.lower, b.lower), builtins.min(a.upper, b.upper))

    def max(self, a: Interval, b: Interval) -> Interval:
        return Interval(builtins.max(a.lower, b.lower), builtins.max(a.upper, b.upper))

    def shl(self, a: Interval, bits: int) -> Interval:
        return Interval(a.lower << bits, a.upper << bits)

    def asr(self, a: Interval, bits: int) -> Interval:
        return Interval(a.lower >> bits, a.upper >> bits)

    def mul_shr(self, a: Interval, b: Interval, bits: int) -> Interval:
        product = hull(x * y for x in (a.lower, a.upper) for y in (b.lower, b.upper))
        self.products.append(product)
        return self.asr(product, bits)

    def copysign(self, a: Interval, b: Interval) -> Interval:
        parts = []
        if b.upper > 0:
            parts += [a.lower, a.upper]
        if b.lower < 0:
            parts += [-a.upper, -a.lower]
        if b.lower <= 0 <= b.upper:
            parts.append(0)
        return hull(parts)

    def lt(self, a: Interval, b: Interval) -> Interval:
        return Interval(int(a.upper < b.lower), int(a.lower < b.upper))

    def ge(self, a: Interval, b: Interval) -> Interval:
        less = self.lt(a, b)
        return Interval(1 - less.upper, 1 - less.lower)

    def eq(self, a: Interval, b: Interval) -> Interval:
        same = a.lower == a.upper == b.lower == b.upper
        return Interval(int(same), int(a.lower <= b.upper and b.lower <= a.upper))

    def select(self, condition: Interval, a: Interval, b: Interval) -> Interval:
        if condition.lower == condition.upper == 0:
            return b
        if condition.lower > 0 or condition.upper < 0:
            return a
        return Interval(builtins.min(a.lower, b.lower), builtins.max(a.upper, b.upper))

    def table(self, index: Interval, entries: tuple[int, ...]) -> Interval:
        first, last = (builtins.min(builtins.max(end, 0), len(entries) - 1) for end in (index.lower, index.upper))
        return hull(entries[first : last + 1])

    def fire(self, potential: Interval, exponent: int) -> tuple[Interval, Interval]:
        # The packet increases with the potential. The rest is within half of theta of 0; if nothing fires, it is the
        # potential itself.
        half = (1 << exponent) // 2

        def packet(v: int) -> int:
            fired = (builtins.abs(v) + half - 1) >> exponent
            return fired if v > 0 else -fired

        packets = Interval(packet(potential.lower), packet(potential.upper))
        rest = potential if packets.lower == packets.upper == 0 else Interval(-half, half)
        return packets, rest

"""One turn of a loop of a node: what its part reads, writes and adds to results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pisnn_deploy.programs.interval import Interval
from pisnn_deploy.runs.kernels.ir import LONG, WORD, Function, Value, number
from pisnn_deploy.runs.kernels.network import FLAGS, Buffer, Source, reach
from pisnn_deploy.runs.kernels.tiles import TILE
from pisnn_deploy.runs.kernels.words import width_of

HALF = 16
"""Bits of the lower part of a number whose parts are added up apart."""
RESULTS = "%r"
"""Argument of generated functions: the results of a share of the work."""


@dataclass
class Accumulator:
    """A local variable that collects a value over the turns of a loop.

    Attributes
    ----------
    start : Value
        Its value before the first turn.
    finish : callable
        Writes what becomes of it after the last turn.
    """

    address: str
    start: Value
    finish: Callable[[Value], None]


@dataclass
class Turn:
    """What a part of a node may use while it writes a turn of its loop.

    Attributes
    ----------
    sums : dict of str to Value
        Sums of the part.
    locate : callable
        Address of this neuron's element of a buffer.
    read_constant : callable
        Value of a constant by name.
    place : Value
        Number of the turn within the tile.
    scratch : dict of str to (str, int)
        Address and width of local arrays [TILE] that parts of a node share.
    """

    code: Function
    buffers: Mapping[str, Buffer]
    tables: dict[tuple[int, ...], str]
    sums: Mapping[str, Value]
    locate: Callable[[Source], str]
    read_constant: Callable[[str], Value]
    place: Value
    scratch: dict[str, tuple[str, int]]
    accumulators: list[Accumulator] = field(default_factory=list)

    def read(self, buffer: str, *, is_new: bool = False) -> Value:
        """Read this neuron's element of a buffer."""
        return self.code.load(self.locate(Source(buffer, is_new)), self.buffers[buffer].bits)

    def write(self, buffer: str, value: Value, *, is_new: bool = False) -> None:
        """Store this neuron's element of a buffer."""
        self.code.store(self.locate(Source(buffer, is_new)), value, self.buffers[buffer].bits)

    def keep(self, name: str, value: Value) -> None:
        """Keep a value for a later part of the node."""
        if name not in self.scratch:
            self.scratch[name] = self.code.local(value.bits, TILE), value.bits
        address, bits = self.scratch[name]
        self.code.store(self.code.at(address, bits, self.place), value, bits)

    def kept(self, name: str) -> Value:
        """Read a value that an earlier part kept."""
        address, bits = self.scratch[name]
        return self.code.load(self.code.at(address, bits, self.place), bits)

    # Results.

    def add(self, result: int, value: Value, interval: Interval, *others: int) -> None:
        """Add a value to a result.

        Parameters
        ----------
        interval : Interval
            Bounds of the value.
        *others : int
            Further results to which it is added.
        """
        results = (result, *others)
        bits = width_of(Interval(-reach(interval) * TILE, reach(interval) * TILE))
        if bits == LONG and value.bits <= WORD:
            # Sums of 32 bits take half of the instructions of those of 64, so that both parts of a number cost less.
            if interval.lower >= 0 and interval.upper * TILE < 1 << WORD:
                self._sum(results, value, WORD, is_unsigned=True)
                return
            low = self.code.both("and", value, number((1 << HALF) - 1, WORD), WORD)
            high = self.code.both("ashr", value, number(HALF, WORD), WORD)
            self._sum(results, low, WORD)
            self._sum(results, high, WORD, HALF)
        else:
            self._sum(results, value, bits)

    def count(self, result: int, condition: Value) -> None:
        """Count the turns in which a condition holds."""
        self._sum((result,), self.code.truth(condition, WORD), WORD)

    def require_zero(self, value: Value, flag: int) -> None:
        """Set a flag if a value is not zero."""
        bits = value.bits
        self._collect(
            number(0, bits),
            lambda so_far: self.code.both("or", so_far, value, bits),
            lambda last: self._flag(self.code.compare("ne", last, number(0, bits)), flag),
        )

    def require_equal(self, a: Value, b: Value, bits: int, flag: int) -> None:
        """Set a flag if two values differ."""
        self.require_zero(self.code.both("xor", a, b, bits), flag)

    def require_width(self, value: Value, largest: int, flag: int) -> None:
        """Set a flag if a value is greater than `largest`, or less than ``-largest - 1``; `largest` is ``2^n - 1``."""
        if largest >= (1 << (value.bits - 1)) - 1:
            return
        code, bits = self.code, value.bits
        sign = code.both("ashr", value, number(bits - 1, bits), bits)
        differing = code.both("xor", value, sign, bits)
        self._collect(
            number(0, bits),
            lambda so_far: code.both("or", so_far, differing, bits),
            lambda last: self._flag(code.compare("sgt", last, number(largest, bits)), flag),
        )

    def require_between(self, value: Value, lower: int, upper: int, flag: int) -> None:
        """Set a flag if a value is outside a range."""
        code, (least, most) = self.code, (-(1 << (value.bits - 1)), (1 << (value.bits - 1)) - 1)
        if upper < most:
            self._collect(
                number(least, value.bits),
                lambda so_far: code.call("smax", [so_far, value], value.bits),
                lambda last: self._flag(code.compare("sgt", last, number(upper, LONG)), flag),
            )
        if lower > least:
            self._collect(
                number(most, value.bits),
                lambda so_far: code.call("smin", [so_far, value], value.bits),
                lambda last: self._flag(code.compare("slt", last, number(lower, LONG)), flag),
            )

    def _collect(self, start: Value, change: Callable[[Value], Value], finish: Callable[[Value], None]) -> None:
        code, group = self.code, self.code.group
        address = code.local(start.bits)
        code.group = 0  # a local variable joins the turns
        code.store(address, change(code.load(address, start.bits)), start.bits)
        code.group = group
        self.accumulators.append(Accumulator(address, start, finish))

    def _sum(
        self, results: tuple[int, ...], value: Value, bits: int, places: int = 0, *, is_unsigned: bool = False
    ) -> None:
        """Add a value to results, with its sum shifted to the left."""

        def finish(last: Value) -> None:
            code = self.code
            total = code.both("and", last, number((1 << bits) - 1), LONG) if is_unsigned else last
            total = code.both("shl", total, number(places), LONG) if places else total
            for result in results:
                place = code.at(RESULTS, LONG, number(result))
                code.store(place, code.add(code.load(place, LONG), total, LONG), LONG)

        self._collect(number(0, bits), lambda so_far: self.code.add(so_far, value, bits), finish)

    def _flag(self, condition: Value, flag: int) -> None:
        code = self.code
        place = code.at(RESULTS, LONG, number(FLAGS))
        raised = code.choose(condition, number(flag), number(0), LONG)
        code.store(place, code.both("or", code.load(place, LONG), raised, LONG), LONG)

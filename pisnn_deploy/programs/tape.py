"""Programs in numpy, recorded once on fixed arrays and replayed in every step.

Replaying allocates and looks up nothing, which takes longer than the arithmetic in small populations.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Call = Callable[[], object]


class Tape:
    """A program reader that records numpy calls; its values are the result arrays.

    Parameters
    ----------
    neurons : int
        Size of the population.
    """

    def __init__(self, neurons: int) -> None:
        self._neurons = neurons
        self._notes: list[tuple[Callable[..., object], tuple[Any, ...], Integers]] = []
        self._own: dict[int, Integers] = {}

    @property
    def calls(self) -> tuple[Call, ...]:
        """Recorded calls, in order."""
        return tuple(partial(function, *operands, out) for function, operands, out in self._notes)

    def copy(self, value: Integers) -> Integers:
        """Record a copy, for a `value` that is overwritten within a step."""
        return self._note(np.positive, value)

    def move(self, value: Integers, place: Integers) -> bool:
        """Compute a result in another array, unless a later call reads or writes that array.

        Parameters
        ----------
        value : int64 array [neurons]
            Result of a recorded call.
        place : int64 array [neurons]
            Array to compute it in.

        Returns
        -------
        bool
            Whether it was moved; inputs and moved results cannot be.
        """
        outs = [id(out) for _, _, out in self._notes]
        if id(value) not in self._own or id(place) in outs:
            return False
        first = outs.index(id(value))
        # A ufunc reads an element before it writes it, so the call itself may read `place`.
        later = self._notes[first + isinstance(self._notes[first][0], np.ufunc) :]
        if any(operand is place for _, operands, _ in later for operand in operands):
            return False
        del self._own[id(value)]
        self._notes = [
            (
                function,
                tuple(place if operand is value else operand for operand in operands),
                place if out is value else out,
            )
            for function, operands, out in self._notes
        ]
        return True

    def _note(self, function: Callable[..., object], *operands: Any, out: Integers | None = None) -> Integers:
        if out is None:
            out = np.empty(self._neurons, np.int64)
            self._own[id(out)] = out
        self._notes.append((function, operands, out))
        return out

    def constant(self, number: int) -> Integers:
        return np.asarray(number, np.int64)

    def result(self, name: str, value: Integers) -> Integers:
        return value

    def add(self, a: Integers, b: Integers) -> Integers:
        return self._note(np.add, a, b)

    def sub(self, a: Integers, b: Integers) -> Integers:
        return self._note(np.subtract, a, b)

    def neg(self, a: Integers) -> Integers:
        return self._note(np.negative, a)

    def abs(self, a: Integers) -> Integers:
        return self._note(np.absolute, a)

    def min(self, a: Integers, b: Integers) -> Integers:
        return self._note(np.minimum, a, b)

    def max(self, a: Integers, b: Integers) -> Integers:
        return self._note(np.maximum, a, b)

    def shl(self, a: Integers, bits: int) -> Integers:
        return self._note(np.left_shift, a, self.constant(bits))

    def asr(self, a: Integers, bits: int) -> Integers:
        return self._note(np.right_shift, a, self.constant(bits))

    def mul_shr(self, a: Integers, b: Integers, bits: int) -> Integers:
        product = self._note(np.multiply, a, b)
        return self._note(np.right_shift, product, self.constant(bits), out=product)

    def copysign(self, a: Integers, b: Integers) -> Integers:
        sign = self._note(np.sign, b)
        return self._note(np.multiply, sign, a, out=sign)

    def lt(self, a: Integers, b: Integers) -> Integers:
        return self._note(np.less, a, b)

    def ge(self, a: Integers, b: Integers) -> Integers:
        return self._note(np.greater_equal, a, b)

    def eq(self, a: Integers, b: Integers) -> Integers:
        return self._note(np.equal, a, b)

    def select(self, condition: Integers, a: Integers, b: Integers) -> Integers:
        return self._note(_choose, condition, a, b, np.empty(self._neurons, np.bool_))

    def table(self, index: Integers, entries: tuple[int, ...]) -> Integers:
        of_neurons = index if index.shape else np.broadcast_to(index, self._neurons)
        return self._note(_look_up, np.asarray(entries, np.int64), of_neurons)

    def fire(self, potential: Integers, exponent: int) -> tuple[Integers, Integers]:
        # sign(v) ((|v| + half - 1) >> F) is (v + half - 1 + (v < 0)) >> F.
        shift = self.constant(exponent)
        minus_one_below_zero = self._note(np.right_shift, potential, self.constant(63))
        packet = self._note(np.subtract, potential, minus_one_below_zero)
        self._note(np.add, packet, self.constant((1 << exponent) // 2 - 1), out=packet)
        self._note(np.right_shift, packet, shift, out=packet)
        rest = self._note(np.left_shift, packet, shift, out=minus_one_below_zero)
        return packet, self._note(np.subtract, potential, rest, out=rest)


def _choose(condition: Integers, a: Integers, b: Integers, is_a: NDArray[np.bool_], out: Integers) -> None:
    np.not_equal(condition, 0, is_a)
    np.copyto(out, b)
    np.copyto(out, a, where=is_a)


def _look_up(entries: Integers, index: Integers, out: Integers) -> None:
    entries.take(index, None, out, "clip")

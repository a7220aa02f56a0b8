"""Translate programs to torch: one statement on int64 tensors per operation."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Lines(Protocol):
    """Receives statements and constants of a module."""

    def assigned(self, name: str, expression: str) -> str:
        """Add an assignment and return its target."""

    def constant(self, name: str, values: NDArray[np.int64]) -> str:
        """Add a buffer and return the expression that reads it."""


class TorchLines:
    """Reader of programs whose values are expressions of int64 tensors [..., neurons].

    Parameters
    ----------
    lines : Lines
        Receives the statements.
    prefix : str
        Prefix of all names.
    names : dict of str to str
        Names of values that have other ones.
    """

    def __init__(self, lines: Lines, prefix: str, names: dict[str, str]) -> None:
        self._lines, self._prefix, self._names = lines, prefix, names
        self._made = 0

    def constant(self, number: int) -> str:
        return f"({number})" if number < 0 else str(number)

    def result(self, name: str, value: str) -> str:
        return self._lines.assigned(self._names.get(name, f"{self._prefix}{name}"), value)

    def _tensor(self, value: str) -> str:
        """Expression of a tensor; methods of tensors and most functions of torch do not take Python's numbers."""
        return f"torch.tensor({value})" if value.strip("(-)").isdigit() else value

    def _new(self, name: str) -> str:
        self._made += 1
        return f"{self._prefix}{name}{self._made}"

    def add(self, a: str, b: str) -> str:
        return f"{self._tensor(a)} + {b}"

    def sub(self, a: str, b: str) -> str:
        return f"{self._tensor(a)} - {b}"

    def neg(self, a: str) -> str:
        return f"-{self._tensor(a)}"

    def abs(self, a: str) -> str:
        return f"torch.abs({self._tensor(a)})"

    def min(self, a: str, b: str) -> str:
        return f"torch.minimum({self._tensor(a)}, {self._tensor(b)})"

    def max(self, a: str, b: str) -> str:
        return f"torch.maximum({self._tensor(a)}, {self._tensor(b)})"

    def shl(self, a: str, bits: int) -> str:
        return f"{self._tensor(a)} << {bits}"

    def asr(self, a: str, bits: int) -> str:
        return f"{self._tensor(a)} >> {bits}"

    def mul_shr(self, a: str, b: str, bits: int) -> str:
        return f"({self._tensor(a)} * {b}) >> {bits}"

    def copysign(self, a: str, b: str) -> str:
        return f"torch.sign({self._tensor(b)}) * {a}"

    def lt(self, a: str, b: str) -> str:
        return f"({self._tensor(a)} < {b}).long()"

    def ge(self, a: str, b: str) -> str:
        return f"({self._tensor(a)} >= {b}).long()"

    def eq(self, a: str, b: str) -> str:
        return f"({self._tensor(a)} == {b}).long()"

    def select(self, condition: str, a: str, b: str) -> str:
        return f"torch.where({self._tensor(condition)} != 0, {self._tensor(a)}, {self._tensor(b)})"

    def table(self, index: str, entries: tuple[int, ...]) -> str:
        table = self._lines.constant(self._new("table"), np.asarray(entries, np.int64))
        return f"{table}[{self._tensor(index)}.clamp(0, {len(entries) - 1})]"

    def fire(self, potential: str, exponent: int) -> tuple[str, str]:
        v, half = self._tensor(potential), (1 << exponent) // 2 - 1
        packet = self._lines.assigned(
            self._new("fired"), f"torch.sign({v}) * ((torch.abs({v}) + {half}) >> {exponent})"
        )
        return packet, f"{v} - ({packet} << {exponent})"

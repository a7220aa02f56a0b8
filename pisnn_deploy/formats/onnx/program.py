"""Translate programs to ONNX nodes: one or a few integer operators of the default domain per operation."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


class Nodes(Protocol):
    """Receives nodes and constants of a graph."""

    def node(self, operator: str, inputs: tuple[str, ...], output: str) -> str:
        """Add a node and return the name of its output."""

    def constant(self, name: str, values: Integers) -> str:
        """Add an initializer and return its name."""


class OnnxNodes:
    """Reader of programs whose values are names of int64 tensors, with one entry per neuron.

    Parameters
    ----------
    nodes : Nodes
        Receives the nodes.
    prefix : str
        Prefix of all tensor names.
    names : dict of str to str
        Tensor names of values of the program (default: their own names with the prefix).
    """

    def __init__(self, nodes: Nodes, prefix: str, names: dict[str, str]) -> None:
        self._nodes = nodes
        self._prefix = prefix
        self._names = names
        self._constants: dict[int, str] = {}
        self._made = 0

    def constant(self, number: int) -> str:
        if number not in self._constants:
            name = f"{self._prefix}/constant{len(self._constants)}"
            self._constants[number] = self._nodes.constant(name, np.asarray(number, np.int64))
        return self._constants[number]

    def result(self, name: str, value: str) -> str:
        return self._nodes.node("Identity", (value,), self._names.get(name, f"{self._prefix}{name}"))

    def _node(self, operator: str, *inputs: str) -> str:
        self._made += 1
        return self._nodes.node(operator, inputs, f"{self._prefix}/part{self._made}")

    def _truth(self, condition: str) -> str:
        return self._node("Where", condition, self.constant(1), self.constant(0))

    def add(self, a: str, b: str) -> str:
        return self._node("Add", a, b)

    def sub(self, a: str, b: str) -> str:
        return self._node("Sub", a, b)

    def neg(self, a: str) -> str:
        return self._node("Neg", a)

    def abs(self, a: str) -> str:
        return self._node("Abs", a)

    # In onnxruntime 1.23, Min and Max are wrong for many int64 beyond 31 bits, but comparisons are right.
    def min(self, a: str, b: str) -> str:
        return self._node("Where", self._node("Less", a, b), a, b)

    def max(self, a: str, b: str) -> str:
        return self._node("Where", self._node("Less", a, b), b, a)

    def shl(self, a: str, bits: int) -> str:
        return self._node("Mul", a, self.constant(1 << bits))

    def asr(self, a: str, bits: int) -> str:
        # Div rounds towards zero; subtracting Mod, which has the sign of the divisor, makes the division exact.
        scale = self.constant(1 << bits)
        return self._node("Div", self._node("Sub", a, self._node("Mod", a, scale)), scale)

    def mul_shr(self, a: str, b: str, bits: int) -> str:
        return self.asr(self._node("Mul", a, b), bits)

    def copysign(self, a: str, b: str) -> str:
        return self._node("Mul", self._node("Sign", b), a)

    def lt(self, a: str, b: str) -> str:
        return self._truth(self._node("Less", a, b))

    def ge(self, a: str, b: str) -> str:
        return self._truth(self._node("GreaterOrEqual", a, b))

    def eq(self, a: str, b: str) -> str:
        return self._truth(self._node("Equal", a, b))

    def select(self, condition: str, a: str, b: str) -> str:
        is_zero = self._node("Equal", condition, self.constant(0))
        return self._node("Where", is_zero, b, a)

    def table(self, index: str, entries: tuple[int, ...]) -> str:
        self._made += 1
        table = self._nodes.constant(f"{self._prefix}/table{self._made}", np.asarray(entries, np.int64))
        first, last = self.constant(0), self.constant(len(entries) - 1)
        return self._node("Gather", table, self.min(self.max(index, first), last))

    def fire(self, potential: str, exponent: int) -> tuple[str, str]:
        theta = self.constant(1 << exponent)
        raised = self._node("Add", self._node("Abs", potential), self.constant((1 << exponent) // 2 - 1))
        packet = self.copysign(self._node("Div", raised, theta), potential)
        return packet, self._node("Sub", potential, self._node("Mul", packet, theta))

"""Readers, which implement the operations of programs, and the loop that runs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from pisnn_deploy.programs.language import Operand, Program

Value = TypeVar("Value")


class Reader(Protocol[Value]):
    """Implementation of the operations for a type of values, one method for each.

    `constant` converts an integer to a value. `result` is called with each named result, may refuse it, and returns the
    value that the rest of the program uses.
    """

    def constant(self, number: int) -> Value: ...
    def result(self, name: str, value: Value) -> Value: ...
    def add(self, a: Value, b: Value) -> Value: ...
    def sub(self, a: Value, b: Value) -> Value: ...
    def neg(self, a: Value) -> Value: ...
    def abs(self, a: Value) -> Value: ...
    def min(self, a: Value, b: Value) -> Value: ...
    def max(self, a: Value, b: Value) -> Value: ...
    def shl(self, a: Value, bits: int) -> Value: ...
    def asr(self, a: Value, bits: int) -> Value: ...
    def mul_shr(self, a: Value, b: Value, bits: int) -> Value: ...
    def copysign(self, a: Value, b: Value) -> Value: ...
    def lt(self, a: Value, b: Value) -> Value: ...
    def ge(self, a: Value, b: Value) -> Value: ...
    def eq(self, a: Value, b: Value) -> Value: ...
    def select(self, condition: Value, a: Value, b: Value) -> Value: ...
    def table(self, index: Value, entries: tuple[int, ...]) -> Value: ...
    def fire(self, potential: Value, exponent: int) -> tuple[Value, Value]: ...


@dataclass(frozen=True)
class Result(Generic[Value]):
    """Result of a step of a program.

    Attributes
    ----------
    states : dict
        New value of each state, by name.
    sends : tuple
        Sent value of each output.
    values : dict
        Value of each name in the program.
    """

    states: dict[str, Value]
    sends: tuple[Value, ...]
    values: dict[str, Value]


class Prepared(Generic[Value]):
    """A program with its operations resolved for a reader, to run many times.

    Parameters
    ----------
    program : Program
        Program of the neuron.
    reader : Reader
        Implementation of the operations.
    """

    def __init__(self, program: Program, reader: Reader[Value]) -> None:
        self.program, self._names = program, program.names
        self._result = reader.result
        numbers = {operand for operation in program.operations for operand in operation.values}
        self._constants: dict[Operand, Value] = {
            number: reader.constant(number) for number in numbers if isinstance(number, int)
        }
        self._steps = []
        for operation in program.operations:
            extra: tuple[object, ...] = operation.operands[len(operation.values) :]
            if operation.signature.reads_table:
                extra = tuple(program.table(str(name)).entries for name in extra)
            self._steps.append((getattr(reader, operation.name), operation.values, extra, operation.results))

    def run(self, inputs: Mapping[str, Value]) -> Result[Value]:
        """Run one step; `inputs` is unchanged.

        Parameters
        ----------
        inputs : mapping
            Value of each port, state and parameter, by name.

        Returns
        -------
        Result
            New states and sent values.
        """
        values: dict[Operand, Value] = {**self._constants, **{name: inputs[name] for name in self.program.inputs}}
        for method, operands, extra, results in self._steps:
            made = method(*[values[operand] for operand in operands], *extra)
            if len(results) == 1:
                values[results[0]] = self._result(results[0], made)
                continue
            for name, part in zip(results, made, strict=True):
                values[name] = self._result(name, part)
        program = self.program
        named = {name: values[name] for name in self._names}
        states = {state: named[name] for state, name in zip(program.states, program.after, strict=True)}
        return Result(states, tuple(named[name] for name in program.sends), named)


def run(program: Program, reader: Reader[Value], inputs: Mapping[str, Value]) -> Result[Value]:
    """Run one step of a program with a reader.

    Parameters
    ----------
    program : Program
        Program of the neuron.
    reader : Reader
        Implementation of the operations.
    inputs : mapping
        Value of each port, state and parameter, by name.

    Returns
    -------
    Result
        New states and sent values; `inputs` is unchanged.
    """
    return Prepared(program, reader).run(inputs)

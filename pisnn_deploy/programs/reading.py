"""Readers: what gives the operations of a program a meaning, and the one loop that drives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from pisnn_deploy.programs.language import Operand, Program

Value = TypeVar("Value")


class Reader(Protocol[Value]):
    """A meaning of the operations: each is a method of its name that takes values and returns one.

    ``fire`` returns two. `constant` makes a value of a number, and `result` is told of each result under its name,
    may refuse it, and returns what the rest of the program sees of it.
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
    """What a program made of its inputs.

    Attributes
    ----------
    states : dict
        New value of each state, by name.
    sends : tuple
        What is sent, one value for each output.
    values : dict
        Every value of the program, by name.
    """

    states: dict[str, Value]
    sends: tuple[Value, ...]
    values: dict[str, Value]


class Prepared(Generic[Value]):
    """A program whose operations were looked up once, to be run many times in the meaning of one reader.

    Parameters
    ----------
    program : Program
        What the neuron does.
    reader : Reader
        What the operations mean.
    """

    def __init__(self, program: Program, reader: Reader[Value]) -> None:
        self._program = program
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
        """One step of the neuron; `inputs` is unchanged.

        Parameters
        ----------
        inputs : mapping
            Value of each port, state and parameter, by name.

        Returns
        -------
        Result
            New states and what is sent.
        """
        values: dict[Operand, Value] = {**self._constants, **{name: inputs[name] for name in self._program.inputs}}
        for method, operands, extra, results in self._steps:
            made = method(*[values[operand] for operand in operands], *extra)
            if len(results) == 1:
                values[results[0]] = self._result(results[0], made)
                continue
            for name, part in zip(results, made, strict=True):
                values[name] = self._result(name, part)
        named = {name: value for name, value in values.items() if isinstance(name, str)}
        program = self._program
        states = {state: named[name] for state, name in zip(program.states, program.after, strict=True)}
        return Result(states, tuple(named[name] for name in program.sends), named)


def run(program: Program, reader: Reader[Value], inputs: Mapping[str, Value]) -> Result[Value]:
    """One step of a neuron in the meaning of a reader.

    Parameters
    ----------
    program : Program
        What the neuron does.
    reader : Reader
        What the operations mean.
    inputs : mapping
        Value of each port, state and parameter, by name.

    Returns
    -------
    Result
        New states and what is sent; `inputs` is unchanged.
    """
    return Prepared(program, reader).run(inputs)

"""Programs of neurons as instructions of LLVM: each value in the width that its bounds need."""

from __future__ import annotations

from collections.abc import Mapping

from pisnn_deploy.programs import Operation, Program
from pisnn_deploy.programs.interval import Interval
from pisnn_deploy.programs.intervals import bounds
from pisnn_deploy.runs.kernels.ir import LONG, WORD, Function, Value, number

EVERYTHING = Interval(-(1 << 63), (1 << 63) - 1)


def width_of(interval: Interval) -> int:
    """Width in which values of an interval are computed."""
    return WORD if interval.bits <= WORD else LONG


def stored_width(interval: Interval) -> int:
    """Width in which values of an interval are kept in memory."""
    return 16 if interval.bits <= 16 else width_of(interval)


class Words:
    """A program whose values have known bounds.

    Where a value may need more than 64 bits, every value is computed in 64, and wraps as in the reference.

    Parameters
    ----------
    inputs : mapping of str to Interval
        Bounds of each port, state and parameter.

    Attributes
    ----------
    bounds : dict of str to Interval
        Bounds of each value by name, and of full products as ``name*``.
    """

    def __init__(self, program: Program, inputs: Mapping[str, Interval]) -> None:
        self.program = program
        self.bounds = bounds(program, inputs)
        if any(interval.bits > LONG for interval in self.bounds.values()):
            self.bounds = dict.fromkeys(self.bounds, EVERYTHING)

    def bits(self, name: str) -> int:
        """Width of a value."""
        return width_of(self.bounds[name])

    def write(
        self, code: Function, inputs: Mapping[str, Value], tables: Mapping[tuple[int, ...], str]
    ) -> dict[str, Value]:
        """Write all operations.

        Parameters
        ----------
        inputs : mapping
            Port, state or parameter by name.
        tables : mapping
            Name of the global constant with the entries of each table.

        Returns
        -------
        dict
            Every value by name.
        """
        values = {name: code.cast(inputs[name], self.bits(name)) for name in self.program.inputs}
        for operation in self.program.operations:
            for name, value in zip(operation.results, self._results(code, operation, values, tables), strict=True):
                values[name] = code.cast(value, self.bits(name))
        return values

    def _results(
        self,
        code: Function,
        operation: Operation,
        values: Mapping[str, Value],
        tables: Mapping[tuple[int, ...], str],
    ) -> tuple[Value, ...]:
        operands = [
            values[each] if isinstance(each, str) else number(each, width_of(Interval(each, each)))
            for each in operation.values
        ]
        bits, last = self.bits(operation.results[0]), operation.operands[-1]
        wide = max(bits, *(operand.bits for operand in operands))
        a, b = operands[0], operands[-1]
        match operation.name:
            case "add":
                return (code.add(a, b, bits),)
            case "sub":
                return (code.sub(a, b, bits),)
            case "neg":
                return (code.sub(number(0, bits), a, bits),)
            case "abs":
                return (code.magnitude(a, wide),)
            case "min" | "max":
                return (code.call(f"s{operation.name}", [a, b], wide),)
            case "shl":
                return (code.both("shl", a, number(int(last), bits), bits) if int(last) < bits else number(0, bits),)
            case "asr":
                return (_down(code, a, int(last)),)
            case "mul_shr":
                whole = max(wide, width_of(self.bounds[f"{operation.results[0]}*"]))
                return (_down(code, code.both("mul", a, b, whole), int(last)),)
            case "copysign":
                nothing = number(0, bits)
                below = code.choose(
                    code.compare("slt", b, number(0, b.bits)), code.sub(nothing, a, bits), nothing, bits
                )
                return (code.choose(code.compare("sgt", b, number(0, b.bits)), a, below, bits),)
            case "lt" | "ge" | "eq":
                word = {"lt": "slt", "ge": "sge", "eq": "eq"}[operation.name]
                return (code.truth(code.compare(word, a, b), bits),)
            case "select":
                return (code.choose(code.compare("ne", a, number(0, a.bits)), operands[1], b, bits),)
            case "table":
                return (self._entry(code, a, str(last), tables),)
            case "fire":
                return self._fired(code, operation, a, int(last))
        raise ValueError(f"no instruction for {operation.name}")

    def _entry(self, code: Function, index: Value, name: str, tables: Mapping[tuple[int, ...], str]) -> Value:
        entries = self.program.table(name).entries
        below = code.call("smin", [index, number(len(entries) - 1, index.bits)], index.bits)
        inside = code.call("smax", [below, number(0, index.bits)], index.bits)
        return code.load(code.at(tables[entries], WORD, inside), WORD)

    def _fired(self, code: Function, operation: Operation, potential: Value, exponent: int) -> tuple[Value, Value]:
        half = (1 << exponent) // 2
        known = self.bounds.get(str(operation.operands[0]), EVERYTHING)
        wide = max(potential.bits, width_of(Interval(known.lower - half, known.upper + half)))
        wide = min(wide, LONG)
        if exponent:
            # For v >= 0 it is (v + half - 1) >> F, for others (v + half) >> F.
            sign = code.both("ashr", potential, number(potential.bits - 1, potential.bits), potential.bits)
            raised = code.sub(code.add(potential, number(half - 1, wide), wide), sign, wide)
            packet = _down(code, raised, exponent)
        else:
            positive = code.compare("sgt", potential, number(0, potential.bits))
            less = code.sub(code.magnitude(potential, wide), number(1, wide), wide)
            negative = code.compare("slt", potential, number(0, potential.bits))
            packet = code.choose(
                positive,
                less,
                code.choose(negative, code.sub(number(0, wide), less, wide), number(0, wide), wide),
                wide,
            )
        bits = self.bits(operation.results[1])
        sent = code.both("shl", packet, number(exponent, bits), bits) if exponent < bits else number(0, bits)
        return packet, code.sub(potential, sent, bits)


def _down(code: Function, value: Value, places: int) -> Value:
    """Shift to the right, with the sign; beyond the width only the sign is left."""
    return code.both("ashr", value, number(min(places, value.bits - 1), value.bits), value.bits)

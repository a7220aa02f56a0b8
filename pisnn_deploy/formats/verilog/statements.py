"""Verilog of a program: one signed wire, as wide as its bounds demand, for each value.

All operands are signed, so a context extends them by their signs; sums, differences and products are right modulo the
width of their wire, in which the result fits. What is shifted to the right gets a wire of its full width first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pisnn_deploy.formats.verilog.units import Unit
from pisnn_deploy.programs.interval import Interval
from pisnn_deploy.programs.language import Operand, Operation

INDENT = "    "


def literal(number: int, bits: int = 0) -> str:
    """A signed constant, with as many bits as it takes or as are given."""
    bits = bits or max(2, abs(number).bit_length() + 1)
    text = f"{bits}'sd{abs(number)}"
    return f"(-{text})" if number < 0 else text


def signed(bits: int) -> str:
    """Type of a signed value."""
    return f"signed [{bits - 1}:0]"


def times(weight: int, text: str) -> str:
    """A product with a constant, as shifts, additions and subtractions: its canonical signed digits."""
    terms, shift, left = [], 0, abs(weight)
    while left:
        if left & 1:
            digit = 2 - (left & 3)
            left -= digit
            terms.append((digit if weight > 0 else -digit, f"({text} <<< {shift})" if shift else text))
        left >>= 1
        shift += 1
    return "".join(f" {'-' if sign < 0 else '+'} {term}" for sign, term in terms)


def module(unit: Unit) -> Iterator[str]:
    """Module of the program of a unit; its outputs have the names of the arrays that it writes."""
    ends = [f"input wire {signed(bits)} v_{name}" for name, bits in unit.inputs.items()]
    ends += [f"output wire {signed(array.bounds.bits)} out_{array.name}" for array, _ in unit.writes]
    yield f"module {unit.name}_neuron ("
    yield from (f"{INDENT}{end}{',' if number < len(ends) - 1 else ''}" for number, end in enumerate(ends))
    yield ");"
    for operation in unit.operations:
        yield from (f"{INDENT}{line}" for line in _Lines(unit, operation).lines())
    yield from (f"{INDENT}assign out_{array.name} = v_{value};" for array, value in unit.writes)
    yield "endmodule"
    yield ""


class _Lines:
    """Statements of one operation."""

    def __init__(self, unit: Unit, operation: Operation) -> None:
        self._values: Mapping[str, Interval] = unit.values
        self._program = unit.program
        self._operation = operation
        self._result = operation.results[0]
        self._before: list[str] = []

    def lines(self) -> Iterator[str]:
        """Declarations with their expressions."""
        operands = [self._text(operand) for operand in self._operation.values]
        extra = self._operation.operands[len(operands) :]
        expressions = getattr(self, f"_{self._operation.name}")(*operands, *extra)
        if isinstance(expressions, str):
            expressions = (expressions,)
        yield from self._before
        for name, expression in zip(self._operation.results, expressions, strict=True):
            if name in self._values:
                yield f"wire {signed(self._values[name].bits)} v_{name} = {expression};"

    @staticmethod
    def _text(operand: Operand) -> str:
        return literal(operand) if isinstance(operand, int) else f"v_{operand}"

    def _bits(self, number: int) -> int:
        """Width of an operand of the operation."""
        operand = self._operation.values[number]
        interval = Interval(operand, operand) if isinstance(operand, int) else self._values[operand]
        return interval.bits

    def _wire(self, suffix: str, bits: int, expression: str) -> str:
        """A wire for what an expression of several steps needs."""
        name = f"v_{self._result}${suffix}"  # no name of a program has a dollar
        self._before.append(f"wire {signed(bits)} {name} = {expression};")
        return name

    def _add(self, a: str, b: str) -> str:
        return f"{a} + {b}"

    def _sub(self, a: str, b: str) -> str:
        return f"{a} - {b}"

    def _neg(self, a: str) -> str:
        return f"-{a}"

    def _abs(self, a: str) -> str:
        return f"({a} < 0) ? -{a} : {a}"

    def _min(self, a: str, b: str) -> str:
        return f"({a} < {b}) ? {a} : {b}"

    def _max(self, a: str, b: str) -> str:
        return f"({a} > {b}) ? {a} : {b}"

    def _shl(self, a: str, bits: int) -> str:
        return f"{a} <<< {bits}"

    def _asr(self, a: str, bits: int) -> str:
        return f"{a} >>> {bits}"

    def _mul_shr(self, a: str, b: str, bits: int) -> str:
        full = self._wire("product", self._values[f"{self._result}*"].bits, f"{a} * {b}")
        return f"{full} >>> {bits}"

    def _copysign(self, a: str, b: str) -> str:
        return f"({b} > 0) ? {a} : ({b} < 0) ? -{a} : 2'sd0"

    def _lt(self, a: str, b: str) -> str:
        return f"({a} < {b}) ? 2'sd1 : 2'sd0"

    def _ge(self, a: str, b: str) -> str:
        return f"({a} >= {b}) ? 2'sd1 : 2'sd0"

    def _eq(self, a: str, b: str) -> str:
        return f"({a} == {b}) ? 2'sd1 : 2'sd0"

    def _select(self, condition: str, a: str, b: str) -> str:
        return f"({condition} != 0) ? {a} : {b}"

    def _table(self, index: str, name: str) -> str:
        assert self._program is not None
        entries = self._program.table(name).entries
        last, bits = len(entries) - 1, self._values[self._result].bits
        low = self._wire("low", self._bits(0) + 1, f"({index} < 0) ? 2'sd0 : {index}")
        at = self._wire(
            "at", max(self._bits(0) + 1, last.bit_length() + 1), f"({low} > {last}) ? {literal(last)} : {low}"
        )
        chosen = f"v_{self._result}$entry"
        self._before.append(f"reg {signed(bits)} {chosen};")
        self._before.append(f"always @* case ({at})")
        self._before += [f"{INDENT}{number}: {chosen} = {literal(entry)};" for number, entry in enumerate(entries)]
        self._before += [f"{INDENT}default: {chosen} = {literal(entries[-1])};", "endcase"]
        return chosen

    def _fire(self, v: str, exponent: int) -> tuple[str, str]:
        # One more bit than the potential for its size, and one for half of theta.
        bits = max(self._bits(0), exponent + 1) + 2
        size = self._wire("size", bits, f"({v} < 0) ? -{v} : {v}")
        raised = self._wire("raised", bits, f"{size} + {literal((1 << exponent) // 2 - 1)}")
        fired = self._wire("fired", bits, f"{raised} >>> {exponent}")
        packet = self._wire("packet", bits, f"({v} < 0) ? -{fired} : {fired}")
        return packet, f"{v} - ({packet} <<< {exponent})"

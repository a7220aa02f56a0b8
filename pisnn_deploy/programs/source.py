"""Programs as text of statements on scalars, for compilers: Python for numba, and C99.

A value is the text of an operand: a name or a number. Each operation becomes one statement, so that a compiler sees
each value once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pisnn_deploy.programs.language import Operand, Operation, Program


@dataclass(frozen=True)
class Dialect:
    """How a language writes what differs between languages.

    Attributes
    ----------
    choose : callable
        Text of a conditional expression, from condition, value if true, value if false.
    truth : callable
        Text of a comparison as 0 or 1.
    assign : callable
        Text of a statement, from name and expression.
    widened : callable
        Text of an operand of a product that must not be cut to the operands' width.
    """

    choose: Callable[[str, str, str], str]
    truth: Callable[[str], str]
    assign: Callable[[str, str], str]
    widened: Callable[[str], str]


PYTHON = Dialect(
    choose=lambda condition, yes, no: f"({yes} if {condition} else {no})",
    truth=lambda condition: f"(1 if {condition} else 0)",
    assign=lambda name, expression: f"{name} = {expression}",
    widened=lambda operand: operand,
)
"""For numba: every name is an int64."""
C99 = Dialect(
    choose=lambda condition, yes, no: f"({condition} ? {yes} : {no})",
    truth=lambda condition: f"(int64_t)({condition})",
    assign=lambda name, expression: f"const int64_t {name} = {expression};",
    widened=lambda operand: f"(int64_t){operand}",
)
"""With ``int64_t`` of ``stdint.h``; right shifts of negative numbers are arithmetic, as on every compiler in use."""


@dataclass
class Statements:
    """A program as statements.

    Attributes
    ----------
    dialect : Dialect
        The language that is written.
    prefix : str
        Put before every name, so that several programs can stand in one function.
    lines : list of str
        One statement for each result.
    """

    dialect: Dialect
    prefix: str = ""
    lines: list[str] = field(default_factory=list)

    def write(self, program: Program, names: dict[str, str]) -> dict[str, str]:
        """Append the statements of a program.

        Parameters
        ----------
        program : Program
            What is written.
        names : dict
            Text of each port, state, parameter and table.

        Returns
        -------
        dict
            Text of every value, by its name in the program.
        """
        text = dict(names)
        for operation in program.operations:
            operands = tuple(_text(operand, text) for operand in operation.values)
            for result, expression in zip(operation.results, self._expressions(operation, operands, text), strict=True):
                name = text[result] = f"{self.prefix}{result}"
                self.lines.append(self.dialect.assign(name, expression.replace("@packet", text[operation.results[0]])))
        return text

    def _expressions(self, operation: Operation, operands: tuple[str, ...], text: dict[str, str]) -> tuple[str, ...]:
        choose, truth = self.dialect.choose, self.dialect.truth
        last = operation.operands[-1]
        a = operands[0]
        b = operands[1] if len(operands) > 1 else ""
        match operation.name:
            case "add":
                return (f"{a} + {b}",)
            case "sub":
                return (f"{a} - {b}",)
            case "neg":
                return (f"-{a}",)
            case "abs":
                return (choose(f"{a} < 0", f"-{a}", a),)
            case "min":
                return (choose(f"{a} < {b}", a, b),)
            case "max":
                return (choose(f"{a} > {b}", a, b),)
            case "shl":
                return (f"{self.dialect.widened(a)} * {1 << int(last)}",)
            case "asr":
                return (f"{a} >> {last}",)
            case "mul_shr":
                return (f"({self.dialect.widened(a)} * {b}) >> {last}",)
            case "copysign":
                return (choose(f"{b} > 0", a, choose(f"{b} < 0", f"-{a}", "0")),)
            case "lt" | "ge" | "eq":
                sign = {"lt": "<", "ge": ">=", "eq": "=="}[operation.name]
                return (truth(f"{a} {sign} {b}"),)
            case "select":
                return (choose(f"{a} != 0", b, operands[2]),)
            case "table":
                entries = text[str(last)]
                top = f"{entries}_last"
                return (f"{entries}[{choose(f'{a} < 0', '0', choose(f'{a} > {top}', top, a))}]",)
            case "fire":
                exponent = int(last)
                half = (1 << exponent) // 2
                up, down = f"({a} + {half - 1}) >> {exponent}", f"-(({half - 1} - {a}) >> {exponent})"
                return choose(f"{a} > 0", up, down), f"{a} - @packet * {1 << exponent}"
        raise ValueError(f"no statement for {operation.name}")


def _text(operand: Operand, text: dict[str, str]) -> str:
    if isinstance(operand, str):
        return text[operand]
    return f"({operand})" if operand < 0 else str(operand)

"""Code generation from programs: statements on scalars in C99.

A value is the text of an operand: a name or a number. Each operation becomes one statement, so values are computed
once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from pisnn_deploy.programs.language import Operand, Operation, Program


@dataclass(frozen=True)
class Dialect:
    """Differences between the generated languages.

    Attributes
    ----------
    choose : callable
        Text of a conditional expression, from condition, value if true, value if false.
    truth : callable
        Text of a comparison, converted to 0 or 1.
    assign : callable
        Text of an assignment, from name and expression.
    widened : callable
        Text of an operand, widened so that a product is not truncated.
    cast : callable
        Text of an expression, converted to the integer type of the names.
    left : callable
        Text of a shift to the left, from operand, bits and the text of constants.
    """

    choose: Callable[[str, str, str], str]
    truth: Callable[[str], str]
    assign: Callable[[str, str], str]
    widened: Callable[[str], str]
    cast: Callable[[str], str]
    left: Callable[[str, int, Callable[[int], str]], str]


def c99(bits: int) -> Dialect:
    """C99 with names of the type ``int32_t`` or ``int64_t``.

    Shifts of negative numbers to the right must be arithmetic, as they are in all common compilers.

    Parameters
    ----------
    bits : int
        32 or 64; all values must fit, wider products are narrowed after their shift.
    """
    name = f"int{bits}_t"
    wide = "(int64_t)"
    return Dialect(
        choose=lambda condition, yes, no: f"(({condition}) ? {yes} : {no})",
        truth=lambda condition: f"({name})({condition})",
        assign=lambda result, expression: f"const {name} {result} = {expression};",
        widened=lambda operand: f"{wide}{operand}",
        cast=lambda expression: f"({name})({expression})" if wide in expression and bits < 64 else f"({expression})",
        left=lambda operand, shift, number: f"{operand} * {number(1 << shift)}",
    )


def number_text(number: int) -> str:
    """Format a constant as an operand."""
    return f"({number})" if number < 0 else str(number)


@dataclass
class Statements:
    """Generated statements of programs.

    Attributes
    ----------
    dialect : Dialect
        Language of the statements.
    prefix : str
        Prefix of every name, so that a function can have several programs.
    number : callable
        Formats constants.
    narrow_products : frozenset of str
        Results of ``mul_shr`` whose full product fits the type of the names.
    lines : list of str
        Statements, one for each result.
    """

    dialect: Dialect
    prefix: str = ""
    number: Callable[[int], str] = number_text
    narrow_products: frozenset[str] = frozenset()
    lines: list[str] = field(default_factory=list)

    def write(
        self, program: Program, names: Mapping[str, str], operations: Iterable[Operation] | None = None
    ) -> dict[str, str]:
        """Append the statements of a program.

        Parameters
        ----------
        program : Program
            Program to generate.
        names : mapping
            Text of each port, state, parameter and table.
        operations : iterable of Operation, optional
            Operations to generate (default: all); `names` must then have their other inputs.

        Returns
        -------
        dict
            Text of each value, by its name in the program.
        """
        text = dict(names)
        for operation in program.operations if operations is None else operations:
            operands = tuple(self._operand(operand, text) for operand in operation.values)
            for result, expression in zip(operation.results, self._expressions(operation, operands, text), strict=True):
                name = text[result] = f"{self.prefix}{result}"
                self.lines.append(self.dialect.assign(name, expression.replace("@packet", text[operation.results[0]])))
        return text

    def _operand(self, operand: Operand, text: Mapping[str, str]) -> str:
        return text[operand] if isinstance(operand, str) else self.number(operand)

    def _expressions(self, operation: Operation, operands: tuple[str, ...], text: Mapping[str, str]) -> tuple[str, ...]:
        choose, cast, number = self.dialect.choose, self.dialect.cast, self.number
        last = operation.operands[-1]
        zero = number(0)
        a = operands[0]
        b = operands[1] if len(operands) > 1 else ""
        match operation.name:
            case "add":
                return (cast(f"{a} + {b}"),)
            case "sub":
                return (cast(f"{a} - {b}"),)
            case "neg":
                return (cast(f"-{a}"),)
            case "abs":
                return (choose(f"{a} < {zero}", cast(f"-{a}"), a),)
            case "min":
                return (choose(f"{a} < {b}", a, b),)
            case "max":
                return (choose(f"{a} > {b}", a, b),)
            case "shl":
                return (cast(self.dialect.left(a, int(last), number)),)
            case "asr":
                return (cast(f"{a} >> {number(int(last))}"),)
            case "mul_shr":
                product = f"{self.dialect.widened(a)} * {b}"
                product = cast(product) if operation.results[0] in self.narrow_products else f"({product})"
                return (cast(f"{product} >> {number(int(last))}"),)
            case "copysign":
                return (choose(f"{b} > {zero}", a, choose(f"{b} < {zero}", cast(f"-{a}"), zero)),)
            case "lt" | "ge" | "eq":
                sign = {"lt": "<", "ge": ">=", "eq": "=="}[operation.name]
                return (self.dialect.truth(f"{a} {sign} {b}"),)
            case "select":
                return (choose(f"{a} != {zero}", b, operands[2]),)
            case "table":
                entries = text[str(last)]
                top = f"{entries}_last"
                return (cast(f"{entries}[{choose(f'{a} < {zero}', zero, choose(f'{a} > {top}', top, a))}]"),)
            case "fire":
                half, shift = number((1 << int(last)) // 2 - 1), number(int(last))
                above, below = cast(f"{a} + {half}"), cast(f"{half} - {a}")
                up, down = cast(f"{above} >> {shift}"), cast(f"{below} >> {shift}")
                fired = cast(self.dialect.left("@packet", int(last), number))
                return choose(f"{a} > {zero}", up, cast(f"-{down}")), cast(f"{a} - {fired}")
        raise ValueError(f"no statement for {operation.name}")

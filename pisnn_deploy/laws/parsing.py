"""Parse the text of expressions.

Python's grammar reads the text, and a white list turns its nodes into expressions; Python evaluates nothing.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from types import UnionType

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.core.field_errors import shown
from pisnn_deploy.laws.nodes import (
    FUNCTIONS,
    LARGEST_EXPONENT,
    Call,
    Expression,
    Number,
    Symbol,
    evaluate,
    free_names,
    laplacian,
)
from pisnn_deploy.laws.text import number_text

LONGEST_TEXT = 2000
"""Characters of an expression."""
MOST_PARSED = 1000
"""Nodes of Python's grammar in an expression."""
DEEPEST_PARSED = 60
"""Nesting of an expression; a sum or product of n terms is n deep."""

_OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "div",
    ast.Pow: "pow",
}
_NAMED = ("sqrt", "exp", "log", "abs", "sin", "cos", "tanh")
_SEVERAL = ("min", "max")
CONSTANTS = {"pi": math.pi}
RESERVED = (*FUNCTIONS, *CONSTANTS, "laplacian", "dx", "dy", "dz", "x", "y", "z", "t")
"""Names that a law cannot give to its own fields, parameters or functions of place."""


class ExpressionError(UsageError):
    """An invalid expression.

    Parameters
    ----------
    where : str
        Field of the file, such as ``law.flux.q``.
    problem : str
        What is wrong with it.
    """

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}")
        self.where = where
        self.problem = problem

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return type(self), (self.where, self.problem)


def parse(
    text: str, names: Collection[str], where: str, of_names: Mapping[str, Collection[str]] | None = None
) -> Expression:
    """Parse an expression.

    Parameters
    ----------
    text : str
        Numbers, names, ``pi``, ``+ - * / **``, and the functions ``sqrt exp log abs min max sin cos tanh`` and
        ``where(a < b, c, d)``; at most `LONGEST_TEXT` characters.
    names : collection of str
        Names that may occur.
    where : str
        Field of the file, for messages.
    of_names : mapping of str to collection of str, optional
        Functions of a name: ``laplacian`` of fields, and the derivatives ``dx``, ``dy``, ``dz`` of functions of place.
        ``laplacian(u)`` becomes the symbol ``laplacian(u)``, ``dx(b)`` the symbol ``b_x``.

    Returns
    -------
    Expression
        As written, except that numbers have their sign.

    Raises
    ------
    ExpressionError
        The text is no such expression, is too large, or has an unknown name; names the column, from 1.
    """
    if len(text) > LONGEST_TEXT:
        raise ExpressionError(where, f"has {len(text)} characters, expected at most {LONGEST_TEXT}")
    stripped = text.strip()
    if not stripped:
        raise ExpressionError(where, "is empty")
    if "\n" in stripped or "#" in stripped:
        raise ExpressionError(where, "has a line break or #; write one line without a comment")
    indent = len(text) - len(text.lstrip())
    try:
        tree = ast.parse(stripped, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError, OverflowError) as error:
        # Where Python sees the error, and how it calls it, depends on Python's version.
        raise ExpressionError(where, f"{shown(stripped)} is not an expression, or nested too deeply") from error
    if sum(1 for _ in ast.walk(tree)) > MOST_PARSED:
        raise ExpressionError(where, f"has more than {MOST_PARSED} parts; shorten it")
    return _Parser(stripped, indent, where, tuple(names), of_names or {}).expression(tree, 1)


class _Parser:
    """White list of Python's nodes."""

    def __init__(
        self, text: str, indent: int, where: str, names: Sequence[str], of_names: Mapping[str, Collection[str]]
    ) -> None:
        self._text, self._indent, self._where = text, indent, where
        self._names, self._of_names = names, of_names

    def _error(self, node: ast.AST, problem: str) -> ExpressionError:
        # Python counts bytes of UTF-8.
        before = self._text.encode()[: getattr(node, "col_offset", 0)].decode(errors="ignore")
        return ExpressionError(self._where, f"column {self._indent + len(before) + 1}: {problem}")

    def expression(self, node: ast.expr, depth: int) -> Expression:
        if depth > DEEPEST_PARSED:
            raise self._error(node, f"is nested more than {DEEPEST_PARSED} levels deep")
        if isinstance(node, ast.Constant):
            return self._number(node)
        if isinstance(node, ast.Name):
            return self._name(node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            operand = self.expression(node.operand, depth + 1)
            if isinstance(node.op, ast.UAdd):
                return operand
            return Number(-operand.value) if isinstance(operand, Number) else Call("neg", (operand,))
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            pair = (self.expression(node.left, depth + 1), self.expression(node.right, depth + 1))
            if isinstance(node.op, ast.Pow):
                self._require_small(node.right, pair[1])
            return Call(_OPERATORS[type(node.op)], pair)
        if isinstance(node, ast.Call):
            return self._call(node, depth)
        raise self._error(node, f"{_described(node)} is not allowed; use numbers, names, + - * / ** and functions")

    def _number(self, node: ast.Constant) -> Number:
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            raise self._error(node, f"{_described(node)} is not allowed; use numbers, names, + - * / ** and functions")
        try:
            value = float(node.value)
        except OverflowError:
            value = math.inf
        if not math.isfinite(value):
            raise self._error(node, "the number is too large")
        return Number(value)

    def _name(self, node: ast.Name) -> Expression:
        if node.id in self._names:
            return Symbol(node.id)
        if node.id in CONSTANTS:
            return Number(CONSTANTS[node.id])
        raise self._error(node, _unknown("name", node.id, (*self._names, *CONSTANTS)))

    def _require_small(self, node: ast.expr, exponent: Expression) -> None:
        constant = constant_value(exponent)
        if constant is not None and not abs(constant) <= LARGEST_EXPONENT:
            raise self._error(node, f"the exponent {number_text(constant)} is larger than {LARGEST_EXPONENT}")

    def _call(self, node: ast.Call, depth: int) -> Expression:
        if not isinstance(node.func, ast.Name):
            raise self._error(node.func, f"{_described(node.func)} is not allowed; only functions are called")
        name = node.func.id
        if node.keywords or any(isinstance(argument, ast.Starred) for argument in node.args):
            raise self._error(node, f"{name} takes no named or starred arguments")
        if name == "where":
            return self._where_call(node, depth)
        if self._of_names.get(name):
            return self._of_name(node, name)
        if name not in (*_NAMED, *_SEVERAL):
            known = (*_NAMED, *_SEVERAL, "where", *self._of_names)
            raise self._error(node, _unknown("function", name, known))
        if (len(node.args) < 2) if name in _SEVERAL else (len(node.args) != 1):
            expected = "at least 2 arguments" if name in _SEVERAL else "1 argument"
            raise self._error(node, f"{name} takes {expected}, not {len(node.args)}")
        first, *others = (self.expression(argument, depth + 1) for argument in node.args)
        if name in _NAMED:
            return Call(name, (first,))
        for other in others:
            first = Call(name, (first, other))
        return first

    def _where_call(self, node: ast.Call, depth: int) -> Expression:
        condition = node.args[0] if len(node.args) == 3 else None
        if (
            not isinstance(condition, ast.Compare)
            or len(condition.ops) != 1
            or not isinstance(condition.ops[0], ast.Lt | ast.Gt)
        ):
            raise self._error(node, "where takes a comparison by < and two values, such as where(x < 0.5, 1, 2)")
        low, high = condition.left, condition.comparators[0]
        if isinstance(condition.ops[0], ast.Gt):
            low, high = high, low
        parts = (low, high, node.args[1], node.args[2])
        return Call("where", tuple(self.expression(part, depth + 1) for part in parts))

    def _of_name(self, node: ast.Call, function: str) -> Expression:
        argument = node.args[0] if len(node.args) == 1 else None
        names = self._of_names[function]
        if not isinstance(argument, ast.Name) or argument.id not in names:
            raise self._error(node, f"{function} takes one of the names {', '.join(names)}")
        return laplacian(argument.id) if function == "laplacian" else Symbol(derivative_name(argument.id, function[1:]))


def derivative_name(name: str, coordinate: str) -> str:
    """Name of the derivative of a function of place along a coordinate, such as ``depth_x``."""
    return f"{name}_{coordinate}"


def constant_value(expression: Expression) -> float | None:
    """Value of an expression without names; NaN or infinity where it has no finite one, None with names."""
    return None if free_names(expression) else float(evaluate(expression, {}))


def _unknown(kind: str, name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, 1)
    shown = name if len(name) <= 40 else f"{name[:40]}..."
    if close:
        return f"unknown {kind} {shown!r}; did you mean {close[0]}?"
    return f"unknown {kind} {shown!r}; known are {', '.join(known)}"


_WORDS: tuple[tuple[type[ast.AST] | UnionType, str], ...] = (
    (ast.Attribute, "an attribute"),
    (ast.Subscript, "an index"),
    (ast.Compare, "a comparison outside where"),
    (ast.BoolOp, "and/or"),
    (ast.Lambda, "lambda"),
    (ast.IfExp, "if/else (use where)"),
    (ast.Call, "the result of a call"),
    (ast.List | ast.Tuple | ast.Set | ast.Dict, "a list"),
)


def _described(node: ast.AST) -> str:
    if isinstance(node, ast.Constant):
        return "text" if isinstance(node.value, str | bytes) else f"{node.value!r}"[:20]
    if isinstance(node, ast.BinOp):
        return {ast.BitXor: "^ (a power is **)", ast.Mod: "%", ast.FloorDiv: "//", ast.MatMult: "@"}.get(
            type(node.op), "this operator"
        )
    return next((words for kind, words in _WORDS if isinstance(node, kind)), "this")

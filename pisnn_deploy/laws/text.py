"""Expressions as text that `parse` reads, and as LaTeX."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from pisnn_deploy.laws.nodes import Expression, Number, Symbol, laplacian_of, postorder

_SUM, _PRODUCT, _SIGN, _POWER, _ATOM = range(5)
"""How tightly the outermost operator of a text binds."""
_OPERATORS: Mapping[str, tuple[str, int]] = {
    "add": (" + ", _SUM),
    "sub": (" - ", _SUM),
    "mul": ("*", _PRODUCT),
    "div": ("/", _PRODUCT),
}

Bound = tuple[str, int]
"""A text, and how tightly its outermost operator binds."""


def to_text(expression: Expression) -> str:
    """Format an expression so that `parse` gives it back, with as few parentheses as that takes."""
    texts: dict[int, Bound] = {}
    for node in postorder(expression):
        texts[id(node)] = _text(node, texts)
    return texts[id(expression)][0]


def to_latex(expression: Expression) -> str:
    """Format an expression as LaTeX in math mode."""
    texts: dict[int, Bound] = {}
    for node in postorder(expression):
        texts[id(node)] = _latex(node, texts)
    return texts[id(expression)][0]


def number_text(value: float) -> str:
    """Shortest text of a number that gives it back."""
    if value == math.pi:
        return "pi"
    return str(int(value)) if abs(value) < 1e15 and value.is_integer() else repr(value)


def _within(text: Bound, binding: int) -> str:
    return text[0] if text[1] >= binding else f"({text[0]})"


def _text(node: Expression, texts: Mapping[int, Bound]) -> Bound:
    if isinstance(node, Number):
        return number_text(node.value), _SIGN if str(node.value).startswith("-") else _ATOM
    if isinstance(node, Symbol):
        return node.name, _ATOM
    arguments = [texts[id(argument)] for argument in node.arguments]
    if node.function in _OPERATORS:
        sign, binding = _OPERATORS[node.function]
        return f"{_within(arguments[0], binding)}{sign}{_within(arguments[1], binding + 1)}", binding
    if node.function == "neg":
        return f"-{_within(arguments[0], _SIGN)}", _SIGN
    if node.function == "pow":
        return f"{_within(arguments[0], _ATOM)}**{_within(arguments[1], _SIGN)}", _POWER
    words = [text for text, _ in arguments]
    if node.function == "where":
        return f"where({words[0]} < {words[1]}, {words[2]}, {words[3]})", _ATOM
    return f"{node.function}({', '.join(words)})", _ATOM


_GREEK = re.compile(
    "alpha|beta|gamma|delta|epsilon|zeta|eta|theta|iota|kappa|lambda|mu|nu|xi|pi|rho|sigma|tau|upsilon|phi|chi|psi|omega"
)


def symbol_latex(name: str) -> str:
    """Name as LaTeX: Greek letters by name, an index after the first underscore, longer names upright."""
    field = laplacian_of(name)
    if field is not None:
        return rf"\nabla^2 {symbol_latex(field)}"
    first, _, index = name.partition("_")
    letters = rf"\{first}" if _GREEK.fullmatch(first) else first if len(first) == 1 else rf"\mathrm{{{first}}}"
    return f"{letters}_{{\\mathrm{{{index.replace('_', ' ')}}}}}" if first and index else letters


def number_latex(value: float) -> str:
    """Number as LaTeX, with a power of ten instead of an ``e``."""
    if value == math.pi:
        return r"\pi"
    digits, _, exponent = number_text(value).partition("e")
    return rf"{digits} \times 10^{{{int(exponent)}}}" if exponent else digits


def _parenthesised(text: Bound, binding: int) -> str:
    return text[0] if text[1] >= binding else rf"\left({text[0]}\right)"


def _latex(node: Expression, texts: Mapping[int, Bound]) -> Bound:
    if isinstance(node, Number):
        text = number_latex(node.value)
        return text, _SIGN if text.startswith("-") else _PRODUCT if "times" in text else _ATOM
    if isinstance(node, Symbol):
        return symbol_latex(node.name), _ATOM if laplacian_of(node.name) is None else _PRODUCT
    arguments = [texts[id(argument)] for argument in node.arguments]
    words = [text for text, _ in arguments]
    if node.function in ("add", "sub"):
        sign, binding = _OPERATORS[node.function]
        right = _parenthesised(arguments[1], _PRODUCT if arguments[1][1] != _SIGN else _ATOM)
        return f"{words[0]}{sign}{right}", binding
    if node.function == "mul":
        left, right = (_parenthesised(argument, _PRODUCT) for argument in arguments)
        if arguments[1][1] == _SIGN:
            right = rf"\left({words[1]}\right)"
        return (rf"{left} \cdot {right}" if right[:1].isdigit() else rf"{left} \, {right}"), _PRODUCT
    if node.function == "div":
        return rf"\frac{{{words[0]}}}{{{words[1]}}}", _PRODUCT
    if node.function == "neg":
        return f"-{_parenthesised(arguments[0], _PRODUCT)}", _SIGN
    if node.function == "pow":
        return f"{_parenthesised(arguments[0], _ATOM)}^{{{words[1]}}}", _POWER
    return _latex_of_function(node.function, words), _ATOM


def _latex_of_function(function: str, words: list[str]) -> str:
    if function == "where":
        low, high, then, other = words
        return rf"\begin{{cases}} {then} & {low} < {high} \\ {other} & \text{{else}} \end{{cases}}"
    if function == "sqrt":
        return rf"\sqrt{{{words[0]}}}"
    if function == "exp":
        return rf"e^{{{words[0]}}}"
    if function == "abs":
        return rf"\left|{words[0]}\right|"
    return rf"\{function}\left({', '.join(words)}\right)"

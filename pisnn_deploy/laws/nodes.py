"""Nodes of expressions, in bounded numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import UsageError

MOST_NODES = 50_000
"""Nodes of an expression, counted as often as they are used. A derivative may have many more than the text it is of."""
DEEPEST = 200
"""Longest way from an expression to a leaf."""

Array = NDArray[np.float64]


class ExpressionTooLarge(UsageError):
    """An expression of more nodes than `MOST_NODES`, or deeper than `DEEPEST`."""

    def __init__(self) -> None:
        super().__init__(
            f"an expression has more than {MOST_NODES} nodes or more than {DEEPEST} levels; shorten the law"
        )


@dataclass(frozen=True)
class Number:
    """A finite number."""

    value: float

    size = 1
    depth = 1


@dataclass(frozen=True)
class Symbol:
    """A field, a parameter, a coordinate, or a known function of place.

    The Laplacian of a field in a level is the symbol ``laplacian(u)``, see `laplacian_of`.
    """

    name: str

    size = 1
    depth = 1


@dataclass(frozen=True)
class Call:
    """A function of expressions.

    Attributes
    ----------
    function : str
        A key of `FUNCTIONS`. ``where(a, b, c, d)`` is ``c`` where ``a < b``, else ``d``.
    size : int
        Number of nodes, counted as often as they are used.
    depth : int
        Levels, 1 for a leaf.
    """

    function: str
    arguments: tuple[Expression, ...]
    size: int = field(init=False, repr=False, compare=False)
    depth: int = field(init=False, repr=False, compare=False)
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if FUNCTIONS[self.function].arguments != len(self.arguments):
            raise ValueError(f"{self.function} takes {FUNCTIONS[self.function].arguments} arguments")
        object.__setattr__(self, "size", 1 + sum(argument.size for argument in self.arguments))
        object.__setattr__(self, "depth", 1 + max(argument.depth for argument in self.arguments))
        object.__setattr__(self, "_hash", hash((self.function, self.arguments)))
        if self.size > MOST_NODES or self.depth > DEEPEST:
            raise ExpressionTooLarge

    def __hash__(self) -> int:
        return self._hash


Expression = Number | Symbol | Call


@dataclass(frozen=True)
class Function:
    """A function of expressions: number of arguments, and its meaning for float64 arrays."""

    arguments: int
    evaluate: Callable[..., Array]


def _power(base: Array, exponent: Array) -> Array:
    """Integer powers as products from the left, as `bounds` and `derivative` take them."""
    if exponent.ndim == 0 and float(exponent).is_integer() and abs(exponent) <= LARGEST_EXPONENT:
        count = abs(int(exponent))
        product = np.ones_like(base)
        for _ in range(count):
            product = product * base
        return product if exponent >= 0 else 1.0 / product
    return np.asarray(np.power(base, exponent))


LARGEST_EXPONENT = 64
"""Magnitude of a constant exponent in a law."""
SMALLEST_NUMBER, LARGEST_NUMBER = 1e-30, 1e30
"""Magnitude of numbers in a law and of the values of its terms: products of a few neither over- nor underflow."""

FUNCTIONS: Mapping[str, Function] = {
    "add": Function(2, np.add),
    "sub": Function(2, np.subtract),
    "mul": Function(2, np.multiply),
    "div": Function(2, np.divide),
    "neg": Function(1, np.negative),
    "pow": Function(2, _power),
    "sqrt": Function(1, np.sqrt),
    "exp": Function(1, np.exp),
    "log": Function(1, np.log),
    "abs": Function(1, np.abs),
    "min": Function(2, np.minimum),
    "max": Function(2, np.maximum),
    "sin": Function(1, np.sin),
    "cos": Function(1, np.cos),
    "tanh": Function(1, np.tanh),
    "where": Function(4, lambda low, high, then, other: np.where(low < high, then, other)),
}
"""Everything that an expression may call."""


def postorder(*expressions: Expression) -> list[Expression]:
    """Distinct nodes of expressions, each after its arguments.

    Nodes are distinct objects: equal ones may occur twice. Each function of an expression is one loop over this list,
    so that neither deep nor shared expressions cost more than their nodes.
    """
    order: list[Expression] = []
    seen: set[int] = set()
    stack: list[tuple[Expression, bool]] = [(expression, False) for expression in reversed(expressions)]
    while stack:
        node, is_ready = stack.pop()
        if is_ready:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            if isinstance(node, Call):
                stack.extend((argument, False) for argument in reversed(node.arguments))
    return order


def free_names(expression: Expression) -> frozenset[str]:
    """Names of all symbols of an expression."""
    return frozenset(node.name for node in postorder(expression) if isinstance(node, Symbol))


def evaluate(expression: Expression, values: Mapping[str, float | Array]) -> Array:
    """Evaluate an expression in float64.

    Parameters
    ----------
    values : mapping of str to float or float64 array
        Value of each name; arrays broadcast.

    Returns
    -------
    float64 array
        NaN or infinity where the expression has no finite value; numpy's warnings about that are off.

    Raises
    ------
    KeyError
        A name has no value.
    """
    return evaluate_all((expression,), values)[0]


def evaluate_all(expressions: Sequence[Expression], values: Mapping[str, float | Array]) -> list[Array]:
    """Evaluate several expressions, shared nodes once; see `evaluate`."""
    order = postorder(*expressions)
    uses = Counter(id(argument) for node in order if isinstance(node, Call) for argument in node.arguments)
    uses.update(map(id, expressions))
    results: dict[int, Array] = {}
    with np.errstate(all="ignore"):
        for node in order:
            if isinstance(node, Number):
                results[id(node)] = np.asarray(node.value, np.float64)
            elif isinstance(node, Symbol):
                results[id(node)] = np.asarray(values[node.name], np.float64)
            else:
                arguments = [results[id(argument)] for argument in node.arguments]
                results[id(node)] = np.asarray(FUNCTIONS[node.function].evaluate(*arguments), np.float64)
                for argument in node.arguments:
                    uses[id(argument)] -= 1
                    if not uses[id(argument)]:
                        del results[id(argument)]  # arrays of a large expression would fill the memory
    return [results[id(expression)] for expression in expressions]


def substitute(expression: Expression, replacements: Mapping[str, Expression]) -> Expression:
    """Replace symbols by expressions; constant parts become numbers."""
    results: dict[int, Expression] = {}
    for node in postorder(expression):
        if isinstance(node, Symbol):
            results[id(node)] = replacements.get(node.name, node)
        elif isinstance(node, Number):
            results[id(node)] = node
        else:
            arguments = tuple(results[id(argument)] for argument in node.arguments)
            same = all(new is old for new, old in zip(arguments, node.arguments, strict=True))
            results[id(node)] = folded(node if same else Call(node.function, arguments))
    return results[id(expression)]


def folded(expression: Expression) -> Expression:
    """Compute what is constant: calls of numbers with a finite value, products with 0, sums with 0, decided choices."""
    if not isinstance(expression, Call):
        return expression
    arguments = expression.arguments
    if all(isinstance(argument, Number) for argument in arguments):
        value = float(evaluate(expression, {}))
        return Number(value) if math.isfinite(value) else expression
    low, high = arguments[0], arguments[-1]
    if expression.function == "mul" and Number(0.0) in arguments:
        return Number(0.0)
    if expression.function in ("add", "sub") and high == Number(0.0):
        return low
    if expression.function == "add" and low == Number(0.0):
        return high
    if expression.function == "where" and isinstance(low, Number) and isinstance(arguments[1], Number):
        return arguments[2] if low.value < arguments[1].value else high
    return expression


_LAPLACIAN = "laplacian("


def laplacian(name: str) -> Symbol:
    """Symbol of the Laplacian of a field."""
    return Symbol(f"{_LAPLACIAN}{name})")


def laplacian_of(name: str) -> str | None:
    """Name of the field whose Laplacian a symbol's name denotes; None for other symbols."""
    return name[len(_LAPLACIAN) : -1] if name.startswith(_LAPLACIAN) else None

"""Derivatives of expressions, and the simplifications that keep them short."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from pisnn_deploy.laws.nodes import Call, Expression, Number, Symbol, folded, postorder

ZERO, ONE = Number(0.0), Number(1.0)


def derivative(expression: Expression, name: str) -> Expression:
    """Differentiate an expression, simplified.

    At a kink of ``abs``, ``min``, ``max`` and ``where`` the result is the derivative of one of its sides.

    Raises
    ------
    ExpressionTooLarge
        The derivative has too many nodes.
    """
    slopes: dict[int, Expression] = {}
    for node in postorder(expression):
        if isinstance(node, Number):
            slopes[id(node)] = ZERO
        elif isinstance(node, Symbol):
            slopes[id(node)] = ONE if node.name == name else ZERO
        else:
            inner = [slopes[id(argument)] for argument in node.arguments]
            if all(slope == ZERO for slope in inner):
                slopes[id(node)] = ZERO
            else:
                slopes[id(node)] = _RULES[node.function](node, *node.arguments, *inner)
    return slopes[id(expression)]


def simplified(expression: Expression) -> Expression:
    """Leave out zeros and ones, and compute what is constant."""
    results: dict[int, Expression] = {}
    for node in postorder(expression):
        if isinstance(node, Call):
            arguments = tuple(results[id(argument)] for argument in node.arguments)
            build = _BUILDERS.get(node.function)
            results[id(node)] = build(*arguments) if build else folded(Call(node.function, arguments))
        else:
            results[id(node)] = node
    return results[id(expression)]


def add(a: Expression, b: Expression) -> Expression:
    """Sum without zeros."""
    if a == ZERO:
        return b
    if b == ZERO:
        return a
    if isinstance(b, Call) and b.function == "neg":
        return sub(a, b.arguments[0])
    return folded(Call("add", (a, b)))


def sub(a: Expression, b: Expression) -> Expression:
    """Difference without zeros."""
    if b == ZERO:
        return a
    if a == ZERO:
        return neg(b)
    if isinstance(b, Call) and b.function == "neg":
        return add(a, b.arguments[0])
    return folded(Call("sub", (a, b)))


def neg(a: Expression) -> Expression:
    """Negation; a double one cancels, and one of a product acts on its number."""
    if isinstance(a, Number):
        return Number(-a.value)
    if isinstance(a, Call) and a.function == "neg":
        return a.arguments[0]
    if isinstance(a, Call) and a.function == "mul" and isinstance(a.arguments[0], Number):
        return mul(Number(-a.arguments[0].value), a.arguments[1])
    return Call("neg", (a,))


def mul(a: Expression, b: Expression) -> Expression:
    """Product without zeros and ones, its number in front."""
    if ZERO in (a, b):
        return ZERO
    if isinstance(b, Number) and not isinstance(a, Number):
        a, b = b, a
    if a == ONE:
        return b
    if b == ONE:
        return a
    if a == Number(-1.0):
        return neg(b)
    for negated, other in ((a, b), (b, a)):
        if isinstance(negated, Call) and negated.function == "neg":
            return neg(mul(negated.arguments[0], other))
    if isinstance(a, Number) and isinstance(b, Call) and b.function == "mul" and isinstance(b.arguments[0], Number):
        constant = a.value * b.arguments[0].value
        if math.isfinite(constant):
            return mul(Number(constant), b.arguments[1])
    if not isinstance(a, Number):
        for first, second in ((a, b), (b, a)):
            if isinstance(second, Call) and second.function == "mul" and isinstance(second.arguments[0], Number):
                return mul(second.arguments[0], mul(first, second.arguments[1]))
    return folded(Call("mul", (a, b)))


def div(a: Expression, b: Expression) -> Expression:
    """Quotient without ones."""
    if a == ZERO:
        return ZERO
    if b == ONE:
        return a
    if isinstance(a, Call) and a.function == "neg":
        return neg(div(a.arguments[0], b))
    if isinstance(b, Number) and isinstance(a, Call) and a.function == "mul" and isinstance(a.arguments[0], Number):
        constant = a.arguments[0].value / b.value if b.value else math.inf
        if math.isfinite(constant):
            return mul(Number(constant), a.arguments[1])
    return folded(Call("div", (a, b)))


def power(base: Expression, exponent: Expression) -> Expression:
    """Power; an exponent of 0 or 1 leaves none."""
    if exponent == ZERO:
        return ONE
    if exponent == ONE:
        return base
    return folded(Call("pow", (base, exponent)))


def where(low: Expression, high: Expression, then: Expression, other: Expression) -> Expression:
    """Choice; none between equal values."""
    return then if then == other else Call("where", (low, high, then, other))


_BUILDERS: Mapping[str, Callable[..., Expression]] = {
    "add": add,
    "sub": sub,
    "neg": neg,
    "mul": mul,
    "div": div,
    "pow": power,
    "where": where,
}


def _sum_rule(node: Call, a: Expression, b: Expression, da: Expression, db: Expression) -> Expression:
    return add(da, db)


def _difference_rule(node: Call, a: Expression, b: Expression, da: Expression, db: Expression) -> Expression:
    return sub(da, db)


def _product_rule(node: Call, a: Expression, b: Expression, da: Expression, db: Expression) -> Expression:
    return add(mul(da, b), mul(a, db))


def _quotient_rule(node: Call, a: Expression, b: Expression, da: Expression, db: Expression) -> Expression:
    return sub(div(da, b), div(mul(a, db), power(b, Number(2.0))))


def _power_rule(node: Call, a: Expression, b: Expression, da: Expression, db: Expression) -> Expression:
    by_base = mul(mul(b, power(a, sub(b, ONE))), da)
    return by_base if db == ZERO else add(by_base, mul(mul(node, Call("log", (a,))), db))


def _min_rule(node: Call, a: Expression, b: Expression, da: Expression, db: Expression) -> Expression:
    return where(a, b, da, db)


def _max_rule(node: Call, a: Expression, b: Expression, da: Expression, db: Expression) -> Expression:
    return where(a, b, db, da)


def _abs_rule(node: Call, a: Expression, da: Expression) -> Expression:
    return where(a, ZERO, neg(da), da)


def _where_rule(node: Call, *parts: Expression) -> Expression:
    low, high, _, _, _, _, slope_then, slope_other = parts
    return where(low, high, slope_then, slope_other)


_RULES: Mapping[str, Callable[..., Expression]] = {
    "add": _sum_rule,
    "sub": _difference_rule,
    "mul": _product_rule,
    "div": _quotient_rule,
    "neg": lambda node, a, da: neg(da),
    "pow": _power_rule,
    "sqrt": lambda node, a, da: div(da, mul(Number(2.0), node)),
    "exp": lambda node, a, da: mul(node, da),
    "log": lambda node, a, da: div(da, a),
    "abs": _abs_rule,
    "min": _min_rule,
    "max": _max_rule,
    "sin": lambda node, a, da: mul(Call("cos", (a,)), da),
    "cos": lambda node, a, da: neg(mul(Call("sin", (a,)), da)),
    "tanh": lambda node, a, da: mul(sub(ONE, power(node, Number(2.0))), da),
    "where": _where_rule,
}
"""Derivative of a call from the call, its arguments and their derivatives."""

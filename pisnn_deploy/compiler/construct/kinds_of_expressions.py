"""Properties of expressions that decide how they are computed."""

from __future__ import annotations

from pisnn_deploy.laws.expression import Call, Expression, Number


def whole(expression: Expression) -> int | None:
    """The number that an expression is, if whole."""
    is_whole = isinstance(expression, Number) and float(expression.value).is_integer()
    return int(expression.value) if is_whole and isinstance(expression, Number) else None


def factors(expression: Expression) -> tuple[float, dict[Expression, int]]:
    """A constant, and factors with their whole exponents."""
    if isinstance(expression, Number):
        return float(expression.value), {}
    if isinstance(expression, Call):
        function, arguments = expression.function, expression.arguments
        if function == "neg":
            constant, inner = factors(arguments[0])
            return -constant, inner
        if function in ("mul", "div"):
            (first, inner), (second, others) = map(factors, arguments)
            sign = 1 if function == "mul" else -1
            if sign == 1 or second != 0.0:
                combined = dict(inner)
                for factor, exponent in others.items():
                    combined[factor] = combined.get(factor, 0) + sign * exponent
                return first * second**sign, combined
        power = whole(arguments[1]) if function == "pow" else None
        if power is not None:
            constant, inner = factors(arguments[0])
            if constant != 0.0 or power > 0:
                return constant**power, {factor: count * power for factor, count in inner.items()}
    return 1.0, {expression: 1}


_POLYNOMIAL = frozenset({"add", "sub", "mul", "neg"})


def is_polynomial(expression: Expression) -> bool:
    """Whether an expression is a polynomial, by how it is written."""
    if not isinstance(expression, Call):
        return True
    first, *others = expression.arguments
    if expression.function in _POLYNOMIAL:
        return all(map(is_polynomial, expression.arguments))
    if expression.function == "div":
        return is_polynomial(first) and isinstance(others[0], Number)
    exponent = whole(others[0]) if expression.function == "pow" else None
    return exponent is not None and exponent >= 0 and is_polynomial(first)


def is_reciprocal(expression: Expression) -> bool:
    """Whether an expression is a constant over powers of one other."""
    exponents = list(factors(expression)[1].values())
    return len(exponents) == 1 and exponents[0] < 0


def is_linear(expression: Expression) -> bool:
    """Whether an expression is a sum of names times constants, by how it is written."""
    if not isinstance(expression, Call):
        return True
    if expression.function in ("add", "sub", "neg"):
        return all(map(is_linear, expression.arguments))
    if expression.function in ("mul", "div"):
        numbers = [isinstance(argument, Number) for argument in expression.arguments]
        is_scaled = numbers[1] or (numbers[0] and expression.function == "mul")
        return is_scaled and all(map(is_linear, expression.arguments))
    return False


def is_smooth(expression: Expression) -> bool:
    """Whether an expression has no kinks."""
    if not isinstance(expression, Call):
        return True
    return expression.function not in ("abs", "min", "max", "where") and all(map(is_smooth, expression.arguments))

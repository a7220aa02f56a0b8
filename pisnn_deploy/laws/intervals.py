"""Bounds of expressions by interval arithmetic with outward rounding."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping

from pisnn_deploy.laws.nodes import LARGEST_EXPONENT, Call, Expression, Number, Symbol, postorder

Interval = tuple[float, float]
EVERYTHING: Interval = (-math.inf, math.inf)
_ULPS = 8
"""Steps outwards after a function that numpy and Python round within 4 units in the last place."""
_CHAINED = 4
"""Largest exponent whose bounds are rounded product by product."""
_LARGEST_ANGLE = 1e6
"""Arguments of sin and cos beyond which the bounds are -1 and 1."""


def bounds(expression: Expression, ranges: Mapping[str, Interval]) -> Interval:
    """Bound an expression.

    Parameters
    ----------
    ranges : mapping of str to (float, float)
        Range of each name.

    Returns
    -------
    (float, float)
        Every value that `evaluate` gives without NaN lies between these. Infinite where a part of the expression may be
        undefined or unbounded, such as ``1/u`` where the range of ``u`` contains 0.

    Raises
    ------
    KeyError
        A name has no range.
    """
    return all_bounds(expression, ranges)[id(expression)]


def may_be_undefined(expression: Expression, ranges: Mapping[str, Interval]) -> Expression | None:
    """First part of an expression whose bounds are not finite; None proves a finite value in the whole range."""
    intervals = all_bounds(expression, ranges)
    return next(
        (node for node in postorder(expression) if not all(map(math.isfinite, intervals[id(node)]))),
        None,
    )


def all_bounds(expression: Expression, ranges: Mapping[str, Interval]) -> dict[int, Interval]:
    """Bounds of every node of an expression, by the node's ``id``."""
    intervals: dict[int, Interval] = {}
    undefined: set[int] = set()
    for node in postorder(expression):
        if isinstance(node, Number):
            intervals[id(node)] = (node.value, node.value)
        elif isinstance(node, Symbol):
            intervals[id(node)] = ranges[node.name]
        elif node.function == "pow":
            intervals[id(node)] = _power(node, intervals)
        else:
            parts = [intervals[id(argument)] for argument in node.arguments]
            if node.function == "where" and any(id(side) in undefined for side in node.arguments[:2]):
                parts[:2] = EVERYTHING, EVERYTHING  # a comparison with NaN is false, whatever the bounds say
            intervals[id(node)] = _RULES[node.function](*parts)
        inner = node.arguments if isinstance(node, Call) else ()
        if not all(map(math.isfinite, intervals[id(node)])) or any(id(part) in undefined for part in inner):
            undefined.add(id(node))
    return intervals


def _down(value: float, steps: int = 1) -> float:
    """Step towards minus infinity, but not across 0: rounding keeps signs."""
    stepped = value
    for _ in range(steps):
        stepped = math.nextafter(stepped, -math.inf)
    return max(stepped, 0.0) if value > 0 else stepped


def _up(value: float, steps: int = 1) -> float:
    return -_down(-value, steps)


def _ordered(lower: float, upper: float) -> Interval:
    return EVERYTHING if math.isnan(lower) or math.isnan(upper) else (lower, upper)


def _sum(a: float, b: float, outwards: Callable[[float], float]) -> float:
    total = a + b
    is_exact = math.isfinite(total) and total - a == b and total - b == a
    return total if is_exact else outwards(total)


def _add(a: Interval, b: Interval) -> Interval:
    return _ordered(_sum(a[0], b[0], _down), _sum(a[1], b[1], _up))


def _neg(a: Interval) -> Interval:
    return -a[1], -a[0]


def _sub(a: Interval, b: Interval) -> Interval:
    return _add(a, _neg(b))


def _product(a: float, b: float, outwards: Callable[[float], float]) -> float:
    if a == 0 or b == 0:
        return 0.0  # also for an infinite limit, which no value reaches
    product = a * b
    is_exact = (product == a and b == 1) or (product == b and a == 1)
    return product if is_exact else outwards(product)


def _mul(a: Interval, b: Interval) -> Interval:
    corners = [(p, q) for p in a for q in b]
    return (
        min(_product(p, q, _down_past_zero) for p, q in corners),
        max(_product(p, q, _up_past_zero) for p, q in corners),
    )


def _down_past_zero(value: float) -> float:
    return _down(value) if not (value == 0 and math.copysign(1, value) > 0) else 0.0


def _up_past_zero(value: float) -> float:
    return -_down_past_zero(-value)


def _div(a: Interval, b: Interval) -> Interval:
    if b[0] <= 0 <= b[1]:
        return EVERYTHING
    if not all(map(math.isfinite, (*a, *b))):
        return EVERYTHING if not all(map(math.isfinite, a)) else _mul(a, _reciprocal(b))
    quotients = [p / q for p in a for q in b]
    return _down_past_zero(min(quotients)), _up_past_zero(max(quotients))


def _reciprocal(b: Interval) -> Interval:
    return _down_past_zero(1 / b[1]), _up_past_zero(1 / b[0])


def _chain(a: Interval, count: int) -> Interval:
    """Bound a product of equal factors: an even one is not negative."""
    if count % 2 == 0:
        a = _abs(a)
    if count > _CHAINED:
        low, high = _power_within(a[0], count, -1), _power_within(a[1], count, 1)
        return (max(0.0, low) if count % 2 == 0 else low), high
    product = (1.0, 1.0)
    for _ in range(count):
        product = _mul(product, a) if count % 2 == 0 else _monotone_mul(product, a)
    return product


def _power_within(value: float, count: int, direction: int) -> float:
    """Power moved outwards by more than what a chain of products may be rounded by."""
    power = math.copysign(1.0, value) ** count * _real_power(abs(value), count)
    share = 2 * count * sys.float_info.epsilon
    if math.isinf(power):
        return power if power * direction > 0 else math.copysign(sys.float_info.max * (1 - share), power)
    return 0.0 if value == 0 else power + direction * (abs(power) * share + count * 5e-324)


def _monotone_mul(product: Interval, a: Interval) -> Interval:
    """Odd powers grow with their base, so each limit is the power of the same limit."""
    return (
        _product(abs(product[0]), a[0], _down_past_zero),
        _product(abs(product[1]), a[1], _up_past_zero),
    )


def _power(node: Call, intervals: Mapping[int, Interval]) -> Interval:
    base = intervals[id(node.arguments[0])]
    low, high = intervals[id(node.arguments[1])]
    if low == high and low.is_integer() and abs(low) <= LARGEST_EXPONENT:
        product = _chain(base, abs(int(low)))
        return product if low >= 0 else _div((1.0, 1.0), product)
    if base[0] < 0 or (base[0] == 0 and low < 0):
        return EVERYTHING
    powers = [_real_power(p, q) for p in base for q in (low, high)]
    # The exponent that matters changes where the base crosses 1.
    powers += [1.0] if base[0] <= 1 <= base[1] else []
    return max(0.0, _down(min(powers), _ULPS)), _up(max(powers), _ULPS)


def _real_power(base: float, exponent: float) -> float:
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return math.inf


def _sqrt(a: Interval) -> Interval:
    return EVERYTHING if a[0] < 0 else (max(0.0, _down(math.sqrt(a[0]))), _up_past_zero(math.sqrt(a[1])))


def _exp(a: Interval) -> Interval:
    return max(0.0, _down(_exponential(a[0]), _ULPS)), _up(_exponential(a[1]), _ULPS)


def _exponential(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def _log(a: Interval) -> Interval:
    if a[0] <= 0:
        return EVERYTHING
    return _past(math.log(a[0]), -1), _past(math.log(a[1]), 1)


def _past(value: float, direction: int) -> float:
    """Step outwards across 0, for functions whose rounding may miss it."""
    if math.isinf(value):
        return value
    return value + direction * _ULPS * max(math.ulp(value), 5e-324)


def _abs(a: Interval) -> Interval:
    if a[0] >= 0:
        return a
    return _neg(a) if a[1] <= 0 else (0.0, max(-a[0], a[1]))


def _min(a: Interval, b: Interval) -> Interval:
    return min(a[0], b[0]), min(a[1], b[1])


def _max(a: Interval, b: Interval) -> Interval:
    return max(a[0], b[0]), max(a[1], b[1])


def _cos(a: Interval) -> Interval:
    if not all(abs(limit) <= _LARGEST_ANGLE for limit in a):
        return EVERYTHING if not all(map(math.isfinite, a)) else (-1.0, 1.0)
    # One part in 10^9 more on both sides: where a peak is barely missed, it is taken.
    first, last = a[0] / math.pi - 1e-9, a[1] / math.pi + 1e-9
    peaks = range(math.ceil(first), math.floor(last) + 1) if last - first < 3 else range(2)
    values = [math.cos(a[0]), math.cos(a[1]), *(1.0 if peak % 2 == 0 else -1.0 for peak in peaks)]
    return max(-1.0, _past(min(values), -1)), min(1.0, _past(max(values), 1))


def _sin(a: Interval) -> Interval:
    if not all(abs(limit) <= _LARGEST_ANGLE for limit in a):
        return EVERYTHING if not all(map(math.isfinite, a)) else (-1.0, 1.0)
    first, last = a[0] / math.pi - 0.5 - 1e-9, a[1] / math.pi - 0.5 + 1e-9
    peaks = range(math.ceil(first), math.floor(last) + 1) if last - first < 3 else range(2)
    values = [math.sin(a[0]), math.sin(a[1]), *(1.0 if peak % 2 == 0 else -1.0 for peak in peaks)]
    return max(-1.0, _past(min(values), -1)), min(1.0, _past(max(values), 1))


def _tanh(a: Interval) -> Interval:
    return max(-1.0, _past(math.tanh(a[0]), -1)), min(1.0, _past(math.tanh(a[1]), 1))


def _where(low: Interval, high: Interval, then: Interval, other: Interval) -> Interval:
    if low[1] < high[0]:
        return then
    if low[0] >= high[1]:
        return other
    return min(then[0], other[0]), max(then[1], other[1])


_RULES: Mapping[str, Callable[..., Interval]] = {
    "add": _add,
    "sub": _sub,
    "mul": _mul,
    "div": _div,
    "neg": _neg,
    "sqrt": _sqrt,
    "exp": _exp,
    "log": _log,
    "abs": _abs,
    "min": _min,
    "max": _max,
    "sin": _sin,
    "cos": _cos,
    "tanh": _tanh,
    "where": _where,
}

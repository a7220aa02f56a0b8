from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from drawn_expressions import NAMES, expressions
from hypothesis import given, settings
from hypothesis import strategies as st

from pisnn_deploy.laws.expression import (
    Array,
    Call,
    Expression,
    ExpressionError,
    ExpressionTooLarge,
    Number,
    Symbol,
    bounds,
    derivative,
    evaluate,
    free_names,
    laplacian,
    may_be_undefined,
    parse,
    simplified,
    substitute,
    to_latex,
    to_text,
)

U, V = Symbol("u"), Symbol("v")
FIELDS = ("h", "q", "depth")


def parsed(text: str) -> Expression:
    return parse(text, NAMES, "law.flux.u")


def test_precedence_is_pythons() -> None:
    assert parsed("u + 2*v**2") == Call("add", (U, Call("mul", (Number(2.0), Call("pow", (V, Number(2.0)))))))
    assert parsed("-u**2") == Call("neg", (Call("pow", (U, Number(2.0))),))
    assert parsed("u**-1") == Call("pow", (U, Number(-1.0)))
    assert parsed(" max(u, v, pi)") == Call("max", (Call("max", (U, V)), Number(math.pi)))
    assert parsed("where(u > v, 1, 2)") == Call("where", (V, U, Number(1.0), Number(2.0)))


KNOWN = "known are sqrt, exp, log, abs, sin, cos, tanh, min, max, where"
BAD = {
    "h + hh": "column 5: unknown name 'hh'; did you mean h?",
    "h + momentum": "column 5: unknown name 'momentum'; known are h, q, depth, pi",
    "sqr(h)": "column 1: unknown function 'sqr'; did you mean sqrt?",
    "gamma(h)": f"column 1: unknown function 'gamma'; {KNOWN}",
    "__import__('os').system('true')": "column 1: an attribute is not allowed; only functions are called",
    "__import__('os')": f"column 1: unknown function '__import__'; {KNOWN}",
    "h.real": "column 1: an attribute is not allowed; use numbers, names, + - * / ** and functions",
    "h[0]": "column 1: an index is not allowed; use numbers, names, + - * / ** and functions",
    "(lambda: h)()": "column 2: lambda is not allowed; only functions are called",
    "h if q else 1": "column 1: if/else (use where) is not allowed; use numbers, names, + - * / ** and functions",
    "'h'": "column 1: text is not allowed; use numbers, names, + - * / ** and functions",
    "h^2": "column 1: ^ (a power is **) is not allowed; use numbers, names, + - * / ** and functions",
    "h < q": "column 1: a comparison outside where is not allowed; use numbers, names, + - * / ** and functions",
    "h + 1j": "column 5: 1j is not allowed; use numbers, names, + - * / ** and functions",
    "True": "column 1: True is not allowed; use numbers, names, + - * / ** and functions",
    "9**9**9": "column 4: the exponent 387420489 is larger than 64",
    "h**1000": "column 4: the exponent 1000 is larger than 64",
    "h**(0/0)": "column 5: the exponent nan is larger than 64",
    "1e999*h": "column 1: the number is too large",
    "h +": '"h +" is not an expression, or nested too deeply',
    "": "is empty",
    "h\n+ q": "has a line break or #; write one line without a comment",
    "sqrt(h, q)": "column 1: sqrt takes 1 argument, not 2",
    "min(h)": "column 1: min takes at least 2 arguments, not 1",
    "min(*h)": "column 1: min takes no named or starred arguments",
    "where(h, 1, 2)": "column 1: where takes a comparison by < and two values, such as where(x < 0.5, 1, 2)",
    "where(h <= q, 1, 2)": "column 1: where takes a comparison by < and two values, such as where(x < 0.5, 1, 2)",
    "laplacian(h)": f"column 1: unknown function 'laplacian'; {KNOWN}",
    "-" * 100 + "h": "column 61: is nested more than 60 levels deep",
    "h" + "+h" * 1100: "has 2201 characters, expected at most 2000",
    "+".join("h" * 999): "has more than 1000 parts; shorten it",
    "((h": '"((h" is not an expression, or nested too deeply',
    "ä + hh": "column 1: unknown name 'ä'; known are h, q, depth, pi",
}


@pytest.mark.parametrize("text", BAD)
def test_bad_text_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError) as error:
        parse(text, FIELDS, "law.flux.q")
    assert str(error.value) == f"law.flux.q: {BAD[text]}"


@pytest.mark.parametrize(
    "text",
    ["(" * 900 + "h" + ")" * 900, "-" * 1999 + "h", "[" * 1999, "h" + "**h" * 600],
    ids=["parentheses", "signs", "brackets", "powers"],
)
def test_deep_and_long_texts_are_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse(text, FIELDS, "law.flux.q")


def test_functions_of_names() -> None:
    of_names = {"laplacian": ("u",), "dx": ("b",)}
    assert parse("laplacian(u)", NAMES, "law.level.u", of_names) == laplacian("u")
    assert parse("dx(b)", NAMES, "law.level.u", of_names) == Symbol("b_x")
    with pytest.raises(ExpressionError, match=r"^law.level.u: column 1: laplacian takes one of the names u$"):
        parse("laplacian(u*u)", NAMES, "law.level.u", of_names)


@settings(max_examples=150, deadline=None)
@given(expressions)
def test_text_is_read_back(expression: Expression) -> None:
    assert parse(to_text(expression), NAMES, "drawn") == expression


def sample(ranges: dict[str, tuple[float, float]], seed: int) -> dict[str, float | Array]:
    """Points of the ranges, their limits included."""
    generator = np.random.default_rng(seed)
    return {
        name: generator.permutation(
            np.clip(np.concatenate([[low, high], low + (high - low) * generator.random(62)]), low, high)
        )
        for name, (low, high) in ranges.items()
    }


_limits = st.one_of(st.integers(-4, 4).map(float), st.floats(-1e3, 1e3, allow_nan=False))


@settings(max_examples=400, deadline=None)
@given(expressions, st.lists(_limits, min_size=4, max_size=4), st.integers(0, 2**32 - 1))
def test_bounds_contain_every_value(expression: Expression, limits: list[float], seed: int) -> None:
    ranges = {name: (min(pair), max(pair)) for name, pair in zip(NAMES, (limits[:2], limits[2:]), strict=True)}
    lower, upper = bounds(expression, ranges)
    values = evaluate(expression, sample(ranges, seed))
    defined = values[~np.isnan(values)]
    assert (lower <= defined).all() and (defined <= upper).all()
    if may_be_undefined(expression, ranges) is None:
        assert np.isfinite(values).all()


def test_a_comparison_with_nan_is_not_decided() -> None:
    """NaN is less than nothing, so the second value is taken."""
    expression = parsed("where(min(0, sqrt(-1)) < 1, 0, 1)")
    assert float(evaluate(expression, {})) == 1.0 and bounds(expression, {}) == (0.0, 1.0)


def test_bounds_are_tight_for_a_law() -> None:
    ranges = {"u": (0.5, 2.0), "v": (-1.0, 3.0)}
    for text, expected in {
        "v**2": (0, 9),
        "v**3": (-1, 27),
        "u*v": (-2, 6),
        "sqrt(v**2)": (0, 3),
        "v/u": (-2, 6),
    }.items():
        assert bounds(parsed(text), ranges) == pytest.approx(expected, rel=1e-15, abs=1e-300)
    assert bounds(parsed("1/v"), ranges) == (-math.inf, math.inf)
    assert may_be_undefined(parsed("u + tanh(1/v)"), ranges) == parsed("1/v")


@settings(max_examples=150, deadline=None)
@given(expressions, st.floats(0.3, 2.0), st.floats(-2.0, 2.0))
def test_derivative_agrees_with_dual_numbers(expression: Expression, u: float, v: float) -> None:
    """A second way: each function's rule on pairs of value and slope, node by node, without simplification."""
    value, slope = dual(expression, {"u": (u, 1.0), "v": (v, 0.0)})
    symbolic = float(evaluate(derivative(expression, "u"), {"u": u, "v": v}))
    if math.isfinite(value) and math.isfinite(slope) and math.isfinite(symbolic) and abs(slope) < 1e100:
        assert symbolic == pytest.approx(slope, rel=1e-6, abs=1e-6 * max(1.0, largest_part(expression, u, v)))


def largest_part(expression: Expression, u: float, v: float) -> float:
    return max(abs(dual(part, {"u": (u, 1.0), "v": (v, 0.0)})[k]) for part in parts(expression) for k in (0, 1))


def parts(expression: Expression) -> list[Expression]:
    inner = expression.arguments if isinstance(expression, Call) else ()
    return [expression, *(part for argument in inner for part in parts(argument))]


Dual = tuple[float, float]


def dual(expression: Expression, values: dict[str, Dual]) -> Dual:
    if isinstance(expression, Number):
        return expression.value, 0.0
    if isinstance(expression, Symbol):
        return values[expression.name]
    arguments = [dual(argument, values) for argument in expression.arguments]
    value = float(evaluate(Call(expression.function, tuple(Number(a) for a, _ in arguments)), {}))
    slopes = [slope for _, slope in arguments]
    with np.errstate(all="ignore"):
        partial = [np.float64(p) for p in partials(expression.function, [np.float64(a) for a, _ in arguments])]
        return value, float(sum(np.float64(0) if s == 0 else p * s for p, s in zip(partial, slopes, strict=True)))


def partials(function: str, a: list[np.float64]) -> list[np.float64 | float]:
    one = np.float64(1)
    table: dict[str, Callable[[], list[np.float64 | float]]] = {
        "add": lambda: [1, 1],
        "sub": lambda: [1, -1],
        "mul": lambda: [a[1], a[0]],
        "div": lambda: [one / a[1], -a[0] / a[1] ** 2],
        "neg": lambda: [-1],
        "pow": lambda: [a[1] * a[0] ** (a[1] - 1), 0],
        "sqrt": lambda: [one / (2 * np.sqrt(a[0]))],
        "exp": lambda: [np.exp(a[0])],
        "log": lambda: [one / a[0]],
        "abs": lambda: [-1 if a[0] < 0 else 1],
        "min": lambda: [1, 0] if a[0] < a[1] else [0, 1],
        "max": lambda: [0, 1] if a[0] < a[1] else [1, 0],
        "sin": lambda: [np.cos(a[0])],
        "cos": lambda: [-np.sin(a[0])],
        "tanh": lambda: [1 - np.tanh(a[0]) ** 2],
        "where": lambda: [0, 0, 1, 0] if a[0] < a[1] else [0, 0, 0, 1],
    }
    return table[function]()


@pytest.mark.parametrize(
    "text",
    ["u**2/v + 9.81*v**2/2", "sqrt(9.81*u)*tanh(v)", "u*exp(-v*u) + log(u + 3)", "sin(u*v) + cos(u)/v", "u**1.5*v**-2",
     "where(u < v, u**3, u**2)", "min(u, v)*max(u*u, v)", "abs(u - 3*v)"],
)  # fmt: skip
def test_derivative_agrees_with_finite_differences(text: str) -> None:
    expression, step = parsed(text), 1e-6
    for u, v in ((0.7, 1.3), (1.9, 0.4)):
        for name, (du, dv) in {"u": (step, 0.0), "v": (0.0, step)}.items():
            above, below = (float(evaluate(expression, {"u": u + s * du, "v": v + s * dv})) for s in (1, -1))
            exact = float(evaluate(derivative(expression, name), {"u": u, "v": v}))
            assert exact == pytest.approx((above - below) / (2 * step), rel=1e-7, abs=1e-7)


@settings(max_examples=150, deadline=None)
@given(expressions, st.floats(0.3, 2.0), st.floats(-2.0, 2.0))
def test_simplification_keeps_the_value(expression: Expression, u: float, v: float) -> None:
    values = {"u": u, "v": v}
    before, after = float(evaluate(expression, values)), float(evaluate(simplified(expression), values))
    if all(math.isfinite(dual(part, {"u": (u, 0.0), "v": (v, 0.0)})[0]) for part in parts(expression)):
        assert after == pytest.approx(before, rel=1e-6, abs=1e-6 * max(1.0, largest_part(expression, u, v)))


def test_derivatives_are_short() -> None:
    assert to_text(derivative(parsed("u**2/v + 9.81*v**2/2"), "v")) == "-(u**2/v**2) + 9.81*v"
    assert to_text(derivative(parsed("u*(1 - u)"), "u")) == "1 - u - u"
    assert derivative(parsed("v**3"), "u") == Number(0.0)


def test_repeated_derivatives_end() -> None:
    expression = parsed("*".join(["(1 + u*sin(u))"] * 20))
    with pytest.raises(ExpressionTooLarge, match=r"^an expression has more than 50000 nodes or more than 200 levels"):
        for _ in range(20):
            expression = derivative(expression, "u")


def test_substitution_computes_constants() -> None:
    expression = substitute(parsed("u*v**2"), {"v": Number(3.0)})
    assert expression == Call("mul", (U, Number(9.0))) and free_names(expression) == {"u"}
    values = {"v": Number(0.0)}
    for text, expected in {
        "u + v*log(u)": "u",
        "v + u": "u",
        "u - v*u": "u",
        "where(v < 1, u, 2)": "u",
        "v/v": "0/0",
    }.items():
        assert to_text(substitute(parsed(text), values)) == expected


def test_latex() -> None:
    assert to_latex(parsed("u**2/v + 9.81*v**2/2")) == r"\frac{u^{2}}{v} + \frac{9.81 \, v^{2}}{2}"
    assert to_latex(parsed("-u*(1 - v)")) == r"-u \, \left(1 - v\right)"
    assert to_latex(parsed("sqrt(u)*exp(-v)")) == r"\sqrt{u} \, e^{-v}"
    assert to_latex(parsed("u - 1e-5*v")) == r"u - 1 \times 10^{-5} \, v"
    assert to_latex(Symbol("tau_in")) == r"\tau_{\mathrm{in}}" and to_latex(laplacian("u")) == r"\nabla^2 u"
    assert to_latex(parsed("where(u < 1, u, v)")) == r"\begin{cases} u & u < 1 \\ v & \text{else} \end{cases}"

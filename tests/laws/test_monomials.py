"""Equal terms cancel, and no value changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pisnn_deploy.laws.expression import evaluate, parse, to_text
from pisnn_deploy.laws.monomials import collected

NAMES = ("a", "h", "q")


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("(2*q/h)**2 + 4*(9.81*h - q**2/h**2)", "39.24*h"),
        ("(a - h)**2 - (a**2 - 2*a*h)", "h**2"),
        ("(a + h)*(a - h) + h**2", "a**2"),
        ("q - q", "0"),
        ("-(2*q)**3/q**2", "-8*q"),
        ("q**-2*q", "1/q"),
        ("exp(a)*h/exp(a)", "h"),
        ("a/(h + q) - a/(h + q)", "0"),
        ("(a/3 + a/3)*0.1", None),
        ("(a + h + q)**12", "(a + h + q)**12"),
    ],
)
def test_equal_terms_are_collected(text: str, short: str | None) -> None:
    expression = parse(text, NAMES, "here")
    assert to_text(collected(expression)) == (to_text(expression) if short is None else short)


_LEAVES = st.sampled_from([*NAMES, "2", "0.5", "3", "exp(a)"])
_TEXTS = st.recursive(
    _LEAVES,
    lambda inner: (
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/"]), inner).map(lambda of: f"({of[0]} {of[1]} {of[2]})")
        | st.tuples(inner, st.sampled_from(["2", "3", "-1"])).map(lambda of: f"({of[0]})**{of[1]}")
    ),
    max_leaves=8,
)


@given(_TEXTS)
@settings(max_examples=150)
def test_values_are_those_of_the_expression(text: str) -> None:
    expression = parse(text, NAMES, "here")
    random = np.random.default_rng(1)
    values = {name: random.uniform(0.5, 2.0, 5) for name in NAMES}
    own, other = evaluate(expression, values), evaluate(collected(expression), values)
    largest = np.abs(own).max() if np.isfinite(own).all() else np.inf
    # Where terms cancel, rounding of the given form is all that is left of them.
    if np.isfinite(own).all() and largest < 1e6:
        assert np.allclose(own, other, rtol=1e-6, atol=1e-6)

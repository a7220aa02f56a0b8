"""Drawn expressions, for property tests."""

from __future__ import annotations

from hypothesis import strategies as st

from pisnn_deploy.laws.expression import FUNCTIONS, Call, Expression, Number, Symbol

NAMES = ("u", "v")
_numbers = st.one_of(
    st.integers(-5, 5).map(float), st.floats(-100, 100, allow_nan=False), st.sampled_from([0.5, 1e-300, 1e300, -0.0])
).map(Number)
_leaves = st.one_of(_numbers, st.sampled_from(NAMES).map(Symbol))


def _calls(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    def call(function: str) -> st.SearchStrategy[Expression]:
        if function == "pow":
            exponents = st.one_of(st.integers(-3, 9).map(float), st.just(64.0), st.sampled_from([0.5, 1.5, -0.25])).map(
                Number
            )
            return st.tuples(inner, exponents).map(lambda arguments: Call("pow", arguments))
        if function == "neg":
            # The parser gives numbers their sign.
            return inner.filter(lambda node: not isinstance(node, Number)).map(lambda node: Call("neg", (node,)))
        arguments = st.tuples(*[inner] * FUNCTIONS[function].arguments)
        return arguments.map(lambda drawn: Call(function, drawn))

    return st.sampled_from(sorted(FUNCTIONS)).flatmap(call)


expressions: st.SearchStrategy[Expression] = st.recursive(_leaves, _calls, max_leaves=12)
"""Expressions of `NAMES` with all functions."""

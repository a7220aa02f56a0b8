"""Expressions of a law: numbers, names and functions of them.

`parse` reads the text of a user, `evaluate` computes in float64, `bounds` proves a range, `derivative` differentiates,
`to_text` and `to_latex` format. All sizes are bounded, and each of these functions is one loop over the distinct nodes,
so that no text of a file can make them run for long.
"""

from pisnn_deploy.laws.calculus import derivative, simplified
from pisnn_deploy.laws.intervals import Interval, all_bounds, bounds, may_be_undefined
from pisnn_deploy.laws.nodes import (
    FUNCTIONS,
    Array,
    Call,
    Expression,
    ExpressionTooLarge,
    Number,
    Symbol,
    evaluate,
    evaluate_all,
    free_names,
    laplacian,
    laplacian_of,
    postorder,
    substitute,
)
from pisnn_deploy.laws.parsing import RESERVED, ExpressionError, constant_value, derivative_name, parse
from pisnn_deploy.laws.text import to_latex, to_text

__all__ = [
    "FUNCTIONS",
    "RESERVED",
    "Array",
    "Call",
    "Expression",
    "ExpressionError",
    "ExpressionTooLarge",
    "Interval",
    "Number",
    "Symbol",
    "all_bounds",
    "bounds",
    "constant_value",
    "derivative",
    "derivative_name",
    "evaluate",
    "evaluate_all",
    "free_names",
    "laplacian",
    "laplacian_of",
    "may_be_undefined",
    "parse",
    "postorder",
    "simplified",
    "substitute",
    "to_latex",
    "to_text",
]

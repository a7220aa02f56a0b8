"""Small graphs and profiles with one limit moved, for the tests of the rules; the manual shows the same."""

from __future__ import annotations

from pisnn_deploy.checks.example_graphs import (
    BOUNDS,
    heat_graph,
    placed,
    with_bits,
    with_claims,
    with_exponent,
    with_figure,
    with_ledger_steps,
    with_level,
    with_mantissas,
    with_start,
)

__all__ = [
    "BOUNDS",
    "heat_graph",
    "placed",
    "with_bits",
    "with_claims",
    "with_exponent",
    "with_figure",
    "with_ledger_steps",
    "with_level",
    "with_mantissas",
    "with_start",
]

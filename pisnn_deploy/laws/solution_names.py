"""Names of exact solutions that a recipe may give as its reference; `exact` computes them."""

from __future__ import annotations

from difflib import get_close_matches

SOLVER = "solver"
EXACT = (
    "barenblatt",
    "characteristics",
    "cole-hopf",
    "gaussian",
    "linear-waves",
    "modes",
    "rest",
    "riemann",
    "stoker",
    "travelling-wave",
)


def unknown_solution(name: str) -> str:
    """What is wrong with a name that is neither the solver nor an exact solution."""
    close = get_close_matches(name, (SOLVER, *EXACT), 1)
    hint = f"did you mean {close[0]}?" if close else f"use {SOLVER}, {', '.join(EXACT)}, or null"
    return f"no solution is named {name!r}; {hint}"

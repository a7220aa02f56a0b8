"""Solutions that runs of laws are compared with, where they take seconds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pisnn_deploy.core.distance import relative_l2
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.columns import columns_of
from pisnn_deploy.graph.integer import Floats, Integers
from pisnn_deploy.laws.problem import Solution, exact, solution
from pisnn_deploy.laws.reference import FINER_AT_LEAST, updates
from pisnn_deploy.laws.spec import LawSpec

__all__ = ["MOST_UPDATES", "Solution", "exact_solution_of_law", "law_errors", "law_solution"]

MOST_UPDATES = 1e8
"""Most updates of a cell for a solution that a run is compared with: some 15 seconds."""


def law_solution(graph: IntegerGraph, spec: LawSpec, step: int) -> tuple[Solution | None, str]:
    """Solution that the recipe of a law names, after a PDE step.

    Parameters
    ----------
    spec : LawSpec
        Recipe of the graph.

    Returns
    -------
    solution : Solution or None
        None if the recipe names none, or it would take too long, or it failed.
    reason : str
        Why there is none, in one sentence; empty if there is one, or the recipe names none.
    """
    time, shape = step * graph.time_step, graph.mesh.shape
    try:
        if spec.reference == "solver" and (work := updates(spec, shape, time, FINER_AT_LEAST)) > MOST_UPDATES:
            return (
                None,
                f"the solver of the reference would update cells {work:.1e} times, more than {MOST_UPDATES:.0e}",
            )
        return solution(spec, shape, time), ""
    except UsageError as error:
        return None, str(error)


def exact_solution_of_law(graph: IntegerGraph, spec: LawSpec) -> Callable[[float], Floats | None] | None:
    """Exact cell averages at a physical time, field by field, float64 [cells]; None if the recipe names no solution."""
    if spec.reference in (None, "solver"):
        return None

    def exact_at(time: float) -> Floats | None:
        try:
            known = exact(spec, graph.mesh.shape, time)
        except UsageError:  # the run says why
            return None
        return None if known is None else np.concatenate([known.fields[f.name].reshape(-1) for f in graph.fields])

    return exact_at


def law_errors(graph: IntegerGraph, mass: Integers, known: Solution) -> dict[str, dict[str, float | None]]:
    """Errors of each field of a law.

    Parameters
    ----------
    mass : int64 array [cells]
        Masses in quanta, field by field.
    known : Solution
        Fields of the graph.

    Returns
    -------
    dict of str to dict
        ``relative_l1`` and ``relative_l2`` (None where the solution is 0 everywhere), ``largest``, and
        ``reference_error``, the largest error of a cell of the solution itself.
    """
    errors: dict[str, dict[str, float | None]] = {}
    for part in columns_of(graph).fields:
        values, right = part.field.values(mass[part.cells]), known.fields[part.name].reshape(-1)
        size = float(np.abs(right).sum())
        errors[part.name] = {
            "relative_l1": float(np.abs(values - right).sum()) / size if size else None,
            "relative_l2": relative_l2(values, right),
            "largest": float(abs(values - right).max()),
            "reference_error": known.errors[part.name],
        }
    return errors

"""Where the accuracy of what a request compiles went."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pisnn_deploy.compiler.analysis.law_run import steps_to_run
from pisnn_deploy.compiler.explanation import Explanation, Stage
from pisnn_deploy.core.errors import OverflowViolation
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.laws.problem import compare
from pisnn_deploy.laws.start import Field, Fields
from pisnn_deploy.project.compilation import explained_model
from pisnn_deploy.project.law_file import read_law_model
from pisnn_deploy.project.mesh_cases import FINER_BITS, LawCase, final_fields, law_case
from pisnn_deploy.project.request import CompileRequest


def explained(request: CompileRequest, graph: IntegerGraph) -> Explanation:
    """Measure where the accuracy of a compiled model or law went.

    Errors of a law are the largest relative L2 error of a field, after as many PDE steps as take about two seconds.

    Parameters
    ----------
    graph : IntegerGraph
        What `compile_requested` returned for the request.
    """
    law = read_law_model(request.model)
    return explained_model(request, graph) if law is None else _of_law(law_case(request, law, graph))


def _of_law(case: LawCase) -> Explanation:
    graph = case.graph
    steps = steps_to_run(graph, case.spec)
    time = steps * graph.time_step
    known, reason = case.solution(steps)
    if known is None:
        return Explanation(0, 0.0, problem=reason)
    try:
        integers = final_fields(graph, steps)
    except OverflowViolation as violation:
        return Explanation(steps, time, problem=str(violation))
    floats = case.floats(steps)
    refused = "something does not grow with the words"

    def stage(name: str, fields: Fields | None, note: str = "") -> Stage:
        error = None if fields is None else _error(fields, known.fields)
        return Stage(name, error, note if error is not None else refused)

    stages = (
        stage(f"{case.scheme} in float64, another scheme", None if floats is None else floats[0]),
        stage(f"integers with {FINER_BITS} bits more", case.with_wider_words(FINER_BITS, steps)),
        stage("integers", integers, ", ".join(f"{f.name} in {f.value_per_quantum:.3g}" for f in graph.fields)),
    )
    return Explanation(steps, time, stages, (stage("words and quanta", case.with_wider_words(1, steps)),))


def _error(fields: Fields, exact: Mapping[str, Field]) -> float | None:
    largest = max(difference.l2 for difference in compare(fields, exact).values())
    return largest if np.isfinite(largest) else None

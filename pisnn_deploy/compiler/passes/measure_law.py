"""Pass `measure-law`: a run of the integers of a law from its own start, compared with its exact solution."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from pisnn_deploy.compiler.analysis.law_run import run_from_start, steps_to_run
from pisnn_deploy.compiler.facts import BOUNDED, Fact
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.laws.spec import LawSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pisnn_deploy.compiler.options import CompileOptions
    from pisnn_deploy.compiler.runner import Floating

SOLVER = "solver"
"""Reference of a recipe that takes a solver of its own, which `simulate` runs."""


@dataclass(frozen=True)
class MeasureLaw:
    """Run the integers of a law from its own start, up to its final time or for about two seconds.

    1. A run that leaves the operating range of a field is no measurement; `pisnn_deploy.compiler.warnings` says where.
    2. Where the recipe names an exact solution, the largest relative L2 error of a field is kept with the steps.
    """

    name: ClassVar[str] = "measure-law"
    requires: ClassVar[tuple[Fact, ...]] = (BOUNDED,)
    ensures: ClassVar[tuple[Fact, ...]] = (BOUNDED,)

    @classmethod
    def asked(cls, options: CompileOptions, floating: Floating | None) -> MeasureLaw | None:
        """None: only `compile_law` runs it."""
        return None

    def __call__(self, graph: IntegerGraph) -> IntegerGraph:
        """Measure `graph`, which is that of a law."""
        spec = graph.spec
        if spec.equation != "law":
            return graph
        run = run_from_start(graph, steps_to_run(graph, spec))
        if run.departure:
            return graph
        error = _error(graph, spec, run.masses, run.steps * graph.time_step)
        return replace(graph, quantisation=replace(graph.quantisation, steps=run.steps, relative_l2_integer=error))

    def summary(self, graph: IntegerGraph) -> str:
        """One sentence that describes the result."""
        measured = graph.quantisation
        if not measured.steps:
            return "a run from the law's own start leaves the operating range"
        kept = f"{measured.steps} PDE steps from the law's own start stay in the operating range"
        if measured.relative_l2_integer is None:
            return f"{kept}; simulate compares runs with the reference"
        return f"{kept}, relative L2 error {measured.relative_l2_integer:.2e}"


def _error(graph: IntegerGraph, spec: LawSpec, masses: Mapping[str, Integers], time: float) -> float | None:
    """Largest relative L2 error of a field against the exact solution that a recipe names; None without one."""
    if spec.reference in (None, SOLVER):
        return None
    from pisnn_deploy.laws.problem import compare, solution  # numpy code that few compilations need

    try:
        exact = solution(spec, graph.mesh.shape, time)
    except UsageError:
        return None  # simulate names what is wrong with the reference
    if exact is None:
        return None
    values = {
        field.name: (field.levels(masses[field.name]) * field.value_per_quantum).reshape(graph.mesh.shape)
        for field in graph.fields
    }
    largest = max(difference.l2 for difference in compare(values, exact.fields).values())
    return float(f"{largest:.3e}")  # the last digits differ between machines

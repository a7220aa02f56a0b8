"""Pass `measure`: what going to integers cost, against the float model and the problem's reference."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.compiler.facts import QUANTISED, Fact
from pisnn_deploy.errors import CompileError, OverflowViolation
from pisnn_deploy.graph import FloatGraph, IntegerGraph, TwoPointGraph
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.problems import Problem, problem

CELL_STEPS = 20_000_000
"""Most cells times PDE steps that are spent on the measurement."""
MEASURED_CELLS = 1 << 22
"""Larger meshes are not measured: reference and matrices would take more memory than all else."""
TWO_POINT_STEPS = 300
"""Most PDE steps where the reference is an exponential, whose cost grows with them."""


@dataclass(frozen=True)
class Measure:
    """Run the float model and the integer graph to the problem's horizon, each with its own time step.

    1. Both are compared with the reference at the physical time that each has reached.
    2. Large meshes are measured over fewer steps, at least one; the number is kept with the result.
    3. Nothing is measured if the problem's own start leaves the operating range, also later on: the model is meant for
       other fields. If some waves grow, that is the reason, and the model is refused.

    Parameters
    ----------
    floating : FloatGraph or TwoPointGraph
        The graph before quantisation. A two-point graph is its own reference: the exponential of its operator.
    """

    name: ClassVar[str] = "measure"
    requires: ClassVar[tuple[Fact, ...]] = (QUANTISED,)
    ensures: ClassVar[tuple[Fact, ...]] = (QUANTISED,)

    floating: FloatGraph | TwoPointGraph

    def __call__(self, graph: IntegerGraph) -> IntegerGraph:
        """Measure `graph`.

        Raises
        ------
        CompileError
            The integers are unstable, and the problem's own start shows it.
        """
        if graph.mesh.cells > MEASURED_CELLS:
            return graph
        start, window = graph.levels(graph.membrane.initial), graph.window
        if int(start.min()) < window.lower or int(start.max()) > window.upper:
            return graph
        longest = TWO_POINT_STEPS if isinstance(self.floating, TwoPointGraph) else CELL_STEPS
        horizon = round(self._problem.horizon / graph.time_step)
        steps = max(1, min(horizon, longest, CELL_STEPS // graph.mesh.cells))
        try:
            integer = self._integer_error(graph, steps)
        except OverflowViolation as violation:
            stability = graph.certificate and graph.certificate.stability
            if stability and stability.status == "none":
                raise CompileError(
                    self.name, f"{violation}; {stability.details}", remedy="choose a finer mesh or another model"
                ) from violation
            return graph
        quantisation = replace(
            graph.quantisation,
            steps=steps,
            relative_l2_float=_shown(self._float_error(steps)),
            relative_l2_integer=_shown(integer),
        )
        return replace(graph, quantisation=quantisation)

    def summary(self, graph: IntegerGraph) -> str:
        """One sentence on what the pass found."""
        found = graph.quantisation
        if found.relative_l2_float is None or found.relative_l2_integer is None:
            if graph.mesh.cells > MEASURED_CELLS:
                return (
                    f"not measured: more than {MEASURED_CELLS} cells; simulate says how far a run is from the reference"
                )
            return "no reference, or the problem's own start is outside the operating range"
        return (
            f"relative L2 error after {found.steps} PDE steps: float {found.relative_l2_float:.2e}, "
            f"integer {found.relative_l2_integer:.2e}"
        )

    @property
    def _problem(self) -> Problem:
        spec = self.floating.spec
        return problem(spec.problem, spec.diffusivity, spec.velocity)

    def _integer_error(self, graph: IntegerGraph, steps: int) -> float | None:
        mass = Semantics(graph).masses_after(graph.membrane.initial, steps)
        return self._error(graph.values(mass[: graph.mesh.cells]), steps * graph.time_step)

    def _float_error(self, steps: int) -> float | None:
        graph = self.floating
        with np.errstate(over="ignore", invalid="ignore"):
            fields = graph.fields(graph.time_step) if isinstance(graph, TwoPointGraph) else graph.fields()
            held = next(itertools.islice(fields, steps, None))
            error = self._error(held[: graph.mesh.cells], steps * graph.time_step)
        return error if error is None or np.isfinite(error) else None

    def _error(self, values: NDArray[np.float64], time: float) -> float | None:
        graph = self.floating
        if isinstance(graph, TwoPointGraph):
            exact: NDArray[np.float64] | None = graph.exact(time)
        else:
            exact = self._problem.reference(graph.mesh, graph.reservoirs, time)
        size = 0.0 if exact is None else float(np.linalg.norm(exact))
        return None if exact is None or size == 0 else float(np.linalg.norm(values - exact) / size)


def _shown(error: float | None) -> float | None:
    """Four digits: the last ones of sums and of transcendental functions differ from machine to machine."""
    return None if error is None else float(f"{error:.3e}")

"""Pass `measure`: what going to integers cost, against the float model and the problem's reference."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.arithmetic import MEMORYLESS
from pisnn_deploy.compiler.facts import QUANTISED, Fact
from pisnn_deploy.errors import CompileError, OverflowViolation
from pisnn_deploy.graph import FloatGraph, IntegerGraph
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.model import flux_moments
from pisnn_deploy.problems import problem

CELL_STEPS = 20_000_000
"""Most cells times PDE steps that are spent on the measurement."""


@dataclass(frozen=True)
class Measure:
    """Run the float model and the integer graph to the problem's horizon, each with its own time step.

    1. Both are compared with the reference at the physical time that each has reached.
    2. Large meshes are measured over fewer steps, at least one; the number is kept with the result.

    Parameters
    ----------
    floating : FloatGraph
        The graph before quantisation.
    """

    name: ClassVar[str] = "measure"
    requires: ClassVar[tuple[Fact, ...]] = (QUANTISED,)
    ensures: ClassVar[tuple[Fact, ...]] = (QUANTISED,)

    floating: FloatGraph

    def __call__(self, graph: IntegerGraph) -> IntegerGraph:
        """Measure `graph`.

        Raises
        ------
        CompileError
            The problem's own initial data leave the declared widths.
        """
        horizon = problem(graph.spec.problem).horizon
        steps = max(1, min(round(horizon / graph.time_step), CELL_STEPS // graph.mesh.cells))
        try:
            integer = self._integer_error(graph, steps)
        except OverflowViolation as violation:
            raise CompileError(self.name, str(violation), remedy="widen the operating range") from violation
        quantisation = replace(
            graph.quantisation,
            steps=steps,
            relative_l2_float=self._float_error(steps),
            relative_l2_integer=integer,
        )
        return replace(graph, quantisation=quantisation)

    def summary(self, graph: IntegerGraph) -> str:
        """One sentence on what the pass found."""
        found = graph.quantisation
        if found.relative_l2_float is None or found.relative_l2_integer is None:
            return "no reference"
        return (
            f"relative L2 error after {found.steps} PDE steps: float {found.relative_l2_float:.2e}, "
            f"integer {found.relative_l2_integer:.2e}"
        )

    def _integer_error(self, graph: IntegerGraph, steps: int) -> float:
        semantics = Semantics(graph)
        state = semantics.start(graph.membrane.initial)
        for step in range(steps):
            state = semantics.step(state, step)
        return self._error(graph.values(state.mass), steps * graph.time_step)

    def _float_error(self, steps: int) -> float | None:
        graph = self.floating
        number = graph.spec.diffusion_number
        if graph.is_linear:
            _, first = flux_moments(graph.layers[0].weight[0], graph.spec.half_width)
            number = first * MEMORYLESS / graph.spec.leak
        time_step = number * graph.mesh.spacing[0] ** 2 / graph.spec.diffusivity
        keep = 1 - graph.spec.leak / MEMORYLESS
        values = graph.initial.copy()
        current = np.zeros(graph.mesh.faces)
        with np.errstate(over="ignore", invalid="ignore"):
            for _ in range(steps):
                current = keep * current + graph.flux(values)
                values += graph.mesh.divergence(current)
            error = self._error(values, steps * time_step)
        return error if np.isfinite(error) else None

    def _error(self, values: NDArray[np.float64], time: float) -> float:
        graph = self.floating
        exact = problem(graph.spec.problem).reference(graph.mesh, time).reshape(-1)
        return float(np.linalg.norm(values - exact) / np.linalg.norm(exact))

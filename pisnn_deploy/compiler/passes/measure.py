"""Pass `measure`: accuracy lost by quantisation, against the float model and the problem's reference."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.compiler.analysis.departure import follow
from pisnn_deploy.compiler.analysis.growth import growth_text, without_limiter
from pisnn_deploy.compiler.facts import QUANTISED, UNRECORDED, Fact
from pisnn_deploy.core.distance import relative_l2
from pisnn_deploy.core.errors import UnstableError
from pisnn_deploy.graph import CellGraph, FloatGraph, IntegerGraph
from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.graph.residues import values_with_residues
from pisnn_deploy.physics.problems import Problem, problem_of_spec

if TYPE_CHECKING:
    from pisnn_deploy.compiler.options import CompileOptions
    from pisnn_deploy.compiler.runner import Floating

CELL_STEPS = 20_000_000
"""Most cells times PDE steps of the measurement."""
MEASURED_CELLS = 1 << 22
"""Most cells of a measured mesh; reference and matrices of larger ones would dominate memory."""
USED_RANGE = 0.5
"""Part of the operating range, and of its largest slope, that a moved start fills."""
MOVED_START = "the problem's start moved into the operating range"
GROWING = ("growth", "nonlinear")
"""Reasons for unproved stability with which leaving the operating range means instability."""
CELL_GRAPH_STEPS = 300
"""Most PDE steps where the reference is a matrix exponential, whose cost grows with them."""


@dataclass(frozen=True)
class Measure:
    """Run the float model and the integer graph to the problem's horizon, each with its own time step.

    1. Both are compared with the reference at the physical time that each has reached.
    2. Large meshes are measured over fewer steps, at least one; the number is kept with the result.
    3. A start outside the operating range is moved into it, where the operator is linear and nothing is held at a
       value: then the reference moves with it. Elsewhere no error is measured.
    4. A graph whose stability is not proved is refused if a small wave grows on a constant field within the range, or
       if the run leaves the range.

    Parameters
    ----------
    floating : FloatGraph or CellGraph
        The graph before quantisation. A graph of cells is its own reference: the exponential of its operator.
    """

    name: ClassVar[str] = "measure"
    requires: ClassVar[tuple[Fact, ...]] = (QUANTISED,)
    ensures: ClassVar[tuple[Fact, ...]] = (QUANTISED,)

    floating: FloatGraph | CellGraph = field(metadata=UNRECORDED)

    @classmethod
    def asked(cls, options: CompileOptions, floating: Floating | None) -> Measure | None:
        """Always run, with the float graph to compare with."""
        return None if floating is None else cls(floating)

    def __call__(self, graph: IntegerGraph) -> IntegerGraph:
        """Measure `graph`.

        Raises
        ------
        UnstableError
            The integers are unstable, and a run within the operating range shows it.
        """
        if graph.mesh.cells > MEASURED_CELLS:
            return graph
        horizon = horizon_steps(graph)
        grown = growth_text(graph, horizon)
        if grown:
            raise UnstableError(self.name, grown, remedy="choose a finer mesh or another model")
        start = self.start(graph)
        if start is None:
            return graph
        longest = CELL_STEPS if self._has_problem else CELL_GRAPH_STEPS
        steps = max(1, min(horizon, longest, CELL_STEPS // graph.mesh.cells))
        values = self._run(graph, start, steps)
        if values is None:
            return graph
        integer = self.error(values, steps * graph.time_step, start)
        quantisation = replace(
            graph.quantisation,
            steps=steps,
            relative_l2_float=_shown(self._float_error(steps, start)),
            relative_l2_integer=_shown(integer),
        )
        return replace(graph, quantisation=quantisation)

    def summary(self, graph: IntegerGraph) -> str:
        """One sentence that describes the result."""
        quantisation = graph.quantisation
        if quantisation.relative_l2_float is None or quantisation.relative_l2_integer is None:
            if graph.mesh.cells > MEASURED_CELLS:
                return (
                    f"not measured: more than {MEASURED_CELLS} cells; simulate says how far a run is from the reference"
                )
            return "no reference, or the problem's own start leaves the operating range"
        moved = "" if graph.starts_inside else f", from {MOVED_START}"
        return (
            f"relative L2 error after {quantisation.steps} PDE steps: float {quantisation.relative_l2_float:.2e}, "
            f"integer {quantisation.relative_l2_integer:.2e}{moved}"
        )

    @property
    def _problem(self) -> Problem:
        along = self.floating.materials.along if isinstance(self.floating, CellGraph) else ()
        return problem_of_spec(self.floating.spec, along)

    @property
    def _has_problem(self) -> bool:
        """Whether the reference is that of the problem; else it is the exponential of the operator."""
        return not (isinstance(self.floating, CellGraph) and self.floating.has_own_materials)

    def start(self, graph: IntegerGraph) -> Start | None:
        """Start of the measurement; None if the problem's own is outside the range and cannot be moved."""
        floating, window = self.floating, graph.window
        if graph.starts_inside:
            return Start(1.0, 0.0, graph.initial)
        if not isinstance(floating, FloatGraph) or not floating.is_linear or floating.mesh.reservoirs:
            return None
        initial, mesh = floating.initial, floating.mesh
        scale = graph.value_per_quantum
        spread = float(np.ptp(initial))
        factor = USED_RANGE * (window.upper - window.lower) * scale / spread if spread else 0.0
        steepest = float(np.abs(initial[mesh.target] - initial[mesh.source]).max(initial=0.0))
        if window.difference is not None and steepest:
            factor = min(factor, USED_RANGE * window.difference * scale / steepest)
        middle = (window.lower + window.upper) / 2 * scale
        offset = middle - factor * (float(initial.max()) + float(initial.min())) / 2
        return Start(factor, offset, graph.mass(factor * initial + offset))

    def _run(self, graph: IntegerGraph, start: Start, steps: int) -> NDArray[np.float64] | None:
        """Cell values at the end, with the residues that faces see.

        None if the run leaves the operating window though its stability is proved, or begins outside:
        `pisnn_deploy.compiler.warnings` names where.
        """
        certificate = without_limiter(graph).certificate
        unproved = certificate.stability if certificate is not None and certificate.stability.status == "none" else None
        run = follow(graph, start.mass, steps)
        if not run.departure:
            return values_with_residues(graph, run.mass, run.residue)
        if unproved is not None and (run.overflowed or (unproved.method in GROWING and run.starts_inside)):
            raise UnstableError(
                self.name, f"{run.departure}; {unproved.details}", remedy="choose a finer mesh or another model"
            )
        return None

    def _float_error(self, steps: int, start: Start) -> float | None:
        graph = self.floating
        with np.errstate(over="ignore", invalid="ignore"):
            final_values = start.floats(graph, steps)
            error = self.error(final_values, steps * graph.time_step, start)
        if error is not None and not np.isfinite(error):
            raise UnstableError(
                self.name,
                f"the float network {graph.spec.name} has no finite values after {steps} PDE steps",
                remedy="train it for a smaller time step",
            )
        return error

    def error(self, values: NDArray[np.float64], time: float, start: Start) -> float | None:
        """Relative L2 error of cell averages at a physical time; None where no reference is known.

        Parameters
        ----------
        values : float64 array [cells]
            Of a run from `start`.
        """
        graph = self.floating
        if isinstance(graph, CellGraph) and graph.has_own_materials:
            exact: NDArray[np.float64] | None = graph.exact(time)
        else:
            assert graph.mesh.grid is not None
            exact = self._problem.reference(graph.mesh.grid, graph.reservoirs, time)
        if exact is None:
            return None
        return relative_l2(values, start.factor * exact + start.offset)


def horizon_steps(graph: IntegerGraph) -> int:
    """PDE steps to the horizon of a graph's problem."""
    return round(problem_of_spec(graph.model_spec).horizon / graph.time_step)


@dataclass(frozen=True)
class Start:
    """The problem's own start times a factor, plus an offset; masses in quanta, int64 [cells]."""

    factor: float
    offset: float
    mass: Integers

    @property
    def is_own(self) -> bool:
        """Whether it is the problem's own start."""
        return (self.factor, self.offset) == (1.0, 0.0)

    def floats(self, graph: FloatGraph | CellGraph, steps: int) -> NDArray[np.float64]:
        """Cell averages of a float graph after a number of its PDE steps, float64 [cells]."""
        moved = replace(graph, initial=self.factor * graph.initial + self.offset)
        fields = moved.fields(moved.time_step) if isinstance(moved, CellGraph) else moved.fields()
        return next(itertools.islice(fields, steps, None))[: graph.mesh.cells]


def _shown(error: float | None) -> float | None:
    """Round to four digits, because the last ones differ between machines."""
    return None if error is None else float(f"{error:.3e}")

"""Where the accuracy of a model went: its error after each step from floats to integers, and with one bit more.

All errors are measured on the same start, at the PDE step next to the same time, against the same reference.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from pisnn_deploy.compiler.analysis.departure import follow
from pisnn_deploy.compiler.analysis.faces import conductances_of, face_digits, face_weights, full_exponent
from pisnn_deploy.compiler.options import PLAIN, CompileOptions, Digits, GraphOptions
from pisnn_deploy.compiler.passes.measure import Measure, Start
from pisnn_deploy.compiler.pipeline import CHOOSING, asked
from pisnn_deploy.compiler.runner import Floating, run_passes
from pisnn_deploy.compiler.search import SEARCHED_CELL_STEPS, finest_that_fits
from pisnn_deploy.core.errors import CompileError
from pisnn_deploy.core.rows import from_triplets
from pisnn_deploy.graph import CellGraph, FloatGraph, IntegerGraph, MultiPointGraph, TwoPointGraph
from pisnn_deploy.graph.integer import Floats

LOWERED = ("processes", "send_threshold", "kernels", "digits", "placement")
"""Options that are in the float graph or its weights already, or change no integer."""

WORDS = "states, payloads and accumulators"


@dataclass(frozen=True)
class Stage:
    """An error, after a step of the compilation or with a change.

    Attributes
    ----------
    name : str
        What has been done so far.
    error : float or None
        Relative L2 error; None where it is not known.
    note : str
        What was chosen, or why there is no error.
    """

    name: str
    error: float | None
    note: str = ""


@dataclass(frozen=True)
class Explanation:
    """Errors of all stages.

    Attributes
    ----------
    steps : int
        PDE steps of the compiled graph at which errors are measured.
    time : float
        Physical time of the last one.
    stages : tuple of Stage
        In the order of the compilation; the last one is the compiled graph.
    one_more_bit : tuple of Stage
        Errors of what is compiled with one bit more, to compare with the last stage.
    problem : str
        Why there are no errors; empty if there are.
    """

    steps: int
    time: float
    stages: tuple[Stage, ...] = ()
    one_more_bit: tuple[Stage, ...] = ()
    problem: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "steps": self.steps,
            "time": self.time,
            "stages": [vars(stage) for stage in self.stages],
            "one_more_bit": [vars(stage) for stage in self.one_more_bit],
            "problem": self.problem or None,
        }


def explain(trained: Floating, floating: Floating, options: CompileOptions, graph: IntegerGraph) -> Explanation:
    """Measure where the accuracy of a compiled model went.

    Parameters
    ----------
    trained : FloatGraph or CellGraph
        Lowered model without options that change what it computes.
    floating : FloatGraph or CellGraph
        Lowered model with the options.
    options : CompileOptions
        Those that the graph was compiled with.
    """
    if isinstance(floating, CellGraph):
        digits: Digits = "many" if len(face_digits(graph)) > 1 else "one"
        options = replace(options, graph=replace(options.graph, digits=digits))
    start = Measure(trained).start(graph)
    if not graph.quantisation.steps or start is None:
        return Explanation(0, 0.0, problem="there is no reference, or a run leaves the operating range")
    steps = max(1, min(graph.quantisation.steps, SEARCHED_CELL_STEPS // graph.mesh.cells))
    ruler = _Ruler(trained, start, steps * graph.time_step)
    stages = [ruler.floats(_in_floats(trained), trained)]
    if floating.time_step != trained.time_step or options.graph.processes != PLAIN.processes:
        stages.append(ruler.floats("fluxes of the previous PDE step", floating))
    if isinstance(floating, FloatGraph):
        rounded, gains = _of_network(ruler, floating, options, graph)
    else:
        rounded, gains = _of_cells(ruler, floating, options, graph)
    stages += [*rounded, *_options_in_turn(ruler, floating, options, graph)]
    return Explanation(steps, ruler.time, tuple(stages), tuple(gains))


def _in_floats(trained: Floating) -> str:
    if isinstance(trained, FloatGraph):
        return "trained network in float64"
    return f"{'two' if trained.is_two_point else 'multi'}-point fluxes in float64"


def _of_network(
    ruler: _Ruler, floating: FloatGraph, options: CompileOptions, graph: IntegerGraph
) -> tuple[list[Stage], list[Stage]]:
    """Stages from the rounding of the weights of a network to its state, and what one bit more would win."""
    fixed, as_they_are = floating.with_weights_of(graph), replace(options, search=False)
    nearest = _chosen(floating, as_they_are)
    exponent, bits = fixed.spec.weight_exponents[-1], options.widths.state
    stages = [
        ruler.floats("nearest integer weights in float64", floating.with_weights_of(nearest)),
        ruler.floats("chosen integer weights in float64", fixed, f"threshold 2^{exponent}"),
        ruler.integers(f"states of {bits} bits", lambda: _chosen(fixed, as_they_are)),
    ]
    exponents = tuple(each + 1 for each in fixed.spec.weight_exponents)
    finer = replace(floating, spec=floating.spec.model_copy(update={"weight_exponents": exponents}))
    near = replace(options, graph=replace(options.graph, kernels=PLAIN.kernels))
    gains = [
        ruler.integers("weights, and words to hold them", lambda: finest_that_fits(finer, near.one_bit_wider).graph),
        ruler.integers("threshold, in the same words", lambda: finest_that_fits(finer, near).graph),
        ruler.integers(WORDS, lambda: finest_that_fits(fixed, as_they_are.one_bit_wider).graph),
    ]
    return stages, gains


def _of_cells(
    ruler: _Ruler, floating: CellGraph, options: CompileOptions, graph: IntegerGraph
) -> tuple[list[Stage], list[Stage]]:
    """The same for fluxes between cells, whose weights are conductances or coefficients, and inverse volumes."""
    bits, what = options.widths.state, "conductances" if floating.is_two_point else "coefficients"
    stages = [
        ruler.floats(f"integer {what} and volumes in float64", _with_weights_of(floating, graph)),
        ruler.integers(f"states of {bits} bits", lambda: _chosen(floating, options)),
    ]
    return stages, [ruler.integers(WORDS, lambda: finest_that_fits(floating, options.one_bit_wider).graph)]


def without_quanta(floating: Floating, graph: IntegerGraph) -> Floating:
    """A float graph with the weights and volumes of the integer graph that was made of it, and its time step."""
    if isinstance(floating, FloatGraph):
        return floating.with_weights_of(graph)
    return _with_weights_of(floating, graph)


def _with_weights_of(floating: CellGraph, graph: IntegerGraph) -> CellGraph:
    """Weights and volumes of integers, without quanta; what reservoirs add to multi-point fluxes is the floats'."""
    field, mesh, weights, step = graph.sole_field, graph.mesh, face_weights(graph), graph.time_step
    per_value = field.quantum / graph.resolution / 2.0 ** full_exponent(graph) / step
    capacity = field.unit_volume / field.inverse_volume.astype(np.float64)
    if isinstance(floating, TwoPointGraph):
        conductance = per_value * conductances_of(weights)
        return replace(floating, capacity=capacity, conductance=conductance, own_time_step=step)
    assert isinstance(floating, MultiPointGraph)
    at_sides = floating.fluxes.between(mesh.cells, mesh.holders)
    coefficients = from_triplets(
        np.concatenate([weights.row_of, at_sides.row_of]),
        np.concatenate([weights.columns, mesh.cells + at_sides.columns]),
        np.concatenate([per_value * weights.values, at_sides.values]),
        (mesh.faces, mesh.holders),
    )
    return replace(floating, capacity=capacity, coefficients=coefficients, own_time_step=step)


def _options_in_turn(
    ruler: _Ruler, floating: Floating, options: CompileOptions, graph: IntegerGraph
) -> Iterator[Stage]:
    """Payloads and sums of the target, then each option of the graph that differs from its default, to the graph."""
    fixed = without_quanta(floating, graph) if isinstance(floating, FloatGraph) else floating
    names = [each.name for each in fields(GraphOptions) if each.name not in LOWERED]
    changed = [name for name in names if getattr(options.graph, name) != getattr(PLAIN, name)]
    so_far = replace(options.graph, **{name: getattr(PLAIN, name) for name in changed})
    labels = ["payloads and sums of the target", *(f"{name} {getattr(options.graph, name)}" for name in changed)]
    for number, label in enumerate(labels):
        if number:
            so_far = replace(so_far, **{changed[number - 1]: getattr(options.graph, changed[number - 1])})
        if number == len(changed):
            yield ruler.integers(label, lambda: graph)
        else:
            cumulative = replace(options, graph=so_far, search=False)
            yield ruler.integers(label, lambda wanted=cumulative: finest_that_fits(fixed, wanted).graph)


def _chosen(floating: Floating, options: CompileOptions) -> IntegerGraph:
    """Integers of a float graph, limited by the width of states alone."""
    graph: IntegerGraph = run_passes(floating, asked(CHOOSING, options, floating))[0]
    return graph


@dataclass(frozen=True)
class _Ruler:
    """Measures floats and integers on the same start, up to the same time.

    Attributes
    ----------
    reference : FloatGraph or CellGraph
        Names the problem, or is its own reference.
    """

    reference: Floating
    start: Start
    time: float

    def floats(self, name: str, graph: Floating, note: str = "") -> Stage:
        """Error of a float graph."""
        steps = self._steps(graph.time_step)
        with np.errstate(over="ignore", invalid="ignore"):
            error = self._error(self.start.floats(graph, steps), steps * graph.time_step)
        return Stage(name, error, note if error is not None else "no finite values")

    def integers(self, name: str, compiled: Any) -> Stage:
        """Error of an integer graph.

        Parameters
        ----------
        compiled : callable
            Returns it, or raises `CompileError`.
        """
        try:
            graph: IntegerGraph = compiled()
        except CompileError as error:
            return Stage(name, None, f"refused: {error}")
        start = self.start
        mass = graph.initial if start.is_own else graph.mass(start.factor * self.reference.initial + start.offset)
        steps = self._steps(graph.time_step)
        run = follow(graph, mass, steps)
        if run.departure:
            return Stage(name, None, run.departure)
        note = f"resolves values of {graph.resolution:.3g}"
        return Stage(name, self._error(graph.values(run.mass), steps * graph.time_step), note)

    def _steps(self, time_step: float) -> int:
        return max(1, round(self.time / time_step))

    def _error(self, values: Floats, time: float) -> float | None:
        error = Measure(self.reference).error(values, time, self.start)
        return error if error is not None and np.isfinite(error) else None

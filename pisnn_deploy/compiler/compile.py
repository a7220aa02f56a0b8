"""From a model to a proved, scheduled and placed graph."""

from __future__ import annotations

from dataclasses import replace

from pisnn_deploy.compiler.analysis.growth import require_stable_floats
from pisnn_deploy.compiler.options import CompileOptions
from pisnn_deploy.compiler.passes.construct import Construct
from pisnn_deploy.compiler.passes.limit_law import LimitLaw
from pisnn_deploy.compiler.passes.measure_law import MeasureLaw
from pisnn_deploy.compiler.pipeline import INTEGERS, LOWERING, PLACING, asked
from pisnn_deploy.compiler.runner import Report, run_passes, silent
from pisnn_deploy.compiler.search import best_integers
from pisnn_deploy.core.errors import DoesNotFit, UnstableError, UsageError
from pisnn_deploy.graph import FloatGraph, IntegerGraph
from pisnn_deploy.laws.flux_network import TrainedFluxes
from pisnn_deploy.laws.spec import LawSpec
from pisnn_deploy.physics.model import Model


def compile_integers(graph: IntegerGraph, options: CompileOptions, report: Report = silent) -> IntegerGraph:
    """Schedule, bound, prove and place a graph that no model was lowered to.

    Parameters
    ----------
    graph : IntegerGraph
        Without a flux network.
    report : callable
        As for `compile_model`.

    Returns
    -------
    IntegerGraph
        ``history`` records what each pass did.

    Raises
    ------
    UsageError
        Options ask for a limiter or for stock processes, which only flux networks have.
    CompileError
        The graph does not fit the target; the message names the pass.
    """
    for option, value in (("limiter", options.graph.limiter), ("processes", options.graph.processes)):
        if value not in ("none", "c-lif"):
            raise UsageError(f"`{option}` {value}: only graphs of a flux network support it")
    named = replace(graph, profile=options.profile.name)
    measuring = (MeasureLaw(),) if graph.spec.equation == "law" else ()
    passes = (*asked(INTEGERS, options), *measuring, *asked(PLACING, options))
    compiled, records = run_passes(named, passes, report)
    done: IntegerGraph = replace(compiled, history=(*graph.history, *records))
    return done


def compile_law(
    spec: LawSpec,
    shape: tuple[int, ...],
    options: CompileOptions,
    report: Report = silent,
    fluxes: TrainedFluxes | None = None,
) -> IntegerGraph:
    """Compile a law for a grid and a target.

    Where a change of a value may need one bit more than the target's payloads have, values are sent instead (``dense``
    coding).

    Parameters
    ----------
    shape : tuple of int
        Cells along each axis.
    options : CompileOptions
        Those of the graph and the profile count.
    report : callable
        As for `compile_model`.
    fluxes : TrainedFluxes, optional
        Of a law whose method is ``trained``.

    Returns
    -------
    IntegerGraph
        Bounded, proved, scheduled and placed. ``history`` records what each pass did.

    Raises
    ------
    UsageError
        The law cannot be computed in fixed point, or options ask for what laws do not support.
    CompileError
        The graph does not fit the target; the message names the pass.
    """
    multiplies = options.profile.microcode.multiply.value is not False
    limit = LimitLaw.of_law(options, spec.name, spec.law.positive)
    passes = (Construct(shape, multiplies, fluxes), *(() if limit is None else (limit,)))
    constructed, records = run_passes(spec, passes, report)
    graph = replace(constructed, history=records)
    options = replace(options, graph=replace(options.graph, limiter="none"))
    try:
        return compile_integers(graph, options, report)
    except DoesNotFit:
        if options.graph.coding == "dense":
            raise
    return compile_integers(graph, replace(options, graph=replace(options.graph, coding="dense")), report)


def compile_model(model: Model, options: CompileOptions, report: Report = silent) -> IntegerGraph:
    """Compile a trained model for a mesh and a target.

    Parameters
    ----------
    report : callable
        Called with the name of each pass that has run and its seconds.

    Returns
    -------
    IntegerGraph
        Bounded, proved, scheduled and placed. ``history`` records what each pass did.

    Raises
    ------
    CompileError
        The model cannot be compiled with these options; the message names the pass.
    """
    floating, lowered = run_passes(model, asked(LOWERING, options), report)
    try:
        trial = best_integers(floating, options, report)
    except (DoesNotFit, UnstableError):
        if isinstance(floating, FloatGraph):  # rounding is not to blame for what the floats do too
            limits = options.operating_range or floating.spec.operating_range
            require_stable_floats(floating, limits.lower, limits.upper)
        raise
    graph, placed = run_passes(trial.graph, asked(PLACING, options, floating), report)
    done: IntegerGraph = replace(graph, history=(*lowered, *trial.records, *placed))
    return done

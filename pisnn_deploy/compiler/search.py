"""Search for better integers: coarser quanta, finer thresholds, other kernels, weights of more digits."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from pisnn_deploy.compiler.analysis.free_kernels import SHORTEST_STEP, free_kernels
from pisnn_deploy.compiler.options import CompileOptions
from pisnn_deploy.compiler.passes.stock import LARGEST_THRESHOLD, LowerStock
from pisnn_deploy.compiler.pipeline import CHOOSING, INTEGERS, PLACING, asked
from pisnn_deploy.compiler.runner import Floating, Report, run_passes, silent
from pisnn_deploy.core.errors import CompileError, DoesNotFit, UsageError
from pisnn_deploy.graph import FloatGraph, IntegerGraph, PassRecord, TwoPointGraph
from pisnn_deploy.graph.kinds import known_face

NAME = "search"
NAME_OF_RESIDUES = "search-residues"
NAME_OF_KERNELS = "search-kernels"
EXPONENTS = (-3, -2, -1, 0, 1, 2)
"""Thresholds of other kernels, in bits more than the model's."""
SEARCHED_CELL_STEPS = 4_000_000
"""Most cells times PDE steps for which thresholds are tried."""
FINER_THRESHOLDS = 3
WORTH_IT = 0.5
"""A finer threshold must reduce the error to this part; smaller gains could be luck with one start."""
LARGEST_LOSS, LARGEST_ROUNDING = 1.1, 0.01
"""Error of weights of one digit against that of the floats, and rounding of a conductance, above which weights get more
digits."""
FEWEST_STATE_BITS = 12
"""Fewest state bits; with fewer, no model of the zoo resembles its equation."""


@dataclass(frozen=True)
class Trial:
    """A quantised, bounded, proved and measured graph, with the records of its passes."""

    graph: IntegerGraph
    records: tuple[PassRecord, ...]

    @property
    def error(self) -> float | None:
        """Error of the integers against the reference."""
        return self.graph.quantisation.relative_l2_integer


def finest_that_fits(floating: Floating, options: CompileOptions, report: Report = silent) -> Trial:
    """Quantise with the finest quantum that fits the target, and run all passes but the placement.

    Parameters
    ----------
    report : callable
        As for `run_passes`.

    Raises
    ------
    CompileError
        A pass refused the graph, whatever its quantum.
    """
    while True:
        graph, chosen = run_passes(floating, asked(CHOOSING, options, floating), report)
        try:
            named = replace(graph, profile=options.profile.name)
            graph, records = run_passes(named, asked(INTEGERS, options, floating), report)
        except DoesNotFit:
            # States fit their bits, but a payload or an accumulator does not: a coarser quantum makes all smaller.
            if options.state_bits <= FEWEST_STATE_BITS:
                raise
            options = replace(options, quantum_bits=options.state_bits - 1)
        else:
            return Trial(graph, (*chosen, *records))


def integers_of(floating: Floating, options: CompileOptions, report: Report = silent) -> Trial:
    """Integers for a float graph; where cells differ, with weights of as many digits as pay.

    Further digits take a population and a time step each. They are used where weights of one digit are refused, or are
    rounded by more than 1 %, or where their error is more than 1.1 times that of the floats; and only if they are
    better.

    Parameters
    ----------
    report : callable
        As for `run_passes`.

    Raises
    ------
    CompileError
        A pass refused the graph, whatever its quantum and its digits.
    """
    if not isinstance(floating, TwoPointGraph) or options.graph.digits != "auto" or not options.search:
        return finest_that_fits(floating, options, report)
    more = replace(options, graph=replace(options.graph, digits="many"))
    try:
        own = finest_that_fits(floating, options, report)
    except CompileError:
        other = _tried(floating, more, report)
        if other is None:
            raise
        return other
    certificate, exact = own.graph.certificate, own.graph.quantisation.relative_l2_float
    claim = None if certificate is None else certificate.equation
    rounding = 0.0 if claim is None else float(claim.figures.get("conductance_error", 0.0))
    loss = 1.0 if own.error is None or not exact else own.error / exact
    if loss <= LARGEST_LOSS and rounding <= LARGEST_ROUNDING:
        return own
    started = time.perf_counter()
    other = _tried(floating, more, report)
    report(NAME, time.perf_counter() - started)
    if other is None or (own.error is not None and (other.error is None or other.error > own.error)):
        return own
    text = f"relative L2 errors: weights of many digits {_error_text(other.error)}, of one {_error_text(own.error)}"
    return replace(other, records=(*other.records, PassRecord(NAME, "", text)))


def best_integers(floating: Floating, options: CompileOptions, report: Report = silent) -> Trial:
    """Quantise, search for better integers, and let faces see residues if it pays.

    Raises
    ------
    CompileError
        As for `integers_of`.
    """
    trial = better_threshold(floating, options, integers_of(floating, options, report), report)
    trial = better_kernel(floating, options, trial, report)
    if options.graph.residues != "auto":
        return trial
    seeing = replace(options, graph=replace(options.graph, residues="seen"))
    try:
        other = best_integers(floating, seeing, report)
    except (CompileError, UsageError) as error:
        return _recorded(trial, f"unseen: {error}")
    text = f"{_error_text(trial.error)} unseen, {_error_text(other.error)} seen"
    pays = other.error is not None and trial.error is not None and other.error < trial.error * WORTH_IT
    if not pays:
        return _recorded(trial, text)
    before = _size(floating, options, trial.graph)
    try:
        more = [after - own for after, own in zip(_size(floating, options, other.graph), before, strict=True)]
    except CompileError as error:
        return _recorded(trial, f"{text}, which the target cannot place: {error}")
    return _recorded(other, f"{text}, for {more[0]:+,} neurons, {more[1]:+,} connections, {more[2]:+,} axons")


def _size(floating: Floating, options: CompileOptions, graph: IntegerGraph) -> tuple[int, int, int]:
    """Neurons, connections, and axons between cores, of which there are none without a placement."""
    placement = run_passes(graph, asked(PLACING, options, floating))[0].placement
    axons = () if placement is None else placement.axons.values()
    neurons, connections = (p.size for p in graph.populations), (s.entries for s in graph.synapses)
    return sum(neurons), sum(connections), sum(int(runs[:, 1].sum()) for runs in axons)


def _recorded(trial: Trial, summary: str) -> Trial:
    return replace(trial, records=(*trial.records, PassRecord(NAME_OF_RESIDUES, "", summary)))


def better_threshold(floating: Floating, options: CompileOptions, own: Trial, report: Report = silent) -> Trial:
    """Try other thresholds and return the best trial; its records say what was tried.

    A threshold of one bit more halves what weights are rounded by. It costs a bit of the quantum where states are full,
    and further synapses where weights outgrow one. Which counts more is measured, on the problem's own start. Graphs
    of two-point fluxes choose their threshold with their conductances.

    Parameters
    ----------
    own : Trial
        Trial with the model's own threshold.
    report : callable
        Called for the search as for a pass.
    """
    if not isinstance(floating, FloatGraph) or not options.search:
        return own
    started = time.perf_counter()
    kept, summary = _best_threshold(floating, options, own)
    report(NAME, time.perf_counter() - started)
    return replace(kept, records=(*kept.records, PassRecord(NAME, "", summary)))


def _best_threshold(floating: FloatGraph, options: CompileOptions, own: Trial) -> tuple[Trial, str]:
    """The trial to keep, and what the search gained over the nearest integers."""
    steps = own.graph.quantisation.steps
    if own.error is None or steps * own.graph.mesh.cells > SEARCHED_CELL_STEPS:
        return own, "not searched: nothing to measure by, or too large a mesh to measure on"
    nearest = _tried(floating, replace(options, search=False))
    errors = [f"nearest integers {'refused' if nearest is None else _error_text(nearest.error)}"]
    kept, best = own, own.error
    errors.append(f"chosen at threshold 2^{known_face(own.graph).exponent} {_error_text(own.error)}")
    for more in range(1, FINER_THRESHOLDS + 1) if floating.is_linear else ():
        spec = floating.spec
        exponents = tuple(exponent + more for exponent in spec.weight_exponents)
        if max(exponents) > _largest_threshold(options):
            break
        finer = _tried(replace(floating, spec=spec.model_copy(update={"weight_exponents": exponents})), options)
        if finer is None or finer.error is None:
            continue
        errors.append(f"2^{exponents[-1]} {_error_text(finer.error)}")
        if finer.error < best * WORTH_IT:
            kept, best = finer, finer.error
    quantisation = replace(kept.graph.quantisation, relative_l2_rounded=nearest.error if nearest else None)
    kept = replace(kept, graph=replace(kept.graph, quantisation=quantisation))
    text = f"kept threshold 2^{known_face(kept.graph).exponent}; relative L2 errors: {', '.join(errors)}"
    return kept, text


def better_kernel(floating: Floating, options: CompileOptions, own: Trial, report: Report = silent) -> Trial:
    """Try integer kernels that need not be near the trained one, where options ask for it, and return the best trial.

    Candidates have the symmetry and the exact moments of the equation (`free_kernels`), each with the time step that
    follows from it and is not much shorter; the problem's own start decides.

    Parameters
    ----------
    own : Trial
        Trial with the best kernel near the trained one.
    report : callable
        Called for the search as for a pass.
    """
    if not isinstance(floating, FloatGraph) or options.graph.kernels not in SHORTEST_STEP:
        return own
    started = time.perf_counter()
    kept, summary = _best_kernel(floating, options, own)
    report(NAME_OF_KERNELS, time.perf_counter() - started)
    return replace(kept, records=(*kept.records, PassRecord(NAME_OF_KERNELS, "", summary)))


def _best_kernel(floating: FloatGraph, options: CompileOptions, own: Trial) -> tuple[Trial, str]:
    """The trial to keep, and what other kernels gained."""
    quantisation = own.graph.quantisation
    if not floating.is_linear or floating.is_late or own.error is None:
        return own, "not searched: only linear fluxes of C-LIF faces with a reference have other kernels"
    if floating.spec.rates:
        return own, "not searched: each axis has a kernel of its own"
    if quantisation.steps * own.graph.mesh.cells > SEARCHED_CELL_STEPS:
        return own, "not searched: too large a mesh to measure on"
    kept, tried, trained = own, 0, floating.layers[0]
    for more in EXPONENTS:
        exponent = floating.spec.weight_exponents[0] + more
        if exponent < 1:
            continue
        spec = floating.spec.model_copy(update={"weight_exponents": (exponent,)})
        shortest = SHORTEST_STEP[options.graph.kernels]
        for kernel in free_kernels(spec, trained.weight[0], exponent, floating.mesh.spacing[0], shortest):
            layers = (replace(trained, weight=kernel[None, :] / 2.0**exponent),)
            trial = _tried(replace(floating, spec=spec, layers=layers), replace(options, search=False))
            tried += 1
            if trial is not None and trial.error is not None and trial.error < (kept.error or 0.0):
                kept = trial
    text = f"{tried} kernels: {_error_text(own.error)} near the trained one"
    if kept is own:
        return own, f"{text}, none is better"
    # The float model of the comparison is the trained one, whose time step is another.
    measured = replace(kept.graph.quantisation, relative_l2_float=quantisation.relative_l2_float)
    measured = replace(measured, relative_l2_rounded=quantisation.relative_l2_rounded)
    weights = tuple(np.asarray(kept.graph.operator[0].weight[0]).tolist())
    text = f"{text}, {_error_text(kept.error)} with {weights} / 2^{known_face(kept.graph).exponent}"
    return replace(kept, graph=replace(kept.graph, quantisation=measured)), text


def _largest_threshold(options: CompileOptions) -> int:
    """Exponent of the largest threshold to try."""
    stock = LowerStock.asked(options, None)
    return LARGEST_THRESHOLD if stock is None else stock.largest_shift


def _tried(floating: Floating, options: CompileOptions, report: Report = silent) -> Trial | None:
    try:
        return finest_that_fits(floating, options, report)
    except CompileError:
        return None


def _error_text(error: float | None) -> str:
    return "unknown" if error is None else f"{error:.2e}"

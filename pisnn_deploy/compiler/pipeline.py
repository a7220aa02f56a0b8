"""The pipeline: which passes run, in which order, and why in that order."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import ClassVar, Literal, Protocol

from pisnn_deploy.compiler.analysis.growth import require_stable_floats
from pisnn_deploy.compiler.facts import Fact
from pisnn_deploy.compiler.passes.bound import Bounds
from pisnn_deploy.compiler.passes.encode import Encode
from pisnn_deploy.compiler.passes.limit import Limit, Limiter
from pisnn_deploy.compiler.passes.lower import Lower
from pisnn_deploy.compiler.passes.measure import Measure
from pisnn_deploy.compiler.passes.place import Place, PlacementMethod
from pisnn_deploy.compiler.passes.prove import Prove
from pisnn_deploy.compiler.passes.quantise import Quantise
from pisnn_deploy.compiler.passes.schedule import Schedule
from pisnn_deploy.compiler.passes.stock import LowerStock
from pisnn_deploy.compiler.passes.two_point import LowerTwoPoint, QuantiseTwoPoint
from pisnn_deploy.core.errors import CompileError, DoesNotFit, UnstableError
from pisnn_deploy.graph import FloatGraph, IntegerGraph, PassRecord, TwoPointGraph
from pisnn_deploy.graph.integer import Coding
from pisnn_deploy.graph.layout import MIXED_SIGN_EXPONENT
from pisnn_deploy.graph.wellformed import defects
from pisnn_deploy.mesh import Boundary
from pisnn_deploy.physics.model import Model, OperatingRange
from pisnn_deploy.target import Profile

_LOG = logging.getLogger(__name__)
SEARCHED_CELL_STEPS = 4_000_000
"""Most cells times PDE steps on which thresholds are tried."""
FINER_THRESHOLDS = 3
LARGEST_THRESHOLD = 14
WORTH_IT = 0.5
"""Part of the error that a finer threshold must come down to: less could be luck with one start."""
Report = Callable[[str, float], None]
"""Told the name of a pass and its seconds; kept apart from the graph, whose bytes must not depend on them."""
SpikeKind = Literal["auto", "graded", "binary"]
"""What a spike carries; ``auto`` is what the target has."""
ProcessKind = Literal["c-lif", "stock"]
"""What a graph is made of: this project's processes, or Lava's own."""
FEWEST_STATE_BITS = 12
"""With fewer bits for its states no model of the zoo resembles its equation."""


class IntegerPass(Protocol):
    """A pass from integer graph to integer graph: a frozen dataclass whose fields are its options."""

    name: ClassVar[str]
    requires: ClassVar[tuple[Fact, ...]]
    ensures: ClassVar[tuple[Fact, ...]]

    def __call__(self, graph: IntegerGraph) -> IntegerGraph:
        """Return a new graph."""
        ...

    def summary(self, graph: IntegerGraph) -> str:
        """Say in a sentence what was made."""
        ...


@dataclass(frozen=True)
class CompileOptions:
    """What a model is compiled for.

    Attributes
    ----------
    shape : tuple of int
        Cells along each axis.
    boundary : Boundary
        Conditions of each axis, with the values of reservoirs.
    profile : Profile
        The target.
    coding : str
        ``delta`` or ``dense``.
    operating_range : OperatingRange or None
        Replaces the model's own.
    search : bool
        Whether to search for better integers than the nearest.
    placement : str
        How cells are cut onto cores: ``auto``, ``blocks``, ``metis`` or ``index``.
    spikes : str
        ``graded`` or ``binary``; ``auto`` is what the profile has.
    processes : str
        ``c-lif``, or ``stock`` for Lava's own processes; the latter send states, whatever `coding` says.
    send_threshold : int
        A stock face keeps less than so many quanta in its residue, at least 1.
    limiter : str
        ``none``, or ``positivity``: no cell gives more than it has.
    """

    measured_against: ClassVar[str | None] = None

    shape: tuple[int, ...]
    boundary: Boundary
    profile: Profile
    coding: Coding = "delta"
    operating_range: OperatingRange | None = None
    search: bool = True
    placement: PlacementMethod = "auto"
    spikes: SpikeKind = "auto"
    processes: ProcessKind = "c-lif"
    send_threshold: int = 1
    limiter: Limiter = "none"


@dataclass(frozen=True)
class TwoPointOptions:
    """What a linear model is compiled for on cells that differ.

    Attributes
    ----------
    lower : LowerTwoPoint
        The mesh with its boundary and materials.
    profile : Profile
        The target.
    coding : str
        ``delta`` or ``dense``.
    operating_range : OperatingRange or None
        Replaces the model's own.
    placement : str
        How cells are cut onto cores: ``auto``, ``blocks``, ``metis`` or ``index``.
    spikes : str
        ``graded`` or ``binary``; ``auto`` is what the profile has.
    limiter : str
        ``none``, or ``positivity``: no cell gives more than it has.
    """

    measured_against: ClassVar[str | None] = "the same two-point fluxes exact in time"
    """What the pass `measure` compares with, where it is not the problem's reference."""

    lower: LowerTwoPoint
    profile: Profile
    coding: Coding = "delta"
    operating_range: OperatingRange | None = None
    placement: PlacementMethod = "auto"
    spikes: SpikeKind = "auto"
    limiter: Limiter = "none"


def pipeline(
    options: CompileOptions | TwoPointOptions, floating: FloatGraph | TwoPointGraph
) -> tuple[IntegerPass, ...]:
    """Passes on the integer graph, in order.

    Parameters
    ----------
    options : CompileOptions or TwoPointOptions
    floating : FloatGraph or TwoPointGraph
        What was quantised.

    Returns
    -------
    tuple of passes
    """
    limits = _limits(options.profile)
    stock = isinstance(floating, FloatGraph) and floating.stock is not None
    encode = (Encode(options.profile.weights.mantissa_limit_mixed.value),) if _is_binary(options) else ()
    limit = (Limit(),) if options.limiter == "positivity" else ()
    return (
        *limit,  # before the widths, which it changes; after the weights, which it does not look at
        # Before the widths: payloads, and so their widths, depend on the coding.
        Schedule("dense" if stock else options.coding),
        Bounds(limits.state_bits, limits.payload_bits, limits.accumulator_bits),  # before the proof, which cites it
        *encode,  # after the widths, which are the numbers of lines
        Prove(),  # after the last pass that touches a weight
        Measure(floating),  # on the bounded graph, so that a width that does not hold shows here
        # Last: it changes no integer of the run.
        *((Place(options.profile, options.placement),) if options.placement != "none" else ()),
    )


def compile_model(
    model: Model, options: CompileOptions | TwoPointOptions, report: Report | None = None
) -> IntegerGraph:
    """Compile a trained model for a mesh and a target.

    Parameters
    ----------
    model : Model
    options : CompileOptions or TwoPointOptions
    report : callable, optional
        Told the name of each pass that has run and the seconds that it took.

    Returns
    -------
    IntegerGraph
        Bounded, proved, scheduled and placed. ``history`` tells what each pass did.

    Raises
    ------
    CompileError
        The model cannot be compiled as asked; the message names the pass.
    """
    told = report or _silent
    started = time.perf_counter()
    floating, lowered = _lowered(model, options)
    for record in lowered:
        told(record.text.partition("{")[0], time.perf_counter() - started)
    try:
        trial = _quantised_to_the_end(floating, options, told)
    except (DoesNotFit, UnstableError):
        if isinstance(floating, FloatGraph):  # no rounding is to blame for what the floats do too
            limits = options.operating_range or floating.spec.operating_range
            require_stable_floats(floating, limits.lower, limits.upper)
        raise
    if isinstance(floating, FloatGraph) and isinstance(options, CompileOptions) and options.search:
        started = time.perf_counter()
        trial, summary = _best_threshold(floating, options, trial)
        told("search", time.perf_counter() - started)
        searched: tuple[PassRecord, ...] = (PassRecord("search", summary),)
    else:
        searched = ()
    graph, records = run_passes(trial.graph, [p for p in pipeline(options, floating) if isinstance(p, Place)], told)
    return replace(graph, history=(*lowered, *trial.records, *searched, *records))


@dataclass(frozen=True)
class _Trial:
    """A graph that was quantised, bounded, proved and measured."""

    graph: IntegerGraph
    records: tuple[PassRecord, ...]

    @property
    def error(self) -> float | None:
        """Of the integers against the reference."""
        return self.graph.quantisation.relative_l2_integer


def _quantised_to_the_end(
    floating: FloatGraph | TwoPointGraph, options: CompileOptions | TwoPointOptions, told: Report
) -> _Trial:
    """Quantise and run all passes but the placement, with the finest quantum that fits."""
    state_bits = _limits(options.profile).state_bits
    while True:
        started = time.perf_counter()
        graph, record = _quantised(floating, options, state_bits)
        told(record.text.partition("{")[0], time.perf_counter() - started)
        try:
            named = replace(graph, profile=options.profile.name)
            before = [p for p in pipeline(options, floating) if not isinstance(p, Place)]
            graph, records = run_passes(named, before, told)
        except CompileError as error:
            # States fit their bits, but a payload or an accumulator does not: a coarser quantum makes all smaller.
            if error.pass_name not in (Bounds.name, Encode.name) or state_bits <= FEWEST_STATE_BITS:
                raise
            state_bits -= 1
        else:
            return _Trial(graph, (record, *records))


def _best_threshold(floating: FloatGraph, options: CompileOptions, own: _Trial) -> tuple[_Trial, str]:
    """Whether a finer threshold is worth its bits, and what the search gained over the nearest integers.

    A threshold of one bit more halves what weights are rounded by. It costs a bit of the quantum where states are full,
    and further synapses where weights outgrow one. Which counts more is measured, on the problem's own start.
    """
    steps = own.graph.quantisation.steps
    if own.error is None or steps * own.graph.mesh.cells > SEARCHED_CELL_STEPS:
        return own, "not searched: nothing to measure by, or too large a mesh to measure on"
    nearest = _tried(floating, replace(options, search=False))
    found = [f"nearest integers {'refused' if nearest is None else _error_text(nearest.error)}"]
    kept, best = own, own.error
    found.append(f"chosen at threshold 2^{own.graph.flux.threshold_exponent} {_error_text(own.error)}")
    for more in range(1, FINER_THRESHOLDS + 1) if floating.is_linear else ():
        spec = floating.spec
        exponents = tuple(exponent + more for exponent in spec.weight_exponents)
        if max(exponents) > (LARGEST_THRESHOLD if floating.stock is None else _lower_stock(options).largest_shift):
            break
        finer = _tried(replace(floating, spec=spec.model_copy(update={"weight_exponents": exponents})), options)
        if finer is None or finer.error is None:
            continue
        found.append(f"2^{exponents[-1]} {_error_text(finer.error)}")
        if finer.error < best * WORTH_IT:
            kept, best = finer, finer.error
    quantisation = replace(kept.graph.quantisation, relative_l2_rounded=nearest.error if nearest else None)
    kept = replace(kept, graph=replace(kept.graph, quantisation=quantisation))
    text = f"kept threshold 2^{kept.graph.flux.threshold_exponent}; relative L2 errors: {', '.join(found)}"
    return kept, text


def _tried(floating: FloatGraph, options: CompileOptions) -> _Trial | None:
    try:
        return _quantised_to_the_end(floating, options, _silent)
    except CompileError:
        return None


def _error_text(error: float | None) -> str:
    return "unknown" if error is None else f"{error:.2e}"


def _lowered(
    model: Model, options: CompileOptions | TwoPointOptions
) -> tuple[FloatGraph | TwoPointGraph, tuple[PassRecord, ...]]:
    if isinstance(options, TwoPointOptions):
        condensed = options.lower(model)
        _verify(options.lower.ensures, condensed, options.lower.name, "ensures")
        return condensed, (PassRecord(options.lower.name, options.lower.summary(condensed)),)
    lower = Lower(options.shape, options.boundary)
    floating = lower(model)
    _verify(lower.ensures, floating, lower.name, "ensures")
    records: tuple[PassRecord, ...] = (PassRecord(_text(lower), lower.summary(floating)),)
    if options.processes == "stock":
        stock = _lower_stock(options)
        floating = stock(floating)
        _verify(stock.ensures, floating, stock.name, "ensures")
        records = (*records, PassRecord(_text(stock), stock.summary(floating)))
    return floating, records


def _is_binary(options: CompileOptions | TwoPointOptions) -> bool:
    graded = options.profile.payload.graded.value
    return options.spikes == "binary" or (options.spikes == "auto" and not graded)


def _lower_stock(options: CompileOptions) -> LowerStock:
    if _is_binary(options):
        raise CompileError(
            LowerStock.name,
            f"cells send their whole states, and spikes for {options.profile.name} are binary",
            remedy="compile it with --processes c-lif, or for graded spikes",
        )
    lowest = options.profile.weights.exponent_lowest.value
    return LowerStock(_LOWEST_EXPONENT if lowest is None else lowest, options.send_threshold)


_LOWEST_EXPONENT = MIXED_SIGN_EXPONENT - LARGEST_THRESHOLD
"""Of a target that is not known to have any: as far as thresholds are searched."""


def _quantised(
    floating: FloatGraph | TwoPointGraph, options: CompileOptions | TwoPointOptions, state_bits: int
) -> tuple[IntegerGraph, PassRecord]:
    if isinstance(floating, TwoPointGraph):
        two_point = QuantiseTwoPoint(state_bits, options.operating_range)
        graph = two_point(floating)
        _verify(two_point.ensures, graph, two_point.name, "ensures")
        return graph, PassRecord(_text(two_point), two_point.summary(graph))
    search = isinstance(options, CompileOptions) and options.search
    quantise = Quantise(state_bits, options.operating_range, search)
    graph = quantise(floating)
    _verify(quantise.ensures, graph, quantise.name, "ensures")
    return graph, PassRecord(_text(quantise), quantise.summary(graph))


def _silent(name: str, seconds: float) -> None:
    """Report of a pass that nobody asked for."""


def run_passes(
    graph: IntegerGraph, passes: Sequence[IntegerPass], report: Report = _silent
) -> tuple[IntegerGraph, list[PassRecord]]:
    """Run passes, verifying the graph and what each pass requires and ensures.

    Parameters
    ----------
    graph : IntegerGraph
    passes : sequence of passes
    report : callable
        Told the name of each pass that has run and the seconds that it took.

    Returns
    -------
    graph : IntegerGraph
    records : list of PassRecord
        One per pass.

    Raises
    ------
    CompileError
        A pass refused the graph, or broke it.
    """
    records = []
    for one in passes:
        started = time.perf_counter()
        _verify(one.requires, graph, one.name, "requires")
        graph = one(graph)
        found = defects(graph)
        if found:
            raise CompileError(one.name, f"left a graph that is not well formed: {found[0]}")
        _verify(one.ensures, graph, one.name, "ensures")
        records.append(PassRecord(_text(one), one.summary(graph)))
        _LOG.debug("%s: %s", records[-1].text, records[-1].summary)
        report(one.name, time.perf_counter() - started)
    return graph, records


@dataclass(frozen=True)
class _Limits:
    state_bits: int
    payload_bits: int
    accumulator_bits: int


def _limits(profile: Profile) -> _Limits:
    """Widths to compile for. Lava's simulator sums in int32, whatever the target. Payloads of a target without graded
    spikes are limited by what its weights can follow (pass `encode`).
    """
    return _Limits(
        state_bits=profile.state.bits.value,
        payload_bits=profile.payload.bits.value or _GRADED_PAYLOAD_BITS,
        accumulator_bits=min(profile.accumulator.bits.value or _SIMULATOR_BITS, _SIMULATOR_BITS),
    )


_GRADED_PAYLOAD_BITS = 24
_SIMULATOR_BITS = 32


def _verify(facts: tuple[Fact, ...], graph: object, name: str, verb: str) -> None:
    for fact in facts:
        if not fact.holds(graph):
            raise CompileError(name, f"{verb} a graph that is {fact.name}, and it is not")


def _text(one: Lower | LowerStock | Quantise | QuantiseTwoPoint | IntegerPass) -> str:
    """A pass as text, such as ``bound{state-bits=24 payload-bits=24}``; graphs among its options are left out."""
    options = " ".join(
        f"{field.name.replace('_', '-')}={_plain(getattr(one, field.name))}"
        for field in fields(one)  # type: ignore[arg-type]
        if not isinstance(getattr(one, field.name), FloatGraph | TwoPointGraph)
    )
    return f"{one.name}{{{options}}}" if options else str(one.name)


def _plain(value: object) -> str:
    if isinstance(value, OperatingRange):
        return f"{value.lower}..{value.upper}/{value.slope}/{value.flux}"
    if isinstance(value, Profile):
        return value.name
    if isinstance(value, Boundary):
        return value.text.replace(" ", "-")
    if isinstance(value, tuple):
        return "x".join(str(item) for item in value)
    return str(value)

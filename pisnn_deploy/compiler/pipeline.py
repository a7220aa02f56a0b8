"""The pipeline: which passes run, in which order, and why in that order."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import ClassVar, Protocol

from pisnn_deploy.compiler.bound import Bounds
from pisnn_deploy.compiler.facts import Fact
from pisnn_deploy.compiler.lower import Lower
from pisnn_deploy.compiler.measure import Measure
from pisnn_deploy.compiler.place import Place, PlacementMethod
from pisnn_deploy.compiler.prove import Prove
from pisnn_deploy.compiler.quantise import Quantise
from pisnn_deploy.compiler.schedule import Schedule
from pisnn_deploy.compiler.two_point import LowerTwoPoint, QuantiseTwoPoint
from pisnn_deploy.errors import CompileError
from pisnn_deploy.graph import FloatGraph, IntegerGraph, PassRecord, TwoPointGraph
from pisnn_deploy.graph.integer import Coding
from pisnn_deploy.graph.wellformed import defects
from pisnn_deploy.mesh import Boundary
from pisnn_deploy.model import Model, OperatingRange
from pisnn_deploy.profiles import Profile

Report = Callable[[str, float], None]
"""Told the name of a pass and its seconds; kept apart from the graph, whose bytes must not depend on them."""
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
    """

    shape: tuple[int, ...]
    boundary: Boundary
    profile: Profile
    coding: Coding = "delta"
    operating_range: OperatingRange | None = None
    search: bool = True
    placement: PlacementMethod = "auto"


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
    """

    lower: LowerTwoPoint
    profile: Profile
    coding: Coding = "delta"
    operating_range: OperatingRange | None = None
    placement: PlacementMethod = "auto"


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
    return (
        Schedule(options.coding),  # first: payloads, and so their widths, depend on the coding
        Bounds(limits.state_bits, limits.payload_bits, limits.accumulator_bits),  # before the proof, which cites it
        Prove(),  # after the last pass that touches a weight
        Measure(floating),  # on the bounded graph, so that a width that does not hold shows here
        # Last: it changes no integer of the run.
        Place(options.profile, options.placement),
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
    floating, first = _lowered(model, options)
    told(first.text.partition("{")[0], time.perf_counter() - started)
    state_bits = _limits(options.profile).state_bits
    while True:
        started = time.perf_counter()
        graph, second = _quantised(floating, options, state_bits)
        told(second.text.partition("{")[0], time.perf_counter() - started)
        try:
            named = replace(graph, profile=options.profile.name)
            graph, records = run_passes(named, pipeline(options, floating), told)
        except CompileError as error:
            # States fit their bits, but a payload or an accumulator does not: a coarser quantum makes all smaller.
            if error.pass_name != Bounds.name or state_bits <= FEWEST_STATE_BITS:
                raise
            state_bits -= 1
        else:
            return replace(graph, history=(first, second, *records))


def _lowered(model: Model, options: CompileOptions | TwoPointOptions) -> tuple[FloatGraph | TwoPointGraph, PassRecord]:
    if isinstance(options, TwoPointOptions):
        condensed = options.lower(model)
        _verify(options.lower.ensures, condensed, options.lower.name, "ensures")
        return condensed, PassRecord(options.lower.name, options.lower.summary(condensed))
    lower = Lower(options.shape, options.boundary)
    floating = lower(model)
    _verify(lower.ensures, floating, lower.name, "ensures")
    return floating, PassRecord(_text(lower), lower.summary(floating))


def _quantised(
    floating: FloatGraph | TwoPointGraph, options: CompileOptions | TwoPointOptions, state_bits: int
) -> tuple[IntegerGraph, PassRecord]:
    if isinstance(floating, TwoPointGraph):
        two_point = QuantiseTwoPoint(state_bits, options.operating_range)
        graph = two_point(floating)
        _verify(two_point.ensures, graph, two_point.name, "ensures")
        return graph, PassRecord(_text(two_point), two_point.summary(graph))
    quantise = Quantise(state_bits, options.operating_range, not isinstance(options, CompileOptions) or options.search)
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
        report(one.name, time.perf_counter() - started)
    return graph, records


@dataclass(frozen=True)
class _Limits:
    state_bits: int
    payload_bits: int
    accumulator_bits: int


def _limits(profile: Profile) -> _Limits:
    """Widths to compile for. Lava's simulator sums in int32, whatever the target; and a target without graded spikes
    is compiled for as if it had them, so that the resource check can say what is missing.
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


def _text(one: Lower | Quantise | QuantiseTwoPoint | IntegerPass) -> str:
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

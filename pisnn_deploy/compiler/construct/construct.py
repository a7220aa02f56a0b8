"""From the recipe of a law to an integer graph that is not bounded yet."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.compiler.construct.assembly import Assembly, Signal
from pisnn_deploy.compiler.construct.channels import TooFine, Way, add_channels
from pisnn_deploy.compiler.construct.circuit import WORD, TooWide
from pisnn_deploy.compiler.construct.diffusion import diffusion
from pisnn_deploy.compiler.construct.fluxes import Crossing, crossings, flux_way
from pisnn_deploy.compiler.construct.grid import Grid
from pisnn_deploy.compiler.construct.linear import linear_fluxes
from pisnn_deploy.compiler.construct.muscl import face_fluxes, reconstruction
from pisnn_deploy.compiler.construct.plan import Clock, Plan, Term
from pisnn_deploy.compiler.construct.pruning import needed_by
from pisnn_deploy.compiler.construct.reactions import rates_of_cells
from pisnn_deploy.compiler.construct.schemes import is_resolved, scheme_of
from pisnn_deploy.compiler.construct.taylor import taylor_fluxes
from pisnn_deploy.compiler.construct.time_step import clock
from pisnn_deploy.compiler.construct.trained import trained_clock, trained_fluxes
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph import IntegerGraph, OperatingWindow, Quantisation, kinds
from pisnn_deploy.graph.fields import Field, Ledger, equal_volumes
from pisnn_deploy.laws.flux_network import TrainedFluxes
from pisnn_deploy.laws.law import Law
from pisnn_deploy.laws.pace import pace
from pisnn_deploy.laws.spec import LawSpec
from pisnn_deploy.laws.speeds import Speeds, characteristic_speeds
from pisnn_deploy.laws.start import initial
from pisnn_deploy.mesh import structured_mesh
from pisnn_deploy.mesh.boundary import SIDE_NAMES, Sides
from pisnn_deploy.programs.interval import Interval

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
HEADROOM = 5
"""Bits of a word that the magnitude of a mass leaves in the first attempt."""
MOST_ATTEMPTS = 24


def construct(
    spec: LawSpec,
    shape: tuple[int, ...],
    *,
    multiplies: bool = True,
    word: int = WORD,
    trained: TrainedFluxes | None = None,
) -> IntegerGraph:
    """Build the integer graph of a law.

    Holders are named like their fields. Channels are ``<field>-flux`` (all axes), and one population for each source
    and exchange; what drives them is computed by populations without states. Quanta are as fine as masses, currents and
    everything that programs compute fit a word.

    Parameters
    ----------
    spec : LawSpec
        Recipe of the law.
    shape : tuple of int
        Cells along each axis.
    multiplies : bool
        Whether the target's neurons multiply two values; without that, functions of one value are plain tables.
    word : int
        Signed width of every value; entries of tables have at most 24 bits whatever it is.
    trained : TrainedFluxes, optional
        Fluxes of a law whose method is ``trained``.

    Returns
    -------
    IntegerGraph
        Neither scheduled nor bounded; it starts from the recipe's initial values.

    Raises
    ------
    UsageError
        A term that no fixed-point program computes within its words; names the term and the place. Or the law is to be
        trained and there are no fluxes, or they are for another mesh.
    """
    first = _first_plan(spec, shape, multiplies, word, trained)
    if (
        spec.scheme == "auto"
        and first.scheme == "muscl"
        and multiplies
        and is_resolved(spec, first.law, first.grid.shape)
    ):
        with contextlib.suppress(UsageError):  # derivatives of a flux may need more than the flux itself
            return _as_fine_as_fits(spec, replace(first, scheme="taylor"))
    return _as_fine_as_fits(spec, first)


def _first_plan(
    spec: LawSpec, shape: tuple[int, ...], multiplies: bool, word: int, trained: TrainedFluxes | None
) -> Plan:
    """The plan of the first attempt, with the finest quanta."""
    law = spec.parsed().numeric()
    periodic = tuple(
        spec.conditions[pair[0]][law.fields[0]].kind == "periodic" for pair in SIDE_NAMES[: law.dimensions]
    )
    if len(shape) != law.dimensions:
        raise UsageError(f"the mesh has {len(shape)} axes, the law {law.dimensions}")
    grid = Grid(tuple(shape), spec.lengths, spec.domain.lower, periodic)
    speeds = characteristic_speeds(spec.states())
    time = _clock(spec, law, grid, speeds, trained)
    return Plan(
        law,
        grid,
        spec.range,
        spec.conditions,
        _first_bits(spec, law, word, trained),
        {},
        time,
        Assembly(),
        speeds.fastest,
        scheme_of(spec, law, trained),
        multiplies,
        word,
        trained=trained,
    )


def _as_fine_as_fits(spec: LawSpec, first: Plan) -> IntegerGraph:
    """Build a graph with the finest quanta with which everything fits its words."""
    law, bits = first.law, dict(first.bits)
    for attempt in range(MOST_ATTEMPTS):
        plan = replace(first, bits=bits, assembly=Assembly(), levels={}, changes={}, over_time=[])
        _require_quanta(spec, plan)
        try:
            return _built(spec, plan)
        except TooFine as error:
            joined, excess = _joined(law, error.field), error.bits
            problem: UsageError = error
        except TooWide as error:
            joined, excess, problem = set(law.fields), error.bits, error
        if joined & spec.quantum_bits.keys() or attempt == MOST_ATTEMPTS - 1:
            raise problem
        bits = {name: value - excess if name in joined else value for name, value in bits.items()}
        _require_enough({name: bits[name] for name in law.fields if name in joined}, spec, first.trained, problem)
    raise AssertionError


def _require_enough(bits: Mapping[str, int], spec: LawSpec, trained: TrainedFluxes | None, problem: UsageError) -> None:
    """Refuse quanta so coarse that the range of a field has too few."""
    fewest = FEWEST_OF_COARSE if trained is None else FEWEST_OF_TRAINED
    for name, fraction in bits.items():
        low, high = spec.range[name]
        if (high - low) * 2.0**fraction < fewest:
            raise UsageError(
                f"{problem}; a quantum of {name} that is coarse enough, 2^{-fraction}, leaves fewer than {fewest} in "
                "its range; write the law in deviations, or in units that make its values alike"
            )


def _clock(spec: LawSpec, law: Law, grid: Grid, speeds: Speeds, trained: TrainedFluxes | None) -> Clock:
    if trained is not None:
        return trained_clock(law, trained, grid.spacing)
    return clock(pace(speeds, grid.spacing, spec.side_coefficients), grid, law, spec.courant, spec.time)


FEWEST_OF_COARSE = 1 << 12
"""Quanta in the range of a field below which no attempt makes them coarser."""
FEWEST_OF_TRAINED = 1 << 9
"""The same for trained fluxes, whose hidden neurons add up many cells; `compile` warns of fewer than 4096."""


FEWEST_QUANTA = 128
"""In the range of a field."""


def _require_quanta(spec: LawSpec, plan: Plan) -> None:
    """Refuse quanta that are too coarse for the range of a field."""
    for name, (low, high) in plan.ranges.items():
        count = (high - low) * 2.0 ** plan.bits[name]
        if name in plan.bits and count < FEWEST_QUANTA:
            others = sorted(_joined(plan.law, name) - {name})
            reason = f"it exchanges quanta with {', '.join(others)}" if others else f"its words have {plan.word} bits"
            reason = "quantum_bits says so" if name in spec.quantum_bits else reason
            raise UsageError(
                f"range.{name}: {low:.9g} to {high:.9g} is only {count:.3g} quanta, because {reason}; write the law in "
                "deviations, or in units that make its values alike"
            )


WITH_DIFFUSION = {"linear": linear_fluxes, "taylor": taylor_fluxes}
"""Schemes whose fluxes contain the diffusion."""


def _first_bits(spec: LawSpec, law: Law, word: int, trained: TrainedFluxes | None) -> dict[str, int]:
    """Fraction bits of each field by its range, or by the scales of trained fluxes, so that their weights stay.

    Fields that exchange something share a quantum.
    """
    bits = {
        name: word - HEADROOM - int(np.ceil(np.log2(max(abs(end) for end in spec.range[name])))) for name in law.fields
    }
    if trained is not None:
        scales = dict(zip(law.fields, trained.scale_exponents, strict=True))
        common = min(bits[name] + scales[name] for name in law.fields)
        bits = {name: common - scales[name] for name in law.fields}
    bits |= spec.quantum_bits
    for exchange in law.exchange:
        joined = _joined(law, exchange.source_field)
        chosen = {name: spec.quantum_bits[name] for name in joined if name in spec.quantum_bits}
        if len(set(chosen.values())) > 1:
            raise UsageError(f"quantum_bits: {', '.join(sorted(chosen))} exchange quanta, so they need the same value")
        common = next(iter(chosen.values()), min(bits[name] for name in joined))
        bits |= dict.fromkeys(joined, common)
    return bits


def _joined(law: Law, field: str) -> set[str]:
    """Fields that exchange quanta with a field, directly or not, and the field itself."""
    joined = {field}
    for _ in law.exchange:
        for exchange in law.exchange:
            ends = {exchange.source_field, exchange.target_field}
            joined |= ends if joined & ends else set()
    return joined


def _built(spec: LawSpec, plan: Plan) -> IntegerGraph:
    law, grid = plan.law, plan.grid
    sides_of = {name: crossings(plan, name) for name in law.fields}
    holders, ledgers, signals = {}, {}, dict[str, Signal]()
    for name in law.fields:
        sides = [(grid.side_name(c.axis, c.upper), c.cells.size) for c in sides_of[name]]
        own = [(source.name, grid.cells) for source in law.sources if source.field == name]
        ledgers[name] = tuple(Ledger(label, size) for label, size in (*sides, *own))
        holders[name] = grid.cells + sum(ledger.reservoirs for ledger in ledgers[name])
    for name in law.fields:
        low, high = _window(plan, name)
        signals[name] = Signal(name, holders[name], plan.bits[name], Interval(low, high))
    plan = replace(plan, signals=signals)
    ways = _ways(plan, sides_of, holders)
    channels = add_channels(plan, ways, holders)
    fields = [_field(spec, plan, name, ledgers[name]) for name in law.fields]
    start = initial(spec, grid.shape)
    holding = [kinds.holders(f, _masses(start[f.name], plan.bits[f.name])) for f in fields]
    ends = {*law.fields, *(entry.population for entry in channels)}
    computing, connections = needed_by(ends, plan.assembly)
    populations = holding + computing
    boundary: tuple[Sides, ...] = tuple(
        ("periodic", "periodic") if closed else ("no-flux", "no-flux") for closed in grid.periodic
    )
    graph = IntegerGraph(
        spec=spec,
        mesh=structured_mesh(grid.shape, grid.lengths, boundary),
        time_step=plan.clock.time_step,
        populations=tuple(populations),
        synapses=tuple(connections),
        fields=tuple(fields),
        channels=channels,
        quantisation=Quantisation(0, None, None),
    )
    graph = _without_idle(graph)
    return replace(graph, populations=tuple(map(graph.population, graph.depths)))


def _without_idle(graph: IntegerGraph) -> IntegerGraph:
    """Remove the populations that send to no other, such as slopes along an axis whose fluxes do not read the field."""
    senders = {synapse.source for synapse in graph.synapses}
    idle = {population.name for population in graph.between_fields} - senders
    if not idle:
        return graph
    populations = tuple(population for population in graph.populations if population.name not in idle)
    synapses = tuple(synapse for synapse in graph.synapses if synapse.target not in idle)
    return _without_idle(replace(graph, populations=populations, synapses=synapses))


def _masses(averages: Floats, bits: int) -> Integers:
    return np.asarray(np.rint(averages.reshape(-1) * 2.0**bits), np.int64)


ROUNDING_QUANTA = 32
"""Quanta by which a window exceeds the range on both sides: each channel of a cell may be half a quantum behind, so an
empty cell may lack a few quanta for a while."""


def _window(plan: Plan, name: str) -> tuple[int, int]:
    """Operating window of a field in quanta."""
    unit = 2.0 ** plan.bits[name]
    low, high = plan.ranges[name]
    return int(np.floor(low * unit)) - ROUNDING_QUANTA, int(np.ceil(high * unit)) + ROUNDING_QUANTA


def _field(spec: LawSpec, plan: Plan, name: str, ledgers: tuple[Ledger, ...]) -> Field:
    low, high = _window(plan, name)
    volume = float(np.prod(plan.grid.spacing))
    reservoirs = sum(ledger.reservoirs for ledger in ledgers)
    return Field(
        name,
        name,
        2.0 ** -plan.bits[name] * volume,
        OperatingWindow(low, high, None),
        equal_volumes(plan.grid.cells),
        volume,
        np.zeros(reservoirs, np.int64),
        np.zeros(reservoirs),
        ledgers,
        spec.parsed().units.get(name, ""),
    )


def _ways(plan: Plan, sides_of: Mapping[str, list[Crossing]], holders: Mapping[str, int]) -> list[Way]:
    law = plan.law
    fluxes: dict[tuple[str, int], Term | float] = {}
    has_diffusion = plan.trained is not None or plan.scheme in WITH_DIFFUSION
    if plan.trained is not None:
        fluxes = trained_fluxes(plan, sides_of)
    elif has_diffusion:
        fluxes = WITH_DIFFUSION[plan.scheme](plan)
    elif any(law.flux):
        fluxes = face_fluxes(plan, reconstruction(plan))
    ways = []
    for name in law.fields:
        spread = [] if has_diffusion else diffusion(plan, name)
        if spread or any((name, axis) in fluxes for axis in range(law.dimensions)) or sides_of[name]:
            ways.append(flux_way(plan, name, fluxes, spread, sides_of[name]))
    expressions = {f"law.sources.{s.field}.{s.name}": s.rate for s in law.sources}
    expressions |= {f"law.exchange.{e.name}": e.rate for e in law.exchange}
    rates_by_place = rates_of_cells(plan, expressions) if expressions else {}
    each = np.arange(plan.grid.cells, dtype=np.int64)
    taken = {*law.fields, *(way.name for way in ways)}
    behind = {name: holders[name] - plan.grid.cells * sum(s.field == name for s in law.sources) for name in law.fields}
    for source in law.sources:
        rate = rates_by_place[f"law.sources.{source.field}.{source.name}"]
        reservoirs = behind[source.field] + each
        behind[source.field] += plan.grid.cells
        ways.append(_way(_free_name(source.name, taken), source.field, source.field, reservoirs, each, rate))
    for exchange in law.exchange:
        rate = rates_by_place[f"law.exchange.{exchange.name}"]
        name = _free_name(exchange.name, taken)
        ways.append(_way(name, exchange.source_field, exchange.target_field, each, each, rate))
    return ways


def _free_name(name: str, taken: set[str]) -> str:
    """Name of a population that no other has."""
    while name in taken:
        name += "-rate"
    taken.add(name)
    return name


def _way(name: str, source: str, target: str, leaves: Integers, enters: Integers, rate: Term | float) -> Way:
    if isinstance(rate, Term):
        return Way(name, source, target, leaves, enters, [rate], np.zeros(leaves.size))
    return Way(name, source, target, leaves, enters, [], np.full(leaves.size, rate))

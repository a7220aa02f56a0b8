"""Compare the bits that a run used with those that are declared, proved, and available on the target."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.checks.numbers import ACCUMULATOR, PAYLOADS, STATES
from pisnn_deploy.core.arithmetic import signed_width
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.columns import columns_of
from pisnn_deploy.graph.traits import BINARY
from pisnn_deploy.programs import Program
from pisnn_deploy.programs import run as run_program
from pisnn_deploy.programs.arrays import Arrays
from pisnn_deploy.runs.run import Run, Trace
from pisnn_deploy.target import load_profile
from pisnn_deploy.target import names as profile_names

Integers = NDArray[np.int64]
Interval = tuple[int, int]

MOST_NUMBERS = 1 << 24
"""Maximum number of examined integers; some steps of larger traces are skipped."""


@dataclass(frozen=True)
class WidthUse:
    """A declared width, and how much of it was needed.

    Attributes
    ----------
    population, quantity : str
        Names as in the graph's bounds.
    declared : int
        Declared signed bits.
    proved : (int, int)
        Interval of the certificate's bounds.
    reached : (int, int) or None
        Smallest and largest integer in the run; None if the trace does not show it.
    limit : int or None
        Signed bits of the target; None if unlimited.
    """

    population: str
    quantity: str
    declared: int
    proved: Interval
    reached: Interval | None
    limit: int | None

    @property
    def proved_bits(self) -> int:
        """Signed bits of the proved interval."""
        return signed_width(*self.proved)

    @property
    def reached_bits(self) -> int | None:
        """Signed bits of the reached interval."""
        return None if self.reached is None else signed_width(*self.reached)


@dataclass(frozen=True)
class Widths:
    """All widths of a graph in a run.

    Attributes
    ----------
    uses : tuple of WidthUse
        Widths in the order of the graph's bounds.
    looked_at, kept : int
        Number of examined rows, and of all rows of the trace.
    """

    uses: tuple[WidthUse, ...]
    looked_at: int
    kept: int


def width_uses(graph: IntegerGraph, run: Run) -> Widths:
    """Compare the range reached in a run with declared and proved widths and with the target's.

    Masses and ledgers are in the trace. Values that programs compute from masses alone are recomputed unless the graph
    has more than `MOST_NUMBERS` synapses. Packets and payloads are differences between consecutive PDE steps. Currents
    and residues are known if the trace has them (`RunOptions.everything`), else only at the end of the run. Products
    and accumulators are never in a trace.

    Parameters
    ----------
    graph : IntegerGraph
        Graph with bounds.
    """
    rows = _rows(graph, run.trace.step.size)
    reached = _reached(graph, run, rows) if rows.size else {}
    limits = _limits(graph)
    uses = tuple(
        WidthUse(
            bound.population,
            bound.quantity,
            bound.bits,
            (bound.lower, bound.upper),
            reached.get((bound.population, bound.quantity)),
            limits.get(_kind(bound.quantity)),
        )
        for bound in graph.bounds
    )
    return Widths(uses, int(rows.size), int(run.trace.step.size))


def _rows(graph: IntegerGraph, count: int) -> Integers:
    """Select rows of the trace, in pairs of neighbours if not all."""
    most = max(2, MOST_NUMBERS // (graph.neurons + columns_of(graph).size))
    if count <= most:
        return np.arange(count)
    first = np.linspace(0, count - 2, most // 2).astype(np.int64)
    return np.asarray(np.unique(np.concatenate([first, first + 1])), np.int64)


def _reached(graph: IntegerGraph, run: Run, rows: Integers) -> Mapping[tuple[str, str], Interval]:
    trace = run.trace
    reached: dict[tuple[str, str], Integers] = {}
    follows = np.flatnonzero(np.diff(trace.step[rows]) == 1) + 1
    for field in trace.columns.fields:
        mass, ledger = trace.mass[rows][:, field.cells], trace.ledger[rows][:, field.reservoirs]
        reached[field.holder, "mass"], reached[field.holder, "ledger"] = mass, ledger
        reached[field.holder, "payload"] = _payload(graph, mass.T, follows)
    if sum(synapse.entries for synapse in graph.synapses) <= MOST_NUMBERS:
        reached |= _answers(graph, trace, rows, follows)
    for channels in trace.columns.channels:
        name, part = channels.population, channels.part
        if trace.flux is not None:
            # The first row is the initial state, before anything has fired.
            packets, currents, residues = np.moveaxis(trace.flux[rows][:, :, part], 1, 0)
            reached[name, "packet"], reached[name, "residue"] = packets, residues
            reached[name, "potential"] = residues[follows - 1] + currents[follows]
            reached.setdefault((name, "current"), currents)
            continue
        transported = trace.transported[:, part]
        reached[name, "packet"] = transported[rows[follows]] - transported[rows[follows - 1]]
        if run.end is not None:
            reached[name, "residue"] = run.end.residue[part]
            if len(graph.population(name).program.states) > 1:
                reached[name, "current"] = run.end.current[part]
    return {key: (int(values.min()), int(values.max())) for key, values in reached.items() if values.size}


def _answers(graph: IntegerGraph, trace: Trace, rows: Integers, follows: Integers) -> dict[tuple[str, str], Integers]:
    """Values and payloads that programs compute from the masses alone."""
    answers: dict[tuple[str, str], Integers] = {}
    sends: dict[str, tuple[Integers, ...]] = {}
    for field in trace.columns.fields:
        holdings = trace.mass[rows][:, field.cells], trace.ledger[rows][:, field.reservoirs]
        sends[field.holder] = (np.concatenate(holdings, axis=1).T,)
    for population in map(graph.population, graph.depths):
        if population.name in sends:
            continue
        into = [s for s in graph.synapses if s.target == population.name]
        unknown = {synapse.port for synapse in into if synapse.source not in sends}
        program = _without_states(population.program, unknown)
        inputs = {name: values[:, None] for name, values in population.parameters.items()}
        for port in program.ports:
            inputs[port] = np.zeros((population.size, rows.size), np.int64)
            for synapse in into:
                if synapse.port == port:
                    inputs[port] = inputs[port] + synapse.matrix() @ sends[synapse.source][synapse.output]
        values = run_program(program, Arrays(), inputs).values
        for name in values.keys() - population.parameters.keys():
            answers[population.name, population.quantity(name)] = values[name]
        if program.sends:
            sends[population.name] = tuple(values[name] for name in program.sends)
            payloads = [_payload(graph, sent, follows) for sent in sends[population.name]]
            answers[population.name, "payload"] = np.concatenate(payloads)
    return answers


def _without_states(program: Program, unknown: Collection[str]) -> Program:
    """Part of a program that depends only on parameters and ports that are known; it sends nothing that does not."""
    ports = tuple(port for port in program.ports if port not in unknown)
    known, operations = {*ports, *program.parameters}, []
    for operation in program.operations:
        if known.issuperset(value for value in operation.values if isinstance(value, str)):
            operations.append(operation)
            known.update(operation.results)
    sends = program.sends if known.issuperset(program.sends) else ()
    return replace(program, ports=ports, states=(), operations=tuple(operations), after=(), sends=sends)


def _payload(graph: IntegerGraph, sent: Integers, follows: Integers) -> Integers:
    """Payload of a population [neurons, rows]: the change in each PDE step, or with dense coding the value."""
    return sent if graph.coding == "dense" else np.asarray(sent[:, follows] - sent[:, follows - 1], np.int64)


def _kind(quantity: str) -> str:
    for kind, quantities in (("state", STATES), ("payload", PAYLOADS), ("accumulator", {ACCUMULATOR})):
        if quantity in quantities:
            return kind
    return ""


def _limits(graph: IntegerGraph) -> dict[str, int]:
    """Signed bits of the target by kind; empty for a profile that is not in the library."""
    if graph.profile not in profile_names():
        return {}
    profile = load_profile(graph.profile)
    figures = {
        "state": profile.state.bits.value,
        # Binary spikes have no payload: each bit has its own line.
        "payload": None if BINARY.is_of(graph) else profile.payload.bits.value,
        "accumulator": profile.accumulator.bits.value,
    }
    return {kind: bits for kind, bits in figures.items() if bits}

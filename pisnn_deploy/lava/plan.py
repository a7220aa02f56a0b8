"""What a population does in a run on Lava, read from the graph once: its schedule, ports, widths and what it keeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from pisnn_deploy.core.arithmetic import require_width
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.payload import PayloadGuard, payload_guard
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.lava.start import Start, arriving
from pisnn_deploy.programs.language import WORD_BITS

PORTS, OUTPUTS = 8, 4
"""Ports and outputs that a process has; those that a program does not name stay unconnected."""


@dataclass(frozen=True)
class PortPlan:
    """How a port takes what arrives.

    Attributes
    ----------
    accumulates : bool
        Whether changes arrive, which add up over all PDE steps.
    takes_packets : bool
        Whether what arrives was sent by channels: it counts in one PDE step, and is then gone.
    early : frozenset of int
        Phases before the population's own in which something arrives.
    """

    accumulates: bool
    takes_packets: bool
    early: frozenset[int]


@dataclass(frozen=True)
class Width:
    """Declared width of a value, or of some neurons' value.

    Attributes
    ----------
    quantity : str
        As bounds name it.
    bits : int
    neurons : slice
    """

    quantity: str
    bits: int
    neurons: slice


@dataclass(frozen=True)
class Plan:
    """A population in a run.

    Attributes
    ----------
    population : Population
    phase, period : int
        Time step of a PDE step in which it answers, and time steps of a PDE step.
    ports : tuple of PortPlan
        One a port of the program.
    kept : tuple of str
        Values that are remembered from one PDE step to the next, those for the audit first.
    audited : int
        How many of these the audit hears.
    holders : slice or None
        Where it stands among the holders of all fields; None if it holds no mass.
    channels : slice or None
        Where it stands among all channels; None if it sends no packets.
    sends_changes : bool
        Whether it sends how its values change.
    senders : int
        Neurons that send; reservoirs, which follow, never do.
    widths : mapping of str to tuple of Width
        Of named values.
    guards : tuple of PayloadGuard
        One an output of the program.
    slot : int
        Where it counts its events.
    """

    population: Population
    phase: int
    period: int
    ports: tuple[PortPlan, ...]
    kept: tuple[str, ...]
    audited: int
    holders: slice | None
    channels: slice | None
    sends_changes: bool
    senders: int
    widths: Mapping[str, tuple[Width, ...]]
    guards: tuple[PayloadGuard, ...]
    slot: int

    @property
    def moves_mass(self) -> bool:
        """Whether it sends packets."""
        return self.channels is not None

    def require(self, value: str, values: Integers, step: int) -> None:
        """Refuse values of the program beyond their widths.

        Raises
        ------
        OverflowViolation
        """
        for width in self.widths.get(value, ()):
            require_width(values[width.neurons], width.bits, self.population.name, width.quantity, step)

    def arrived(self, graph: IntegerGraph, start: Start) -> Integers:
        """What each port holds at the start, int64 [ports, neurons], at least one row."""
        program = self.population.program
        rows = [arriving(graph, start.sent, self.population.name, port) for port in program.ports]
        return np.stack(rows or [np.zeros(self.population.size, np.int64)])

    def remembered(self, start: Start) -> Integers:
        """What it remembers at the start, int64 [kept, neurons], at least one row."""
        program = self.population.program
        values = dict(zip(program.after, self.population.started().values(), strict=True))
        if self.sends_changes:
            values |= dict(zip(program.sends, start.sent[self.population.name], strict=True))
        if self.holders is not None:
            values[self.kept[0]] = start.mass[self.holders]
        if self.channels is not None:
            values |= dict(zip(self.kept, start.flux[:, self.channels], strict=False))
        rows = [values[value] for value in self.kept]
        return np.stack(rows or [np.zeros(self.population.size, np.int64)])


def plan_of(graph: IntegerGraph, name: str) -> Plan:
    """The plan of a population.

    Parameters
    ----------
    graph : IntegerGraph
        Compiled to the end.
    name : str
        Of the population.

    Raises
    ------
    UsageError
        The program has more ports or outputs than a process.
    """
    population, period = graph.population(name), int(graph.period or 0)
    program, phase = population.program, graph.depths[name] % period
    for what, count, most in (("ports", len(program.ports), PORTS), ("outputs", len(program.sends), OUTPUTS)):
        if count > most:
            raise UsageError(f"population {name}: {count} {what}; a Lava process has {most}")
    holders = _part(name, [(field.holder, field.size) for field in graph.fields])
    channels = _part(name, [(channels.population, channels.size) for channels in graph.channels])
    sends_changes = graph.coding == "delta" and channels is None
    audited = _audited(graph, name)
    kept = dict.fromkeys((*audited, *program.after, *(program.sends if sends_changes else ())))
    return Plan(
        population,
        phase,
        period,
        tuple(_port_plan(graph, name, port, phase) for port in program.ports),
        tuple(kept),
        len(audited),
        holders,
        channels,
        sends_changes,
        population.size if holders is None else graph.field_of(name).cells,
        dict(_widths(graph, population)),
        tuple(payload_guard(graph, name) for _ in program.sends),
        graph.chain.index(name),
    )


def _audited(graph: IntegerGraph, name: str) -> tuple[str, ...]:
    """Values that the audit hears: the mass of holders; packet, current and residue of channels."""
    program = graph.population(name).program
    for channels in graph.channels:
        if channels.population == name:
            return program.sends[channels.output], "current", "residue"
    return program.after if name in graph.holders else ()


def _part(name: str, sizes: list[tuple[str, int]]) -> slice | None:
    """Where a population stands among others whose neurons are numbered one after the other."""
    first = 0
    for population, size in sizes:
        if population == name:
            return slice(first, first + size)
        first += size
    return None


def _port_plan(graph: IntegerGraph, name: str, port: str, phase: int) -> PortPlan:
    period = int(graph.period or 0)
    sources = {synapse.source for synapse in graph.into(name, port)}
    of_channels = sources.intersection(channels.population for channels in graph.channels)
    early = frozenset((graph.depths[source] + 1) % period for source in sources) - {phase}
    return PortPlan(graph.coding == "delta" and not of_channels, bool(of_channels), early)


def _widths(graph: IntegerGraph, population: Population) -> Iterator[tuple[str, tuple[Width, ...]]]:
    declared = {bound.quantity: bound.bits for bound in graph.bounds if bound.population == population.name}
    field = next((field for field in graph.fields if field.holder == population.name), None)
    copies = {
        operation.results[0]: operation.operands[0]
        for operation in population.program.operations
        if operation.name == "add" and operation.operands[1] == 0
    }
    for value in population.program.names:
        quantity = population.quantity(value)
        original = population.quantity(str(copies.get(value, value)))
        if quantity not in declared or (value in copies and declared.get(original, WORD_BITS) <= declared[quantity]):
            continue  # what fits its original's width fits a wider one
        if field is None:
            yield value, (Width(quantity, declared[quantity], slice(None)),)
        elif value in population.program.after:
            widths = [Width(quantity, declared[quantity], slice(field.cells))]
            if field.size > field.cells:
                widths.append(Width("ledger", declared["ledger"], slice(field.cells, None)))
            yield value, tuple(widths)

"""What a population does in a run on Lava, read from the graph once: its schedule, ports, widths and what it keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import numpy as np

from pisnn_deploy.audit.firing import audited_values
from pisnn_deploy.core.arithmetic import require_width
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.payload import PayloadGuard, payload_guard
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.lava.start import Start, arriving
from pisnn_deploy.programs import Program
from pisnn_deploy.programs.language import WORD_BITS

PORTS, OUTPUTS = 8, 4
"""Ports and outputs that a process has; those that a program does not name stay unconnected."""
Role = Literal["state", "sent", "told", "heard"]


class Word(NamedTuple):
    """What a neuron remembers from one time step to the next.

    Attributes
    ----------
    role : str
        ``state``: a state of the program; ``sent``: what was sent in this time step, nothing in most; ``told``: the
        last value of which the change was sent; ``heard``: for the audit alone.
    name : str
        Of the state, or of the value.
    value : str
        Value of the program that it becomes.
    """

    role: Role
    name: str
    value: str


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


class Watch(NamedTuple):
    """What a value of some neurons must lie within.

    Attributes
    ----------
    value : str
        Of the program.
    neurons : slice
    lowest, highest : int
        Between them, both included, there is nothing to say.
    check : callable
        Takes these neurons' values, int64, and the PDE step, and raises what there is to say of others.
    """

    value: str
    neurons: slice
    lowest: int
    highest: int
    check: Callable[[Integers, int], None]

    def look(self, values: Integers, step: int) -> None:
        """Have said what there is to say of these neurons' values.

        Raises
        ------
        OverflowViolation
        """
        # The reductions themselves, because the methods of an array cost as much again on small populations.
        if values.size and (np.maximum.reduce(values) > self.highest or np.minimum.reduce(values) < self.lowest):
            self.check(values, step)


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
    kept : tuple of Word
        What is remembered, what the audit hears first.
    audited : tuple of Word
        Those of them that the audit hears: the mass of holders; packet, current and residue of each of its channels.
    holders : slice or None
        Where it stands among the holders of all fields; None if it holds no mass.
    channels : tuple of slice
        Where it stands among all channels, once for each output that sends packets.
    packets : tuple of bool
        Whether an output sends packets.
    changes : tuple of bool
        Whether an output sends how its values change.
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
    kept: tuple[Word, ...]
    audited: tuple[Word, ...]
    holders: slice | None
    channels: tuple[slice, ...]
    packets: tuple[bool, ...]
    changes: tuple[bool, ...]
    senders: int
    widths: Mapping[str, tuple[Width, ...]]
    guards: tuple[PayloadGuard, ...]
    slot: int

    @property
    def moves_mass(self) -> bool:
        """Whether it sends packets."""
        return bool(self.channels)

    @property
    def watches(self) -> Iterator[Watch]:
        """What is asked of each named value, in the order of the program; of packets all that is asked of payloads."""
        sends = zip(self.population.program.sends, self.guards, self.packets, strict=True)
        packets = {value: guard for value, guard, is_packet in sends if is_packet}
        for value in self.population.program.names:
            if value in packets:
                yield _watch_of_payloads(value, packets[value])
                continue
            for width in self.widths.get(value, ()):
                beyond = 1 << (width.bits - 1)
                yield Watch(value, width.neurons, -beyond, beyond - 1, partial(self._require, width))

    @property
    def payload_watches(self) -> tuple[Watch | None, ...]:
        """What is asked of each output's payloads; None of packets, which are looked at as values."""
        sends = zip(self.population.program.sends, self.guards, self.packets, strict=True)
        return tuple(None if is_packet else _watch_of_payloads(value, guard) for value, guard, is_packet in sends)

    def told(self, number: int) -> tuple[Word, ...]:
        """What the audit hears of some of its channels: packet, current and residue."""
        return self.audited[3 * number : 3 * (number + 1)]

    def require(self, value: str, values: Integers, step: int) -> None:
        """Refuse values of the program beyond their widths.

        Raises
        ------
        OverflowViolation
        """
        for width in self.widths.get(value, ()):
            self._require(width, values[width.neurons], step)

    def _require(self, width: Width, values: Integers, step: int) -> None:
        require_width(values, width.bits, self.population.name, width.quantity, step)

    def arrived(self, graph: IntegerGraph, start: Start) -> Integers:
        """What each port holds at the start, int64 [ports, neurons], at least one row."""
        program = self.population.program
        rows = [arriving(graph, start.sent, self.population.name, port) for port in program.ports]
        return np.stack(rows or [np.zeros(self.population.size, np.int64)])

    def remembered(self, start: Start) -> Integers:
        """What it remembers at the start, int64 [kept, neurons], at least one row."""
        program, name, size = self.population.program, self.population.name, self.population.size
        values = {word: np.zeros(size, np.int64) for word in self.kept}
        for word in self.kept:
            if word.role == "state":
                values[word] = start.states[name][word.name]
            elif word.role == "told":
                values[word] = start.sent[name][program.sends.index(word.value)]
        if self.holders is not None:
            values[self.kept[0]] = start.mass[self.holders]
        for number, columns in enumerate(self.channels):
            values |= dict(zip(self.told(number), start.flux[:, columns], strict=True))
        rows = [values[word] for word in self.kept]
        return np.stack(rows or [np.zeros(size, np.int64)])


def step_and_phase(time_step: int, period: int, first_step: int = 0) -> tuple[int, int]:
    """PDE step and phase of a time step.

    Parameters
    ----------
    time_step : int
        As Lava counts them in a run, from 1 on.
    period : int
        Time steps of a PDE step.
    first_step : int
        PDE steps that were done before the run.
    """
    step, phase = divmod(time_step - 1, period)
    return step + first_step, phase


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
        The program has more ports or outputs than a process, or a port hears what cannot be added.
    """
    population, period = graph.population(name), int(graph.period or 0)
    program, phase = population.program, graph.depths[name] % period
    for what, count, most in (("ports", len(program.ports), PORTS), ("outputs", len(program.sends), OUTPUTS)):
        if count > most:
            raise UsageError(f"population {name}: {count} {what}; a Lava process has {most}")
    (holders,) = _parts(name, [(field.holder, field.size) for field in graph.fields]) or (None,)
    channels = _parts(name, [(channels.population, channels.size) for channels in graph.channels])
    outputs = {channels.output for channels in graph.channels if channels.population == name}
    packets = tuple(output in outputs for output in range(len(program.sends)))
    changes = tuple(graph.coding == "delta" and not sends for sends in packets)
    audited = _audited(graph, name)
    changing = [value for value, sends in zip(program.sends, changes, strict=True) if sends and holders is None]
    kept = dict.fromkeys((*audited, *_states(program), *(Word("told", value, value) for value in changing)))
    return Plan(
        population,
        phase,
        period,
        tuple(_port_plan(graph, name, port, phase) for port in program.ports),
        tuple(kept),
        audited,
        holders,
        channels,
        packets,
        changes,
        population.size if holders is None else graph.field_of(name).cells,
        dict(_widths(graph, population)),
        tuple(payload_guard(graph, name) for _ in program.sends),
        graph.chain.index(name),
    )


def _watch_of_payloads(value: str, guard: PayloadGuard) -> Watch:
    beyond = 1 << (guard.bits - 1)
    lowest, highest = -min(beyond, guard.largest), min(beyond - 1, guard.largest)
    return Watch(value, slice(None), lowest, highest, guard.require)


def _states(program: Program) -> tuple[Word, ...]:
    return tuple(Word("state", state, value) for state, value in zip(program.states, program.after, strict=True))


def _audited(graph: IntegerGraph, name: str) -> tuple[Word, ...]:
    """What the audit hears: the mass of holders; packet, current and residue of channels.

    Of a channel whose program has no current and residue the audit asks for the packet alone.
    """
    program = graph.population(name).program
    if name in graph.holders:
        return _states(program)
    becoming = {word.value: word for word in reversed(_states(program)) if word.value not in program.states}
    audited: list[Word] = []
    for channels in graph.channels:
        if channels.population == name:
            sent, values = program.sends[channels.output], audited_values(program, channels.output)
            packet = Word("sent", sent, sent)
            heard = [becoming.get(value, Word("heard", value, value)) for value in values or ()]
            audited += [packet, *(heard or [packet, packet])]
    return tuple(audited)


def _parts(name: str, sizes: list[tuple[str, int]]) -> tuple[slice, ...]:
    """Where a population stands among others whose neurons are numbered one after the other."""
    first, parts = 0, []
    for population, size in sizes:
        if population == name:
            parts.append(slice(first, first + size))
        first += size
    return tuple(parts)


def _port_plan(graph: IntegerGraph, name: str, port: str, phase: int) -> PortPlan:
    period, senders = int(graph.period or 0), {(s.source, s.output) for s in graph.into(name, port)}
    packets = senders.intersection((channels.population, channels.output) for channels in graph.channels)
    if packets and packets != senders and graph.coding == "delta":
        raise UsageError(
            f"population {name}: port {port} hears packets and changes of values, which do not add up; "
            "use --coding dense"
        )
    early = frozenset((graph.depths[source] + 1) % period for source, _ in senders) - {phase}
    return PortPlan(graph.coding == "delta" and not packets, bool(packets), early)


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

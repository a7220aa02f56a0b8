"""Plan of a population in a run on Lava: schedule, ports, widths and memory."""

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
from pisnn_deploy.graph.populations import Asking, Population
from pisnn_deploy.lava.start import Start, arriving
from pisnn_deploy.programs import Program
from pisnn_deploy.programs.language import WORD_BITS

PORTS, OUTPUTS = 8, 4
"""Number of ports and outputs of a process; unused ones stay unconnected."""
Role = Literal["state", "sent", "last_sent", "observed"]


class Word(NamedTuple):
    """A word that a neuron keeps between time steps.

    Attributes
    ----------
    role : str
        ``state``: a state of the program; ``sent``: a packet sent in this time step, else 0; ``last_sent``: the last
        value, for sending changes; ``observed``: only for the audit.
    name : str
        Name of the state or value.
    value : str
        Value of the program that is stored in it.
    """

    role: Role
    name: str
    value: str


@dataclass(frozen=True)
class PortPlan:
    """How a port handles its input.

    Attributes
    ----------
    accumulates : bool
        Whether its inputs are changes, which add up over all PDE steps.
    takes_packets : bool
        Whether its inputs are packets, which count in a single PDE step.
    early : frozenset of int
        Phases in which inputs arrive before the population runs.
    """

    accumulates: bool
    takes_packets: bool
    early: frozenset[int]


@dataclass(frozen=True)
class Width:
    """Declared width of a value for some neurons.

    Attributes
    ----------
    quantity : str
        Name as in the bounds of the graph.
    """

    quantity: str
    bits: int
    neurons: slice


class Watch(NamedTuple):
    """Range check of a value of some neurons.

    Attributes
    ----------
    value : str
        Name of the value in the program.
    lowest, highest : int
        Allowed range, inclusive.
    check : callable
        Called with the values (int64) and the PDE step if any is outside; raises the error.
    """

    value: str
    neurons: slice
    lowest: int
    highest: int
    check: Callable[[Integers, int], None]

    def look(self, values: Integers, step: int) -> None:
        """Check the values of these neurons."""
        # Direct reductions: the methods of an array take twice the time on small populations.
        if values.size and (np.maximum.reduce(values) > self.highest or np.minimum.reduce(values) < self.lowest):
            self.check(values, step)


@dataclass(frozen=True)
class Plan:
    """Plan of a population in a run.

    Attributes
    ----------
    phase, period : int
        Time step within the PDE step in which it runs, and number of time steps per PDE step.
    ports : tuple of PortPlan
        Plan of each port of the program.
    kept : tuple of Word
        Words in memory, those for the audit first.
    audited : tuple of Word
        Words for the audit: the mass of holders; packet, current and residue of each of its channels.
    holders : slice or None
        Its slice of the holders of all fields; None if it holds no mass.
    channels : tuple of slice
        Its slices of all channels, one for each output that sends packets.
    packets : tuple of bool
        Whether each output sends packets.
    changes : tuple of bool
        Whether each output sends changes of its values.
    senders : int
        Number of neurons that send; the reservoirs after them never do.
    widths : mapping of str to tuple of Width
        Declared widths of named values.
    guards : tuple of PayloadGuard
        Payload check of each output.
    slot : int
        Index of its event counter.
    asking : Asking or None
        What it sends before it runs, if other populations answer that first.
    asks_at : int
        Phase in which it does.
    is_answer : bool
        Whether it answers channels.
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
    asking: Asking | None = None
    asks_at: int = -1
    is_answer: bool = False

    @property
    def fires(self) -> bool:
        """Whether it sends only within a PDE step, as channels and the cells that answer them do."""
        return self.moves_mass or self.is_answer

    def sends_at_last(self, output: int) -> bool:
        """Whether an output is sent when the whole program runs."""
        return self.asking is None or output not in self.asking.outputs

    @property
    def moves_mass(self) -> bool:
        """Whether it sends packets."""
        return bool(self.channels)

    @property
    def watches(self) -> Iterator[Watch]:
        """Range checks of each named value, in program order; for packets those of payloads."""
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
        """Range check of each output's payloads; None for packets, which `watches` covers."""
        sends = zip(self.population.program.sends, self.guards, self.packets, strict=True)
        return tuple(None if is_packet else _watch_of_payloads(value, guard) for value, guard, is_packet in sends)

    def audited_of_channel(self, number: int) -> tuple[Word, ...]:
        """Packet, current and residue of one of its channels."""
        return self.audited[3 * number : 3 * (number + 1)]

    def require(self, value: str, values: Integers, step: int) -> None:
        """Refuse values of the program that exceed their widths."""
        for width in self.widths.get(value, ()):
            self._require(width, values[width.neurons], step)

    def _require(self, width: Width, values: Integers, step: int) -> None:
        require_width(values, width.bits, self.population.name, width.quantity, step)

    def arrived(self, graph: IntegerGraph, start: Start) -> Integers:
        """Initial content of each port, int64 [ports, neurons], at least one row."""
        program = self.population.program
        rows = [arriving(graph, start.sent, self.population.name, port) for port in program.ports]
        return np.stack(rows or [np.zeros(self.population.size, np.int64)])

    def remembered(self, start: Start) -> Integers:
        """Initial content of the memory, int64 [kept, neurons], at least one row."""
        program, name, size = self.population.program, self.population.name, self.population.size
        values = {word: np.zeros(size, np.int64) for word in self.kept}
        for word in self.kept:
            if word.role == "state":
                values[word] = start.states[name][word.name]
            elif word.role == "last_sent":
                values[word] = start.sent[name][program.sends.index(word.value)]
        if self.holders is not None:
            values[self.kept[0]] = start.mass[self.holders]
        for number, columns in enumerate(self.channels):
            values |= dict(zip(self.audited_of_channel(number), start.flux[:, columns], strict=True))
        rows = [values[word] for word in self.kept]
        return np.stack(rows or [np.zeros(size, np.int64)])


def require_process(graph: IntegerGraph, name: str) -> None:
    """Refuse a population that a Lava process cannot run.

    Parameters
    ----------
    graph : IntegerGraph
        A fully compiled graph.
    name : str
        Name of the population.

    Raises
    ------
    UsageError
        If the program has more ports or outputs than a process, or a port receives both packets and changes.
    """
    program = graph.population(name).program
    for what, count, most in (("ports", len(program.ports), PORTS), ("outputs", len(program.sends), OUTPUTS)):
        if count > most:
            raise UsageError(
                f"population {name}: has {count} {what}; a Lava process has at most {most}, use `backend` fast"
            )
    for port in program.ports:
        senders = _senders(graph, name, port)
        packets = senders.intersection(_values(graph))
        if packets and packets != senders and graph.coding == "delta":
            raise UsageError(
                f"population {name}: port {port} receives both packets and changes of values, which cannot be added; "
                "compile with `coding` dense, or use `backend` fast"
            )


def _senders(graph: IntegerGraph, name: str, port: str) -> set[tuple[str, int]]:
    """Populations and their outputs that send to a port."""
    return {(synapse.source, synapse.output) for synapse in graph.into(name, port)}


def _packets(graph: IntegerGraph) -> set[tuple[str, int]]:
    """Populations and their outputs that send packets."""
    return {(channels.population, channels.output) for channels in graph.channels}


def _values(graph: IntegerGraph) -> set[tuple[str, int]]:
    """Populations and their outputs that send packets, or requests and answers of a limiter."""
    senders = (*graph.order.answers, *graph.order.asking)
    outputs = {(name, output) for name in senders for output in range(len(graph.population(name).program.sends))}
    return _packets(graph) | outputs


def plan_of(graph: IntegerGraph, name: str) -> Plan:
    """Return the plan of a population.

    Parameters
    ----------
    graph : IntegerGraph
        A fully compiled graph.
    name : str
        Name of the population.

    Raises
    ------
    UsageError
        If the program has more ports or outputs than a process, or a port receives both packets and changes.
    """
    require_process(graph, name)
    population, period = graph.population(name), int(graph.period or 0)
    program, phase = population.program, graph.depths[name] % period
    (holders,) = _parts(name, [(field.holder, field.size) for field in graph.fields]) or (None,)
    channels = _parts(name, [(channels.population, channels.size) for channels in graph.channels])
    packets = tuple((name, output) in _packets(graph) for output in range(len(program.sends)))
    residues = [(name, output) in graph.heard_again for output in range(len(packets))]
    values = [(name, output) in _values(graph) for output in range(len(packets))]
    changes = tuple((graph.coding == "delta" or r) and not sends for sends, r in zip(values, residues, strict=True))
    audited = _audited(graph, name)
    changing = [value for value, sends in zip(program.sends, changes, strict=True) if sends and holders is None]
    kept = dict.fromkeys((*audited, *_states(program), *(Word("last_sent", value, value) for value in changing)))
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
        tuple(payload_guard(graph, name, output) for output in range(len(program.sends))),
        graph.chain.index(name),
        graph.order.asking.get(name),
        graph.order.asks_at.get(name, -1),
        name in graph.order.answers,
    )


def _watch_of_payloads(value: str, guard: PayloadGuard) -> Watch:
    beyond = 1 << (guard.bits - 1)
    lowest, highest = -min(beyond, guard.largest), min(beyond - 1, guard.largest)
    return Watch(value, slice(None), lowest, highest, guard.require)


def _states(program: Program) -> tuple[Word, ...]:
    return tuple(Word("state", state, value) for state, value in zip(program.states, program.after, strict=True))


def _audited(graph: IntegerGraph, name: str) -> tuple[Word, ...]:
    """Words for the audit: the mass of holders; packet, current and residue of channels.

    If a channel's program has no current and residue, the packet takes their place.
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
            words = [becoming.get(value, Word("observed", value, value)) for value in values or ()]
            audited += [packet, *(words or [packet, packet])]
    return tuple(audited)


def _parts(name: str, sizes: list[tuple[str, int]]) -> tuple[slice, ...]:
    """Slices of a population among others whose neurons are numbered consecutively."""
    first, parts = 0, []
    for population, size in sizes:
        if population == name:
            parts.append(slice(first, first + size))
        first += size
    return tuple(parts)


def _port_plan(graph: IntegerGraph, name: str, port: str, phase: int) -> PortPlan:
    period, senders = int(graph.period or 0), _senders(graph, name, port)
    packets = senders.intersection(_values(graph))
    early = frozenset((_sent_at(graph, *sender) + 1) % period for sender in senders) - {phase}
    accumulates = graph.coding == "delta" or senders <= graph.heard_again.keys()
    return PortPlan(accumulates and not packets, bool(packets), early)


def _sent_at(graph: IntegerGraph, source: str, output: int) -> int:
    """Phase in which an output is sent."""
    asking = graph.order.asking.get(source)
    return graph.order.asks_at[source] if asking is not None and output in asking.outputs else graph.depths[source]


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
            continue  # a copy with at least the width of its original always fits
        if field is None:
            yield value, (Width(quantity, declared[quantity], slice(None)),)
        elif value in population.program.after:
            widths = [Width(quantity, declared[quantity], slice(field.cells))]
            if field.size > field.cells:
                widths.append(Width("ledger", declared["ledger"], slice(field.cells, None)))
            yield value, tuple(widths)

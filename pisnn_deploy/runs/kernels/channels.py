"""Nodes of channels: what they ask, how they fire, and the audit of both."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pisnn_deploy.audit.facts import ChannelFacts
from pisnn_deploy.audit.firing import Firing, audited_values
from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.graph.populations import Asking
from pisnn_deploy.programs.interval import Interval
from pisnn_deploy.runs.kernels.draft import (
    UNLIMITED,
    Draft,
    changes_of,
    constants_of,
    mass_of,
    ports_of,
    sent_of,
    state_of,
    tables_of,
    transported_of,
)
from pisnn_deploy.runs.kernels.ir import LONG, WORD, Value, number
from pisnn_deploy.runs.kernels.network import PACKETS, QUANTA, Node, Part, Source, Term, reach
from pisnn_deploy.runs.kernels.steps import FLAG_FLUX, FLAG_RANGE, FLAG_WIDTH
from pisnn_deploy.runs.kernels.turns import Turn
from pisnn_deploy.runs.kernels.wiring import at_ends


def asking_node(draft: Draft, name: str, asking: Asking) -> Node:
    """What channels ask before they fire."""
    part, channels = asking.part, draft.graph.population(name)
    sums = draft.heard(part)
    words = draft.words(part, sums, channels)
    sends = dict(zip(asking.outputs, part.program.sends, strict=True))
    used = [draft.add(sent_of(name, output), part.size, words.bounds[value]) for output, value in sends.items()]
    states = [Source(state_of(name, state)) for state in part.program.states]

    def ask(turn: Turn) -> None:
        parameters = {parameter: turn.read_constant(parameter) for parameter in part.program.parameters}
        before = draft.before(turn, part)
        values = words.write(turn.code, {**turn.sums, **before, **parameters}, turn.tables)
        for output, value in sends.items():
            if draft.is_heard(channels, output):
                draft.count(turn, channels, values[value])
            turn.write(sent_of(name, output), values[value])

    parts = (Part(ports_of(sums), ask),)
    own, tables = (*states, *used), tables_of(part.program)
    return Node(f"{name} asks", part.size, sums, parts, constants_of(part), own, tables, spiking=name)


def channel_node(draft: Draft, facts: ChannelFacts) -> Node:
    """Channels: they fire, and then their widths, their balance (I3) and their currents are audited."""
    return _Channels(draft, facts).node()


class _Channels:
    def __init__(self, draft: Draft, facts: ChannelFacts) -> None:
        self.draft, self.facts = draft, facts
        population = self.population = draft.graph.population(facts.population)
        self.name, self.program = population.name, population.program
        for state in draft.heard_again(population):
            # Other channels of this population hear it as it was before the step.
            largest = draft.largest_state(population, state)
            draft.add(state_of(self.name, state), population.size, Interval(-largest - 1, largest), is_doubled=True)
        self.sums = draft.heard(population)
        self.words = draft.words(population, self.sums)
        self.audited = audited_values(self.program, 0) if draft.audited else None
        self.rule = facts.firing if draft.audited else None
        self.asked = draft.graph.order.asking.get(self.name)
        self.chains: dict[str, int] = {}

    def node(self) -> Node:
        """Add the buffers of the channels, and return their node."""
        draft, population = self.draft, self.population
        if draft.audited:
            for state in self.program.states:
                self.chains[state] = draft.place()
                draft.place()  # of the sum after the step
                draft.chains[self.name, state] = self.chains[state]
        packets = self.words.bounds[self.program.sends[0]]
        own = [
            *draft.add_states(population, self.words),
            draft.add(sent_of(self.name, 0), population.size, packets),
            draft.add(
                transported_of(self.name),
                population.size,
                Interval(-UNLIMITED, UNLIMITED),
                bits=WORD if packets.bits < WORD else LONG,
            ),
        ]
        if self.rule is not None and self.facts.limiter is not None:
            for what, value in (("current", self.rule.current), ("before", self.rule.residue)):
                own.append(draft.add(book_of(self.name, what), population.size, self.words.bounds[value]))
        parts = (Part(ports_of(self.sums), self._fire), *([Part((), self._audit)] if draft.audited else []))
        constants, tables = constants_of(population), tables_of(self.program)
        return Node(
            self.name, population.size, self.sums, parts, constants, tuple(own), tables, spiking=population.name
        )

    def _fire(self, turn: Turn) -> None:
        draft, population, program = self.draft, self.population, self.program
        before = draft.before(turn, population)
        values = draft.run(turn, population, self.words, before)
        for state, place in self.chains.items():
            turn.add(place, before[state], self.words.bounds[state])
        packet, interval = values[program.sends[0]], self.words.bounds[program.sends[0]]
        turn.write(sent_of(self.name, 0), packet)
        moved = turn.read(transported_of(self.name))
        turn.write(transported_of(self.name), turn.code.add(moved, packet, moved.bits))
        quanta = turn.code.magnitude(packet, packet.bits)
        turn.add(QUANTA, quanta, Interval(0, reach(interval)))
        fires = turn.code.call("umin", [quanta, number(1, packet.bits)], packet.bits)
        counted = (draft.spikes[population.name],) if self.asked is None and not population.lines else ()
        turn.add(PACKETS, fires, Interval(0, 1), *counted)
        self._count(turn, values, before)
        if self.audited is not None:
            turn.keep("current", values[self.audited[0]])
        if self.rule is not None:
            residue = before[self._state_of(self.rule.residue)]
            turn.keep("before", residue)
            if self.facts.limiter is not None:
                turn.write(book_of(self.name, "current"), values[self.rule.current])
                turn.write(book_of(self.name, "before"), residue)

    def _count(self, turn: Turn, values: dict[str, Value], before: dict[str, Value]) -> None:
        """Count spikes: packets, and residues that change; channels that ask send all outputs as values."""
        draft, population = self.draft, self.population
        if self.asked is None:
            if population.lines:
                draft.count(turn, population, values[self.program.sends[0]])
        else:
            for output, value in enumerate(self.program.sends):
                if draft.is_heard(population, output) and output not in self.asked.outputs:
                    draft.count(turn, population, values[value])
        after = changes_of(self.program)
        if any(draft.is_heard(population, output) for name, output in draft.graph.heard_again if name == self.name):
            residue = self.program.states[-1]
            draft.count(turn, population, values[after[residue]], before[residue])

    def _audit(self, turn: Turn) -> None:
        draft, name = self.draft, self.name
        sent = turn.read(sent_of(name, 0))
        stored = {self.program.sends[0]: sent}
        for state, after in changes_of(self.program).items():
            buffer = state_of(name, state)
            stored[after] = turn.read(buffer, is_new=draft.buffers[buffer].is_doubled)
            turn.add(self.chains[state] + 1, stored[after], self.words.bounds[after])
        for value, actual in stored.items():
            turn.require_width(actual, draft.largest(name, self.population.quantity(value)), FLAG_WIDTH)
        if self.audited is None:
            return
        current = turn.kept("current")
        if self.rule is not None and self.facts.limiter is None:
            residue = stored[self.rule.residue]
            bits = max(WORD, current.bits, sent.bits, residue.bits)
            require_balance(turn, self.rule, sent, (turn.kept("before"), residue, current), bits)
        if self.facts.current is not None:
            limit = self.facts.current
            turn.require_between(current, -limit, limit, FLAG_RANGE)

    def _state_of(self, after: str) -> str:
        """State that becomes a value."""
        return self.program.states[self.program.after.index(after)]


def require_balance(turn: Turn, rule: Firing, left: Value, books: tuple[Value, Value, Value], bits: int) -> None:
    """Require I3: what fired, and what is left of it, add up to the current."""
    code, (before, residue, current) = turn.code, books
    fired = code.both("shl", left, number(rule.exponent, bits), bits) if rule.exponent < bits else number(0, bits)
    change = code.sub(residue, before, bits)
    turn.require_equal(code.add(fired, change, bits), current, bits, FLAG_FLUX)


def book_of(name: str, what: str) -> str:
    """Buffer that the audit of a limiter needs of channels."""
    return f"{name} book {what}"


def slope_nodes(draft: Draft, facts: ChannelFacts) -> Iterator[Node]:
    """Differences between the values at both ends of channels, after the step."""
    if facts.steepest is None:
        return
    own = draft.fields[facts.joins[0]]
    field, buffer = own.field, mass_of(own.field.holder)
    source, target = facts.source - own.first, facts.target - own.first
    weights: list[int | Integers] = [1, -1]
    if not field.holds_alike:
        volumes = np.concatenate([field.inverse_volume, np.ones(field.size - field.cells, np.int64)])
        weights = [volumes[target], -volumes[source]]

    def audit(turn: Turn) -> None:
        code, difference, steepest = turn.code, turn.sums["difference"], turn.read_constant("steepest")
        if steepest.is_known:
            turn.require_between(difference, -int(steepest.text), int(steepest.text), FLAG_RANGE)
            return
        above = code.compare("sgt", code.magnitude(difference, LONG), steepest)
        turn.require_zero(code.truth(above, WORD), FLAG_RANGE)

    sums = (draft.sum("difference", Term(Source(buffer, is_new=True), at_ends([target, source], weights))),)
    parts = (Part(("difference",), audit),)
    yield Node(f"{facts.population} slopes", int(source.size), sums, parts, {"steepest": facts.steepest})

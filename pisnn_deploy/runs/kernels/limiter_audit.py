"""The audit of a limiter: what channels may send, computed again from the masses and the ends of the channels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pisnn_deploy.audit.facts import ChannelFacts
from pisnn_deploy.audit.firing import Firing
from pisnn_deploy.audit.limiter import Limiter
from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.graph.limiter import FULL_PORTS, SHORT_PORTS, SOURCE_MASS, TARGET_MASS
from pisnn_deploy.programs import Program
from pisnn_deploy.programs.interval import Interval, hull
from pisnn_deploy.runs.kernels.channels import book_of, require_balance
from pisnn_deploy.runs.kernels.draft import Draft, mass_of, ports_of, sent_of, state_of, tables_of
from pisnn_deploy.runs.kernels.ir import WORD, Value, number
from pisnn_deploy.runs.kernels.network import Node, Part, Source, Sum, Term
from pisnn_deploy.runs.kernels.steps import FLAG_FLUX
from pisnn_deploy.runs.kernels.turns import Turn
from pisnn_deploy.runs.kernels.weights import Columns, Weights
from pisnn_deploy.runs.kernels.wiring import at_ends, into_ends
from pisnn_deploy.runs.kernels.words import Words

ASKS = ("forward", "backward", "low")
"""What channels ask of the cells at their ends, by the names in their program."""


def limiter_audits(draft: Draft, facts: ChannelFacts) -> Iterator[Node]:
    """Nodes that compute what channels asked, what cells answered, and the packets, in this order."""
    limiter, rule = facts.limiter, facts.firing
    if limiter is None or rule is None or not draft.audited:
        return
    audit = _Audit(draft, facts, limiter, rule)
    yield audit.asked()
    if limiter.answering is not None:
        yield audit.answered(limiter.answering.program)
    yield audit.sent(limiter.limiting.program)


class _Audit:
    def __init__(self, draft: Draft, facts: ChannelFacts, limiter: Limiter, rule: Firing) -> None:
        self.draft, self.limiter, self.rule = draft, limiter, rule
        self.name, self.size = facts.population, int(facts.source.size)
        self.cells = limiter.cells.stop - limiter.cells.start
        self.mass = mass_of(draft.fields[facts.joins[0]].field.holder)
        population = draft.graph.population(self.name)
        fire = next(each for each in population.program.operations if each.name == "fire")
        self.fired = draft.words(population, draft.heard(population)).bounds[fire.results[0]]
        state = population.program.states[population.program.after.index(rule.residue)]
        self.residue = Source(state_of(self.name, state), draft.buffers[state_of(self.name, state)].is_doubled)

    def asked(self) -> Node:
        """What fired, by the stored states, and what the channels must have asked."""
        draft, rule, asking = self.draft, self.rule, self.limiter.asking
        fired = draft.add(book_of(self.name, "fired"), self.size, self.fired)
        books = [Source(book_of(self.name, what)) for what in ("current", "before")]
        program = None if asking is None else asking.program
        sums = () if program is None else self._masses(program)
        words = None if program is None else self._words(program, sums, {self.limiter.fired: self.fired})
        asks = () if words is None else tuple(name for name in ASKS if name in words.bounds)
        own = [] if words is None else [self._add(name, self.size, words.bounds[name]) for name in asks]

        def ask(turn: Turn) -> None:
            code = turn.code
            current, before = (turn.read(book.buffer) for book in books)
            residue = turn.read(self.residue.buffer, is_new=self.residue.is_new)
            bits = max(WORD, current.bits, before.bits)
            whole = code.sub(code.add(current, before, bits), residue, bits)
            packet = code.both("ashr", whole, number(min(rule.exponent, bits - 1), bits), bits)
            turn.write(fired.buffer, packet)
            if program is None or words is None:
                return
            values = self._run(turn, program, words, {self.limiter.fired: packet})
            for name in asks:
                turn.write(book_of(self.name, name), values[name])

        parts = (Part(ports_of(sums), ask),)
        own = [fired, *books, self.residue, *own]
        return Node(
            f"{self.name} audit asked",
            self.size,
            sums,
            parts,
            self._parameters(program),
            tuple(own),
            tables_of(program),
        )

    def answered(self, program: Program) -> Node:
        """What the cells must have answered to what they were asked."""
        draft, limits = self.draft, self.limiter.limits
        forward, backward, low = (Source(book_of(self.name, name)) for name in ASKS)
        source, target = (self._into(ends) for ends in (self.limiter.source, self.limiter.target))
        terms = {
            "leaving": (Term(forward, source), Term(backward, target)),
            "coming": (Term(backward, source), Term(forward, target)),
            "balance": (Term(low, self._into(self.limiter.source, -1)), Term(low, target)),
        }
        sums = tuple(draft.sum(port, *terms[port]) for port in program.ports if port in terms)
        inputs = {each.name: each.interval for each in sums} | {"mass": draft.buffers[self.mass].interval}
        inputs |= {name: hull(limits[name].tolist()) for name in program.parameters}
        words = Words(program, inputs)
        own = [
            self._add(f"answer {number_of}", self.cells, words.bounds[name])
            for number_of, name in enumerate(program.sends)
        ]

        def answer(turn: Turn) -> None:
            parameters = {name: turn.read_constant(name) for name in program.parameters}
            mass = {"mass": turn.read(self.mass)}
            values = words.write(turn.code, {**turn.sums, **mass, **parameters}, turn.tables)
            for number_of, name in enumerate(program.sends):
                turn.write(book_of(self.name, f"answer {number_of}"), values[name])

        parts = (Part(ports_of(sums), answer),)
        constants = {name: limits[name] for name in program.parameters}
        return Node(
            f"{self.name} audit answered",
            self.cells,
            sums,
            parts,
            constants,
            (Source(self.mass), *own),
            tables_of(program),
        )

    def sent(self, program: Program) -> Node:
        """The packets that were allowed, and the balance of the channels (I3)."""
        draft, rule = self.draft, self.rule
        sums = self._masses(program)
        for number_of, (at_source, at_target) in enumerate((SHORT_PORTS, FULL_PORTS)):
            for port, ends in ((at_source, self.limiter.source), (at_target, self.limiter.target)):
                if port in program.ports:
                    answer = Source(book_of(self.name, f"answer {number_of}"))
                    sums = (*sums, draft.sum(port, Term(answer, self._at(ends))))
        words = self._words(program, sums, {self.limiter.fired: self.fired})
        fired, current, before = (Source(book_of(self.name, what)) for what in ("fired", "current", "before"))
        packets = Source(sent_of(self.name, 0))

        def audit(turn: Turn) -> None:
            sent, left = turn.read(packets.buffer), turn.read(fired.buffer)
            values = self._run(turn, program, words, {self.limiter.fired: left})
            allowed = values[program.sends[0]]
            turn.require_equal(allowed, sent, max(WORD, allowed.bits, sent.bits), FLAG_FLUX)
            residue = turn.read(self.residue.buffer, is_new=self.residue.is_new)
            books = turn.read(before.buffer), residue, turn.read(current.buffer)
            require_balance(turn, rule, left, books, max(WORD, *(book.bits for book in books)))

        own = (fired, current, before, packets, self.residue)
        parts = (Part(ports_of(sums), audit),)
        return Node(
            f"{self.name} audit sent", self.size, sums, parts, self._parameters(program), own, tables_of(program)
        )

    def _add(self, what: str, size: int, interval: Interval) -> Source:
        return self.draft.add(book_of(self.name, what), size, interval)

    def _run(self, turn: Turn, program: Program, words: Words, known: dict[str, Value]) -> dict[str, Value]:
        parameters = {name: turn.read_constant(name) for name in program.parameters}
        return words.write(turn.code, {**turn.sums, **parameters, **known}, turn.tables)

    def _words(self, program: Program, sums: tuple[Sum, ...], known: dict[str, Interval]) -> Words:
        heard = {each.name: each.interval for each in sums}
        parameters = {name: hull(self.limiter.parameters[name].tolist() or [0]) for name in program.parameters}
        return Words(program, {**heard, **parameters, **known})

    def _parameters(self, program: Program | None) -> dict[str, Integers]:
        return {} if program is None else {name: self.limiter.parameters[name] for name in program.parameters}

    def _masses(self, program: Program) -> tuple[Sum, ...]:
        """Masses at the ends of the channels; reservoirs send nothing."""
        mass = Source(self.mass)
        ends = {SOURCE_MASS: self.limiter.source, TARGET_MASS: self.limiter.target}
        heard = ((port, place) for port, place in ends.items() if port in program.ports)
        return tuple(self.draft.sum(port, Term(mass, self._at(place))) for port, place in heard)

    def _at(self, ends: Integers) -> Weights:
        """Weights of the cell at an end of each channel."""
        cell = ends - self.limiter.cells.start
        return at_ends([np.where((cell >= 0) & (cell < self.cells), cell, -1)], [1])

    def _into(self, ends: Integers, sign: int = 1) -> Weights:
        """Weights of the channels that have an end in each cell."""
        cell = ends - self.limiter.cells.start
        columns = into_ends(np.where(cell < self.cells, cell, self.cells), self.cells + 1)
        return Columns(columns, (sign,) * len(columns), self.cells + 1).part(0, self.cells)

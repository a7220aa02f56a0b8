"""Nodes of holders: cells and ledgers add what arrives, and the audit compares with the ends of the channels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pisnn_deploy.audit.facts import FieldFacts
from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.programs.interval import Interval
from pisnn_deploy.runs.kernels.draft import UNLIMITED, Draft, ledger_of, mass_of, sent_of
from pisnn_deploy.runs.kernels.ir import LONG, WORD
from pisnn_deploy.runs.kernels.network import Buffer, Node, Part, Source, Sum, Term
from pisnn_deploy.runs.kernels.steps import FLAG_LOCAL, FLAG_RANGE, FLAG_WIDTH
from pisnn_deploy.runs.kernels.turns import Turn
from pisnn_deploy.runs.kernels.weights import Columns, Weights, part_of
from pisnn_deploy.runs.kernels.wiring import into_ends, weights_into
from pisnn_deploy.runs.kernels.words import width_of


def add_masses(draft: Draft, facts: FieldFacts) -> None:
    """Add the buffer of a field's masses, as the audit of the last step allowed them, and of reservoirs' values."""
    field = facts.field
    ends = [0, field.window.lower, field.window.upper]
    if not field.holds_alike:
        least = int(field.inverse_volume.min(initial=1))
        ends = [0, *((abs(end) // least + 1) * (1 if end > 0 else -1) for end in ends)]
    largest = draft.largest(field.holder, "mass")
    masses = [min(max(end, -largest - 1), largest) for end in ends]
    values = field.reservoirs.tolist()
    draft.add(
        mass_of(field.holder), field.size, Interval(min(*masses, *values), max(*masses, *values)), is_doubled=True
    )


def holder_nodes(draft: Draft, facts: FieldFacts) -> Iterator[Node]:
    """Cells, and ledgers of reservoirs, of a field."""
    field = facts.field
    (port,) = draft.graph.population(field.holder).program.ports
    heard = [
        (Source(sent_of(source, output)), weights)
        for source, output, weights in weights_into(draft.graph, field.holder, port)
    ]
    books = [(Source(sent_of(name, 0)), weights) for name, weights in _books(draft, facts)] if draft.audited else []

    def sums(begin: int, end: int) -> tuple[Sum, Sum]:
        return (
            draft.sum("arrival", *(Term(source, part_of(weights, begin, end)) for source, weights in heard)),
            draft.sum("booked", *(Term(source, part_of(weights, begin, end)) for source, weights in books)),
        )

    yield _cells(draft, facts, sums(0, field.cells))
    if field.size > field.cells:
        yield _ledgers(draft, facts, sums(field.cells, field.size))


def _books(draft: Draft, field: FieldFacts) -> Iterator[tuple[str, Weights]]:
    """How packets change the holders of a field: +1 where they enter, -1 where they leave, for each population."""
    first, size = field.first, field.field.size
    for facts in draft.channels:
        columns: list[Integers] = []
        signs: list[int] = []
        for ends, sign in ((facts.target, 1), (facts.source, -1)):
            here = np.flatnonzero((ends >= first) & (ends < first + size))
            entries = into_ends(ends[here] - first, size)
            if here.size < ends.size:
                entries = tuple(np.where(entry >= 0, here[entry], -1) for entry in entries)
            columns += entries
            signs += [sign] * len(entries)
        if columns:
            yield facts.population, Columns(tuple(columns), tuple(signs), size)


def _cells(draft: Draft, facts: FieldFacts, sums: tuple[Sum, Sum]) -> Node:
    field, name = facts.field, mass_of(facts.field.holder)
    population = draft.graph.population(field.holder)
    held, arriving = draft.buffers[name].interval, sums[0].interval
    # What a step stores is checked only after it is stored, so it must fit without the check.
    stored = Interval(held.lower + arriving.lower, held.upper + arriving.upper)
    draft.buffers[name] = Buffer(name, field.size, held, width_of(stored), is_doubled=True)
    bits, is_sent = width_of(stored), draft.is_heard(population, 0)
    largest, payload = (draft.largest(field.holder, quantity) for quantity in ("mass", "payload"))

    def take(turn: Turn) -> None:
        mass = turn.read(name)
        new = turn.code.add(mass, turn.sums["arrival"], bits)
        turn.write(name, new, is_new=True)
        if is_sent:
            draft.count(turn, population, new, mass if draft.is_delta else None)

    def audit(turn: Turn) -> None:
        code = turn.code
        mass, new = turn.read(name), turn.read(name, is_new=True)
        change = code.sub(new, mass, bits)
        turn.require_equal(change, turn.sums["booked"], bits, FLAG_LOCAL)
        turn.add(draft.masses[field.name], new, stored)
        lower, upper = field.window.lower, field.window.upper
        if not field.holds_alike or lower < -largest - 1 or upper > largest:  # otherwise the range is narrower
            turn.require_width(new, largest, FLAG_WIDTH)
        if draft.is_delta:
            turn.require_width(change, payload, FLAG_WIDTH)
        level = code.cast(new, max(WORD, new.bits))
        if not field.holds_alike:
            level = code.both("mul", new, turn.read_constant("inverse volume"), LONG)
        turn.require_between(level, lower, upper, FLAG_RANGE)

    parts = (Part(("arrival",), take), *([Part(("booked",), audit)] if draft.audited else []))
    constants = {} if field.holds_alike else {"inverse volume": field.inverse_volume}
    own = (Source(name), Source(name, is_new=True))
    return Node(field.holder, field.cells, sums, parts, constants, own, spiking=field.holder)


def _ledgers(draft: Draft, facts: FieldFacts, sums: tuple[Sum, Sum]) -> Node:
    field, name = facts.field, ledger_of(facts.field.holder)
    own = draft.add(name, field.size - field.cells, Interval(-UNLIMITED, UNLIMITED))
    largest = draft.largest(field.holder, "ledger")

    def take(turn: Turn) -> None:
        before = turn.read(name)
        turn.keep("before", before)
        turn.write(name, turn.code.add(before, turn.sums["arrival"], LONG))

    def audit(turn: Turn) -> None:
        code, new = turn.code, turn.read(name)
        change = code.sub(new, turn.kept("before"), LONG)
        turn.require_equal(change, turn.sums["booked"], LONG, FLAG_LOCAL)
        turn.add(draft.masses[field.name], new, Interval(-UNLIMITED, UNLIMITED))
        turn.require_width(new, largest, FLAG_WIDTH)

    parts = (Part(("arrival",), take), *([Part(("booked",), audit)] if draft.audited else []))
    return Node(f"{field.holder} ledgers", field.size - field.cells, sums, parts, {}, (own,))

"""A network in the making: the buffers and results so far, and what nodes of all kinds have in common."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pisnn_deploy.audit.facts import channel_facts, field_facts
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.programs import Program
from pisnn_deploy.programs.interval import Interval, hull
from pisnn_deploy.runs.kernels.ir import LONG, Value, number
from pisnn_deploy.runs.kernels.network import (
    FIRST_RESULT,
    Buffer,
    Source,
    Sum,
    Term,
    bounds_of_sum,
    reach,
)
from pisnn_deploy.runs.kernels.steps import FLAG_WIDTH
from pisnn_deploy.runs.kernels.turns import Turn
from pisnn_deploy.runs.kernels.weights import Renumbered, Weights, joined
from pisnn_deploy.runs.kernels.wiring import weights_into
from pisnn_deploy.runs.kernels.words import Words, stored_width

UNLIMITED = 1 << 62
LONGER = 4
"""How much longer runs of alike neurons must become for neurons to be renumbered."""


class UnservedError(Exception):
    """The kernels do not support a graph."""


class Draft:
    """What is known while the nodes of a graph are made.

    Parameters
    ----------
    audited : bool
        Whether nodes audit what they store.

    Attributes
    ----------
    buffers : dict of str to Buffer
        Buffers by name.
    places : dict of str to int64 array
        New numbers of the neurons of populations that are renumbered, so that alike ones are neighbours.
    spikes, masses : dict of str to int
        Places of the results of each population, and of each field.
    chains : dict of (str, str) to int
        Places of the sums of states before a step, by population of channels and state.
    """

    def __init__(self, graph: IntegerGraph, *, audited: bool) -> None:
        self.graph, self.audited = graph, audited
        self.is_delta = graph.coding == "delta"
        self.channels, self.fields = channel_facts(graph), field_facts(graph)
        self.heard_outputs = {(synapse.source, synapse.output) for synapse in graph.synapses}
        self.buffers: dict[str, Buffer] = {}
        self.places: dict[str, Integers] = {}
        self.size = FIRST_RESULT
        self.spikes = {population.name: self.place() for population in graph.populations}
        self.masses = {facts.field.name: self.place() for facts in self.fields}
        self.chains: dict[tuple[str, str], int] = {}
        self._bits = {(bound.population, bound.quantity): bound.bits for bound in graph.bounds}

    def place(self) -> int:
        """Return a new place among the results."""
        self.size += 1
        return self.size - 1

    def add(self, name: str, size: int, interval: Interval, *, bits: int = 0, is_doubled: bool = False) -> Source:
        """Add a buffer.

        Parameters
        ----------
        bits : int
            Width of its elements (default: as the bounds need).
        """
        self.buffers[name] = Buffer(name, size, interval, bits or stored_width(interval), is_doubled)
        return Source(name)

    def largest(self, population: str, quantity: str) -> int:
        """Largest value of a declared width; `UNLIMITED` without one."""
        bits = self._bits.get((population, quantity))
        return UNLIMITED if bits is None else min(UNLIMITED, (1 << (bits - 1)) - 1)

    def answering(self) -> list[Population]:
        """Populations that do not hold mass, in the order in which they run."""
        graph = self.graph
        return [p for p in map(graph.population, graph.depths) if p.name not in graph.holders]

    # What is heard.

    def heard(self, population: Population, *, is_new: bool = False) -> tuple[Sum, ...]:
        """Sums of what arrives at the ports of a population.

        Parameters
        ----------
        is_new : bool
            Whether it hears the masses after the step.
        """
        return tuple(
            self.sum(
                port,
                *(
                    Term(self._source(population.name, source, output, is_new=is_new), self._placed(source, weights))
                    for source, output, weights in weights_into(self.graph, population.name, port)
                ),
            )
            for port in population.program.ports
        )

    def _placed(self, source: str, weights: Weights) -> Weights:
        """Weights of the elements of a source, by their new numbers."""
        return Renumbered(weights, elements=self.places[source]) if source in self.places else weights

    def renumbered(self, population: Population, sums: tuple[Sum, ...]) -> tuple[tuple[Sum, ...], dict[str, Integers]]:
        """Put neurons next to others with the same weights if this makes longer runs; return sums and parameters.

        Only populations whose numbers nothing outside of the step knows may be renumbered.
        """
        kinds = np.zeros(population.size, np.int64)
        for each in sums:
            for term in each.terms:
                kinds = joined(kinds, term.weights.kinds())
        order = np.argsort(kinds, kind="stable")
        parameters = constants_of(population)
        runs, alike = (int(np.count_nonzero(np.diff(values))) for values in (kinds, kinds[order]))
        if runs <= LONGER * (alike + 1):
            return sums, parameters
        places = np.empty_like(order)
        places[order] = np.arange(order.size)
        self.places[population.name] = places
        moved = tuple(
            replace(each, terms=tuple(Term(term.source, Renumbered(term.weights, order)) for term in each.terms))
            for each in sums
        )
        return moved, {name: values[order] for name, values in parameters.items()}

    def _source(self, target: str, source: str, output: int, *, is_new: bool) -> Source:
        """The buffer in which a population finds what another one sent."""
        if source in self.graph.holders:
            return Source(mass_of(source), is_new)
        if source == target:
            return Source(state_of(source, self.graph.heard_again[source, output]))
        if sent_of(source, output) not in self.buffers:
            raise UnservedError(f"{target} hears output {output} of {source} before it is sent")
        return Source(sent_of(source, output))

    def sum(self, name: str, *terms: Term) -> Sum:
        """Return a sum with its bounds."""
        return Sum(
            name, terms, bounds_of_sum([(term.weights, self.buffers[term.source.buffer].interval) for term in terms])
        )

    # Programs.

    def words(self, population: Population, sums: tuple[Sum, ...], keeps: Population | None = None) -> Words:
        """A population's program with bounds of its values, before the audit has checked any of this step.

        Parameters
        ----------
        keeps : Population, optional
            What keeps the states, with their widths, if it is a part of the program.
        """
        program, clock = population.program, population.clock
        inputs = {each.name: each.interval for each in sums}
        for state in program.states:
            largest = self.largest_state(keeps or population, state)
            inputs[state] = Interval(-largest - 1, largest) if clock is None else Interval(0, clock.limit)
        for name in program.parameters:
            inputs[name] = hull([0] if not population.size else population.parameters[name].tolist())
        return Words(program, inputs)

    def largest_state(self, population: Population, state: str) -> int:
        """Largest value of a state between steps, by the declared widths of it and of its next value."""
        names = (state, changes_of(population.program)[state])
        return min(self.largest(population.name, population.quantity(name)) for name in names)

    def add_states(self, population: Population, words: Words) -> tuple[Source, ...]:
        """Add the buffers of the states of a population."""
        again, used = self.heard_again(population), []
        for state, after in changes_of(population.program).items():
            ends = [words.bounds[name] for name in (state, after)]
            interval = hull([end for each in ends for end in (each.lower, each.upper)])
            name = state_of(population.name, state)
            used.append(self.add(name, population.size, interval, is_doubled=state in again))
            if state in again:
                used.append(Source(name, is_new=True))
        return tuple(used)

    def heard_again(self, population: Population) -> set[str]:
        """States that a population sends to itself."""
        return {state for (name, _), state in self.graph.heard_again.items() if name == population.name}

    def is_heard(self, population: Population, output: int) -> bool:
        """Whether any population hears an output."""
        return (population.name, output) in self.heard_outputs

    def before(self, turn: Turn, population: Population) -> dict[str, Value]:
        """Read the states of a population."""
        return {state: turn.read(state_of(population.name, state)) for state in population.program.states}

    def run(self, turn: Turn, population: Population, words: Words, before: dict[str, Value]) -> dict[str, Value]:
        """Write a program, the check of its widths, and its new states; return all values."""
        program, name = population.program, population.name
        parameters = {parameter: turn.read_constant(parameter) for parameter in program.parameters}
        values = words.write(turn.code, {**turn.sums, **before, **parameters}, turn.tables)
        limits: dict[Value, int] = {}
        for value in program.names:
            largest = self.largest(name, population.quantity(value))
            if reach(words.bounds[value]) > largest:
                limits[values[value]] = min(largest, limits.get(values[value], UNLIMITED))
        for limited, largest in limits.items():
            turn.require_width(limited, largest, FLAG_WIDTH)
        for state, after in changes_of(program).items():
            buffer = state_of(name, state)
            turn.write(buffer, values[after], is_new=self.buffers[buffer].is_doubled)
        return values

    def count(self, turn: Turn, population: Population, value: Value, before: Value | None = None) -> None:
        """Count the spikes of a value, or of its change."""
        code, place, lines = turn.code, self.spikes[population.name], population.lines
        if lines:
            change = value if before is None else code.sub(value, before, LONG)
            mask = (1 << lines) - 1 if lines < LONG else -1
            spikes = code.call("ctpop", [code.both("and", change, number(mask), LONG)], LONG)
            turn.add(place, spikes, Interval(0, LONG))
        else:
            turn.count(place, code.compare("ne", value, number(0, value.bits) if before is None else before))


def changes_of(program: Program) -> dict[str, str]:
    """New value of each state, by name."""
    return dict(zip(program.states, program.after, strict=True))


def ports_of(sums: tuple[Sum, ...]) -> tuple[str, ...]:
    """Names of sums."""
    return tuple(each.name for each in sums)


def constants_of(population: Population) -> dict[str, Integers]:
    """Parameters of a population's program."""
    return {name: population.parameters[name] for name in population.program.parameters}


def tables_of(program: Program | None) -> tuple[tuple[int, ...], ...]:
    """Entries of the tables of a program."""
    return () if program is None else tuple(table.entries for table in program.tables)


def mass_of(holder: str) -> str:
    """Buffer of the masses of a population of holders; after the cells come the values that reservoirs show."""
    return f"{holder} mass"


def ledger_of(holder: str) -> str:
    """Buffer of the ledgers of a population of holders."""
    return f"{holder} ledger"


def state_of(population: str, state: str) -> str:
    """Buffer of a state."""
    return f"{population} state {state}"


def sent_of(population: str, output: int) -> str:
    """Buffer of what a population sent last."""
    return f"{population} output {output}"


def transported_of(population: str) -> str:
    """Buffer of the sums of packets of a population of channels."""
    return f"{population} transported"

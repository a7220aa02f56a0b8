"""What the C of a graph is made of: names, types, connections, and what the audit checks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.core.rows import Rows
from pisnn_deploy.formats.c.boundary import sides_of
from pisnn_deploy.formats.c.effects import Sides
from pisnn_deploy.formats.c.types import Reads, Widths, identifiers, known_bounds, sent_name, type_of, widths
from pisnn_deploy.graph.fields import Channels, Field
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.maps import weights_of_port
from pisnn_deploy.graph.populations import Asking, Population
from pisnn_deploy.programs.interval import Interval, hull
from pisnn_deploy.programs.limiter import ASKED_BITS

ASKED = ("leaving", "coming")
"""Ports of cells that hear requests."""


@dataclass(frozen=True)
class Array:
    """An array of the generated source.

    Attributes
    ----------
    name : str
        Its name in C.
    bounds : Interval
        Of its elements.
    """

    name: str
    size: int
    bounds: Interval

    @property
    def type(self) -> str:
        """Type of an element."""
        return type_of(self.bounds)

    @property
    def bytes(self) -> int:
        """Size in memory."""
        return self.size * int(self.type[3:-2]) // 8

    @property
    def declaration(self) -> str:
        """Type, name and size."""
        return f"{self.type} {self.name}[{self.size}]"


@dataclass(frozen=True)
class Neurons:
    """A population that holds no mass, or the part of one that asks before it fires.

    Attributes
    ----------
    tables : str
        Prefix of the names of its tables and parameters, which a part that asks has from its population.
    states : dict of str to Array
        Array of each state, by its name in the program.
    outputs : dict of int to str
        Value of each output.
    sends : dict of int to Array
        Array of each output that another population reads.
    heard : dict of int to (Array, Array)
        Of each output that the population itself reads: the array of the state that it becomes, and of its copy from
        before the step.
    is_asking : bool
        Whether it is the part that asks, which leaves its states alone.
    """

    population: Population
    name: str
    tables: str
    reads: tuple[Reads, ...]
    widths: Widths
    states: dict[str, Array]
    outputs: dict[int, str]
    sends: dict[int, Array]
    heard: dict[int, tuple[Array, Array]]
    is_asking: bool = False

    @cached_property
    def stored(self) -> dict[str, list[Array]]:
        """Arrays in which each value of the program is kept."""
        program = self.population.program
        stored: dict[str, list[Array]] = {}
        pairs = [(value, self.states[state]) for state, value in zip(program.states, program.after, strict=True)]
        pairs = [] if self.is_asking else pairs
        pairs += [(self.outputs[output], array) for output, array in self.sends.items()]
        for value, array in pairs:
            if array not in stored.setdefault(value, []):
                stored[value].append(array)
        return stored

    @property
    def arrays(self) -> Iterator[Array]:
        """Arrays of states, outputs and copies, each once; a part that asks has no states of its own."""
        states = () if self.is_asking else self.states.values()
        copies = (copy for _, copy in self.heard.values())
        yield from dict.fromkeys((*states, *self.sends.values(), *copies))


@dataclass(frozen=True)
class Holders:
    """The holders of a field: cells and ledgers.

    Attributes
    ----------
    reads : tuple of Reads
        What packets arrive.
    """

    field: Field
    name: str
    reads: tuple[Reads, ...]
    cells: Array
    ledgers: Array
    start: Integers

    @property
    def parts(self) -> tuple[tuple[Array, int], ...]:
        """Arrays with the number of their first holder."""
        return ((self.cells, 0), (self.ledgers, self.cells.size))

    def array_of(self, holder: int) -> tuple[Array, int]:
        """Array of a holder, and its index there."""
        is_cell = holder < self.cells.size
        return (self.cells, holder) if is_cell else (self.ledgers, holder - self.cells.size)


@dataclass(frozen=True)
class Plan:
    """Everything to generate.

    Attributes
    ----------
    neurons : tuple of Neurons
        In the order in which they run.
    numbers : dict of str to int
        Number of each population, by which the audit names it.
    sides : Sides
        Sides that can be set while the program runs.
    """

    graph: IntegerGraph
    holders: tuple[Holders, ...]
    neurons: tuple[Neurons, ...]
    numbers: dict[str, int]
    sides: Sides

    @property
    def channels(self) -> Iterator[tuple[Channels, Neurons]]:
        """Channels and their neurons."""
        by_name = {neurons.population.name: neurons for neurons in self.neurons if not neurons.is_asking}
        for channels in self.graph.channels:
            yield channels, by_name[channels.population]

    def holder(self, population: str) -> Holders:
        """Holders of a population."""
        return next(holders for holders in self.holders if holders.field.holder == population)


def plan(graph: IntegerGraph) -> Plan:
    """Name and size everything that the C of a graph needs.

    Parameters
    ----------
    graph : IntegerGraph
        Bounded, with its certificate.

    Raises
    ------
    UsageError
        Channels ask before they fire, and what they hear has no declared bound.
    """
    sides = sides_of(graph)
    made = _plan(graph, sides)
    if sides.sides and not _can_answer(made):
        why = f"for some of their values faces may ask more than 2^{ASKED_BITS} quanta of a cell"
        made = _plan(graph, Sides(why=why))
    return made


def _plan(graph: IntegerGraph, sides: Sides) -> Plan:
    asks = [f"{name} asks" for name in graph.order.asking]
    names = identifiers((*(population.name for population in graph.populations), *asks))
    known = known_bounds(graph)
    if sides.sides:
        # Other bounds were proved for the values of the artifact; they follow from these for all.
        kept = {*sides.upstream, *graph.holders}
        heard = {
            (name, graph.population(name).quantity(port))
            for name, asking in graph.order.asking.items()
            for port in {*graph.population(name).program.ports}.difference(asking.part.program.ports)
        }
        known = {key: bound for key, bound in known.items() if (key[0] in kept and key[1] != "payload") or key in heard}
    reads = {population.name: tuple(_reads(graph, population)) for population in graph.populations}
    holders = tuple(_holders(graph, field, names[field.holder], reads, known) for field in graph.fields)
    sent = {sent_name(part.field.holder, 0): part.cells.bounds for part in holders}
    neurons = _Listed(graph, names, sides, known, reads, sent).all()
    numbers = {population.name: number for number, population in enumerate(graph.populations)}
    return Plan(graph, holders, tuple(neurons), numbers, sides)


def _can_answer(parts: Plan) -> bool:
    """Whether all sums of requests are so small that cells have answers, from which what channels hear is bounded."""
    answers = [neurons for neurons in parts.neurons if neurons.population.name in parts.graph.order.answers]
    sums = [neurons.widths.sums.get(port) for neurons in answers for port in ASKED]
    return all(interval is None or interval.upper <= 1 << ASKED_BITS for interval in sums)


@dataclass(frozen=True)
class _Listed:
    """Lists the populations of a graph that hold no mass, in the order in which they run.

    Attributes
    ----------
    names : dict of str to str
        Name in C of each population, and of its part that asks.
    reads : dict of str to tuple of Reads
        What arrives at each population.
    sent : dict of str to Interval
        Bounds of the outputs that other populations read, by `sent_name`; grows.
    """

    graph: IntegerGraph
    names: dict[str, str]
    sides: Sides
    known: dict[tuple[str, str], Interval]
    reads: dict[str, tuple[Reads, ...]]
    sent: dict[str, Interval]

    def all(self) -> Iterator[Neurons]:
        """All of them; parts that ask run before the populations that answer them."""
        waiting = dict(self.graph.order.asking)
        for population in self.graph.populations:
            if population.name in self.graph.holders:
                continue
            heard = {part.source for part in self.reads[population.name]}
            for name in [name for name in waiting if name in heard and population.name in self.graph.order.answers]:
                yield self._asking(waiting.pop(name))
            yield self._running(population)

    def _asking(self, asking: Asking) -> Neurons:
        """The part of a population that asks."""
        part, population = asking.part, self.graph.population(asking.part.name)
        for port in sorted({*population.program.ports}.difference(part.program.ports)):
            if (part.name, population.quantity(port)) not in self.known:
                raise UsageError(f"c: {part.name} asks before it hears {port}, which has no declared bound")
        reads = tuple(read for read in self.reads[part.name] if read.port in part.program.ports)
        # States and what is asked have the bounds of the whole program, which changes the states.
        limits = self._limits(population, reads)
        values = dict(zip(asking.outputs, part.program.sends, strict=True))
        name = self.names[f"{part.name} asks"]
        own = self.names[part.name]
        sends = {output: Array(f"{name}_{value}", part.size, limits.values[value]) for output, value in values.items()}
        self.sent.update((sent_name(part.name, output), limits.values[value]) for output, value in values.items())
        states = _states(population, own, limits)
        return Neurons(part, name, own, reads, limits, states, values, sends, {}, is_asking=True)

    def _running(self, population: Population) -> Neurons:
        """A whole population."""
        name, program = population.name, population.program
        again = {output: state for (sender, output), state in self.graph.heard_again.items() if sender == name}
        self.sent.update((sent_name(name, output), _rest(population, output)) for output in again)
        limits = self._limits(population, self.reads[name])
        outputs = dict(enumerate(program.sends))
        self.sent.update((sent_name(name, output), limits.values[value]) for output, value in outputs.items())
        asks = self.graph.order.asking[name].outputs if name in self.graph.order.asking else ()
        read = {part.output for parts in self.reads.values() for part in parts if part.source == name}
        here = [output for output in outputs if output in read.difference(again, asks)]
        return _neurons(population, self.names[name], self.reads[name], limits, here, again)

    def _limits(self, population: Population, reads: tuple[Reads, ...]) -> Widths:
        biases = {
            name: self.sides.range_of(population.name, name, values) for name, values in population.parameters.items()
        }
        return widths(population, reads, self.known, self.sent, biases)


def _rest(population: Population, output: int) -> Interval:
    """Interval of what a population leaves after `fire` and sends to itself."""
    program = population.program
    shifts = [
        int(o.operands[-1]) for o in program.operations if o.name == "fire" and program.sends[output] in o.results
    ]
    half = 1 << shifts[0] >> 1
    return Interval(-half, half)


def _reads(graph: IntegerGraph, population: Population) -> Iterator[Reads]:
    for port in population.program.ports:
        for source, output, matrix in weights_of_port(graph, population.name, port):
            yield Reads(port, source, output, matrix.without_zeros())


def _holders(
    graph: IntegerGraph,
    field: Field,
    name: str,
    reads: dict[str, tuple[Reads, ...]],
    known: dict[tuple[str, str], Interval],
) -> Holders:
    (start,) = graph.population(field.holder).started().values()
    mass = known[field.holder, "mass"]
    mass = hull((mass.lower, mass.upper, *_ends(start[: field.cells])))
    nothing = Interval(0, 0)
    ledger = known.get((field.holder, "ledger"), nothing) if field.reservoirs.size else nothing
    cells = Array(f"{name}_mass", field.cells, mass)
    return Holders(
        field, name, reads[field.holder], cells, Array(f"{name}_ledger", field.size - field.cells, ledger), start
    )


def _ends(values: Integers) -> tuple[int, int]:
    return (int(values.min()), int(values.max())) if values.size else (0, 0)


def _neurons(
    population: Population,
    name: str,
    reads: tuple[Reads, ...],
    limits: Widths,
    outputs: list[int],
    again: dict[int, str],
) -> Neurons:
    program = population.program
    states = _states(population, name, limits)
    kept = {value: states[state] for state, value in zip(program.states, program.after, strict=True)}
    sends = {}
    for output in outputs:
        value = program.sends[output]
        own = Array(f"{name}_{value}", population.size, limits.values[value])
        sends[output] = kept[value] if value in kept and kept[value].name == own.name else own
    heard = {}
    for output, state in again.items():
        heard[output] = states[state], replace(states[state], name=f"{states[state].name}_heard")
    return Neurons(population, name, name, reads, limits, states, dict(enumerate(program.sends)), sends, heard)


def _states(population: Population, name: str, limits: Widths) -> dict[str, Array]:
    """Array of each state of a population."""
    program = population.program
    states = {}
    for state, value in zip(program.states, program.after, strict=True):
        # States that keep the same value may start at different ones.
        label = value if program.after.count(value) == 1 else state
        bounds = limits.values[value]
        bounds = hull((bounds.lower, bounds.upper, *_ends(population.started()[state])))
        states[state] = Array(f"{name}_{label}", population.size, bounds)
    return states


def joint(parts: tuple[Reads, ...], neurons: int) -> tuple[Rows, Integers]:
    """Connections from several outputs as one matrix.

    Returns
    -------
    matrix : Rows
        Columns of one part after those of another.
    ends : int64 array [parts]
        First column behind each part.
    """
    ends = np.cumsum([part.matrix.width for part in parts], dtype=np.int64)
    if not parts:
        nothing = np.zeros(0, np.int64)
        return Rows(np.zeros(neurons + 1, np.int64), nothing, nothing, 0), ends
    rows = np.concatenate([part.matrix.row_of for part in parts])
    firsts = ends - [part.matrix.width for part in parts]
    columns = np.concatenate([part.matrix.columns + first for part, first in zip(parts, firsts, strict=True)])
    values = np.concatenate([part.matrix.values for part in parts])
    order = np.lexsort((columns, rows))
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=neurons))]).astype(np.int64)
    return Rows(starts, columns[order], values[order], int(ends[-1])), ends

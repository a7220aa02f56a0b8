"""What the hardware of a graph is made of: units, which run one program for each of their neurons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pisnn_deploy.formats.c.neurons import needed_operations, read_arrays
from pisnn_deploy.formats.c.plan import Array, Holders, Neurons, Plan
from pisnn_deploy.formats.c.types import Reads
from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.mesh import FaceMesh
from pisnn_deploy.programs import Program
from pisnn_deploy.programs.interval import Interval
from pisnn_deploy.programs.language import Operation


@dataclass(frozen=True)
class Connection:
    """Synapses of a port that read one array.

    Attributes
    ----------
    matrix : Rows
        Effective weights, int64 [neurons, elements of the array].
    """

    reads: Reads
    array: Array


@dataclass(frozen=True)
class Unit:
    """Neurons with one program, and the arrays that they read and write.

    Attributes
    ----------
    operations : tuple of Operation
        Those of the program on which anything written depends.
    values : mapping of str to Interval
        Bounds of every value, and of full products under their name and ``*``.
    states : dict of str to Array
        Arrays that each neuron reads at its own number, by the name of the state.
    writes : tuple of (Array, str)
        Arrays that each neuron writes at its own number, and the value.
    copies : Array or None
        Array that the unit copies into the one that it writes, before another unit changes it.
    """

    name: str
    size: int
    connections: tuple[Connection, ...]
    program: Program | None
    operations: tuple[Operation, ...]
    values: Mapping[str, Interval]
    states: dict[str, Array]
    parameters: dict[str, Integers]
    writes: tuple[tuple[Array, str], ...]
    copies: Array | None = None

    @property
    def inputs(self) -> dict[str, int]:
        """Signed bits of each port, state and parameter that the program reads."""
        widths = {port: self.values[port].bits for port in self.ports}
        widths |= {state: array.bounds.bits for state, array in self.states.items()}
        return widths | {name: self.values[name].bits for name in self.parameters}

    @property
    def ports(self) -> tuple[str, ...]:
        """Ports that an operation reads."""
        return tuple(port for port in (self.program.ports if self.program else ()) if port in self.values)


@dataclass(frozen=True)
class Hardware:
    """Units and memory of a graph.

    Attributes
    ----------
    units : tuple of Unit
        In the order in which they run.
    kept : dict of Array to int64 array
        Arrays that last from step to step, and their content at the start.
    masses : tuple of Array
        Arrays of the cells of each field.
    seen : tuple of Array
        Arrays whose integers the self-test compares, in the order of its hash.
    mesh : FaceMesh
        Whose cells and faces the neurons stand for.
    """

    units: tuple[Unit, ...]
    kept: dict[Array, Integers]
    masses: tuple[Array, ...]
    seen: tuple[Array, ...]
    mesh: FaceMesh

    @property
    def arrays(self) -> tuple[Array, ...]:
        """All arrays that units write."""
        return tuple(dict.fromkeys(array for unit in self.units for array, _ in unit.writes))


def hardware_of(plan: Plan) -> Hardware:
    """Units and memory of a graph."""
    kept: dict[Array, Integers] = {}
    seen: list[Array] = []
    start = Semantics(plan.graph).begin()
    for part in plan.holders:
        for array, first in part.parts:
            if array.size:
                kept[array] = part.start[first : first + array.size]
                seen.append(array)
    for neurons in plan.neurons:
        if not neurons.is_asking:
            kept |= {array: start[neurons.population.name][state] for state, array in neurons.states.items()}
    for channels, neurons in plan.channels:
        seen += [*neurons.states.values(), neurons.sends[channels.output]]
    return Hardware(tuple(_units(plan)), kept, tuple(part.cells for part in plan.holders), tuple(seen), plan.graph.mesh)


def _units(plan: Plan) -> Iterator[Unit]:
    """Units of a graph, in the order in which they run."""
    for neurons in plan.neurons:
        for state, copy in neurons.heard.values():
            yield _copying(state, copy)
        yield _running(plan, neurons)
    for part in plan.holders:
        yield from _holding(plan, part)


def _connections(plan: Plan, reads: Sequence[Reads]) -> tuple[Connection, ...]:
    arrays = read_arrays(plan, reads)
    return tuple(Connection(part, array) for part, array in zip(reads, arrays, strict=True) if part.matrix.entries)


def _copying(state: Array, copy: Array) -> Unit:
    return Unit(
        copy.name, copy.size, (), None, (), {"state": state.bounds}, {"state": state}, {}, ((copy, "state"),), state
    )


def _running(plan: Plan, neurons: Neurons) -> Unit:
    program = neurons.population.program
    writes = tuple((array, value) for value, arrays in neurons.stored.items() for array in arrays)
    operations, needed = needed_operations(program, {value for _, value in writes})
    read = {name: bounds for name, bounds in neurons.widths.values.items() if name.rstrip("*") in needed}
    return Unit(
        neurons.name,
        neurons.population.size,
        tuple(c for c in _connections(plan, neurons.reads) if c.reads.port in needed),
        program,
        tuple(operations),
        read,
        {state: array for state, array in neurons.states.items() if state in needed},
        {name: values for name, values in neurons.population.parameters.items() if name in needed},
        writes,
    )


def _holding(plan: Plan, part: Holders) -> Iterator[Unit]:
    """Cells and ledgers, which add what arrives."""
    program = plan.graph.population(part.field.holder).program
    (state,), (port,), (after,) = program.states, program.ports, program.after
    for array, first in part.parts:
        if not array.size:
            continue
        rows = np.arange(first, first + array.size, dtype=np.int64)
        reads = [Reads(port, r.source, r.output, r.matrix.rows(rows)) for r in part.reads]
        gain = array.bounds.upper - array.bounds.lower
        values = {state: array.bounds, after: array.bounds, port: Interval(-gain, gain)}
        operations = program.operations
        yield Unit(
            array.name,
            array.size,
            _connections(plan, reads),
            program,
            operations,
            values,
            {state: array},
            {},
            ((array, after),),
        )

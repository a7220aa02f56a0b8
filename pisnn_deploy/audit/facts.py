"""What the audit must know of a graph: who holds mass, and which channels move it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph.fields import Channels, Field
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.programs import Program

Integers = NDArray[np.int64]

MASS_AT_SOURCE, MASS_AT_TARGET = "source_mass", "target_mass"
"""Ports of a channel that bring the masses at its ends."""


@dataclass(frozen=True)
class FieldFacts:
    """One field among the holders of all fields.

    Attributes
    ----------
    field : Field
        What is held, and its operating range.
    first : int
        Number of its first holder: its cells come first, then its reservoirs.
    """

    field: Field
    first: int

    @cached_property
    def holders(self) -> slice:
        """Where its holders stand."""
        return slice(self.first, self.first + self.field.size)

    @cached_property
    def cells(self) -> slice:
        """Where its cells stand."""
        return slice(self.first, self.first + self.field.cells)

    def shown(self, holdings: Integers) -> tuple[Integers, Integers]:
        """Values of the cells and of the reservoirs, in the units of the operating range.

        Parameters
        ----------
        holdings : int64 array
            Masses and ledgers of all fields.
        """
        return self.field.levels(holdings[self.cells]), self.field.reservoirs


@dataclass(frozen=True)
class ChannelFacts:
    """Channels of one population.

    Attributes
    ----------
    population : str
        For messages.
    source, target : int64 array [channels]
        Holders that a positive packet leaves and enters, numbered through the holders of all fields.
    joins : tuple of int
        Numbers of the fields of these holders.
    exponent : int
        A packet of one quantum takes ``2^exponent`` from the residue.
    rest : int or None
        Largest absolute residue that ``fire`` leaves; None where no ``fire`` bounds it.
    current : int or None
        Largest absolute current.
    steepest : int64 array [channels] or None
        Largest difference of the values at both ends.
    withholding : Program or None
        What becomes of a packet that fired before it is sent; None if it is sent as it is.
    parameters : mapping of str to int64 array [channels]
        Of `withholding`.
    """

    population: str
    source: Integers
    target: Integers
    joins: tuple[int, int]
    exponent: int
    rest: int | None
    current: int | None
    steepest: Integers | None
    withholding: Program | None
    parameters: Mapping[str, Integers]


def field_facts(graph: IntegerGraph) -> tuple[FieldFacts, ...]:
    """The fields of a graph, whose holders are numbered one after the other."""
    first, facts = 0, []
    for field in graph.fields:
        facts.append(FieldFacts(field, first))
        first += field.size
    return tuple(facts)


def channel_facts(graph: IntegerGraph) -> tuple[ChannelFacts, ...]:
    """The channels of a graph.

    Raises
    ------
    UsageError
        A program withholds packets by more than the masses at both ends, which the audit could not recompute.
    """
    fields = field_facts(graph)
    numbers = {facts.field.holder: number for number, facts in enumerate(fields)}
    result = []
    for channels in graph.channels:
        population = graph.population(channels.population)
        joins = numbers[channels.source_holder], numbers[channels.target_holder]
        source, target = (fields[number] for number in joins)
        exponent, withholding = _firing(population.program, channels.output)
        result.append(
            ChannelFacts(
                channels.population,
                channels.source + source.first,
                channels.target + target.first,
                joins,
                exponent,
                1 << exponent >> 1 if exponent else None,
                source.field.window.current,
                _steepest(source.field, channels) if source is target else None,
                withholding,
                {name: population.parameters[name] for name in (withholding.parameters if withholding else ())},
            )
        )
    return tuple(result)


def _steepest(field: Field, channels: Channels) -> Integers | None:
    largest = field.window.difference
    if largest is None or not channels.size:
        return None
    beside_reservoir = np.maximum(channels.source, channels.target) >= field.cells
    return np.where(beside_reservoir, largest // 2, largest)


def _firing(program: Program, output: int) -> tuple[int, Program | None]:
    """Exponent of what a packet takes from the residue, and what becomes of a packet that has fired.

    A program without ``fire`` sends in the units of its residue.
    """
    sent = program.sends[output]
    firing = next((operation for operation in program.operations if operation.name == "fire"), None)
    if firing is None:
        return 0, None
    fired, exponent = firing.results[0], int(firing.operands[-1])
    if sent == fired:
        return exponent, None
    needed, operations = {sent}, []
    for operation in reversed(program.operations):
        if operation is not firing and needed.intersection(operation.results):
            operations.append(operation)
            needed.update(value for value in operation.values if isinstance(value, str))
    unknown = needed.intersection((*program.states, *program.ports)) - {MASS_AT_SOURCE, MASS_AT_TARGET}
    if unknown:
        raise UsageError(f"program {program.name}: the audit cannot recompute what {sent} takes from {min(unknown)}")
    return exponent, Program(
        program.name,
        (fired, *(port for port in program.ports if port in needed)),
        (),
        tuple(name for name in program.parameters if name in needed),
        tuple(reversed(operations)),
        (),
        (sent,),
        program.tables,
    )

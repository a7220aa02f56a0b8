"""What the audit must know of a graph: who holds mass, and which channels move it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.audit.firing import Firing, audited_values, firing_of
from pisnn_deploy.graph.fields import Channels, Field
from pisnn_deploy.graph.integer import IntegerGraph

Integers = NDArray[np.int64]


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
    """Channels of one output of a population.

    Attributes
    ----------
    population : str
        For messages.
    source, target : int64 array [channels]
        Holders that a positive packet leaves and enters, numbered through the holders of all fields.
    joins : tuple of int
        Numbers of the fields of these holders.
    firing : Firing or None
        What I3 compares; None where the program keeps nothing back in that way.
    current : int or None
        Largest absolute current; None where nothing limits it, or the program has none.
    steepest : int64 array [channels] or None
        Largest difference of the values at both ends.
    parameters : mapping of str to int64 array [channels]
        Of what withholds packets that fired.
    """

    population: str
    source: Integers
    target: Integers
    joins: tuple[int, int]
    firing: Firing | None
    current: int | None
    steepest: Integers | None
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
        firing = firing_of(population.program, channels.output)
        withholding = None if firing is None else firing.withholding
        result.append(
            ChannelFacts(
                channels.population,
                channels.source + source.first,
                channels.target + target.first,
                joins,
                firing,
                source.field.window.current if audited_values(population.program, channels.output) else None,
                _steepest(source.field, channels) if source is target else None,
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

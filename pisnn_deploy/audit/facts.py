"""Facts about a graph for the audit: the holders of mass, and the channels that move it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.audit.firing import Firing, audited_values, firing_of
from pisnn_deploy.audit.limiter import Limiter, limiter_of
from pisnn_deploy.graph.fields import Channels, Field
from pisnn_deploy.graph.integer import IntegerGraph

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class FieldFacts:
    """Position of one field among the holders of all fields.

    Attributes
    ----------
    field : Field
        The field and its operating range.
    first : int
        Number of its first holder; cells come first, then reservoirs.
    """

    field: Field
    first: int

    @cached_property
    def holders(self) -> slice:
        """Slice of its holders."""
        return slice(self.first, self.first + self.field.size)

    @cached_property
    def cells(self) -> slice:
        """Slice of its cells."""
        return slice(self.first, self.first + self.field.cells)

    def shown(self, holdings: Integers) -> tuple[Integers, Integers]:
        """Return values of cells and of reservoirs, in the units of the operating range.

        Parameters
        ----------
        holdings : int64 array
            Masses and ledgers of all fields.
        """
        return self.field.levels(holdings[self.cells]), self.field.reservoirs


@dataclass(frozen=True)
class ChannelFacts:
    """Channels at one output of a population.

    Attributes
    ----------
    population : str
        Name for messages.
    source, target : int64 array [channels]
        Holders that a positive packet leaves and enters, numbered across all fields.
    joins : tuple of int
        Numbers of the source's and the target's field.
    firing : Firing or None
        Values that I3 compares; None if the program has no residue of this form.
    current : int or None
        Largest absolute current; None without a limit or without a current.
    steepest : int64 array [channels] or None
        Largest difference between the values at both ends, if limited.
    limiter : Limiter or None
        What the channels may send; None if they send what fires.
    """

    population: str
    source: Integers
    target: Integers
    joins: tuple[int, int]
    firing: Firing | None
    current: int | None
    steepest: Integers | None
    limiter: Limiter | None


def field_facts(graph: IntegerGraph) -> tuple[FieldFacts, ...]:
    """Return the fields of a graph, with holders numbered across all fields."""
    first, facts = 0, []
    for field in graph.fields:
        facts.append(FieldFacts(field, first))
        first += field.size
    return tuple(facts)


def channel_facts(graph: IntegerGraph) -> tuple[ChannelFacts, ...]:
    """Return the channels of a graph.

    Raises
    ------
    UsageError
        If a program withholds packets by values that the audit cannot recompute.
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
                None if withholding is None else limiter_of(graph, channels, withholding, (source.first, target.first)),
            )
        )
    return tuple(result)


def _steepest(field: Field, channels: Channels) -> Integers | None:
    largest = field.window.difference
    if largest is None or not channels.size:
        return None
    beside_reservoir = np.maximum(channels.source, channels.target) >= field.cells
    return np.where(beside_reservoir, largest // 2, largest)

"""Positions of fields and channels in the arrays of a whole graph.

Arrays of *holdings* have the fields one after the other, each with its cells and then its reservoirs; arrays of
*channels* have one population of channels after the other. Traces keep cells and reservoirs apart: the cells of one
field after those of another, and the reservoirs likewise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pisnn_deploy.core.rows import Rows, from_triplets
from pisnn_deploy.graph.fields import Field
from pisnn_deploy.graph.integer import IntegerGraph, Integers


@dataclass(frozen=True, eq=False)
class FieldColumns:
    """Position of one field.

    Attributes
    ----------
    first_holder, first_cell, first_reservoir : int
        Its first position in arrays of holdings, of cells and of reservoirs.
    joined : int
        Number of the set of fields that channels join; the total mass of a set never changes.
    """

    field: Field
    graph: IntegerGraph
    first_holder: int
    first_cell: int
    first_reservoir: int
    joined: int

    @property
    def name(self) -> str:
        """Name of the field."""
        return self.field.name

    @property
    def holder(self) -> str:
        """Population of its holders."""
        return self.field.holder

    @property
    def held_cells(self) -> slice:
        """Slice of arrays of holdings with its cells."""
        return slice(self.first_holder, self.first_holder + self.field.cells)

    @property
    def held_reservoirs(self) -> slice:
        """Slice of arrays of holdings with its reservoirs."""
        return slice(self.first_holder + self.field.cells, self.first_holder + self.field.size)

    @property
    def cells(self) -> slice:
        """Slice of arrays of cells."""
        return slice(self.first_cell, self.first_cell + self.field.cells)

    @property
    def reservoirs(self) -> slice:
        """Slice of arrays of reservoirs."""
        return slice(self.first_reservoir, self.first_reservoir + int(self.field.reservoirs.size))

    @property
    def ledgers(self) -> dict[str, Integers]:
        """Reservoirs of each ledger of the field by its name, int64, numbered from 0."""
        return self.graph.ledgers_of(self.field)


@dataclass(frozen=True)
class ChannelColumns:
    """Position of one population of channels.

    Attributes
    ----------
    population : str
        Its name.
    first, count : int
        Its first position in arrays of channels, and its size.
    """

    population: str
    first: int
    count: int

    @property
    def part(self) -> slice:
        """Slice of arrays of channels."""
        return slice(self.first, self.first + self.count)


@dataclass(frozen=True)
class Columns:
    """Positions of all fields and channels of a graph."""

    fields: tuple[FieldColumns, ...]
    channels: tuple[ChannelColumns, ...]

    @cached_property
    def cells(self) -> int:
        """Number of cells of all fields."""
        return sum(columns.field.cells for columns in self.fields)

    @cached_property
    def reservoirs(self) -> int:
        """Number of reservoirs of all fields."""
        return sum(int(columns.field.reservoirs.size) for columns in self.fields)

    @property
    def holders(self) -> int:
        """Number of holders of all fields."""
        return self.cells + self.reservoirs

    @cached_property
    def size(self) -> int:
        """Number of channels of all populations."""
        return sum(channels.count for channels in self.channels)

    @cached_property
    def joined(self) -> tuple[tuple[FieldColumns, ...], ...]:
        """Sets of fields that channels join."""
        sets = dict.fromkeys(field.joined for field in self.fields)
        return tuple(tuple(field for field in self.fields if field.joined == number) for number in sets)

    def split(self, holdings: Integers) -> tuple[Integers, Integers]:
        """Split arrays of holdings into cells and reservoirs.

        Parameters
        ----------
        holdings : int64 array [..., holders]
            Masses and ledgers, field by field.

        Returns
        -------
        cells, reservoirs : int64 array [..., cells], [..., reservoirs]
            Views if there is one field.
        """
        if len(self.fields) == 1:
            return holdings[..., : self.cells], holdings[..., self.cells :]
        cells = [holdings[..., field.held_cells] for field in self.fields]
        reservoirs = [holdings[..., field.held_reservoirs] for field in self.fields]
        return np.concatenate(cells, axis=-1), np.concatenate(reservoirs, axis=-1)

    def merged(self, cells: Integers, reservoirs: Integers) -> Integers:
        """Merge arrays of cells and reservoirs, the inverse of `split`.

        Parameters
        ----------
        cells, reservoirs : int64 array [..., cells], [..., reservoirs]
            Masses of the cells, and ledgers.

        Returns
        -------
        int64 array [..., holders]
            Masses and ledgers, field by field.
        """
        parts = [part for field in self.fields for part in (cells[..., field.cells], reservoirs[..., field.reservoirs])]
        return np.concatenate(parts, axis=-1)

    def holdings(self, mass: Integers) -> Integers:
        """Masses of the cells with empty ledgers.

        Parameters
        ----------
        mass : int64 array [cells]
            Masses of the cells, field by field.

        Returns
        -------
        int64 array [holders]
            Masses and ledgers, field by field.
        """
        return self.merged(mass.astype(np.int64), np.zeros(self.reservoirs, np.int64))


def columns_of(graph: IntegerGraph) -> Columns:
    """Return the positions of all fields and channels of a graph."""
    sets = _joined(graph)
    fields: list[FieldColumns] = []
    holder = cell = reservoir = 0
    for field in graph.fields:
        fields.append(FieldColumns(field, graph, holder, cell, reservoir, sets[field.holder]))
        holder, cell, reservoir = holder + field.size, cell + field.cells, reservoir + int(field.reservoirs.size)
    channels: list[ChannelColumns] = []
    first = 0
    for ends in graph.channels:
        channels.append(ChannelColumns(ends.population, first, ends.size))
        first += ends.size
    return Columns(tuple(fields), tuple(channels))


def _joined(graph: IntegerGraph) -> dict[str, int]:
    """Number of the set of fields that channels join, by holder; from 0 in the order of the fields."""
    sets = [{holder} for holder in graph.holders]
    for channels in graph.channels:
        ends = {channels.source_holder, channels.target_holder}
        touched = [group for group in sets if group & ends]
        sets = [group for group in sets if not group & ends] + [set().union(*touched)]
    sets.sort(key=lambda group: min(map(graph.holders.index, group)))
    return {holder: number for number, group in enumerate(sets) for holder in group}


def divergence(graph: IntegerGraph, packets: Integers) -> Integers:
    """Net gain of every holder from packets.

    Sums of absurd numbers wrap.

    Parameters
    ----------
    packets : int64 array [channels]
        Signed packets of all channels.

    Returns
    -------
    int64 array [holders]
        Gain of the cells and reservoirs of every field.
    """
    columns = columns_of(graph)
    first = {field.holder: field.first_holder for field in columns.fields}
    gain = np.zeros(columns.holders, np.int64)
    for ends, at in zip(graph.channels, columns.channels, strict=True):
        np.add.at(gain, first[ends.target_holder] + ends.target, packets[at.part])
        np.subtract.at(gain, first[ends.source_holder] + ends.source, packets[at.part])
    return gain


def incidence_of(graph: IntegerGraph) -> Rows:
    """Return the incidence of all channels.

    Returns
    -------
    Rows, int64 [holders, channels]
        -1 where a channel takes mass, 1 where it brings mass.
    """
    columns = columns_of(graph)
    first = {field.holder: field.first_holder for field in columns.fields}
    nothing = np.zeros(0, np.int64)
    source = np.concatenate([nothing, *(first[ends.source_holder] + ends.source for ends in graph.channels)])
    target = np.concatenate([nothing, *(first[ends.target_holder] + ends.target for ends in graph.channels)])
    number, ones = np.arange(columns.size, dtype=np.int64), np.ones(columns.size, np.int64)
    return from_triplets(
        np.concatenate([target, source]),
        np.tile(number, 2),
        np.concatenate([ones, -ones]),
        (columns.holders, columns.size),
    )

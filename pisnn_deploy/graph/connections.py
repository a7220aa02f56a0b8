"""Connections between two populations, stored explicitly or as a rule that repeats over the mesh.

All faces share one flux network, so its connections need not be stored a million times. Every kind of connections
expands to compressed sparse rows (`pisnn_deploy.graph.rows`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pisnn_deploy.core.rows import Rows, from_triplets, starts_of
from pisnn_deploy.graph.rows import Connections, Explicit, Integers, Parts, Place, Values, read_explicit
from pisnn_deploy.graph.stencil import Stencil, read_stencil
from pisnn_deploy.graph.stored import LARGEST_MANTISSA, Arrays
from pisnn_deploy.mesh import FaceMesh

__all__ = [
    "KINDS",
    "Blocks",
    "CellEnds",
    "Connections",
    "Ends",
    "Explicit",
    "Incidence",
    "Place",
    "Rows",
    "Stencil",
    "Values",
]


@dataclass(frozen=True)
class Blocks(Connections):
    """One dense block of connections per face: a later layer of the flux network, which acts on each face alone.

    Attributes
    ----------
    block : int64 array [outputs, inputs]
        Per face.
    count : int
        Number of faces.
    """

    block: Values
    count: int

    @property
    def inputs(self) -> int:
        """Size of the source population."""
        return int(self.block.shape[1]) * self.count

    @property
    def outputs(self) -> int:
        """Size of the target population."""
        return int(self.block.shape[0]) * self.count

    @property
    def entries(self) -> int:
        """Number of connections."""
        return int(np.count_nonzero(self.block)) * self.count

    @property
    def distinct(self) -> tuple[Integers, Values]:
        """Starts and values of the deduplicated rows."""
        is_entry = self.block != 0
        return np.concatenate([[0], np.cumsum(is_entry.sum(axis=1))]), self.block[is_entry]

    @cached_property
    def rows(self) -> Rows:
        """The connections of each target neuron."""
        output, column = np.nonzero(self.block)
        face = np.arange(self.count, dtype=np.int64)[:, None]
        lengths = np.tile((self.block != 0).sum(axis=1), self.count)
        return Rows(
            np.concatenate([[0], np.cumsum(lengths)]),
            (face * self.block.shape[1] + column).reshape(-1),
            np.tile(self.block[output, column], self.count),
            self.inputs,
        )

    def revalued(self, change: Callable[[Values], Values]) -> Blocks:
        """Replace the values; zeros are dropped."""
        return Blocks(change(self.block), self.count)

    def described(self, mesh: FaceMesh) -> tuple[str, Parts]:
        """See `Connections`."""
        return "blocks", {"mantissas": self.block}


@dataclass(frozen=True)
class Incidence(Connections):
    """The route of packets: from each face to the holder that they enter (+) and the one that they leave (-).

    Attributes
    ----------
    source, target : int64 array [faces]
        Holders that a positive packet leaves and enters.
    """

    source: Integers
    target: Integers
    holders: int
    value: int

    @property
    def inputs(self) -> int:
        """Size of the source population: faces."""
        return int(self.source.size)

    @property
    def outputs(self) -> int:
        """Size of the target population: cells and reservoirs."""
        return self.holders

    @property
    def entries(self) -> int:
        """Number of connections; a face with the same holder at both ends has none."""
        return 2 * int(np.count_nonzero(self.source != self.target)) if self.value else 0

    @cached_property
    def distinct(self) -> tuple[Integers, Values]:
        """Starts and values of the deduplicated rows."""
        moves = self.source != self.target
        entering, leaving = (np.bincount(ends[moves], minlength=self.holders) for ends in (self.target, self.source))
        width = int(leaving.max(initial=0)) + 1
        kinds = np.unique(entering * width + leaving) if self.value else np.zeros(0, np.int64)
        counts = np.stack(np.divmod(kinds, width), axis=1).reshape(-1)
        signs = np.tile(np.array([self.value, -self.value], np.int64), kinds.size)
        return starts_of(counts.reshape(-1, 2).sum(axis=1)), np.repeat(signs, counts)

    @cached_property
    def rows(self) -> Rows:
        """The connections of each target neuron."""
        face = np.arange(self.inputs, dtype=np.int64)
        signs = np.repeat(np.array([self.value, -self.value], np.int64), self.inputs)
        ends = np.concatenate([self.target, self.source])
        return from_triplets(ends, np.tile(face, 2), signs, (self.holders, self.inputs))

    def revalued(self, change: Callable[[Values], Values]) -> Connections:
        """Replace the values, spelled out unless both ends stay negatives of each other; zeros are dropped."""
        entering, leaving = change(np.array([self.value, -self.value], np.int64)).tolist()
        return replace(self, value=entering) if entering == -leaving != 0 else super().revalued(change)

    def described(self, mesh: FaceMesh) -> tuple[str, Parts]:
        """See `Connections`; explicit where the ends are not those of the mesh's faces."""
        if not (np.array_equal(self.source, mesh.source) and np.array_equal(self.target, mesh.target)):
            return super().revalued(lambda values: values).described(mesh)
        return "incidence", {"mantissas": np.array([self.value], np.int64)}


@dataclass(frozen=True)
class Ends(Connections):
    """From the cell at one end of each face to the face; reservoirs never send, so they have no connection.

    Attributes
    ----------
    holder : int64 array [faces]
        Holder at that end.
    """

    holder: Integers
    cells: int
    holders: int
    value: int

    @property
    def inputs(self) -> int:
        """Size of the source population: cells and reservoirs."""
        return self.holders

    @property
    def outputs(self) -> int:
        """Size of the target population: faces."""
        return int(self.holder.size)

    @property
    def entries(self) -> int:
        """Number of connections."""
        return int(np.count_nonzero(self.holder < self.cells))

    @property
    def distinct(self) -> tuple[Integers, Values]:
        """Starts and values of the deduplicated rows."""
        count = min(1, self.entries)
        return np.arange(count + 1, dtype=np.int64), np.full(count, self.value, np.int64)

    @cached_property
    def rows(self) -> Rows:
        """The connections of each target neuron."""
        connected = self.holder < self.cells
        columns = self.holder[connected]
        starts = np.concatenate([[0], np.cumsum(connected)]).astype(np.int64)
        return Rows(starts, columns, np.full(columns.size, self.value, np.int64), self.inputs)

    def revalued(self, change: Callable[[Values], Values]) -> Connections:
        """Replace the values; zeros are dropped."""
        (value,) = change(np.array([self.value], np.int64)).tolist()
        return replace(self, value=value) if value else super().revalued(change)

    def described(self, mesh: FaceMesh) -> tuple[str, Parts]:
        """See `Connections`; explicit where the ends are not those of the mesh's faces."""
        for kind, holder in (("source-ends", mesh.source), ("target-ends", mesh.target)):
            if self.cells == mesh.cells and np.array_equal(self.holder, holder):
                return kind, {"mantissas": np.array([self.value], np.int64)}
        return super().revalued(lambda values: values).described(mesh)


@dataclass(frozen=True)
class CellEnds(Connections):
    """From each face to the cells at its ends; reservoirs hear nothing.

    Attributes
    ----------
    source, target : int64 array [faces]
        Holders at both ends.
    at_source, at_target : int
        Values at these ends; 0 for no connection.
    """

    source: Integers
    target: Integers
    cells: int
    at_source: int
    at_target: int

    @property
    def inputs(self) -> int:
        """Size of the source population: faces."""
        return int(self.source.size)

    @property
    def outputs(self) -> int:
        """Size of the target population: cells."""
        return self.cells

    @cached_property
    def rows(self) -> Rows:
        """The connections of each target neuron."""
        cell: list[Integers] = []
        face: list[Integers] = []
        values: list[Integers] = []
        for ends, value in ((self.target, self.at_target), (self.source, self.at_source)):
            if value:
                face.append(np.flatnonzero(ends < self.cells))
                cell.append(ends[face[-1]])
                values.append(np.full(face[-1].size, value, np.int64))
        shape = self.cells, self.inputs
        return from_triplets(np.concatenate(cell), np.concatenate(face), np.concatenate(values), shape)

    def revalued(self, change: Callable[[Values], Values]) -> Connections:
        """Replace the values; zeros are dropped."""
        at_source, at_target = (
            int(change(np.array([value], np.int64))[0]) for value in (self.at_source, self.at_target)
        )
        changed = replace(self, at_source=at_source, at_target=at_target)
        return changed if at_source or at_target else super().revalued(change)

    def described(self, mesh: FaceMesh) -> tuple[str, Parts]:
        """See `Connections`; explicit where the ends are not those of the mesh's faces."""
        if self.cells != mesh.cells or not (
            np.array_equal(self.source, mesh.source) and np.array_equal(self.target, mesh.target)
        ):
            return super().revalued(lambda values: values).described(mesh)
        return "cell-ends", {"mantissas": np.array([self.at_source, self.at_target], np.int64)}


def _read_cell_ends(parts: dict[str, str], take: Arrays, place: Place) -> CellEnds:
    values = take(parts["mantissas"], 2)
    if values.size != 2 or not values.any() or np.abs(values).max() > LARGEST_MANTISSA:
        raise ValueError(f"two mantissas of at most {LARGEST_MANTISSA} are expected, not both 0")
    mesh = place.mesh
    return CellEnds(mesh.source, mesh.target, mesh.cells, *values.tolist())


def _read_blocks(parts: dict[str, str], take: Arrays, place: Place) -> Blocks:
    block = take.table(parts["mantissas"])
    if 0 in block.shape or not place.per_face:
        raise ValueError("there is an empty block")
    return Blocks(block, place.mesh.faces)


def _read_incidence(parts: dict[str, str], take: Arrays, place: Place) -> Incidence:
    return Incidence(place.mesh.source, place.mesh.target, place.outputs, _mantissa(parts, take, place))


def _read_source_ends(parts: dict[str, str], take: Arrays, place: Place) -> Ends:
    return Ends(place.mesh.source, place.mesh.cells, place.inputs, _mantissa(parts, take, place))


def _read_target_ends(parts: dict[str, str], take: Arrays, place: Place) -> Ends:
    return Ends(place.mesh.target, place.mesh.cells, place.inputs, _mantissa(parts, take, place))


def _mantissa(parts: dict[str, str], take: Arrays, place: Place) -> int:
    value = take(parts["mantissas"], 1)
    if value.size != 1 or abs(int(value[0])) > LARGEST_MANTISSA:
        raise ValueError(f"one mantissa of at most {LARGEST_MANTISSA} is expected")
    return int(value[0])


_Read = Callable[[dict[str, str], Arrays, Place], Connections]
KINDS: dict[str, tuple[tuple[str, ...], _Read]] = {
    "explicit": (("row_starts", "columns", "mantissas"), read_explicit),
    "stencil": (("boxes", "row_starts", "offsets", "mantissas"), read_stencil),
    "blocks": (("mantissas",), _read_blocks),
    "incidence": (("mantissas",), _read_incidence),
    "source-ends": (("mantissas",), _read_source_ends),
    "target-ends": (("mantissas",), _read_target_ends),
    "cell-ends": (("mantissas",), _read_cell_ends),
}
"""For each kind of connections, the names of its arrays in a file and its reader."""

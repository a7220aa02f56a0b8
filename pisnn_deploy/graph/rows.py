"""Connections between two populations as compressed sparse rows (one row per post-synaptic neuron)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.rows import Rows
from pisnn_deploy.graph.stored import Arrays
from pisnn_deploy.mesh import FaceMesh

Integers = NDArray[np.int64]
Values = NDArray[Any]
"""Values of connections: int64 mantissas, or float64 weights of the float model."""
Parts = dict[str, Integers]
"""Arrays that connections are made of, by name."""


@dataclass(frozen=True)
class Place:
    """Sizes and target of connections, which their arrays in a file do not say.

    Attributes
    ----------
    inputs, outputs : int
        Sizes of the populations that they join.
    target : str
        Name of the second of these, for messages.
    """

    mesh: FaceMesh
    inputs: int
    outputs: int
    target: str

    @property
    def per_face(self) -> int:
        """Neurons of the target at each face.

        Raises
        ------
        ValueError
            The number differs from face to face.
        """
        per_face, rest = divmod(self.outputs, max(1, self.mesh.faces))
        if rest or not per_face:
            raise ValueError(f"{self.target} does not have the same number of neurons at every face")
        return per_face


class Connections(ABC):
    """Weighted connections from one population to another."""

    @property
    @abstractmethod
    def inputs(self) -> int:
        """Size of the source population."""

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Size of the target population."""

    @property
    @abstractmethod
    def rows(self) -> Rows:
        """The connections of each target neuron."""

    @abstractmethod
    def described(self, mesh: FaceMesh) -> tuple[str, Parts]:
        """Kind, and the arrays from which its reader rebuilds the connections on the mesh."""

    @property
    def entries(self) -> int:
        """Number of connections."""
        return int(self.rows.values.size)

    @property
    def pattern(self) -> tuple[Integers, NDArray[np.int32] | Integers]:
        """Start of each target neuron's connections, and their source neurons (any integer type)."""
        return self.rows.starts, self.rows.columns

    @property
    def distinct(self) -> tuple[Integers, Values]:
        """Starts and values of the deduplicated rows."""
        return self.rows.starts, self.rows.values

    def selected(self, rows: Integers) -> Rows:
        """Select the connections of some target neurons, in the given order.

        Parameters
        ----------
        rows : int64 array
            Numbers of the rows to take.
        """
        return self.rows.rows(rows)

    def revalued(self, change: Callable[[Values], Values]) -> Connections:
        """Replace the values; the result is explicit, and zeros are dropped."""
        rows = self.rows
        return Explicit(rows.starts, rows.columns, rows.values, self.inputs).revalued(change)

    def misfit(self, mesh: FaceMesh, window: int) -> str:
        """Why connections of the right size cannot be expanded on a mesh; empty if they can.

        Parameters
        ----------
        window : int
            Cells in the window of a face.
        """
        return ""


@dataclass(frozen=True)
class Explicit(Connections):
    """Explicit connections, one entry each.

    Attributes
    ----------
    starts, columns, values : array
        See `Rows`.
    width : int
        Size of the source population.
    """

    starts: Integers
    columns: Integers
    values: Values
    width: int

    @property
    def inputs(self) -> int:
        """Size of the source population."""
        return self.width

    @property
    def outputs(self) -> int:
        """Size of the target population."""
        return int(self.starts.size - 1)

    @cached_property
    def rows(self) -> Rows:
        """The connections of each target neuron."""
        return Rows(self.starts, self.columns, self.values, self.width)

    def revalued(self, change: Callable[[Values], Values]) -> Explicit:
        """Replace the values; zeros are dropped."""
        values = change(self.values)
        is_entry = values != 0
        return Explicit(shortened(self.starts, is_entry), self.columns[is_entry], values[is_entry], self.inputs)

    def described(self, mesh: FaceMesh) -> tuple[str, Parts]:
        """See `Connections`."""
        return "explicit", {"row_starts": self.starts, "columns": self.columns, "mantissas": self.values}

    def misfit(self, mesh: FaceMesh, window: int) -> str:
        """See `Connections`."""
        starts, columns, entries = self.starts, self.columns, self.values.size
        if not ascends(starts, entries):
            return f"row_starts is not an ascending list from 0 to {entries}"
        if columns.size != entries:
            return f"{columns.size} columns for {entries} mantissas"
        if entries and (columns.min() < 0 or columns.max() >= self.inputs):
            return f"a column is outside 0 to {self.inputs - 1}"
        rises = np.diff(columns) > 0
        rises[starts[1:-1][(starts[1:-1] > 0) & (starts[1:-1] < entries)] - 1] = True
        return "" if rises.all() else "columns are not strictly ascending within each row"


def read_explicit(parts: dict[str, str], take: Arrays, place: Place) -> Explicit:
    """Read connections of the kind ``explicit`` by the names of their arrays."""
    starts, columns = take(parts["row_starts"], place.outputs + 1), take.columns(parts["columns"], place.outputs)
    mantissas = take(parts["mantissas"], columns.size)
    if starts.size == 0:
        raise ValueError("there are no row_starts")
    return Explicit(starts, columns, mantissas, place.inputs)


def shortened(starts: Integers, is_kept: NDArray[np.bool_]) -> Integers:
    """Starts of rows after some entries are dropped."""
    return np.asarray(np.concatenate([[0], np.cumsum(is_kept)])[starts], np.int64)


def ascends(starts: NDArray[np.int64], last: int) -> bool:
    """Whether numbers never decrease from 0 to a given last one; no differences, because these could wrap."""
    return int(starts[0]) == 0 and int(starts[-1]) == last and bool((starts[1:] >= starts[:-1]).all())

"""Fields and channels: which neurons hold mass, and which carry packets between them."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as defaulted
from functools import cached_property
from typing import Annotated

import numpy as np
import pydantic

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph.stored import (
    LEFT_OUT_IF_EMPTY,
    Arrays,
    CellIntegers,
    Floats,
    Integer64,
    Integers,
    Label,
    ListOf,
    Name,
    Plain,
    Stored,
)
from pisnn_deploy.physics.model import PositiveFloat


@dataclass(frozen=True)
class OperatingWindow(Stored):
    """The operating range in quanta; the audit checks it at every PDE step.

    Attributes
    ----------
    lower, upper : int
        Limits of the mass of a cell.
    difference : int or None
        Largest absolute difference of the masses on both sides of a face; a reservoir's value counts at half a cell's
        distance.
    current : int or None
        Largest absolute current of a flux compartment, in flux units.
    """

    lower: Integer64
    upper: Integer64
    difference: Integer64 | None
    current: Integer64 | None = None


def equal_volumes(cells: int) -> Integers:
    """Inverse volumes of equal cells: a view of ones that takes no memory.

    Returns
    -------
    int64 array [cells]
        Read-only.
    """
    return np.broadcast_to(np.int64(1), (cells,))


MOST_LEDGERS = 4096


@dataclass(frozen=True)
class Ledger(Stored):
    """Name of a run of consecutive reservoirs of a field, whose ledgers are added up in reports.

    Attributes
    ----------
    name : str
        A side of the domain, a group of faces, or a source.
    reservoirs : int
        Number of reservoirs; the first ledger begins with the first reservoir of its field.
    """

    name: Label
    reservoirs: Annotated[int, pydantic.Field(ge=0, le=1 << 40)]


def _reservoirs(data: Plain, arrays: Arrays) -> int:
    return max(0, arrays.sizes[data["holder"]] - arrays.cells)


@dataclass(frozen=True)
class Field(Stored):
    """A conserved quantity: one holder for each cell, then one for each reservoir.

    A reservoir's holder is its ledger: it absorbs packets like any other and starts at 0, but it never sends. What a
    reservoir shows to the flux network is its constant value, which is in the biases.

    Attributes
    ----------
    holder : str
        Population of the holders, whose program only adds what arrives.
    quantum : float
        Physical mass of one unit.
    window : OperatingWindow
        In units of ``inverse_volume * mass``.
    inverse_volume : int64 array [cells]
        Positive. ``inverse_volume * mass`` is proportional to the value of a cell; all 1 for equal volumes.
    unit_volume : float
        Volume (times heat capacity) of a cell whose inverse volume is 1.
    reservoirs : int64 array [reservoirs]
        Value that each reservoir shows, in quanta.
    held : float64 array [reservoirs]
        Value that each reservoir holds, in physical units; `reservoirs` are these values in quanta.
    ledgers : tuple of Ledger
        Names of all reservoirs in their order; empty where they are those of the mesh.
    unit : str
        Unit of the value; empty where it is unknown.
    """

    name: Name
    holder: Name
    quantum: PositiveFloat
    window: OperatingWindow
    inverse_volume: CellIntegers
    unit_volume: PositiveFloat
    reservoirs: Annotated[Integers, ListOf(_reservoirs)] = defaulted(default_factory=lambda: np.zeros(0, np.int64))
    held: Annotated[Floats, ListOf(_reservoirs, floats=True)] = defaulted(default_factory=lambda: np.zeros(0))
    ledgers: Annotated[tuple[Ledger, ...], pydantic.Field(max_length=MOST_LEDGERS)] = defaulted(
        default=(), metadata=LEFT_OUT_IF_EMPTY
    )
    unit: Annotated[str, pydantic.Field(max_length=64)] = defaulted(default="", metadata=LEFT_OUT_IF_EMPTY)

    @property
    def cells(self) -> int:
        """Number of cells."""
        return int(self.inverse_volume.size)

    @property
    def size(self) -> int:
        """Number of holders: cells and reservoirs."""
        return self.cells + int(self.reservoirs.size)

    @cached_property
    def holds_alike(self) -> bool:
        """Whether every cell has the same volume."""
        return bool((self.inverse_volume == 1).all())

    @property
    def value_per_quantum(self) -> float:
        """Change of the value of a cell of inverse volume 1 when it gains one quantum."""
        return self.quantum / self.unit_volume

    def levels(self, mass: Integers) -> Integers:
        """Masses in the units of the operating window: times their inverse volumes.

        Parameters
        ----------
        mass : int64 array [..., cells]
            Masses of the cells, in quanta.

        Returns
        -------
        int64 array [..., cells]
            Mass per capacity of each cell.
        """
        return mass if self.holds_alike else mass * self.inverse_volume

    def values(self, mass: Integers) -> Floats:
        """Cell values of masses.

        Parameters
        ----------
        mass : int64 array [..., cells]
            Masses of the cells, in quanta.

        Returns
        -------
        float64 array [..., cells]
            Cell averages.
        """
        return np.asarray(self.levels(mass) * self.value_per_quantum, np.float64)

    def masses(self, values: Floats) -> Integers:
        """Convert cell values to masses in quanta, each rounded to the nearest integer.

        Parameters
        ----------
        values : float64 array [cells]
            Cell averages.

        Returns
        -------
        int64 array [cells]
            Masses in quanta.

        Raises
        ------
        UsageError
            A value is not finite, or too large to be an exact integer mass.
        """
        scaled = values / self.value_per_quantum
        if not self.holds_alike:
            scaled = scaled / self.inverse_volume
        unusable = np.flatnonzero(~(np.abs(scaled) < 2.0**53))
        if unusable.size:
            cell = int(unusable[0])
            raise UsageError(f"cell {cell}: value {values[cell]} is not a finite number of at most 2^53 quanta")
        return np.asarray(np.rint(scaled), np.int64)

    def holdings(self, mass: Integers) -> Integers:
        """Masses of the cells, followed by empty ledgers.

        Parameters
        ----------
        mass : int64 array [cells]
            Masses of the cells, in quanta.

        Returns
        -------
        int64 array [cells + reservoirs]
            Masses of all holders, in quanta.
        """
        return np.concatenate([mass.astype(np.int64), np.zeros_like(self.reservoirs)])


@dataclass(frozen=True)
class Channels:
    """Neurons whose packets leave one holder and enter another.

    Attributes
    ----------
    population : str
        Population that sends the packets.
    source_holder, target_holder : str
        Populations of the holders that a positive packet leaves and enters.
    source, target : int64 array [neurons of the population]
        Neuron of each holder, for each channel.
    output : int
        Index of the packet among the values that the program sends.
    """

    population: str
    source_holder: str
    target_holder: str
    source: Integers
    target: Integers
    output: int = 0

    @property
    def size(self) -> int:
        """Number of channels."""
        return int(self.source.size)

    @property
    def ends(self) -> tuple[tuple[str, Integers, int], tuple[str, Integers, int]]:
        """Population, holders and sign of a packet at both ends."""
        return (self.source_holder, self.source, -1), (self.target_holder, self.target, 1)

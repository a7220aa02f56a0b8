"""What the schemes need to know: the law in numbers, the grid, quanta, and the time step as an integer weight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.compiler.construct.assembly import Assembly, Block, Signal
from pisnn_deploy.compiler.construct.circuit import WORD
from pisnn_deploy.compiler.construct.fixed_point import Fixed
from pisnn_deploy.compiler.construct.grid import Grid
from pisnn_deploy.laws.conditions import Conditions
from pisnn_deploy.laws.expression import Expression, evaluate, free_names
from pisnn_deploy.laws.flux_network import TrainedFluxes
from pisnn_deploy.laws.law import Law

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Clock:
    """The time step ``scale * weight * 2^-exponent``, an integer in units of a power of two.

    Attributes
    ----------
    scale : float
        Unit of time in which rates are about as large as fields.
    """

    weight: int
    exponent: int
    scale: float

    @property
    def fraction(self) -> float:
        """Part of `scale` that a PDE step takes."""
        return self.weight * 2.0**-self.exponent

    @property
    def flow(self) -> float:
        """What a rate is multiplied by to be added by a channel: whole units of ``2^-exponent`` of the field."""
        return self.scale * self.weight

    @property
    def time_step(self) -> float:
        """Physical time of a PDE step."""
        return self.scale * self.fraction


@dataclass(frozen=True)
class Plan:
    """Law, grid and numbers of a graph under construction.

    Attributes
    ----------
    law : Law
        With numbers in place of its parameters.
    bits : dict of str to int
        Fraction bits of each field: its quantum is ``2^-bits``.
    signals : dict of str to Signal
        What the holders of each field send.
    speeds : tuple of float
        Largest wave speed along each axis.
    scheme : str
        ``muscl``, ``linear``, ``taylor``, ``wide`` or ``trained``.
    multiplies : bool
        Whether programs may multiply two values.
    word : int
        Signed width of every value that is computed.
    levels : dict of str to Signal
        Levels and values of sides made so far that several populations use.
    changes : dict of str to list of Signal
        What half a time step changes in each cell of a field; what is computed of fields then is second order in time.
    trained : TrainedFluxes or None
        Networks of the scheme ``trained``.
    over_time : list of str
        Populations made so far that compute what sides give as a function of time.
    """

    law: Law
    grid: Grid
    ranges: Mapping[str, tuple[float, float]]
    conditions: Conditions
    bits: Mapping[str, int]
    signals: Mapping[str, Signal]
    clock: Clock
    assembly: Assembly
    speeds: tuple[float, ...]
    scheme: str = "muscl"
    multiplies: bool = True
    word: int = WORD
    levels: dict[str, Signal] = field(default_factory=dict)
    changes: dict[str, list[Signal]] = field(default_factory=dict)
    trained: TrainedFluxes | None = None
    over_time: list[str] = field(default_factory=list)

    def block(self, name: str, size: int, where: str) -> Block:
        """Neurons to compute with."""
        return Block(self.assembly, name, size, where, self.multiplies, self.word)

    def known(self, expression: Expression, places: Mapping[str, Floats]) -> dict[str, Floats]:
        """Values of the known functions of place that an expression names, at some places."""
        size = next(iter(places.values())).size
        values = {}
        for name in free_names(expression):
            if name in places:
                values[name] = places[name]
            elif name in self.law.given:
                values[name] = np.broadcast_to(evaluate(self.law.given[name], places), size).astype(np.float64)
        return values


class Sender(Protocol):
    """Neurons that send values to channels: a block, or a hidden layer."""

    @property
    def where(self) -> str:
        """Place in the law, for messages."""

    def ends(self, value: Fixed) -> tuple[Floats, Floats]:
        """Least and largest integer of a value at each neuron."""

    def send(self, value: Fixed, fraction: int) -> int:
        """Send a value with some fraction bits, or as many as fit; returns its number among the signals."""

    def finish(self) -> list[Signal]:
        """Make the populations; the signals in the order of `send`."""


@dataclass(frozen=True)
class Term:
    """What neurons add to the rate of some channels.

    Attributes
    ----------
    value : Fixed
        Value of the neurons; times `factor`, the change of the field in a PDE step times ``2^exponent``.
    row, column : int64 array [connections]
        Channel (numbered within the channels of the term's kind) and neuron.
    factor : int64 array [connections]
        Weights of the connections.
    is_local : bool
        Whether no neighbour has the same rounding, so that it must not have a bias.
    is_sent : bool
        Whether the value is sent as it is, so that rates have its fraction bits.
    constant : float
        What is always added to every channel of the kind.
    """

    block: Sender
    value: Fixed
    row: Integers
    column: Integers
    factor: Integers
    is_local: bool = False
    is_sent: bool = False
    constant: float = 0.0

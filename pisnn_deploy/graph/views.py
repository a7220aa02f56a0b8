"""Today's kinds of populations, read from their programs: for parts that do not ask programs themselves."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.arithmetic import MEMORYLESS
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.programs import Operation, Program

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Membrane:
    """One C-LIF membrane compartment per cell, followed by one per reservoir.

    A reservoir's compartment is its ledger: it absorbs packets like any other and starts at 0, but it never sends. What
    a reservoir shows to the flux network is its constant value, which is in the biases.

    Attributes
    ----------
    initial : int64 array [cells]
        Mass in quanta that a run starts from unless told otherwise.
    reservoirs : int64 array [reservoirs]
        Value that each reservoir shows, in quanta.
    held : float64 array [reservoirs]
        Value that each reservoir holds, in physical units; `reservoirs` are these values in quanta.
    """

    initial: Integers
    reservoirs: Integers
    held: Floats = field(default_factory=lambda: np.zeros(0))

    @property
    def size(self) -> int:
        """Number of cells and reservoirs."""
        return int(self.initial.size + self.reservoirs.size)

    def holdings(self, mass: Integers) -> Integers:
        """Masses of the cells followed by empty ledgers.

        Parameters
        ----------
        mass : int64 array [cells]

        Returns
        -------
        int64 array [cells + reservoirs]
        """
        return np.concatenate([mass.astype(np.int64), np.zeros_like(self.reservoirs)])


@dataclass(frozen=True)
class Rectifier:
    """A hidden population: ``a = relu(drive + bias) >> shift``.

    Attributes
    ----------
    name : str
        ``hidden1``, ``hidden2``, ...
    bias : int64 array [size]
    shift : int
    """

    name: str
    bias: Integers
    shift: int

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(self.bias.size)


@dataclass(frozen=True)
class Flux:
    """One C-LIF flux compartment per face.

    Attributes
    ----------
    bias : int64 array [faces]
        Added to the drive, in flux units.
    threshold_exponent : int
        ``F``; the firing threshold theta is ``2^F`` flux units per quantum.
    leak : int
        Decay constant of the current, 1 to 4096 (memoryless).
    share_shift : int or None
        With a limiter, ``s``: a cell gives at most ``max(m, 0) >> s`` through each of its faces. None without.
    """

    bias: Integers
    threshold_exponent: int
    leak: int
    share_shift: int | None = None

    @property
    def size(self) -> int:
        """Number of faces."""
        return int(self.bias.size)


@dataclass(frozen=True)
class Stock:
    """What makes a graph one of Lava's own processes (`pisnn_deploy.graph.stock`).

    Attributes
    ----------
    send_threshold : int
        A face keeps what is smaller in its residue, in quanta; 1 sends everything.
    """

    send_threshold: int


def rectifier_of(population: Population) -> Rectifier:
    """What a hidden population does."""
    return Rectifier(population.name, population.parameters["bias"], _shift(population.program, "asr"))


def flux_of(population: Population) -> Flux:
    """What the compartments of faces do."""
    program = population.program
    if population.is_late:
        return Flux(np.zeros(population.size, np.int64), _shift(program, "asr"), MEMORYLESS)
    kept = _operation(program, "mul_shr")
    share = next((operation for operation in program.operations if operation.results == ("source_share",)), None)
    return Flux(
        population.parameters["bias"],
        _shift(program, "fire"),
        MEMORYLESS if kept is None else MEMORYLESS - int(kept.operands[1]),
        None if share is None else int(share.operands[-1]),
    )


def stock_of(population: Population) -> Stock | None:
    """What makes faces those of Lava's own processes: that they are one step late; None for others."""
    sends = _operation(population.program, "ge")
    return Stock(int(sends.operands[1])) if population.is_late and sends is not None else None


def _operation(program: Program, name: str) -> Operation | None:
    return next((operation for operation in program.operations if operation.name == name), None)


def _shift(program: Program, name: str) -> int:
    operation = _operation(program, name)
    assert operation is not None
    return int(operation.operands[-1])

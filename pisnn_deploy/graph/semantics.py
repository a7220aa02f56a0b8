"""The meaning of an integer graph, in plain numpy: the numerics contract step by step.

This is the reference that every backend is compared with; it is written to be read.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from pisnn_deploy.arithmetic import BOUNDLESS, decay, limit_packets, packets, rectify, require_width, shares
from pisnn_deploy.graph.integer import FLUX, MEMBRANE, IntegerGraph, Integers


@dataclass(frozen=True)
class State:
    """What a PISNN holds between two PDE steps.

    Attributes
    ----------
    mass : int64 array [cells + reservoirs]
        Masses of the cells, then ledgers.
    current, residue : int64 array [faces]
        State of the flux compartments.
    packets : int64 array [faces]
        What fired in the last PDE step.
    """

    mass: Integers
    current: Integers
    residue: Integers
    packets: Integers


Held = TypeVar("Held", bound=State)


class Reference(ABC, Generic[Held]):
    """A graph made ready to be stepped.

    Parameters
    ----------
    graph : IntegerGraph
        At least quantised. Widths are enforced if it is bounded.
    """

    def __init__(self, graph: IntegerGraph) -> None:
        self._graph = graph
        self._bits = {(bound.population, bound.quantity): bound.bits for bound in graph.bounds}

    @abstractmethod
    def start(self, mass: Integers) -> Held:
        """State before the first PDE step.

        Parameters
        ----------
        mass : int64 array [cells]

        Returns
        -------
        State
        """

    @abstractmethod
    def step(self, state: Held, step: int = 0) -> Held:
        """One PDE step.

        Parameters
        ----------
        state : State
        step : int
            Its number, counted from 0, for error messages.

        Returns
        -------
        State
            A new state; `state` is unchanged.

        Raises
        ------
        OverflowViolation
            A value outside its declared bits.
        """

    def masses_after(self, mass: Integers, steps: int) -> Integers:
        """Masses and ledgers after some PDE steps.

        Parameters
        ----------
        mass : int64 array [cells]
            At the start.
        steps : int

        Returns
        -------
        int64 array [cells + reservoirs]
        """
        state = self.start(mass)
        for step in range(steps):
            state = self.step(state, step)
        return state.mass

    def _require(self, values: Integers, population: str, quantity: str, step: int) -> None:
        bits = self._bits.get((population, quantity))
        if bits is not None:
            require_width(values, bits, population, quantity, step)


class Semantics(Reference[State]):
    """A graph of C-LIF membranes and flux compartments made ready to be stepped.

    Parameters
    ----------
    graph : IntegerGraph
        At least quantised. Widths are enforced if it is bounded.
    """

    def __init__(self, graph: IntegerGraph) -> None:
        super().__init__(graph)
        chain = graph.chain
        self._matrices = [graph.matrix(source, target) for source, target in zip(chain, chain[1:], strict=False)]
        self._route = graph.matrix(FLUX, MEMBRANE)

    def start(self, mass: Integers) -> State:
        """State before the first PDE step."""
        nothing = np.zeros(self._graph.flux.size, np.int64)
        self._require(mass, MEMBRANE, "mass", 0)
        return State(self._graph.membrane.holdings(mass), nothing, nothing, nothing)

    def activations(self, mass: Integers, step: int = 0) -> list[Integers]:
        """Activation of each population of the chain before the flux compartments.

        Parameters
        ----------
        mass : int64 array [cells + reservoirs]
        step : int
            PDE step, for error messages.

        Returns
        -------
        list of int64 array
            The masses, then each hidden population.
        """
        found = [mass]
        for population, matrix in zip(self._graph.hidden, self._matrices, strict=False):
            drive = matrix @ found[-1] + population.bias
            self._require(drive, population.name, "drive", step)
            found.append(rectify(drive, population.shift))
            self._require(found[-1], population.name, "activation", step)
        return found

    def step(self, state: State, step: int = 0) -> State:
        """One PDE step."""
        graph = self._graph
        given = self._given(state.mass, step)
        activation = self.activations(state.mass, step)[-1]
        drive = self._matrices[-1] @ activation + graph.flux.bias
        self._require(drive, FLUX, "drive", step)
        current = decay(state.current, graph.flux.leak) + drive
        self._require(current, FLUX, "current", step)
        residue = state.residue + current
        self._require(residue, FLUX, "potential", step)
        fired = packets(residue, graph.flux.threshold_exponent)
        residue = residue - (fired << graph.flux.threshold_exponent)
        if given is not None:
            fired = limit_packets(fired, *given)  # the rest is dropped
        self._require(fired, FLUX, "packet", step)
        self._require(residue, FLUX, "residue", step)
        mass = state.mass + self._route @ fired
        cells = graph.mesh.cells
        self._require(mass[:cells], MEMBRANE, "mass", step + 1)
        self._require(mass[cells:], MEMBRANE, "ledger", step + 1)
        return State(mass, current, residue, fired)

    def _given(self, mass: Integers, step: int) -> tuple[Integers, Integers] | None:
        """What the holders at both ends of each face can give; None without a limiter."""
        mesh, shift = self._graph.mesh, self._graph.flux.share_shift
        if shift is None:
            return None
        found = []
        for quantity, holder in (("source-mass", mesh.source), ("target-mass", mesh.target)):
            is_cell = holder < mesh.cells
            held = np.where(is_cell, mass[holder], 0)
            self._require(held, FLUX, quantity, step)
            share = shares(held, shift)
            self._require(share, FLUX, "share", step)
            found.append(np.where(is_cell, share, BOUNDLESS))
        return found[0], found[1]

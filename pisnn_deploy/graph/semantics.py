"""The meaning of an integer graph, in plain numpy: the numerics contract step by step.

This is the reference that every backend is compared with; it is written to be read. What a neuron does stands in its
program; here stands what reaches it, and in which order::

    a_0 = m,   a_{l+1} = hidden layer l of W_l a_l          activations of this PDE step
    k, ...  = faces of W_L a_L                              packets
    m       <- m + D k                                      holders: cells, then reservoirs
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pisnn_deploy.core.arithmetic import require_width
from pisnn_deploy.graph.integer import FLUX, MEMBRANE, IntegerGraph, Integers
from pisnn_deploy.graph.populations import Population, faces, hidden_layers
from pisnn_deploy.programs import Result, run
from pisnn_deploy.programs.arrays import Arrays


@dataclass(frozen=True)
class State:
    """What a PISNN holds between two PDE steps, and what the last one did.

    Attributes
    ----------
    mass : int64 array [cells + reservoirs]
        Masses of the cells, then ledgers.
    current : int64 array [faces]
        What each face added to its residue in the last PDE step, in flux units.
    residue : int64 array [faces]
        What has not fired.
    packets : int64 array [faces]
        What fired in the last PDE step.
    kept_current : int64 array [faces]
        What the program of the faces keeps of its current for the next PDE step; 0 where it keeps nothing.
    """

    mass: Integers
    current: Integers
    residue: Integers
    packets: Integers
    kept_current: Integers


class Semantics:
    """A graph made ready to be stepped.

    Parameters
    ----------
    graph : IntegerGraph
        At least quantised. Widths are enforced if it is bounded.
    """

    def __init__(self, graph: IntegerGraph) -> None:
        self._graph = graph
        self._bits = {(bound.population, bound.quantity): bound.bits for bound in graph.bounds}
        self._layers, self._faces = hidden_layers(graph), faces(graph)
        chain = graph.chain
        self._matrices = [graph.matrix(source, target) for source, target in zip(chain, chain[1:], strict=False)]
        self._route = graph.matrix(FLUX, MEMBRANE)

    def start(self, mass: Integers) -> State:
        """State before the first PDE step.

        Parameters
        ----------
        mass : int64 array [cells]
            Masses of the cells.

        Returns
        -------
        State
            Nothing has fired; faces that are one step late keep the current of these masses.
        """
        nothing = np.zeros(self._graph.flux.size, np.int64)
        self._require(mass, MEMBRANE, "mass", 0)
        holders = self._graph.membrane.holdings(mass)
        return State(holders, nothing, nothing, nothing, self._late_current(holders))

    def activations(self, mass: Integers, step: int = 0) -> list[Integers]:
        """Activation of each population of the chain before the faces.

        Parameters
        ----------
        mass : int64 array [cells + reservoirs]
            Masses at the start of the PDE step.
        step : int
            PDE step, for error messages.

        Returns
        -------
        list of int64 array
            The masses, then each hidden population.
        """
        answers = [mass]
        for layer, matrix in zip(self._layers, self._matrices, strict=False):
            result = run(
                layer.program, self._reader(layer, step), {"arrival": matrix @ answers[-1], **layer.parameters}
            )
            answers.append(result.sends[0])
        return answers

    def step(self, state: State, step: int = 0) -> State:
        """One PDE step.

        Parameters
        ----------
        state : State
            Unchanged.
        step : int
            Its number, counted from 0, for error messages.

        Returns
        -------
        State
            After the PDE step.

        Raises
        ------
        OverflowViolation
            A value outside its declared bits.
        """
        result = self._fire(state.mass, state.kept_current, state.residue, step)
        packets = result.sends[0]
        mass = state.mass + self._route @ packets
        cells = self._graph.mesh.cells
        self._require(mass[:cells], MEMBRANE, "mass", step + 1)
        self._require(mass[cells:], MEMBRANE, "ledger", step + 1)
        *kept, residue = (result.states[name] for name in self._faces.program.states)
        kept_current = kept[0] if kept else np.zeros_like(residue)
        return State(mass, result.values["current"], residue, packets, kept_current)

    def masses_after(self, mass: Integers, steps: int) -> Integers:
        """Masses and ledgers after some PDE steps.

        Parameters
        ----------
        mass : int64 array [cells]
            At the start.
        steps : int
            PDE steps.

        Returns
        -------
        int64 array [cells + reservoirs]
            At the end.
        """
        state = self.start(mass)
        for step in range(steps):
            state = self.step(state, step)
        return state.mass

    def _late_current(self, mass: Integers) -> Integers:
        """What faces that add their arrivals one step late keep at the start: the current of these masses."""
        nothing = np.zeros(self._faces.size, np.int64)
        if not self._faces.is_late:
            return nothing
        return self._fire(mass, nothing, nothing, 0, checked=False).states["current"]

    def _fire(
        self, mass: Integers, kept_current: Integers, residue: Integers, step: int, *, checked: bool = True
    ) -> Result[Integers]:
        """What the faces make of the masses."""
        faces, mesh = self._faces, self._graph.mesh
        inputs = {"arrival": self._matrices[-1] @ self.activations(mass, step)[-1], **faces.parameters}
        for port, holder in (("source_mass", mesh.source), ("target_mass", mesh.target)):
            if port in faces.program.ports:
                inputs[port] = np.where(holder < mesh.cells, mass[holder], 0)
        inputs |= dict(zip(reversed(faces.program.states), (residue, kept_current), strict=False))
        reader = self._reader(faces, step) if checked else Arrays()
        for name in inputs if checked else ():
            reader.result(name, inputs[name])
        return run(faces.program, reader, inputs)

    def _reader(self, population: Population, step: int) -> Arrays:
        def look(name: str, values: Integers) -> None:
            self._require(values, population.name, population.quantity(name), step)

        return Arrays(look)

    def _require(self, values: Integers, population: str, quantity: str, step: int) -> None:
        bits = self._bits.get((population, quantity))
        if bits is not None:
            require_width(values, bits, population, quantity, step)


def first_kept_current(graph: IntegerGraph, mass: Integers) -> Integers:
    """What the faces of a graph keep of their currents before the first PDE step.

    Parameters
    ----------
    graph : IntegerGraph
        At least quantised.
    mass : int64 array [cells + reservoirs]
        Masses at the start.

    Returns
    -------
    int64 array [faces]
        0, but for faces that add their arrivals one step late: the current of these masses.
    """
    if not faces(graph).is_late:  # the matrices of a large mesh are not spelled out for nothing
        return np.zeros(graph.flux.size, np.int64)
    return Semantics(graph).start(mass[: graph.mesh.cells]).kept_current


def kept_current(graph: IntegerGraph, current: Integers) -> Integers:
    """What faces that are not late keep of the current of a PDE step.

    Parameters
    ----------
    graph : IntegerGraph
        At least quantised.
    current : int64 array [faces]
        Current of the PDE step.

    Returns
    -------
    int64 array [faces]
        The current, or 0 where its program forgets it.
    """
    return current if len(faces(graph).program.states) > 1 else np.zeros_like(current)

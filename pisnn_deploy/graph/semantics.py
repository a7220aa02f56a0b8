"""The meaning of an integer graph, in plain numpy: the numerics contract step by step.

This is the reference that every backend is compared with; it is written to be read. A neuron's program says what it
does; this module says what reaches it, and in which order::

    sends of holders        = their masses at the start of the PDE step
    arrival of a port       = sum over its synapses of W a, with a what their sources send
    sends, new states       = program of the population, in the order of depth
    new masses              = m + D k of what channels send
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from pisnn_deploy.core.arithmetic import require_width
from pisnn_deploy.core.rows import Rows
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.programs import Prepared, Result
from pisnn_deploy.programs.arrays import Arrays


@dataclass(frozen=True)
class State:
    """State of a PISNN between two PDE steps, and what the last step did.

    Attributes
    ----------
    mass : int64 array [cells + reservoirs]
        Masses of the cells, then ledgers.
    current : int64 array [faces]
        Current that each face added to its residue in the last PDE step, in flux units.
    residue : int64 array [faces]
        What each face has not fired yet, in flux units.
    packets : int64 array [faces]
        Packets that each face fired in the last PDE step.
    kept_current : int64 array [faces]
        Current that each face keeps for the next PDE step; 0 where its program keeps none.
    """

    mass: Integers
    current: Integers
    residue: Integers
    packets: Integers
    kept_current: Integers


States = dict[str, dict[str, Integers]]
"""All states between two PDE steps, by population and by state of its program."""


class Semantics:
    """A graph prepared for stepping.

    Parameters
    ----------
    graph : IntegerGraph
        At least quantised. Widths are enforced if it is bounded.
    """

    def __init__(self, graph: IntegerGraph) -> None:
        self._graph = graph
        self._bits = {(bound.population, bound.quantity): bound.bits for bound in graph.bounds}
        self._declared = {
            (population.name, name): (population.quantity(name), self._bits[population.name, population.quantity(name)])
            for population in graph.populations
            for name in population.program.names
            if (population.name, population.quantity(name)) in self._bits
        }
        self._answering = [p for p in map(graph.population, graph.depths) if p.name not in graph.holders]
        self._weights: dict[tuple[str, str], list[tuple[str, int, Rows]]] = {
            (population.name, port): _weights(graph, population.name, port)
            for population in graph.populations
            for port in population.program.ports
        }
        self._step = 0
        self._run = {population.name: self._prepared(population) for population in graph.populations}

    def begin(self, masses: Mapping[str, Integers] | None = None) -> States:
        """All states before the first PDE step.

        Parameters
        ----------
        masses : mapping of str to int64 array [cells], optional
            Masses of the cells of some populations of holders; the graph's own for others.

        Returns
        -------
        dict of str to dict of str to int64 array
            States by population and name; late populations start with the current of these masses.
        """
        states = {population.name: population.started() for population in self._graph.populations}
        for holder, mass in (masses or {}).items():
            self._require(mass, holder, "mass", 0)
            (state,) = states[holder]
            states[holder] = {state: self._graph.field_of(holder).holdings(mass)}
        late = [population for population in self._answering if population.is_late]
        if late:
            first = self._answers(states, 0, checked=False)
            for population in late:
                heard = population.hearing_states
                states[population.name] |= {state: first[population.name].states[state] for state in heard}
        return states

    def advance(self, states: States, step: int = 0) -> tuple[States, dict[str, Result[Integers]]]:
        """Run one PDE step of any graph.

        Parameters
        ----------
        states : dict of str to dict of str to int64 array
            Unchanged.
        step : int
            Its number, counted from 0, for error messages.

        Returns
        -------
        states : dict of str to dict of str to int64 array
            After the PDE step.
        results : dict of str to Result
            Result of the program of each population that holds no mass.

        Raises
        ------
        OverflowViolation
            A value outside its declared bits.
        """
        results = self._answers(states, step)
        sends = {name: result.sends for name, result in results.items()}
        after = {name: result.states for name, result in results.items()}
        for field in self._graph.fields:
            population = self._graph.population(field.holder)
            result = self._run[population.name].run(self._inputs(population, states, sends))
            (mass,) = result.sends
            self._require(mass[: field.cells], field.holder, "mass", step + 1)
            self._require(mass[field.cells :], field.holder, "ledger", step + 1)
            after[field.holder] = result.states
        return after, results

    def start(self, mass: Integers) -> State:
        """State of a graph of one field before the first PDE step.

        Parameters
        ----------
        mass : int64 array [cells]
            Masses of the cells.

        Returns
        -------
        State
            Nothing has fired; faces that are one step late keep the current of these masses.
        """
        holder, faces = self._graph.sole_field.holder, self._graph.sole_channels
        states = self.begin({holder: mass})
        nothing = np.zeros(faces.size, np.int64)
        (holders,) = states[holder].values()
        kept, _ = _current_and_residue(faces, states[faces.name])
        return State(holders, nothing, nothing, nothing, kept)

    def activations(self, mass: Integers, step: int = 0) -> list[Integers]:
        """Activation of each population of a graph of one field before its faces.

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
        graph = self._graph
        states = {population.name: population.started() for population in graph.between_fields}
        states[graph.sole_field.holder] = {"mass": mass}
        hidden = [p for p in self._answering if p.name in states]
        return [mass, *(result.sends[0] for result in self._answers(states, step, hidden).values())]

    def step(self, state: State, step: int = 0) -> State:
        """Run one PDE step of a graph of one field.

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
        holder, faces = self._graph.sole_field.holder, self._graph.sole_channels
        states = {population.name: population.started() for population in self._graph.between_fields}
        states[holder] = dict.fromkeys(self._graph.population(holder).program.states, state.mass)
        kept = zip(reversed(faces.program.states), (state.residue, state.kept_current), strict=False)
        states[faces.name] = dict(kept)
        after, results = self.advance(states, step)
        fired = results[faces.name]
        (mass,) = after[holder].values()
        kept_current, residue = _current_and_residue(faces, after[faces.name])
        return State(mass, fired.values["current"], residue, fired.sends[0], kept_current)

    def masses_after(self, mass: Integers, steps: int) -> Integers:
        """Masses and ledgers of a graph of one field after some PDE steps.

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

    def _answers(
        self, states: States, step: int, populations: list[Population] | None = None, *, checked: bool = True
    ) -> dict[str, Result[Integers]]:
        """Results of the populations for given masses, in order of depth."""
        results: dict[str, Result[Integers]] = {}
        sends: dict[str, tuple[Integers, ...]] = {}
        self._step = step
        for population in self._answering if populations is None else populations:
            inputs = self._inputs(population, states, sends)
            prepared = self._run[population.name] if checked else Prepared(population.program, Arrays())
            for name, values in inputs.items() if checked else ():
                self._look(population.name, name, values)
            results[population.name] = _spread(prepared.run(inputs), population.size)
            sends[population.name] = results[population.name].sends
        return results

    def _inputs(
        self, population: Population, states: States, sends: Mapping[str, tuple[Integers, ...]]
    ) -> dict[str, Integers]:
        """Ports, states and parameters of a population, by name; holders send the masses of the start of the step."""
        ports = {}
        for port in population.program.ports:
            arrivals = [
                matrix @ (sends[source][output] if source in sends else next(iter(states[source].values())))
                for source, output, matrix in self._weights[population.name, port]
            ]
            ports[port] = sum(arrivals[1:], arrivals[0]) if arrivals else np.zeros(population.size, np.int64)
        return {**ports, **states[population.name], **population.parameters}

    def _prepared(self, population: Population) -> Prepared[Integers]:
        """Prepare the program of a population for stepping; widths of holders are checked with the ledgers' instead."""
        if population.name in self._graph.holders:
            return Prepared(population.program, Arrays())
        return Prepared(population.program, Arrays(partial(self._look, population.name)))

    def _look(self, population: str, value: str, values: Integers) -> None:
        declared = self._declared.get((population, value))
        if declared is not None:
            quantity, bits = declared
            require_width(values, bits, population, quantity, self._step)

    def _require(self, values: Integers, population: str, quantity: str, step: int) -> None:
        bits = self._bits.get((population, quantity))
        if bits is not None:
            require_width(values, bits, population, quantity, step)


def _weights(graph: IntegerGraph, target: str, port: str) -> list[tuple[str, int, Rows]]:
    """Sources of a port: each with its output and the summed effective weights."""
    sums: dict[tuple[str, int], Rows] = {}
    for synapse in graph.into(target, port):
        key = synapse.source, synapse.output
        matrix = synapse.matrix()
        sums[key] = sums[key] + matrix if key in sums else matrix
    return [(source, output, matrix) for (source, output), matrix in sums.items()]


def _spread(result: Result[Integers], size: int) -> Result[Integers]:
    """Expand constants in a result to one value per neuron."""

    def spread(value: Integers) -> Integers:
        return value if np.shape(value) else np.full(size, value, np.int64)

    states = {name: spread(value) for name, value in result.states.items()}
    return Result(states, tuple(map(spread, result.sends)), result.values)


def _current_and_residue(faces: Population, states: Mapping[str, Integers]) -> tuple[Integers, Integers]:
    """Kept current (0 where a program keeps none) and residue of the faces."""
    *kept, residue = (states[name] for name in faces.program.states)
    return (kept[0] if kept else np.zeros_like(residue)), residue


def first_kept_current(graph: IntegerGraph, mass: Integers) -> Integers:
    """Current that the faces of a graph keep before the first PDE step.

    Parameters
    ----------
    graph : IntegerGraph
        At least quantised.
    mass : int64 array [cells + reservoirs]
        Masses at the start.

    Returns
    -------
    int64 array [faces]
        The current of these masses for faces that add arrivals one step late, else 0.
    """
    if not graph.sole_channels.is_late:  # avoids building the matrices of a large mesh
        return np.zeros(graph.sole_channels.size, np.int64)
    return Semantics(graph).start(mass[: graph.sole_field.cells]).kept_current


def kept_current(graph: IntegerGraph, current: Integers) -> Integers:
    """Current that faces keep from a PDE step, if they are not late.

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
    return current if len(graph.sole_channels.program.states) > 1 else np.zeros_like(current)

"""The meaning of an integer graph, in plain numpy: the numerics contract step by step.

This is the reference that every backend is compared with; it is written to be read. A neuron's program says what it
does; this module says what reaches it, and in which order::

    sends of holders        = their masses at the start of the PDE step
    arrival of a port       = sum over its synapses of W a, with a what their sources send
    sends, new states       = program of the population, in the order of depth
    new masses              = m + D k of what channels send

What a population sends to itself arrives in the next PDE step: it is a state, as it was at the start of the step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from dataclasses import field as defaulted
from functools import partial

import numpy as np

from pisnn_deploy.core.arithmetic import require_width
from pisnn_deploy.graph.columns import columns_of
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.maps import maps_of_port
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.graph.widths import Widths
from pisnn_deploy.programs import Prepared, Result
from pisnn_deploy.programs.arrays import Arrays


@dataclass(frozen=True)
class State:
    """State of a PISNN between two PDE steps, and what the last step did.

    Attributes
    ----------
    mass : int64 array [holders]
        Masses of the cells, then ledgers; field by field.
    current : int64 array [channels]
        Current that each channel added to its residue in the last PDE step, in flux units.
    residue : int64 array [channels]
        What each channel has not fired yet, in flux units.
    packets : int64 array [channels]
        Packets that each channel fired in the last PDE step.
    kept_current : int64 array [channels]
        Current that each channel keeps for the next PDE step; 0 where its program keeps none.
    messages : dict of str to tuple of int64 array [neurons]
        With a limiter, all values that channels and the populations that answer them sent in the last PDE step.
    """

    mass: Integers
    current: Integers
    residue: Integers
    packets: Integers
    kept_current: Integers
    messages: Mapping[str, tuple[Integers, ...]] = defaulted(default_factory=dict)


States = dict[str, dict[str, Integers]]
"""All states between two PDE steps, by population and by state of its program."""
Results = dict[str, Result[Integers]]
"""Results of programs in a PDE step, by population."""


class Arrivals:
    """What reaches the ports of a graph over its synapses."""

    def __init__(self, graph: IntegerGraph) -> None:
        self._weights = {
            (population.name, port): maps_of_port(graph, population.name, port)
            for population in graph.populations
            for port in population.program.ports
        }

    def at(self, population: Population, port: str, sent: Callable[[str, int], Integers]) -> Integers:
        """Sum of what arrives at a port, int64 [neurons].

        Parameters
        ----------
        sent : callable
            Returns what an output of a population last sent, int64 [neurons of that population].
        """
        arrivals = [matrix @ sent(source, output) for source, output, matrix in self._weights[population.name, port]]
        return sum(arrivals[1:], arrivals[0]) if arrivals else np.zeros(population.size, np.int64)


class Semantics:
    """A graph prepared for stepping.

    Parameters
    ----------
    graph : IntegerGraph
        At least quantised. Widths are enforced if it is bounded.
    arrivals : Arrivals, optional
        What carries messages over the synapses.
    """

    def __init__(self, graph: IntegerGraph, arrivals: Arrivals | None = None) -> None:
        self._graph = graph
        self._bits = {(bound.population, bound.quantity): bound.bits for bound in graph.bounds}
        self._widths = {
            population.name: Widths(population, self._bits)
            for population in graph.populations
            if population.name not in graph.holders  # theirs are checked with those of the ledgers
        }
        self._columns = columns_of(graph)
        self._channels = [graph.population(channels.population) for channels in graph.channels]
        self._between = tuple(population.name for population in graph.between_fields)
        self._answering = [p for p in map(graph.population, graph.depths) if p.name not in graph.holders]
        self._asking, self._answers_of = graph.order.asking, graph.order.answers
        self._arrivals = arrivals or Arrivals(graph)
        self._run = {population.name: Prepared(population.program, Arrays()) for population in graph.populations}
        self._ask = {name: Prepared(each.part.program, Arrays()) for name, each in self._asking.items()}

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

    def advance(self, states: States, step: int = 0, between: Results | None = None) -> tuple[States, Results]:
        """Run one PDE step of any graph.

        Parameters
        ----------
        states : dict of str to dict of str to int64 array
            Unchanged.
        step : int
            Its number, counted from 0, for error messages.
        between : dict of str to Result, optional
            Results of some populations, if they are known.

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
        results = self._answers(states, step, known=between)
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
        """State before the first PDE step.

        Parameters
        ----------
        mass : int64 array [cells]
            Masses of the cells, field by field.

        Returns
        -------
        State
            Nothing has fired; channels that are one step late keep the current of these masses.
        """
        columns = self._columns
        states = self.begin({field.holder: mass[field.cells] for field in columns.fields})
        nothing = np.zeros(columns.size, np.int64)
        kept = [_current_and_residue(p, states[p.name])[0] for p in self._channels]
        return State(columns.holdings(mass), nothing, nothing, nothing, _joint(kept))

    def between(self, mass: Integers, step: int = 0) -> Results:
        """Results of the populations that neither hold mass nor carry packets.

        Parameters
        ----------
        mass : int64 array [holders]
            Masses and ledgers at the start of the PDE step.
        step : int
            PDE step, for clocks and error messages.

        Returns
        -------
        dict of str to Result
            In the order of depth.

        Raises
        ------
        OverflowViolation
            A value outside its declared bits.
        """
        states = {name: self._graph.population(name).states_at(step) for name in self._between}
        return self._answers(
            states | self._states_of_holders(mass), step, [p for p in self._answering if p.name in self._between]
        )

    def step(self, state: State, step: int = 0, between: Results | None = None) -> State:
        """Run one PDE step of a graph whose channels have the states that `contract` requires.

        Parameters
        ----------
        state : State
            Unchanged.
        step : int
            Its number, counted from 0, for clocks and error messages.
        between : dict of str to Result, optional
            What `between` returns for the masses of `state`, if known.

        Returns
        -------
        State
            After the PDE step.

        Raises
        ------
        OverflowViolation
            A value outside its declared bits.
        """
        states = {name: self._graph.population(name).states_at(step) for name in (*self._between, *self._answers_of)}
        states |= self._states_of_holders(state.mass)
        for population, columns in zip(self._channels, self._columns.channels, strict=True):
            values = state.residue[columns.part], state.kept_current[columns.part]
            states[population.name] = dict(zip(reversed(population.program.states), values, strict=False))
        after, results = self.advance(states, step, between)
        fired = [results[population.name] for population in self._channels]
        memories = [_current_and_residue(p, after[p.name]) for p in self._channels]
        return State(
            _joint([next(iter(after[field.holder].values())) for field in self._columns.fields]),
            _joint([_of_all(result.values["current"], result.sends[0].size) for result in fired]),
            _joint([residue for _, residue in memories]),
            _joint([result.sends[0] for result in fired]),
            _joint([kept for kept, _ in memories]),
            {name: results[name].sends for name in (*self._asking, *self._answers_of)},
        )

    def _states_of_holders(self, mass: Integers) -> States:
        """States of the holders."""
        states: States = {}
        for columns in self._columns.fields:
            (name,) = self._graph.population(columns.holder).program.states
            holders = slice(columns.held_cells.start, columns.held_reservoirs.stop)
            states[columns.holder] = {name: mass[holders]}
        return states

    def masses_after(self, mass: Integers, steps: int) -> Integers:
        """Masses and ledgers after some PDE steps.

        Parameters
        ----------
        mass : int64 array [cells]
            At the start, field by field.
        steps : int
            PDE steps.

        Returns
        -------
        int64 array [holders]
            At the end.
        """
        state = self.start(mass)
        for step in range(steps):
            state = self.step(state, step)
        return state.mass

    def _answers(
        self,
        states: States,
        step: int,
        populations: list[Population] | None = None,
        *,
        known: Results | None = None,
        checked: bool = True,
    ) -> Results:
        """Results of the populations for given masses, in order of depth."""
        results: Results = dict(known or {})
        sends = {name: result.sends for name, result in results.items()}
        for population in self._answering if populations is None else populations:
            if population.name in results:
                continue
            if population.name in self._answers_of:
                sends |= self._asked(population, states, sends)
            result = self._run[population.name].run(self._inputs(population, states, sends))
            if checked:
                self._widths[population.name].require(result.values, step)
            results[population.name] = _spread(result, population.size)
            sends[population.name] = results[population.name].sends
        return results

    def _asked(
        self, answering: Population, states: States, sends: Mapping[str, tuple[Integers, ...]]
    ) -> dict[str, tuple[Integers, ...]]:
        """What a population hears of channels that have not run, at the numbers of their outputs; 0 as packets."""
        heard = {synapse.source for synapse in self._graph.synapses if synapse.target == answering.name}
        asked = {}
        for name in heard.intersection(self._asking).difference(sends):
            asking = self._asking[name]
            result = _spread(self._ask[name].run(self._inputs(asking.part, states, sends)), asking.part.size)
            nothing = np.zeros(asking.part.size, np.int64)
            by_number = dict(zip(asking.outputs, result.sends, strict=True))
            asked[name] = tuple(by_number.get(number, nothing) for number in range(asking.outputs[-1] + 1))
        return asked

    def _inputs(
        self, population: Population, states: States, sends: Mapping[str, tuple[Integers, ...]]
    ) -> dict[str, Integers]:
        """Ports, states and parameters of a population, by name; holders send the masses of the start of the step."""
        sent = partial(self._sent, population, states, sends)
        ports = {port: self._arrivals.at(population, port, sent) for port in population.program.ports}
        kept = states[population.name]
        return {**ports, **{state: kept[state] for state in population.program.states}, **population.parameters}

    def _sent(
        self, target: Population, states: States, sends: Mapping[str, tuple[Integers, ...]], source: str, output: int
    ) -> Integers:
        """What a source last sent to a population."""
        if source in self._graph.holders:
            (mass,) = states[source].values()
            return mass
        if source == target.name:
            return states[source][self._graph.heard_again[source, output]]
        return sends[source][output]

    def _require(self, values: Integers, population: str, quantity: str, step: int) -> None:
        bits = self._bits.get((population, quantity))
        if bits is not None:
            require_width(values, bits, population, quantity, step)


def _spread(result: Result[Integers], size: int) -> Result[Integers]:
    """Expand constants in a result to one value per neuron."""
    states = {name: _of_all(value, size) for name, value in result.states.items()}
    return Result(states, tuple(_of_all(value, size) for value in result.sends), result.values)


def _of_all(value: Integers, size: int) -> Integers:
    """Expand a constant to one value per neuron."""
    return value if np.shape(value) else np.full(size, value, np.int64)


def _current_and_residue(faces: Population, states: Mapping[str, Integers]) -> tuple[Integers, Integers]:
    """Kept current (0 where a program keeps none) and residue of the faces."""
    *kept, residue = (states[name] for name in faces.program.states)
    return (kept[0] if kept else np.zeros_like(residue)), residue


def _joint(parts: list[Integers]) -> Integers:
    """Concatenate arrays; the only one is not copied."""
    return parts[0] if len(parts) == 1 else np.concatenate([*parts, np.zeros(0, np.int64)])

"""The `torch` backend: programs of a graph on int64 tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

import numpy as np
import torch

from pisnn_deploy.core.rows import Rows
from pisnn_deploy.graph.columns import columns_of
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.graph.semantics import State
from pisnn_deploy.programs import Result
from pisnn_deploy.programs import run as run_program
from pisnn_deploy.runs.run import Progress, Run, RunOptions, RunState, start_of
from pisnn_deploy.runs.stepping import ReferenceStepper, stepped_run


def run(graph: IntegerGraph, mass: Integers, options: RunOptions, progress: Progress | None = None) -> Run:
    """Run a graph; see `pisnn_deploy.runs.run_graph`."""
    start = options.start or start_of(graph, mass)
    stepper = ReferenceStepper(graph, start, options.steps, _states(graph, start))
    return stepped_run("torch", graph, stepper, options, progress)


class Tensors:
    """Program reader on int64 tensors [neurons]; exact if every value and product fits 64 bits."""

    def constant(self, number: int) -> torch.Tensor:
        return torch.tensor(number, dtype=torch.int64)

    def result(self, name: str, value: torch.Tensor) -> torch.Tensor:
        return value

    def add(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a + b

    def sub(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a - b

    def neg(self, a: torch.Tensor) -> torch.Tensor:
        return -a

    def abs(self, a: torch.Tensor) -> torch.Tensor:
        return a.abs()

    def min(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.minimum(a, b)

    def max(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.maximum(a, b)

    def shl(self, a: torch.Tensor, bits: int) -> torch.Tensor:
        return a << bits

    def asr(self, a: torch.Tensor, bits: int) -> torch.Tensor:
        return a >> bits

    def mul_shr(self, a: torch.Tensor, b: torch.Tensor, bits: int) -> torch.Tensor:
        return (a * b) >> bits

    def copysign(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.sign(b) * a

    def lt(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a < b).long()

    def ge(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a >= b).long()

    def eq(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a == b).long()

    def select(self, condition: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.where(condition != 0, a, b)

    def table(self, index: torch.Tensor, entries: tuple[int, ...]) -> torch.Tensor:
        return _tensor(entries)[index.clamp(0, len(entries) - 1)]

    def fire(self, potential: torch.Tensor, exponent: int) -> tuple[torch.Tensor, torch.Tensor]:
        packet = torch.sign(potential) * ((potential.abs() + ((1 << exponent) // 2 - 1)) >> exponent)
        return packet, potential - (packet << exponent)


@lru_cache(maxsize=64)
def _tensor(entries: tuple[int, ...]) -> torch.Tensor:
    return torch.tensor(entries, dtype=torch.int64)


States = dict[str, dict[str, torch.Tensor]]
"""States of all populations between two PDE steps, by population and name."""


class Network:
    """A graph on tensors.

    Parameters
    ----------
    graph : IntegerGraph
        Graph with any fields, channels and populations.
    """

    def __init__(self, graph: IntegerGraph) -> None:
        populations = [graph.population(name) for name in graph.depths]
        self._again = graph.heard_again
        self._answering = [p for p in populations if p.name not in graph.holders]
        self._holders = [p for p in populations if p.name in graph.holders]
        self._asking, self._answers = graph.order.asking, graph.order.answers
        self._parameters = {
            p.name: {name: torch.tensor(values) for name, values in p.parameters.items()} for p in populations
        }
        self._heard = {
            (p.name, port): [(s.source, s.output, _tensor_matrix(s.matrix())) for s in graph.into(p.name, port)]
            for p in populations
            for port in p.program.ports
        }

    def advance(self, states: States) -> tuple[States, dict[str, Result[torch.Tensor]]]:
        """Compute one PDE step.

        Parameters
        ----------
        states : dict of str to dict of str to int64 tensor
            States before the step (unchanged).

        Returns
        -------
        states : dict of str to dict of str to int64 tensor
            States after the step.
        results : dict of str to Result
            Program results of each population except the holders.
        """
        sends = {p.name: tuple(states[p.name].values()) for p in self._holders}
        results: dict[str, Result[torch.Tensor]] = {}
        for population in self._answering:
            if population.name in self._answers:
                sends |= {name: self._asked(name, states, sends) for name in self._asking_of(population)}
            results[population.name] = self._answered(population, states, sends)
            sends[population.name] = results[population.name].sends
        holders = {p.name: self._answered(p, states, sends) for p in self._holders}
        return {name: result.states for name, result in (holders | results).items()}, results

    def _asking_of(self, answering: Population) -> set[str]:
        """Channels that ask a population."""
        heard = {source for port in answering.program.ports for source, _, _ in self._heard[answering.name, port]}
        return heard.intersection(self._asking)

    def _asked(
        self, name: str, states: States, sends: Mapping[str, tuple[torch.Tensor, ...]]
    ) -> tuple[torch.Tensor, ...]:
        """What channels send before they fire, at the numbers of their outputs; 0 as packets."""
        asking = self._asking[name]
        sent = dict(zip(asking.outputs, self._answered(asking.part, states, sends).sends, strict=True))
        nothing = torch.zeros(asking.part.size, dtype=torch.int64)
        return tuple(sent.get(number, nothing) for number in range(asking.outputs[-1] + 1))

    def _answered(
        self, population: Population, states: States, sends: Mapping[str, tuple[torch.Tensor, ...]]
    ) -> Result[torch.Tensor]:
        name, ports = population.name, {}
        for port in population.program.ports:
            ports[port] = torch.zeros(population.size, dtype=torch.int64)
            for source, output, matrix in self._heard[name, port]:
                sent = states[name][self._again[name, output]] if source == name else sends[source][output]
                ports[port] = ports[port] + matrix @ sent.expand(matrix.shape[1])
        kept = {state: states[name][state] for state in population.program.states}
        parameters = {parameter: self._parameters[name][parameter] for parameter in population.program.parameters}
        return run_program(population.program, Tensors(), {**ports, **kept, **parameters})


def _tensor_matrix(matrix: Rows) -> torch.Tensor:
    places = torch.tensor(np.stack([matrix.row_of, matrix.columns]), dtype=torch.int64)
    numbers = torch.tensor(matrix.values)
    # Torch reads beyond its arrays where a column is too large, and its own check of that takes 10 ms.
    if matrix.entries and not 0 <= matrix.columns.min() <= matrix.columns.max() < matrix.width:
        raise IndexError(f"a column of a matrix is not from 0 to {matrix.width - 1}")
    return torch.sparse_coo_tensor(places, numbers, matrix.shape, check_invariants=False).coalesce()


def _states(graph: IntegerGraph, start: RunState) -> Iterator[State]:
    network, columns = Network(graph), columns_of(graph)
    channels = [(graph.population(part.population), part.part) for part in columns.channels]
    states: States = {
        population.name: {name: torch.tensor(values) for name, values in population.states_at(start.step).items()}
        for population in (*graph.between_fields, *map(graph.population, graph.order.answers))
    }
    for field in columns.fields:
        holders = torch.tensor(start.mass[field.held_cells.start : field.held_reservoirs.stop])
        states[field.holder] = dict.fromkeys(graph.population(field.holder).program.states, holders)
    for population, part in channels:
        memories = (torch.tensor(start.residue[part]), torch.tensor(start.current[part]))
        states[population.name] = dict(zip(reversed(population.program.states), memories, strict=False))
    while True:
        states, results = network.advance(states)
        mass = [next(iter(states[field.holder].values())) for field in columns.fields]
        current, residue, packets, kept = [], [], [], []
        for population, _ in channels:
            *currents, rest = (states[population.name][name] for name in population.program.states)
            fired = results[population.name]
            current.append(fired.values["current"].expand(population.size))
            residue.append(rest.expand(population.size))
            packets.append(fired.sends[0].expand(population.size))
            kept.append(currents[0].expand(population.size) if currents else torch.zeros_like(residue[-1]))
        messages = {
            name: tuple(np.asarray(sent.expand(graph.size(name)).numpy()) for sent in results[name].sends)
            for name in (*graph.order.asking, *graph.order.answers)
        }
        yield State(_joint(mass), _joint(current), _joint(residue), _joint(packets), _joint(kept), messages)


def _joint(parts: list[torch.Tensor]) -> Integers:
    """Concatenate tensors to an array."""
    return np.asarray(torch.cat(parts).numpy()) if parts else np.zeros(0, np.int64)

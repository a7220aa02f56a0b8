"""One PDE step of an integer graph as operations on named tensors, for formats that hold such operations.

Sums over synapses are gathers over padded rows, so the size of a model grows linearly with the mesh.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.rows import Rows
from pisnn_deploy.graph.columns import ChannelColumns, Columns, columns_of
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.maps import weights_of_port
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.programs import Program, Result, run
from pisnn_deploy.programs.clock import Clock
from pisnn_deploy.programs.reading import Reader

STATE = ("mass", "current", "residue")
"""Tensors that a step changes; ``step`` follows if the graph has clocks."""
Senders = dict[tuple[str, int], tuple[str, int]]
"""Tensor of each output of each population, and the position of its first neuron in the tensor."""


@dataclass
class StepBuilder(ABC):
    """Writes the operations of one PDE step; a value is the name of an int64 tensor."""

    graph: IntegerGraph
    _added: dict[str, str] = field(default_factory=dict, init=False)

    @abstractmethod
    def node(self, operator: str, inputs: Sequence[str], output: str) -> str:
        """Add an operation with one output and return its name.

        Parameters
        ----------
        operator : str
            ``Identity``, ``Add``, ``Mul``, ``Mod``, ``Min``, ``Concat``, or ``Gather`` by a constant.
        inputs : sequence of str
            Names of its operands.
        output : str
            Name of its result.
        """

    @abstractmethod
    def constant(self, name: str, values: NDArray[np.integer[Any]]) -> str:
        """Add a constant and return its name."""

    @abstractmethod
    def reader(self, prefix: str, names: dict[str, str]) -> Reader[str]:
        """Reader of programs.

        Parameters
        ----------
        prefix : str
            Prefix of the names of all values.
        names : dict of str to str
            Names of values that have other ones.
        """

    @abstractmethod
    def weighted(self, values: str, columns: NDArray[np.int32], weights: Integers, name: str) -> str:
        """Add weighted sums of a tensor.

        Parameters
        ----------
        values : str
            Name of the tensor.
        columns : int32 array [targets, longest]
            Entries of the tensor that each target reads.
        weights : int64 array [targets, longest]
            Their weights; 0 where a target reads fewer.
        name : str
            Name of the result.
        """

    @cached_property
    def columns(self) -> Columns:
        """Positions of fields and channels in the arrays of the state."""
        return columns_of(self.graph)

    @property
    def has_clocks(self) -> bool:
        """Whether the number of the PDE step is an input."""
        return any(population.clock is not None for population in self.graph.between_fields)

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the tensors that a step changes."""
        return (*STATE, "step") if self.has_clocks else STATE

    @property
    def size(self) -> int:
        """Bytes of the constants of a step, about."""
        rows = sum(matrix.shape[0] * _longest(matrix) * 12 for matrix in self._matrices())
        return rows + 64 * self.graph.neurons

    def step(self, state: Mapping[str, str]) -> None:
        """Add the operations from a state to its successor.

        Parameters
        ----------
        state : mapping of str to str
            Names of the tensors of ``mass``, ``current`` and ``residue``, and of ``step`` if there are clocks.
        """
        graph, columns = self.graph, self.columns
        senders: Senders = {(part.holder, 0): (state["mass"], part.first_holder) for part in columns.fields}
        for population in graph.between_fields:
            self._answer(population, senders, state)
        for part in columns.channels:
            outputs = [output for name, output in graph.heard_again if name == part.population]
            senders |= {(part.population, output): (state["residue"], part.first) for output in outputs}
            if part.population in graph.order.asking:
                self._ask(part, state, senders)
        for name in graph.order.answers:
            self._answer(graph.population(name), senders, state)
        fired = [self._channels(part, state, senders) for part in columns.channels]
        for name, parts in zip(("packets", "current_next", "residue_next"), zip(*fired, strict=True), strict=True):
            if parts != (name,):
                self.node("Identity" if len(parts) == 1 else "Concat", parts, name)
        senders |= {
            (part.population, 0): (packets, 0) for part, (packets, *_) in zip(columns.channels, fired, strict=True)
        }
        holders = [graph.population(part.holder) for part in columns.fields]
        gains = [self._arrival(population, population.program.ports[0], senders) for population in holders]
        gain = gains[0] if len(gains) == 1 else self.node("Concat", gains, "gain")
        self.node("Add", (state["mass"], gain), "mass_next")
        if self.has_clocks:
            self.node("Add", (state["step"], self.constant("one_step", np.ones(1, np.int64))), "step_next")

    def _count(self, population: Population, clock: Clock, state: Mapping[str, str]) -> str:
        """Add the operations of the count of a clock before the step."""
        name = f"{population.name}/count"
        added, limit = (
            self.constant(f"{name}/{part}", np.array([number], np.int64))
            for part, number in (("added", clock.added), ("limit", clock.limit))
        )
        total = self.node("Mul", (state["step"], added), f"{name}/total")
        count = self.node("Mod" if clock.repeats else "Min", (total, limit), f"{name}/at")
        zeros = self.constant(f"{name}/zeros", np.zeros(population.size, np.int64))
        return self.node("Add", (zeros, count), name)

    def _answer(self, population: Population, senders: Senders, state: Mapping[str, str]) -> None:
        """Add the operations of a population without states other than a clock's count."""
        inputs = {port: self._arrival(population, port, senders) for port in population.program.ports}
        if population.clock is not None:
            inputs |= dict.fromkeys(population.program.states, self._count(population, population.clock, state))
        sends = zip(population.program.sends, self._neurons(population, inputs, {}).sends, strict=True)
        for output, (value, sent) in enumerate(sends):
            senders[population.name, output] = self._of_all(population, value, sent), 0

    def _ask(self, part: ChannelColumns, state: Mapping[str, str], senders: Senders) -> None:
        """Add the operations of what channels send before they fire."""
        asking = self.graph.order.asking[part.population]
        asks = replace(asking.part, name=f"{part.population}_asking")
        population = self.graph.population(part.population)
        inputs = {name: value for name, value in self._memories(part, state).items() if name in asks.program.states}
        inputs |= {port: self._arrival(population, port, senders) for port in asks.program.ports}
        sent = self._neurons(asks, inputs, {}).sends
        for output, value, name in zip(asking.outputs, asks.program.sends, sent, strict=True):
            senders[part.population, output] = self._of_all(asks, value, name), 0

    def _memories(self, part: ChannelColumns, state: Mapping[str, str]) -> dict[str, str]:
        """Tensors of the states of channels, by their name in the program."""
        states = self.graph.population(part.population).program.states
        before = [self._part(part, state[name]) for name in ("residue", "current")[: len(states)]]
        return dict(zip(reversed(states), before, strict=True))

    def _channels(self, part: ChannelColumns, state: Mapping[str, str], senders: Senders) -> tuple[str, str, str]:
        """Add the operations of a population of channels; return its packets, kept currents and residues."""
        population = self.graph.population(part.population)
        program, is_alone = population.program, len(self.columns.channels) == 1
        inputs = self._memories(part, state)
        inputs |= {port: self._arrival(population, port, senders) for port in program.ports}
        result = self._neurons(population, inputs, {"packet": "packets"} if is_alone else {})
        *kept, residue = zip(program.after, result.states.values(), strict=True)
        current = kept[0] if kept else ("current", result.values["current"])
        ends = ((program.sends[0], result.sends[0]), current, residue)
        packets, current_next, residue_next = (self._of_all(population, value, name) for value, name in ends)
        return packets, current_next, residue_next

    def _part(self, part: ChannelColumns, values: str) -> str:
        """Part of an array of all channels."""
        if len(self.columns.channels) == 1:
            return values
        name = f"{values}/{part.population}"
        if name not in self._added:
            numbers = np.arange(part.part.start, part.part.stop, dtype=np.int32)
            self._added[name] = self.node("Gather", (values, self.constant(f"{name}/at", numbers)), name)
        return self._added[name]

    def _neurons(self, population: Population, inputs: Mapping[str, str], names: dict[str, str]) -> Result[str]:
        """Add the operations of a program, given the names of its ports and states."""
        prefix = f"{population.name}_"
        parameters = {
            name: self.constant(f"{prefix}{name}", np.asarray(values, np.int64))
            for name, values in population.parameters.items()
        }
        return run(population.program, self.reader(prefix, names), {**inputs, **parameters})

    def _of_all(self, population: Population, value: str, name: str) -> str:
        """Tensor of a value with one number for each neuron, which constants lack."""
        if value in _varying(population.program):
            return name
        zeros = self.constant(f"{name}/zeros", np.zeros(population.size, np.int64))
        return self.node("Add", (name, zeros), f"{name}/of_all")

    def _arrival(self, population: Population, port: str, senders: Senders) -> str:
        """Add the sum over the synapses of a port, once."""
        name = f"{population.name}/{port}"
        if name in self._added:
            return self._added[name]
        total = ""
        for number, (source, output, matrix) in enumerate(weights_of_port(self.graph, population.name, port)):
            values, first = senders[source, output]
            column, weight = _padded(matrix)
            added = self.weighted(values, column + first, weight, f"{name}/{number}")
            total = self.node("Add", (total, added), f"{name}/{number}/total") if total else added
        self._added[name] = total or self.constant(f"{name}/nothing", np.zeros(population.size, np.int64))
        return self._added[name]

    def _matrices(self) -> list[Rows]:
        """Effective weights of all ports."""
        return [
            matrix
            for population in self.graph.populations
            for port in population.program.ports
            for _, _, matrix in weights_of_port(self.graph, population.name, port)
        ]


def _varying(program: Program) -> set[str]:
    """Values of a program that depend on an input, and so have one number for each neuron."""
    varying = set(program.inputs)
    for operation in program.operations:
        if varying.intersection(value for value in operation.values if isinstance(value, str)):
            varying.update(operation.results)
    return varying


def _longest(matrix: Rows) -> int:
    return max(1, int(matrix.lengths.max(initial=0)))


def _padded(matrix: Rows) -> tuple[NDArray[np.int32], Integers]:
    """Columns and weights of each row, padded with weights of 0."""
    shape = matrix.shape[0], _longest(matrix)
    column, weight = np.zeros(shape, np.int32), np.zeros(shape, np.int64)
    at = np.arange(matrix.entries) - np.repeat(matrix.starts[:-1], matrix.lengths)
    column[matrix.row_of, at], weight[matrix.row_of, at] = matrix.columns, matrix.values
    return column, weight

"""The `torch` backend: the programs of a graph on tensors of 64-bit integers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from scipy import sparse

from pisnn_deploy.graph.integer import FLUX, MEMBRANE, IntegerGraph, Integers
from pisnn_deploy.graph.populations import Population, faces, hidden_layers
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
    """Programs on int64 tensors, one entry a neuron; exact as long as every value and product fits 64 bits."""

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
        return torch.tensor(entries, dtype=torch.int64)[index.clamp(0, len(entries) - 1)]

    def fire(self, potential: torch.Tensor, exponent: int) -> tuple[torch.Tensor, torch.Tensor]:
        packet = torch.sign(potential) * ((potential.abs() + ((1 << exponent) // 2 - 1)) >> exponent)
        return packet, potential - (packet << exponent)


class _Network:
    """Matrices and parameters of a graph as tensors."""

    def __init__(self, graph: IntegerGraph) -> None:
        self._layers, self._faces = hidden_layers(graph), faces(graph)
        chain = graph.chain
        self._matrices = [
            _tensor_matrix(graph.matrix(source, target)) for source, target in zip(chain, chain[1:], strict=False)
        ]
        self._route = _tensor_matrix(graph.matrix(FLUX, MEMBRANE))
        cells, mesh = graph.mesh.cells, graph.mesh
        self._ends = {
            port: (torch.tensor(holder), torch.tensor(holder < cells))
            for port, holder in (("source_mass", mesh.source), ("target_mass", mesh.target))
            if port in self._faces.program.ports
        }

    def step(self, mass: torch.Tensor, states: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, Result[torch.Tensor]]:
        """Masses after a PDE step, and what the faces made of it."""
        answer = mass
        for layer, matrix in zip(self._layers, self._matrices, strict=False):
            answer = _answered(layer, {"arrival": matrix @ answer}).sends[0]
        ends = {port: torch.where(is_cell, mass[holder], 0) for port, (holder, is_cell) in self._ends.items()}
        fired = _answered(self._faces, {"arrival": self._matrices[-1] @ answer, **ends, **states})
        return mass + self._route @ fired.sends[0], fired


def _answered(population: Population, inputs: Mapping[str, torch.Tensor]) -> Result[torch.Tensor]:
    parameters = {name: torch.tensor(values) for name, values in population.parameters.items()}
    return run_program(population.program, Tensors(), {**inputs, **parameters})


def _tensor_matrix(matrix: sparse.csr_matrix) -> torch.Tensor:
    entries = sparse.coo_matrix(matrix)
    places = torch.tensor(np.stack([entries.row, entries.col]), dtype=torch.int64)
    return torch.sparse_coo_tensor(places, torch.tensor(entries.data), entries.shape).coalesce()


def _states(graph: IntegerGraph, start: RunState) -> Iterator[State]:
    network, names = _Network(graph), faces(graph).program.states
    mass = torch.tensor(start.mass)
    kept = (torch.tensor(start.residue), torch.tensor(start.current))
    states = dict(zip(reversed(names), kept, strict=False))
    nothing = np.zeros_like(start.residue)
    while True:
        mass, fired = network.step(mass, states)
        states = fired.states
        *current, residue = (states[name].numpy() for name in names)
        values = fired.values["current"].numpy()
        yield State(mass.numpy(), values, residue, fired.sends[0].numpy(), current[0] if current else nothing)

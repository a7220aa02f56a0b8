"""Values that a neuron keeps between time steps besides the states of its program."""

from __future__ import annotations

from collections.abc import Iterator

from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.populations import Population


def remembered(graph: IntegerGraph, population: Population) -> Iterator[str]:
    """Yield values that a neuron keeps outside its program: inputs that ports accumulate, and the last output."""
    if population.name in graph.holders:
        return
    delta = graph.coding == "delta"
    for port in population.program.ports:
        waits = any(
            graph.depths[population.name] - graph.depths[s.source] > 1 for s in graph.into(population.name, port)
        )
        if delta or waits:
            yield _accumulated(population, port)
    if delta and population.name not in {channels.population for channels in graph.channels}:
        yield from population.program.sends


def _accumulated(population: Population, port: str) -> str:
    """Value that a port accumulates: the sum with a bias or constant if the program adds one to the input alone."""
    constants = population.program.parameters
    for operation in population.program.operations:
        others = [value for value in operation.values if value != port]
        is_sum = operation.name == "add" and len(others) == 1 and port in operation.values
        if is_sum and (isinstance(others[0], int) or others[0] in constants):
            return operation.results[0]
    return port

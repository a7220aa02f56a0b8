"""Values that a neuron keeps between time steps, and their bits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.arithmetic import signed_width
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.graph.stock import STATE_BITS, STATES, is_stock


def state_bits(graph: IntegerGraph) -> Mapping[str, int]:
    """Bits of state that a neuron keeps between time steps, by population.

    In delta coding a receiver keeps its accumulated drive, and a hidden neuron the value that it sent last; in dense
    coding both keep their bias. A current is kept unless the leak removes it entirely. With a limiter faces keep their
    drive, and the masses at their ends where they use them, until cells have answered. Constants that differ between
    neurons are kept, too. Stock processes keep states of the width that Lava declares.

    Returns
    -------
    mapping of str to int
        Bits by population; undeclared widths count as 0.
    """
    if is_stock(graph):
        return {name: STATE_BITS * states for name, states in STATES.items()}
    declared = {(bound.population, bound.quantity): bound.bits for bound in graph.bounds}
    bits = {}
    for population in graph.populations:
        kept = {population.quantity(value) for value in (*population.program.after, *remembered(graph, population))}
        bits[population.name] = sum(declared.get((population.name, quantity), 0) for quantity in kept)
    for population in graph.between_fields:
        constants = (values for name, values in population.parameters.items() if name != "bias")
        bits[population.name] += sum(_width(values) for values in constants)
    if graph.coding == "dense":
        for population in graph.populations:
            bias = population.parameters.get("bias")
            if bias is not None and bias.any():
                bits[population.name] += signed_width(int(bias.min(initial=0)), int(bias.max(initial=0)))
    return bits


def _width(values: NDArray[np.int64]) -> int:
    """Signed width of a constant of each neuron; 0 where all are equal, which is part of the program."""
    if not values.size or (values == values[0]).all():
        return 0
    return signed_width(int(values.min()), int(values.max()))


def remembered(graph: IntegerGraph, population: Population) -> Iterator[str]:
    """Yield values that a neuron keeps outside its program: inputs that ports accumulate, and the last output."""
    if population.name in graph.holders:
        return
    delta, answers = graph.coding == "delta", graph.order.answers
    for port in population.program.ports:
        if all(s.source in answers or s.source in graph.order.asking for s in graph.into(population.name, port)):
            continue  # requests and answers are used in the time step in which they arrive
        waits = any(
            graph.depths[population.name] - graph.depths[s.source] > 1 for s in graph.into(population.name, port)
        )
        if delta or waits:
            yield _accumulated(population, port)
    if delta and population.name not in {*answers, *(channels.population for channels in graph.channels)}:
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

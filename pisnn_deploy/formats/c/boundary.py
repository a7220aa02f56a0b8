"""Sides whose value a program may set while it runs: what a unit of the value adds to biases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.layout import window_biases
from pisnn_deploy.programs.interval import Interval, hull

BIAS = "bias"
"""Parameter of the neurons that see reservoirs."""


@dataclass(frozen=True)
class Side:
    """A side with one value.

    Attributes
    ----------
    value : int
        Of the artifact, in quanta.
    neurons, weights : int64 array [neurons]
        What a quantum of the value adds to which biases.
    """

    name: str
    value: int
    neurons: Integers
    weights: Integers


@dataclass(frozen=True)
class Sides:
    """Sides of a graph that can be set.

    Attributes
    ----------
    population : str
        Whose biases they change; empty without sides.
    values : Interval
        Range of the values, in quanta: the operating window.
    """

    population: str
    values: Interval
    sides: tuple[Side, ...]

    def biases(self, population: str, biases: Integers) -> Interval:
        """Range of the biases of a population while the values of the sides stay in theirs."""
        low, high = biases.copy(), biases.copy()
        for side in self.sides if population == self.population else ():
            ends = [side.weights * (end - side.value) for end in (self.values.lower, self.values.upper)]
            low[side.neurons] += np.minimum(*ends)
            high[side.neurons] += np.maximum(*ends)
        return hull((int(low.min(initial=0)), int(high.max(initial=0))))


def sides_of(graph: IntegerGraph) -> Sides:
    """Sides that can be set: those of flux networks on grids with the same value everywhere on the side.

    Ghost cells in corners of two such sides are not linear in the values, so windows must not reach there. With a
    limiter, the value of a side is in more than biases.
    """
    none = Sides("", Interval(0, 0), ())
    if (
        graph.order.asking
        or not graph.operator
        or graph.mesh.grid is None
        or not graph.mesh.reservoirs
        or graph.model_spec.transverse
    ):
        return none
    spec, field, layer = graph.model_spec, graph.sole_field, graph.operator[0]
    population = graph.population(graph.chain[1])

    def biases(reservoirs: Integers) -> Integers:
        weight, reach = spec.by_axis(layer.weight), (spec.half_width, spec.transverse)
        return np.asarray(window_biases(weight, layer.bias, graph.grid, *reach, reservoirs, spec.wall), np.int64)

    if BIAS not in population.parameters or (population.parameters[BIAS] != biases(field.reservoirs)).any():
        return none
    nothing = biases(np.zeros_like(field.reservoirs))
    sides = []
    for name, numbers in graph.ledgers_of(field).items():
        values = field.reservoirs[numbers]
        if values.size and (values == values[0]).all():
            unit = np.zeros_like(field.reservoirs)
            unit[numbers] = 1
            added = biases(unit) - nothing
            neurons = np.flatnonzero(added)
            sides.append(Side(name, int(values[0]), neurons, added[neurons]))
    window = field.window
    return Sides(population.name, Interval(window.lower, window.upper), tuple(sides)) if sides else none

"""NIR's primitives in numpy, written from their docstrings: what any simulator makes of a graph in discrete time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def run(graph: Any, inputs: Iterable[Floats]) -> Iterator[dict[str, Floats]]:
    """Outputs of a graph with one input, time step by time step; edges into one node are added up.

    Only a delay's output is of the time step before: all other nodes answer within a time step, in an order that exists
    because every cycle has a delay.
    """
    sources: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for source, target in graph.edges:
        sources[target].append(source)
    held = {name: np.zeros(np.shape(node.r)) for name, node in graph.nodes.items() if isinstance(node, nir.I)}
    delays = [name for name, node in graph.nodes.items() if isinstance(node, nir.Delay)]
    assert all((graph.nodes[name].delay == 1).all() for name in delays)
    before = {name: np.zeros(np.shape(graph.nodes[name].delay)) for name in delays}
    order = _order(sources, delays)
    for given in inputs:
        values: dict[str, Floats] = dict(before)
        for name in order:
            node = graph.nodes[name]
            x = given if isinstance(node, nir.Input) else sum((values[s] for s in sources[name]), np.zeros(()))
            if isinstance(node, nir.I):
                held[name] = held[name] + node.r * x
                x = held[name]
            values[name] = _answer(node, x)
        before = {name: sum((values[s] for s in sources[name]), np.zeros(())) for name in delays}
        yield {name: values[name] for name, node in graph.nodes.items() if isinstance(node, nir.Output)}


def _answer(node: Any, x: Floats) -> Floats:
    if isinstance(node, nir.Input | nir.Output | nir.I):
        return x
    if isinstance(node, nir.Affine):
        return np.asarray(node.weight @ x + node.bias)
    if isinstance(node, nir.Linear):
        return np.asarray(node.weight @ x)
    if isinstance(node, nir.Scale):
        return np.asarray(node.scale * x)
    if isinstance(node, nir.Threshold):
        return np.asarray(x > node.threshold, np.float64)
    raise AssertionError(f"unexpected {type(node).__name__}")


def _order(sources: dict[str, list[str]], delays: list[str]) -> list[str]:
    order: list[str] = []
    done = set(delays)
    while len(order) + len(delays) < len(sources):
        ready = [name for name in sources if name not in done and all(s in done for s in sources[name])]
        assert ready, "a cycle without a delay"
        order += ready
        done |= set(ready)
    return order

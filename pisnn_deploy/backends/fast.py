"""The `fast` backend: the integer graph in numpy, without Lava and without time steps in between."""

from __future__ import annotations

from collections.abc import Iterator

from pisnn_deploy.backends.run import Integers, Progress, Run, RunOptions
from pisnn_deploy.backends.stepping import audited_run
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.semantics import Semantics, State


def run(graph: IntegerGraph, mass: Integers, options: RunOptions, progress: Progress | None = None) -> Run:
    """Run a graph; see `pisnn_deploy.backends.run_graph`."""
    return audited_run("fast", graph, mass, options, _states(graph, mass), progress)


def _states(graph: IntegerGraph, mass: Integers) -> Iterator[State]:
    semantics = Semantics(graph)
    state = semantics.start(mass)
    step = 0
    while True:
        state = semantics.step(state, step)
        step += 1
        yield state

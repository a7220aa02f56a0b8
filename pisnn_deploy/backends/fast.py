"""The `fast` backend: the integer graph in numpy, without Lava and without time steps in between."""

from __future__ import annotations

from collections.abc import Iterator

from pisnn_deploy.backends.run import Integers, Progress, Run, RunOptions, Snapshot
from pisnn_deploy.backends.stepping import audited_run
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.semantics import Semantics, State


def run(graph: IntegerGraph, mass: Integers, options: RunOptions, progress: Progress | None = None) -> Run:
    """Run a graph; see `pisnn_deploy.backends.run_graph`."""
    return audited_run("fast", graph, mass, options, lambda start: _states(graph, start), progress)


def _states(graph: IntegerGraph, start: Snapshot) -> Iterator[State]:
    semantics = Semantics(graph)
    state = State(start.mass, start.current, start.residue, start.packets)
    step = start.step
    while True:
        state = semantics.step(state, step)
        step += 1
        yield state

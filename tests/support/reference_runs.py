"""Runs on the reference in plain numpy, for tests that want the integers and compile no kernel for them."""

from __future__ import annotations

from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.runs import Run, RunOptions
from pisnn_deploy.runs.run import start_of
from pisnn_deploy.runs.stepping import ReferenceStepper, stepped_run


def reference_run(graph: IntegerGraph, mass: Integers, options: RunOptions) -> Run:
    """An audited run with the integers of every backend, which `tests/runs` compares with this one."""
    stepper = ReferenceStepper(graph, start_of(graph, mass), options.steps)
    return stepped_run("fast", graph, stepper, options)

"""The `fast` backend: the integer graph in compiled kernels, without Lava and without time steps in between."""

from __future__ import annotations

import warnings

from pisnn_deploy.backends.run import Integers, Progress, Run, RunOptions
from pisnn_deploy.backends.stepping import ReferenceStepper, Stepper, start_of, stepped_run
from pisnn_deploy.graph.integer import IntegerGraph


def run(graph: IntegerGraph, mass: Integers, options: RunOptions, progress: Progress | None = None) -> Run:
    """Run a graph; see `pisnn_deploy.backends.run_graph`.

    Warns
    -----
    RuntimeWarning
        Where numba cannot be imported; the run then takes plain numpy, which gives the same integers slowly.
    """
    return stepped_run("fast", graph, _stepper(graph, mass, options.steps), options, progress)


def _stepper(graph: IntegerGraph, mass: Integers, steps: int) -> Stepper:
    start = start_of(graph, mass)
    try:
        from pisnn_deploy.backends.kernels.choice import kernel_stepper
    except ImportError as error:
        warnings.warn(f"the fast backend runs slowly, in plain numpy: {error}", RuntimeWarning, stacklevel=4)
        return ReferenceStepper(graph, start, steps)
    return kernel_stepper(graph, start, steps)

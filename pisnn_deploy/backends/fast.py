"""The `fast` backend: the integer graph in compiled kernels, without Lava and without time steps in between."""

from __future__ import annotations

import warnings
from contextlib import closing

from pisnn_deploy.backends.run import Integers, Progress, Run, RunOptions, start_of
from pisnn_deploy.backends.stepping import ReferenceStepper, stepped_run
from pisnn_deploy.graph.integer import IntegerGraph


def run(graph: IntegerGraph, mass: Integers, options: RunOptions, progress: Progress | None = None) -> Run:
    """Run a graph; see `pisnn_deploy.backends.run_graph`.

    Warns
    -----
    RuntimeWarning
        Where numba cannot be imported; the run then takes plain numpy, which gives the same integers slowly.
    """
    start = options.start or start_of(graph, mass)
    if graph.binary:  # kernels count payloads, not the bits that are set in them
        return stepped_run("fast", graph, ReferenceStepper(graph, start, options.steps), options, progress)
    try:
        # Not before a run: importing numba takes longer than most commands.
        from pisnn_deploy.backends.kernels.choice import kernel_stepper
    except ImportError as error:
        warnings.warn(f"the fast backend runs slowly, in plain numpy: {error}", RuntimeWarning, stacklevel=2)
        return stepped_run("fast", graph, ReferenceStepper(graph, start, options.steps), options, progress)
    with closing(kernel_stepper(graph, start, options.steps)) as stepper:
        return stepped_run("fast", graph, stepper, options, progress)

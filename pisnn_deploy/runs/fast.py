"""The `fast` backend: the integer graph in compiled kernels, without Lava and without time steps in between."""

from __future__ import annotations

import logging
import time
import warnings
from contextlib import closing
from typing import Protocol

from pisnn_deploy.core.errors import OverflowViolation
from pisnn_deploy.core.optional import is_installed, lack_of
from pisnn_deploy.faults.injection import Injector
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.runs.faulty import RelayedStepper
from pisnn_deploy.runs.run import Integers, Progress, Run, RunOptions, RunState, start_of
from pisnn_deploy.runs.stepping import ReferenceStepper, Stepper, stepped_run


class SlowRunWarning(RuntimeWarning):
    """The run takes plain numpy, because kernels cannot be compiled here."""


_LOG = logging.getLogger(__name__)


class FastStepper(Stepper, Protocol):
    """A stepper that can be put elsewhere, and that may have threads to end."""

    def restore(self, state: RunState) -> None:
        """Go on from another state of the same graph."""

    def prepare(self) -> None:
        """Get ready, so that no step takes the time for it."""

    def close(self) -> None:
        """End the threads."""


def run(graph: IntegerGraph, mass: Integers, options: RunOptions, progress: Progress | None = None) -> Run:
    """Run a graph; see `pisnn_deploy.runs.run_graph`.

    Warns
    -----
    SlowRunWarning
        Where numba cannot be imported; the run then takes plain numpy, which gives the same integers slowly.
    """
    start = options.start or start_of(graph, mass)
    with closing(stepper_of(graph, start, options.steps)) as kernels:
        begun = time.perf_counter()
        kernels.prepare()
        _LOG.info("kernels were ready after %.1f s", time.perf_counter() - begun)
        if progress is not None:
            progress(start.step)
        stepper: Stepper = kernels
        if options.faults:
            injector = Injector(graph, options.faults, options.steps)
            stepper = RelayedStepper(graph, kernels, injector, recovers=options.recovers)
        return stepped_run("fast", graph, stepper, options, progress)


def stepper_of(graph: IntegerGraph, start: RunState, steps: int) -> FastStepper:
    """What steps a graph fastest here.

    Parameters
    ----------
    graph : IntegerGraph
    start : RunState
        Where to go on from.
    steps : int
        PDE steps of the whole run.

    Returns
    -------
    FastStepper
        To be closed.

    Warns
    -----
    SlowRunWarning
        Where numba cannot be imported, or was told to compile nothing.
    """
    try:
        # Not before a run: importing numba takes longer than most commands.
        from pisnn_deploy.runs.kernels.choice import kernel_stepper
        from pisnn_deploy.runs.kernels.compiled import DISABLED, kernels_are_disabled
        from pisnn_deploy.runs.kernels.faces import UnservedError
    except Exception as error:  # it loads libraries of its own, and its settings may be of any kind
        reason = str(error) if is_installed("numba") else f"compiled kernels need {lack_of('numba')}"
        return _slowly(graph, start, steps, reason)
    if kernels_are_disabled():
        return _slowly(graph, start, steps, f"{DISABLED} is set")
    try:
        return kernel_stepper(graph, start, steps)
    except (OverflowViolation, UnservedError):
        # Arrays of the kernels would cut the start, and the reference names what is wrong with it; or a program is new.
        return ReferenceStepper(graph, start, steps)


def _slowly(graph: IntegerGraph, start: RunState, steps: int, reason: str) -> ReferenceStepper:
    warnings.warn(f"the fast backend runs slowly, in plain numpy: {reason}", SlowRunWarning, stacklevel=4)
    return ReferenceStepper(graph, start, steps)

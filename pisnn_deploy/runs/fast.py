"""The `fast` backend: compiled kernels for whole PDE steps, without Lava."""

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
    """The run uses plain numpy, because kernels cannot be compiled here."""


_LOG = logging.getLogger(__name__)


class FastStepper(Stepper, Protocol):
    """A stepper that can be moved to another state, and may have threads."""

    def restore(self, state: RunState) -> None:
        """Continue from another state of the same graph."""

    def prepare(self) -> None:
        """Compile in advance, so that no step includes the time for it."""

    def close(self) -> None:
        """Stop the threads."""


def run(graph: IntegerGraph, mass: Integers, options: RunOptions, progress: Progress | None = None) -> Run:
    """Run a graph; see `pisnn_deploy.runs.run_graph`.

    Warns
    -----
    SlowRunWarning
        If llvmlite cannot be imported; plain numpy then gives the same integers slowly.
    """
    start = options.start or start_of(graph, mass)
    with closing(_stepper(graph, start, options)) as kernels:
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


def _stepper(graph: IntegerGraph, start: RunState, options: RunOptions) -> FastStepper:
    if options.ranks is None:
        return stepper_of(graph, start, options.steps)
    from pisnn_deploy.runs.domains.stepper import stepper_on  # LLVM takes longer to import than most commands run

    return stepper_on(options.ranks, graph, start, options.steps)


def stepper_of(graph: IntegerGraph, start: RunState, steps: int) -> FastStepper:
    """Return the fastest stepper for a graph that is available.

    Parameters
    ----------
    start : RunState
        State to start from.
    steps : int
        Number of PDE steps of the whole run.

    Returns
    -------
    FastStepper
        Must be closed after use.

    Warns
    -----
    SlowRunWarning
        If llvmlite cannot be imported.
    """
    try:
        # Imported here, because LLVM takes longer to import than most commands run.
        from pisnn_deploy.runs.kernels.draft import UnservedError
        from pisnn_deploy.runs.kernels.stepper import KernelStepper
    except Exception as error:  # libraries may fail to load in any way
        reason = str(error) if is_installed("llvmlite") else f"compiled kernels need {lack_of('llvmlite')}"
        return _slowly(graph, start, steps, reason)
    try:
        return KernelStepper(graph, start, steps)
    except (OverflowViolation, UnservedError):
        # The start exceeds the kernels' arrays, which the reference reports; or kernels do not support a program.
        return ReferenceStepper(graph, start, steps)


def _slowly(graph: IntegerGraph, start: RunState, steps: int, reason: str) -> ReferenceStepper:
    warnings.warn(f"the fast backend runs slowly, in plain numpy: {reason}", SlowRunWarning, stacklevel=4)
    return ReferenceStepper(graph, start, steps)

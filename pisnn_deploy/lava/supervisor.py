"""Run a compiled Lava network and detect failures.

Lava's own `run` and `stop` hang forever when a model raises or a process dies. This runner starts the network without
blocking and monitors its actors. It uses private attributes of lava-nc 0.10.0, which the package pins.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from typing import Any

from lava.magma.core.process.message_interface_enum import ActorType
from lava.magma.core.run_conditions import RunSteps
from lava.magma.runtime.mgmt_token_enums import MGMT_RESPONSE, enum_equal
from lava.magma.runtime.runtime import Runtime

from pisnn_deploy.core.errors import CheckError, PisnnError
from pisnn_deploy.lava.network import Network

_POLL_SECONDS = 0.005
_LONGEST_SETTLE_SECONDS = 5.0
"""Time limit for an actor's error report, which may arrive after the end of the run on a busy machine."""
_SETTLE_SECONDS = 0.05
"""Time for other actors to report, so that the cause is reported and not its consequences."""
_CAUSE_SECONDS = 0.5
"""Additional time while all seen actors exited normally, as they do after another one raised an error."""


class DeadlinePassed(CheckError):
    """The network did not finish in time."""


class ActorFailure(CheckError):
    """A process of the network failed.

    Parameters
    ----------
    cause : str
        Name of the process and what happened.
    traceback : str
        Traceback of the process, or an empty string.
    """

    def __init__(self, cause: str, traceback: str = "") -> None:
        super().__init__(cause)
        self.traceback = traceback


def run_network(
    network: Network, time_steps: int, deadline_seconds: float, watch: Callable[[dict[str, int]], None]
) -> float:
    """Run a network, and clean up all its processes and shared memory.

    Parameters
    ----------
    deadline_seconds : float
        Time limit for set-up and stepping.
    watch : callable
        Called every few milliseconds with the process ids of the actors by name; its exceptions end the run.

    Returns
    -------
    float
        Time of the stepping in seconds.

    Raises
    ------
    PisnnError
        If a model raised an error of this package.
    ActorFailure
        If a model raised another error, or a process died.
    DeadlinePassed
        If the run did not end before the deadline.
    """
    deadline = time.monotonic() + deadline_seconds
    with started(network) as runtime:
        return advance(network, runtime, time_steps, deadline, watch)


@contextmanager
def started(network: Network) -> Iterator[Runtime]:
    """Start the processes of a network, and clean up all of them and their shared memory.

    Raises
    ------
    ActorFailure
        A process could not be started.
    """
    runtime = Runtime(network.executable, ActorType.MultiProcessing)
    network.executable.assign_runtime_to_all_processes(runtime)
    try:
        try:
            runtime.initialize()
        except Exception as error:
            raise ActorFailure(
                f"a process could not be started: {type(error).__name__}: {error}", getattr(error, "trace", "")
            ) from error
        yield runtime
    finally:
        _reap(runtime)


def advance(
    network: Network, runtime: Any, time_steps: int, deadline: float, watch: Callable[[dict[str, int]], None]
) -> float:
    """Run some time steps of a started network.

    Parameters
    ----------
    runtime : Runtime
        From `started`.
    deadline : float
        Time of the monotonic clock at which the time steps must be done.
    watch : callable
        See `run_network`.

    Returns
    -------
    float
        Time of the stepping in seconds.

    Raises
    ------
    PisnnError, ActorFailure, DeadlinePassed
        See `run_network`; the network cannot go on.
    """
    begun = time.perf_counter()
    runtime.start(RunSteps(num_steps=time_steps, blocking=False))
    _watch_actors(network, runtime, deadline, watch)
    runtime._is_running = False  # else Lava refuses to read variables
    return time.perf_counter() - begun


def _watch_actors(network: Network, runtime: Any, deadline: float, watch: Callable[[dict[str, int]], None]) -> None:
    actors = runtime._messaging_infrastructure.actors
    names = [*network.actors, *("Lava's runtime service" for _ in actors[len(network.actors) :])]
    pids = {name: actor.pid for name, actor in zip(names, actors, strict=True)}
    channels = [actor._pconn for actor in actors] + [actor.sentinel for actor in actors]
    answer = runtime.service_to_runtime[0]
    while True:
        if answer.probe():
            if enum_equal(answer.recv(), MGMT_RESPONSE.DONE):
                return
            _await_words(actors)
            _raise_cause(names, actors)
        if wait(channels, _POLL_SECONDS):
            time.sleep(_SETTLE_SECONDS)
            _raise_cause(names, actors)
        if time.monotonic() > deadline:
            raise DeadlinePassed
        watch(pids)


def _await_words(actors: Sequence[Any]) -> None:
    overdue = time.monotonic() + _LONGEST_SETTLE_SECONDS
    time.sleep(_SETTLE_SECONDS)
    while time.monotonic() < overdue and not any(actor.exception or actor.exitcode is not None for actor in actors):
        time.sleep(_SETTLE_SECONDS)


def _raise_cause(names: Sequence[str], actors: Sequence[Any]) -> None:
    overdue = time.monotonic() + _CAUSE_SECONDS
    while time.monotonic() < overdue and not any(actor.exception or actor.exitcode for actor in actors):
        time.sleep(_POLL_SECONDS)
    raised = [(name, actor.exception) for name, actor in zip(names, actors, strict=True) if actor.exception]
    for _, (error, _trace) in raised:
        if isinstance(error, PisnnError):
            raise error
    for name, (error, trace) in raised:
        raise ActorFailure(f"process {name} raised {type(error).__name__}: {error}", _own_frames(trace)) from error
    dead = [(name, actor.exitcode) for name, actor in zip(names, actors, strict=True) if actor.exitcode is not None]
    for name, code in sorted(dead, key=lambda entry: entry[1] == 0):
        if code < 0:
            number = signal.Signals(-code)
            hint = ", which means that the disk or /dev/shm is full" if number == signal.SIGBUS else ""
            raise ActorFailure(f"process {name} was killed by signal {-code} ({number.name}){hint}")
        raise ActorFailure(f"process {name} ended by itself with exit code {code}")
    raise ActorFailure("the network stopped for an unknown reason")


def _own_frames(trace: str) -> str:
    """Remove Lava's frames above the model's from a traceback."""
    header, marker, frames = trace.partition("self.run_spk()\n")
    return "Traceback (most recent call last):\n" + frames if marker else header


def _reap(runtime: Any) -> None:
    """Kill the actors and free the shared memory; results are in mapped files."""
    runtime._is_started = False
    infrastructure = runtime._messaging_infrastructure
    if infrastructure is None:
        return
    for actor in infrastructure.actors:
        with suppress(ProcessLookupError):
            os.kill(actor.pid, signal.SIGKILL)
    for actor in infrastructure.actors:
        actor.join()
    if infrastructure.smm is not None:
        infrastructure.smm.shutdown()
    runtime._watchdog_manager.stop()

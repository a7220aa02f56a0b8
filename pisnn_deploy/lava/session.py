"""Runs Lava programs of users under the supervisor, so that an error is an exception and not a hang."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack
from functools import cache
from types import TracebackType
from typing import Any

from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_configs import Loihi2SimCfg, RunConfig

from pisnn_deploy.core.errors import CheckError, UsageError
from pisnn_deploy.lava.guardian import die_with_parent
from pisnn_deploy.lava.network import CHANNEL_SIZE, MODELS, Network
from pisnn_deploy.lava.processes.whole.process import CLIFNetwork
from pisnn_deploy.lava.shared_memory import channel_bytes, free_shared_memory, require_shared_memory
from pisnn_deploy.lava.supervisor import ActorFailure, DeadlinePassed, advance, started


class Session:
    """A Lava program that is running: compiled on entry, stopped and cleaned up on exit.

    Plain ``run`` and ``stop`` of Lava hang for ever if a process raises an error or dies. This raises instead.

    Parameters
    ----------
    process : AbstractProcess
        Any process of the program, such as a `CLIFNetwork`; those that are connected with it run as well.
    deadline_seconds : float
        Time limit of each call of `run`.
    run_config : RunConfig, optional
        How Lava chooses models (default: the fixed-point models of its CPU simulator).

    Examples
    --------
    >>> with Session(network) as session:  # doctest: +SKIP
    ...     session.run(network.time_steps)
    ...     data = sink.data.get()
    """

    def __init__(
        self, process: AbstractProcess, *, deadline_seconds: float = 3600.0, run_config: RunConfig | None = None
    ) -> None:
        if not deadline_seconds > 0:
            raise UsageError(f"`deadline_seconds` {deadline_seconds}: expected a positive number of seconds")
        self._process = process
        self._seconds = deadline_seconds
        self._configuration = run_config or Loihi2SimCfg(select_tag="fixed_pt")
        self._stack = ExitStack()
        self._network: Network | None = None
        self._runtime: Any = None

    def __enter__(self) -> Session:
        """Compile the program and start its processes.

        Raises
        ------
        UsageError
            The program has run before, Lava chose another model for a process of a `CLIFNetwork`, or there is too
            little shared memory.
        ActorFailure
            A process could not be started.
        """
        if self._process.is_compiled:
            raise UsageError("Lava runs a program once; create its processes anew for another session")
        executable = self._process.compile(self._configuration, {"pypy_channel_size": CHANNEL_SIZE})
        for process in executable.proc_builders:
            expected = MODELS.get(type(process))
            if _is_ours(process) and process.model_class is not expected:
                raise UsageError(
                    f"process {process.name}: `run_config` chose the model {process.model_class.__name__}; masses are "
                    f"exact with {expected.__name__ if expected else 'none'} only, which has the tag fixed_pt"
                )
        require_shared_memory(channel_bytes(executable), free_shared_memory())
        names = tuple(f"{process.name} ({process.model_class.__name__})" for process in executable.proc_builders)
        self._network = Network(self._process, executable, names)
        with _Guarded():
            self._runtime = self._stack.enter_context(started(self._network))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop all processes; variables cannot be read any more, results of a `CLIFNetwork` can."""
        self._runtime = None
        self._stack.close()

    def run(self, time_steps: int) -> None:
        """Run the program for some time steps; may be called again to go on.

        Parameters
        ----------
        time_steps : int
            Number of Lava's time steps, at least 1; see `CLIFNetwork.time_steps`.

        Raises
        ------
        UsageError
            A side was sent a value outside its range, or more PDE steps were run than the network was created for.
        InvariantViolation, OverflowViolation
            The audit stopped the run.
        CheckError
            A process raised another error, died, or the time steps were not done in time.
        """
        if self._runtime is None or self._network is None:
            raise UsageError("the session is not running; use it as `with Session(process) as session:`")
        if time_steps < 1:
            raise UsageError(f"`time_steps` {time_steps}: expected at least 1")
        runtime, self._runtime = self._runtime, None
        try:
            advance(self._network, runtime, time_steps, time.monotonic() + self._seconds, lambda actors: None)
        except ActorFailure as failure:
            raise CheckError(f"{failure}\n{failure.traceback}".rstrip()) from failure
        except DeadlinePassed:
            raise CheckError(
                f"{time_steps} time steps were not done within {self._seconds:g} s; increase `deadline_seconds`, or "
                "look for a process that waits for a message that nobody sends"
            ) from None
        self._runtime = runtime  # only a run without an error can go on


def _is_ours(process: AbstractProcess) -> bool:
    """Whether a process is part of a `CLIFNetwork`."""
    parent = process.parent_proc
    return parent is not None and (isinstance(parent, CLIFNetwork) or _is_ours(parent))


class _Guarded:
    """Lets processes that are forked meanwhile die with this one, and leave Ctrl-C to it."""

    active = 0

    def __enter__(self) -> None:
        _register()
        _Guarded.active = os.getpid()

    def __exit__(self, *error: object) -> None:
        _Guarded.active = 0


@cache
def _register() -> None:
    def in_child() -> None:
        parent = _Guarded.active
        if parent and os.getppid() == parent:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            die_with_parent(parent, signal.SIGKILL)

    os.register_at_fork(after_in_child=in_child)

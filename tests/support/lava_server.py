"""A process that has Lava loaded and runs each worker of the backend ``cpu`` in a fork of itself.

`install` makes the backend of this process use it, for all tests but those that bring a worker of their own. Commands
start the worker as users have it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO

from fork_server import Request, Served, address_of, serve

PRELOADED = (
    "pisnn_deploy.graph.artifact",
    "pisnn_deploy.lava.worker",
    "pisnn_deploy.lava.network",
    "pisnn_deploy.lava.supervisor",
    "pisnn_deploy.lava.processes.faulty.models",
)


class ForkedWorker(Served):
    """A worker with pipes, as `subprocess.Popen` gives it."""

    def __init__(self, command: Sequence[str], folder: str, environment: Mapping[str, str], errors: BinaryIO) -> None:
        (their_input, own_input), (own_output, their_output) = os.pipe(), os.pipe()
        request = Request(command[2:], folder, environment)
        try:
            super().__init__(address_of(Path(__file__)), request, (their_input, their_output, errors.fileno()))
        finally:
            os.close(their_input)
            os.close(their_output)
        self.stdin, self.stdout = os.fdopen(own_input, "wb"), os.fdopen(own_output, "rb")


def started(
    command: Sequence[str], *, stderr: BinaryIO, cwd: str, env: Mapping[str, str], **streams: object
) -> ForkedWorker | subprocess.Popen[bytes]:
    """Start a worker: in a fork, or as it is for another interpreter or another worker."""
    if command[0] == sys.executable and "pisnn_deploy.lava.worker import main;" in command[2]:
        return ForkedWorker(command, cwd, env, stderr)
    return subprocess.Popen(command, stderr=stderr, cwd=cwd, env=env, **streams)  # type: ignore[call-overload, no-any-return]


def install() -> None:
    """Let the backend of this process start its workers here."""
    from pisnn_deploy.lava import backend

    taken = {name: getattr(subprocess, name) for name in ("PIPE", "DEVNULL", "TimeoutExpired")}
    vars(backend)["subprocess"] = SimpleNamespace(Popen=started, **taken)


def run(request: Request) -> int:
    """Be the worker; the exit code."""
    os.setsid()
    sys.argv[:] = ["-c", *request.words[1:]]
    path = Path(request.words[-1])
    # The server stands for the process of the backend.
    path.write_text(json.dumps({**json.loads(path.read_text()), "parent": os.getppid()}))
    from pisnn_deploy.lava.worker import main

    return main()


if __name__ == "__main__":
    sys.modules["pandas"] = None  # type: ignore[assignment]  # as in the worker, whose networkx asks for it
    serve(int(sys.argv[1]), PRELOADED, run)

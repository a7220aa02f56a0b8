"""A process that has every command loaded and runs each in a fork of itself; started by `commands`.

A fork has a current folder, an environment, standard streams, signals and modules of its own, so nothing passes from
one command to the next. It begins where the installed command does. What differs is what is loaded already: tests of
imports, of limits and of surroundings start the installed command instead.

A client connects, sends a request as JSON with its standard streams beside it, and gets the process id of the command
and then its exit code, negative for a signal. The server ends with its standard input.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import select
import socket
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path

COMMANDS = "models train compile simulate converge campaign verify check export inspect profiles doctor completion"
PRELOADED = (
    *(f"pisnn_deploy.cli.commands.{name}" for name in COMMANDS.split()),
    "pisnn_deploy.lava.backend",
    "pisnn_deploy.report.picture",
    "pisnn_deploy.runs.fast",
    "pisnn_deploy.runs.kernels.stepper",
    "pisnn_deploy.training.checkpoint",
    "matplotlib.backends.backend_agg",
    "matplotlib.pyplot",
    "torch",
)
REQUEST_BYTES = 1 << 20
STREAMS = 3


def next_client(listener: socket.socket) -> socket.socket | None:
    """Fork for each client until standard input ends: the client in the fork, None in the server itself."""
    while True:
        ready, _, _ = select.select([listener.fileno(), 0], [], [])
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if 0 in ready:
            return None
        client, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            return client
        client.close()


def answer(client: socket.socket) -> int:
    """Run the command that a client asks for in one more fork, and tell how it ends; in that fork, the exit code."""
    text, streams, _, _ = socket.recv_fds(client, REQUEST_BYTES, STREAMS)
    request = json.loads(text)
    process = os.fork()
    if process == 0:
        client.close()
        return run(request["words"], request["folder"], request["environment"], streams)
    client.sendall(str(process).encode())
    _, status = os.waitpid(process, 0)
    with suppress(BrokenPipeError):
        client.sendall(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def run(words: list[str], folder: str, environment: dict[str, str], streams: list[int]) -> int:
    """Run the command as its script does; the exit code."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    # The server's own know what kind of files they had.
    sys.stdin = os.fdopen(0, encoding=sys.stdin.encoding, errors=sys.stdin.errors, closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding=sys.stdout.encoding, errors=sys.stdout.errors, closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, sys.stderr.encoding, sys.stderr.errors, closefd=False)
    sys.argv[:] = words
    sys.path[0] = str(Path(words[0]).parent)
    try:
        from pisnn_deploy.cli.start import main

        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def main() -> None:
    """Load everything, then serve."""
    listener = socket.socket(fileno=int(sys.argv[1]))
    for name in PRELOADED:
        __import__(name)
    gc.collect()
    gc.freeze()  # forks leave the pages of what is loaded alone
    client = next_client(listener)
    if client is None:
        return
    code = answer(client)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()

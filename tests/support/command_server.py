"""A process that has every command loaded and runs each in a fork of itself; started by `commands`.

A fork has a current folder, an environment, standard streams, signals and modules of its own, so nothing passes from
one command to the next. It begins where the installed command does. What differs is what is loaded already: tests of
imports, of limits and of surroundings start the installed command instead.

A request is JSON on a socket, with standard output and standard error of the command beside it; the answer is the exit
code, negative for a signal.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import socket
import sys
import threading
import traceback
from pathlib import Path

PRELOADED = (
    *(
        f"pisnn_deploy.cli.commands.{name}"
        for name in ("models", "train", "compile", "simulate", "campaign", "verify", "check", "export", "inspect")
    ),
    "pisnn_deploy.cli.commands.profiles",
    "pisnn_deploy.cli.commands.doctor",
    "pisnn_deploy.cli.commands.completion",
    "pisnn_deploy.lava.backend",
    "pisnn_deploy.report.picture",
    "pisnn_deploy.runs.fast",
    "pisnn_deploy.runs.kernels.choice",
    "pisnn_deploy.training.checkpoint",
    "matplotlib.backends.backend_agg",
    "matplotlib.pyplot",
    "torch",
)
REQUEST_BYTES = 1 << 20


def serve(connection: socket.socket) -> tuple[list[str], str, dict[str, str], list[int]] | None:
    """Fork for each request until there are no more; in a fork, return what it is to run.

    Returns
    -------
    tuple or None
        Words, folder, environment and file descriptors; None in the server itself, at its end.
    """
    while True:
        text, streams, _, _ = socket.recv_fds(connection, REQUEST_BYTES, 2)
        if not text:
            return None
        process = os.fork()
        if process == 0:
            connection.close()
            request = json.loads(text)
            return request["words"], request["folder"], request["environment"], streams
        for stream in streams:
            os.close(stream)
        _, status = os.waitpid(process, 0)
        connection.sendall(json.dumps(os.waitstatus_to_exitcode(status)).encode())


def run(words: list[str], folder: str, environment: dict[str, str], streams: list[int]) -> int:
    """Run the command as its script does; the exit code."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, stream in enumerate(streams, 1):
        os.dup2(stream, number)
        os.close(stream)
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
    connection = socket.socket(fileno=int(sys.argv[1]))
    for name in PRELOADED:
        __import__(name)
    gc.collect()
    gc.freeze()  # forks leave the pages of what is loaded alone
    fork = serve(connection)
    if fork is None:
        return
    code = run(*fork)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()

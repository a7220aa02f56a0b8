"""A process that has much loaded and serves each request in a fork of itself, and the way to it from tests.

A client connects, sends a request as JSON with standard streams beside it, and gets the id of the process that serves
it and then its exit code, negative for a signal. The server ends with its standard input.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

REQUEST_BYTES = 1 << 20
ANSWER_BYTES = 64
STREAMS = 3


@dataclass(frozen=True)
class Request:
    """Words of a command, its current folder and its environment."""

    words: Sequence[str]
    folder: str
    environment: Mapping[str, str]


def serve(listener: int, modules: Iterable[str], run: Callable[[Request], int]) -> None:
    """Load modules, then run each request in a fork until standard input ends.

    Parameters
    ----------
    listener : int
        File descriptor of a socket that listens.
    run : callable
        Called in a fork that has a client's standard streams, folder and environment; returns the exit code.
    """
    for name in modules:
        __import__(name)
    gc.collect()
    gc.freeze()  # forks leave the pages of what is loaded alone
    with socket.socket(fileno=listener) as listening:
        served = _next_request(listening)
    if served is None:
        return
    request, streams = served
    _take_over(request, streams)
    code = run(request)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def _next_request(listener: socket.socket) -> tuple[Request, list[int]] | None:
    """Fork for each request until standard input ends: in the fork its request, None in the server itself."""
    clients: dict[int, socket.socket] = {}
    ended, ends = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)  # only for the byte in the pipe
    signal.set_wakeup_fd(ends)
    while True:
        ready, _, _ = select.select([listener.fileno(), 0, ended], [], [])
        if ended in ready:
            os.read(ended, REQUEST_BYTES)
            _report_ends(clients)
        if 0 in ready:
            return None
        if listener.fileno() in ready:
            client, _ = listener.accept()
            text, streams, _, _ = socket.recv_fds(client, REQUEST_BYTES, STREAMS)
            process = os.fork()
            if process == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for each in (client, *clients.values()):
                    each.close()
                os.close(ended)
                os.close(ends)
                return Request(**json.loads(text)), streams
            for stream in streams:
                os.close(stream)
            clients[process] = client
            client.sendall(str(process).encode())


def _report_ends(clients: dict[int, socket.socket]) -> None:
    """Tell clients how their processes ended."""
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            with clients.pop(ended[0]) as client, suppress(BrokenPipeError):
                client.sendall(str(os.waitstatus_to_exitcode(ended[1])).encode())


def _take_over(request: Request, streams: Sequence[int]) -> None:
    os.chdir(request.folder)
    os.environ.clear()
    os.environ.update(request.environment)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    # The server's own know what kind of files they had.
    sys.stdin = os.fdopen(0, encoding=sys.stdin.encoding, errors=sys.stdin.errors, closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding=sys.stdout.encoding, errors=sys.stdout.errors, closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, sys.stderr.encoding, sys.stderr.errors, closefd=False)


class Served:
    """A process of a server, which answers as one of `subprocess.Popen` does.

    Attributes
    ----------
    pid : int
    returncode : int or None
        Negative for a signal; None while it runs.
    """

    def __init__(self, address: Path, request: Request, streams: Sequence[int]) -> None:
        self.returncode: int | None = None
        self._client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._client.connect(str(address))
        socket.send_fds(self._client, [json.dumps(request.__dict__).encode()], streams)
        self.pid = int(self._client.recv(ANSWER_BYTES))

    def poll(self) -> int | None:
        """How it ended, or None."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""
        if self.returncode is None:
            if not select.select([self._client], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            self.returncode = int(self._client.recv(ANSWER_BYTES))
            self._client.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


@cache
def address_of(server: Path) -> Path:
    """Where a server listens, which is started now and ends with this process.

    Parameters
    ----------
    server : Path
        Its program, which takes the file descriptor of its socket.
    """
    folder = Path(tempfile.mkdtemp(prefix="pisnn-server-", dir="/tmp"))  # addresses of sockets are short
    address = folder / "socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(address))
        listener.listen()
        process = subprocess.Popen(
            [sys.executable, str(server), str(listener.fileno())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=[listener.fileno()],
            cwd=server.parent,
            env={**os.environ, "MPLBACKEND": "agg"},
        )
    atexit.register(_end, process, folder)
    return address


def _end(server: subprocess.Popen[bytes], folder: Path) -> None:
    assert server.stdin is not None
    server.stdin.close()
    server.wait()
    shutil.rmtree(folder, ignore_errors=True)

"""The command line in tests: in a process of its own, or in a fork of one that has everything loaded."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

COMMAND = str(Path(sys.executable).with_name("pisnn-deploy"))
"""The installed command."""
SERVER = Path(__file__).with_name("command_server.py")
ERRORS = "surrogateescape"
ANSWER_BYTES = 64
CLIENT = """#!{python} -IS
# The installed command, run in a fork of the server of commands.
import json, os, socket, sys
request = {{"words": [{command!r}, *sys.argv[1:]], "folder": os.getcwd(), "environment": dict(os.environ)}}
client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
client.connect({address!r})
socket.send_fds(client, [json.dumps(request).encode()], (0, 1, 2))
client.recv({bytes})
sys.exit(int(client.recv({bytes})))
"""


def run_installed(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the installed command: for tests of what only a process of its own can show.

    Parameters
    ----------
    *words : object
        What is typed after ``pisnn-deploy``.
    **options : object
        More for `subprocess.run`; ``folder`` is its ``cwd``.

    Returns
    -------
    CompletedProcess
        With standard output and standard error as text.
    """
    done: subprocess.CompletedProcess[str] = subprocess.run(
        [COMMAND, *map(str, words)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors=ERRORS,
        check=False,
        cwd=options.pop("folder", None),
        **options,
    )
    return done


def run_command(*words: object, folder: Path | str = ".", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a pisnn-deploy command in a fork of a process that has everything loaded; see `command_server`.

    Parameters
    ----------
    *words : object
        What is typed after ``pisnn-deploy``.
    folder : Path or str, optional
        The command's current folder.
    **environment : str
        More variables, of those that commands read themselves: libraries are loaded before.

    Returns
    -------
    CompletedProcess
        As `run_installed` gives it.
    """
    line = [COMMAND, *map(str, words)]
    request = {"words": line, "folder": str(Path(folder).absolute()), "environment": {**os.environ, **environment}}
    with (
        Path(os.devnull).open("rb") as nothing,
        tempfile.TemporaryFile("w+", errors=ERRORS) as output,
        tempfile.TemporaryFile("w+", errors=ERRORS) as errors,
    ):
        code = _answer(json.dumps(request).encode(), (nothing.fileno(), output.fileno(), errors.fileno()))
        output.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess(line, code, output.read(), errors.read())


def path_with_commands() -> str:
    """A search path on which ``pisnn-deploy`` is a command that does the same: for scripts."""
    return os.pathsep.join((str(_address().parent), os.environ["PATH"]))


def _answer(request: bytes, streams: tuple[int, ...]) -> int:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
        client.connect(str(_address()))
        socket.send_fds(client, [request], streams)
        process = int(client.recv(ANSWER_BYTES))
        try:
            return int(client.recv(ANSWER_BYTES))
        except BaseException:  # the time of the test is over
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
            raise


@cache
def _address() -> Path:
    """Where the server listens, which is started now and ends with this process."""
    folder = Path(tempfile.mkdtemp(prefix="pisnn-commands-", dir="/tmp"))  # addresses of sockets are short
    address = folder / "socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(address))
        listener.listen()
        server = subprocess.Popen(
            [sys.executable, str(SERVER), str(listener.fileno())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=[listener.fileno()],
            cwd=SERVER.parent,
            env={**os.environ, "MPLBACKEND": "agg"},
        )
    client = folder / "pisnn-deploy"
    client.write_text(CLIENT.format(python=sys.executable, command=COMMAND, address=str(address), bytes=ANSWER_BYTES))
    client.chmod(0o755)
    atexit.register(_end, server, folder)
    return address


def _end(server: subprocess.Popen[bytes], folder: Path) -> None:
    assert server.stdin is not None
    server.stdin.close()
    server.wait()
    shutil.rmtree(folder, ignore_errors=True)

"""The command line in tests: in a process of its own, or in a fork of one that has everything loaded."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

COMMAND = str(Path(sys.executable).with_name("pisnn-deploy"))
"""The installed command."""
SERVER = Path(__file__).with_name("command_server.py")
ERRORS = "surrogateescape"


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
        As `subprocess.run` gives it for the installed command.
    """
    line = [COMMAND, *map(str, words)]
    request = {"words": line, "folder": str(Path(folder).absolute()), "environment": {**os.environ, **environment}}
    with tempfile.TemporaryFile("w+", errors=ERRORS) as output, tempfile.TemporaryFile("w+", errors=ERRORS) as errors:
        code = _Server.answer(json.dumps(request).encode(), (output.fileno(), errors.fileno()))
        output.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess(line, code, output.read(), errors.read())


class _Server:
    """The process that forks, started with the first command."""

    connection: socket.socket | None = None
    process: subprocess.Popen[bytes]

    @classmethod
    def answer(cls, request: bytes, streams: tuple[int, int]) -> int:
        """Exit code of a command; a server that was left while it worked is not used again."""
        if cls.connection is None:
            cls._start()
        connection = cls.connection
        assert connection is not None
        cls.connection = None
        try:
            socket.send_fds(connection, [request], streams)
            code = connection.recv(64)
            assert code, "the server of commands has ended"
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(cls.process.pid, signal.SIGKILL)
            cls.process.wait()
            connection.close()
            raise
        cls.connection = connection
        return int(code)

    @classmethod
    def _start(cls) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            cls.process = subprocess.Popen(
                [sys.executable, str(SERVER), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=[theirs.fileno()],
                cwd=SERVER.parent,
                env={**os.environ, "MPLBACKEND": "agg"},
            )
        cls.connection = ours

"""The command line in tests: in a process of its own, or in a fork of one that has everything loaded."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from fork_server import ANSWER_BYTES, Request, Served, address_of

COMMAND = str(Path(sys.executable).with_name("pisnn-deploy"))
"""The installed command."""
SERVER = Path(__file__).with_name("command_server.py")
ERRORS = "surrogateescape"
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
    request = Request(line, str(Path(folder).absolute()), {**os.environ, **environment})
    with (
        Path(os.devnull).open("rb") as nothing,
        tempfile.TemporaryFile("w+", errors=ERRORS) as output,
        tempfile.TemporaryFile("w+", errors=ERRORS) as errors,
    ):
        process = Served(address_of(SERVER), request, (nothing.fileno(), output.fileno(), errors.fileno()))
        try:
            code = process.wait()
        except BaseException:  # the time of the test is over
            process.send_signal(signal.SIGKILL)
            raise
        output.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess(line, code, output.read(), errors.read())


def path_with_commands() -> str:
    """A search path on which ``pisnn-deploy`` is a command that does the same: for scripts."""
    return os.pathsep.join((str(_client().parent), os.environ["PATH"]))


@cache
def _client() -> Path:
    """A command that asks the server, in a folder of its own."""
    address = address_of(SERVER)
    client = address.with_name("pisnn-deploy")
    client.write_text(CLIENT.format(python=sys.executable, command=COMMAND, address=str(address), bytes=ANSWER_BYTES))
    client.chmod(0o755)
    return client

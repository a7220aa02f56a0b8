"""``serve`` from a terminal: address, port in use, Ctrl-C."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
import urllib.request

from click.testing import CliRunner
from commands import COMMAND

from pisnn_deploy.cli.commands.serve import command
from pisnn_deploy.core.errors import UsageError


def test_a_server_says_its_address_and_ends_on_ctrl_c() -> None:
    process = subprocess.Popen(
        [COMMAND, "serve", "heat1d", "-q"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:") and len(address.split("/")[3]) >= 32
        with urllib.request.urlopen(f"{address}state", timeout=20) as answer:
            assert answer.status == 200
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (process.returncode, output, errors.strip()) == (130, "", "interrupted")


def test_a_port_in_use_and_bad_input_are_refused_before_the_work() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = CliRunner().invoke(command, ["missing.pisnn", "--port", str(port)])
    assert isinstance(ended.exception, UsageError) and ended.exception.exit_code == 2
    assert str(ended.exception).startswith(f"`port` {port}: cannot be used (Address already in use); choose another")
    ended = CliRunner().invoke(command, ["missing.pisnn"])
    assert isinstance(ended.exception, UsageError) and "missing.pisnn" in str(ended.exception)
    assert CliRunner().invoke(command, ["heat1d", "--port", "70000"]).exit_code == 2

"""A short run of the fuzzing, and that the harness sees what it looks for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fuzz import mutations
from fuzz.__main__ import table
from fuzz.harness import Tally, fuzz, input_of
from fuzz.parsers import PARSERS, Parser
from pisnn_deploy.core.errors import CheckError, UsageError

SLOW_TO_LOAD = {"training state"}
"""lava-dl takes seconds; `tests/training` has what was found."""


def test_no_parser_is_offended() -> None:
    tallies = fuzz([parser for parser in PARSERS if parser.name not in SLOW_TO_LOAD], 15, seed=2, processes=2)
    for name, tally in tallies.items():
        assert tally.offences == {}, name
        assert tally.accepted + tally.refused == tally.inputs > 0, name
    assert sum(tally.accepted for tally in tallies.values()) > 10
    assert f"| all | {sum(tally.inputs for tally in tallies.values()):,} |" in table(tallies)


def parser_of(parse: Callable[[Path], object]) -> Parser:
    return Parser("ours", "input", lambda folder: [b"seed"], lambda chance, seed, seeds: b"mutant", parse)


def offence(parse: Callable[[Path], object]) -> str:
    """What the harness says of a parser that accepts seeds and does something with mutants."""

    def on_mutants(path: Path) -> object:
        # Seeds, and the half of one with which the harness warms up.
        return parse(path) if path.read_bytes() == b"mutant" else None

    tally = fuzz([parser_of(on_mutants)], 1, seed=1)["ours"]
    assert tally.inputs == 1
    return tally.offences.get("0", "")


def raising(error: BaseException) -> Callable[[Path], object]:
    def parse(path: Path) -> object:
        raise error

    return parse


def unescaped(text: str) -> UsageError:
    """An error whose message was not made printable."""
    error = UsageError("")
    error.args = (text,)
    return error


def wait(seconds: float) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


@pytest.mark.parametrize(
    ("parse", "said"),
    [
        (raising(ValueError("oh")), "ValueError in test_fuzzing.py:parse: oh"),
        (raising(RecursionError()), "RecursionError in test_fuzzing.py:parse: "),
        (raising(CheckError("no")), "exit code 1: no"),
        (raising(unescaped("a\nb")), "a message of 3 characters or several lines: 'a\\nb'"),
        (raising(UsageError("x" * 5000)), "a message of 5000 characters or several lines: "),
        (raising(SystemExit(3)), "SystemExit in test_fuzzing.py:parse: 3"),
        (lambda path: sys.stdout.write("heard"), "printed 'heard'"),
        (lambda path: warnings.warn("w", UserWarning, stacklevel=1), "UserWarning in "),
        (lambda path: Path("/etc/hostname").read_bytes(), "opened /etc/hostname to read"),
        (lambda path: path.parent.with_name("outside").open("w").close(), "opened /"),
        (lambda path: Path("/nowhere").unlink(missing_ok=True), "os.remove ('/nowhere'"),
        (lambda path: subprocess.run(["true"], check=True), "subprocess.Popen "),
        (lambda path: path.with_name(mutations.CANARY).touch(), "a program of the input was run"),
        (lambda path: np.ones(1 << 26).sum(), "took "),
        (lambda path: wait(2.5), "took 2."),
        (lambda path: wait(60), "TooSlow in "),
        (lambda path: os.kill(os.getpid(), signal.SIGKILL), "ended the process (-9)"),
    ],
)
def test_every_offence_is_seen(parse: Callable[[Path], object], said: str) -> None:
    assert offence(parse).startswith(said)


def test_what_is_accepted_or_refused_is_no_offence() -> None:
    assert offence(lambda path: path.read_bytes()) == ""
    assert offence(raising(UsageError("no"))) == ""


def test_a_run_is_resumed_and_its_inputs_do_not_depend_on_that(tmp_path: Path) -> None:
    parser = next(parser for parser in PARSERS if parser.name == "boundary")
    state = tmp_path / "state.json"
    fuzz([parser], 8, seed=3, state=state)
    resumed = fuzz([parser], 20, seed=3, state=state)["boundary"]
    undivided = fuzz([parser], 20, seed=3)["boundary"]
    assert (resumed.accepted, resumed.refused) == (undivided.accepted, undivided.refused)
    assert fuzz([parser], 4, seed=4, state=state)["boundary"].inputs == parser.share(4)
    seeds = parser.seeds(tmp_path)
    assert len({input_of(parser, seeds, 3, number) for number in range(20)}) > 10
    assert input_of(parser, seeds, 3, 7) == input_of(parser, seeds, 3, 7)


def test_a_seed_that_is_refused_ends_the_run(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="ours: a seed is not accepted, see above"):
        fuzz([parser_of(raising(UsageError("no")))], 1, seed=1)
    assert "UsageError: no" in capfd.readouterr().err


def test_the_table_adds_up() -> None:
    shown = table({"a": Tally(1000, 400, 599, 1, 0.5, 1 << 20), "b": Tally(1, 1)}).splitlines()
    assert shown[0] == "| a | 1,000 | 400 | 599 | 1 | 0.50 | 1 MiB |"
    assert shown[2] == "| all | 1,001 | 401 | 599 | 1 | 0.50 | 1 MiB |"

"""Whatever comes from a file or a file's name is spelled out where it is printed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Enter = Callable[[str], Path]
Run = Callable[..., "subprocess.CompletedProcess[str]"]

BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def steering(text: str) -> set[str]:
    """Characters that steer a terminal or hide something, but for line breaks."""
    return {character for character in text if character != "\n" and (not character.isprintable() or character in BIDI)}


def copy_of_artifact(folder: Path, name: bytes) -> str:
    """A sound artifact under a name of our choice."""
    target = os.fsdecode(name)
    shutil.copy(folder.parent / "artifact_of_16_cells.pisnn", target)
    return target


@pytest.mark.parametrize("form", ["text", "dot"])
def test_names_of_passes_do_not_steer_the_terminal(case: Enter, run: Run, form: str) -> None:
    case("inspect_c1")
    done = run("inspect", "evil.pisnn", "--format", form)
    assert done.returncode == 0 and "x9b" in done.stdout and "u202e" in done.stdout
    assert not steering(done.stdout) and not steering(done.stderr)


@pytest.mark.parametrize("command", [("verify",), ("check",), ("check", "--format", "github"), ("inspect",)])
@pytest.mark.parametrize("name", [b"x\n::error::planted.pisnn", b"::error::planted.pisnn", b" ::error::p ##[error]q"])
def test_a_name_is_no_command_of_a_ci(case: Enter, run: Run, command: tuple[str, ...], name: bytes) -> None:
    target = copy_of_artifact(case("name_newline"), name)
    done = run(*command, target)
    assert done.returncode == 0
    lines = [line.lstrip() for line in (done.stdout + done.stderr).split("\n")]
    assert not any(line.startswith("::error") for line in lines) and "##[" not in done.stdout
    if "github" not in command:
        assert not any(line.startswith("::") for line in lines)


def test_a_name_is_no_command_where_several_are_checked(case: Enter, run: Run) -> None:
    folder = case("name_newline")
    names = [copy_of_artifact(folder, name) for name in (b"x\n::error::planted.pisnn", b"::error::planted.pisnn")]
    for words in ((), ("--output", "report.txt"), ("--format", "junit"), ("--format", "sarif")):
        done = run("check", *names, *words)
        assert done.returncode == 0
        assert not any(line.lstrip().startswith("::") for line in done.stdout.split("\n"))
    assert not any(line.startswith("::") for line in Path("report.txt").read_text().split("\n"))


@pytest.mark.parametrize("command", ["verify", "check", "inspect", "simulate", "export"])
def test_a_name_in_an_error_is_one_line(case: Enter, run: Run, command: str) -> None:
    case("name_newline")
    Path("x\n::error::planted\x9b.pisnn").write_bytes(b"no artifact")
    words = ("--to", "onnx") if command == "export" else ()
    done = run(command, "x\n::error::planted\x9b.pisnn", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: x\\n::error::planted\\x9b.pisnn: is not an artifact; expected a .pisnn file written by compile\n"
    )


def test_names_that_are_too_many_are_spelled_out(case: Enter, run: Run) -> None:
    case("name_newline")
    done = run("inspect", "a.pisnn", "x\n::error::planted\x1b[2J")
    assert done.returncode == 2
    assert done.stderr.endswith("\nError: Got unexpected extra argument (x\\n::error::planted\\x1b[2J)\n")
    assert not any(line.startswith("::") for line in done.stderr.split("\n"))


def test_a_name_that_is_no_utf_8_is_written_everywhere(case: Enter, run: Run) -> None:
    name = copy_of_artifact(case("latin1_report"), b"h\xe9.pisnn")
    outputs = ("--report", "r.html", "--plot", "p.png", "--save", "s.npz", "--json")
    done = run("simulate", name, "--backend", "fast", "--steps", "2", *outputs)
    assert done.returncode == 0
    assert json.loads(done.stdout)["artifact"] == name
    page = Path("r.html").read_text("utf-8")
    assert r'<span class="path">h\udce9.pisnn</span>' in page and not steering(page)
    assert Path("p.png").stat().st_size and Path("s.npz").stat().st_size

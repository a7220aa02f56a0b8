"""The Makefile's front door, and what it says where there is no Python 3.10."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[1]


def test_help_lists_every_target() -> None:
    text = (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert {line.split()[0] for line in shown.splitlines()} == set(phony.split())


def test_the_demo_verifies_before_it_runs() -> None:
    shown = subprocess.run(["make", "-n", "demo"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    commands = re.findall(r"pisnn-deploy (\w+) (?:models|build)", shown)
    assert commands == ["compile", "verify", "check", "simulate"]


@pytest.mark.parametrize(("more", "kept"), [(1, ["usual"]), (10, ["usual", "long"])])
def test_long_cases_are_left_to_test_all(
    more: int, kept: list[str], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "PISNN_EXAMPLES=10" in (ROOT / "Makefile").read_text().partition("\ntest-all:")[2].splitlines()[1]
    conftest = request.config.pluginmanager.get_plugin(str(Path(__file__).with_name("conftest.py")))
    assert conftest is not None
    monkeypatch.setattr(conftest, "MORE", more)
    gone: list[SimpleNamespace] = []
    hook = SimpleNamespace(pytest_deselected=lambda items: gone.extend(items))
    items = [SimpleNamespace(name=name, get_closest_marker={name: True}.get) for name in ("usual", "long")]
    conftest.pytest_collection_modifyitems(SimpleNamespace(hook=hook), items)
    assert [item.name for item in items] == kept and len(items) + len(gone) == 2


def test_setup_without_python_3_10_says_what_to_install(tmp_path: Path) -> None:
    binaries = tmp_path / "bin"
    binaries.mkdir()
    for name in ("make", "sh", "touch", "test"):
        found = shutil.which(name)
        assert found is not None
        (binaries / name).symlink_to(found)
    for name in ("Makefile", "setup.cfg", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    done = subprocess.run(
        ["make", "setup"],
        cwd=tmp_path,
        env={"PATH": str(binaries), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "pisnn-deploy needs Python 3.10, because Lava runs on no other, and there is none here." in done.stderr
    assert "Install it with 'pyenv install 3.10' or 'uv python install 3.10'" in done.stderr
    assert not (tmp_path / ".venv").exists()


INTERPRETER = """#!/bin/sh
echo "$0 $*" >> {log}
case "$*" in
    "-m venv --clear .venv") rm -rf .venv; mkdir -p .venv/bin; cp "$0" .venv/bin/python ;;
    {refused}) exit 1 ;;
esac
"""
"""Stands for a Python 3.10: notes how it was called, makes environments that hold itself, fails where it is told to."""


def interpreter(path: Path, log: Path, refused: str = "nothing") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(INTERPRETER.format(log=log, refused=refused))
    path.chmod(0o755)
    return path


def set_up(folder: Path, python: Path, path: str = os.environ["PATH"]) -> subprocess.CompletedProcess[str]:
    for name in ("Makefile", "setup.cfg", "pyproject.toml", "constraints.txt"):
        shutil.copy2(ROOT / name, folder)
    environment = {**os.environ, "PATH": path}
    return subprocess.run(
        ["make", "setup", f"PYTHON={python}"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )


def installations(log: Path) -> int:
    return log.read_text().count("-m pip install")


@pytest.mark.parametrize(
    "refused", [None, "'-m pip --version'", "'-c '*"], ids=["none there", "without pip", "another Python"]
)
def test_setup_replaces_an_environment_that_cannot_be_used(tmp_path: Path, refused: str | None) -> None:
    log = tmp_path / "calls"
    if refused is not None:
        interpreter(tmp_path / ".venv/bin/python", log, refused)
    python = interpreter(tmp_path / "python", log)
    done = set_up(tmp_path, python)
    assert f"using {python}" in done.stdout
    assert f"{python} -m venv --clear .venv\n" in log.read_text()
    assert installations(log) == 2


def test_setup_keeps_an_environment_that_can_be_used_and_installs_once(tmp_path: Path) -> None:
    log = tmp_path / "calls"
    interpreter(tmp_path / ".venv/bin/python", log)
    python = interpreter(tmp_path / "python", log)
    set_up(tmp_path, python)
    assert str(python) not in log.read_text()
    assert installations(log) == 2
    set_up(tmp_path, python)
    assert installations(log) == 2


def test_setup_says_that_it_passes_over_a_named_python(tmp_path: Path) -> None:
    log = tmp_path / "calls"
    other = interpreter(tmp_path / "bin/python3.10", log)
    named = interpreter(tmp_path / "python", log, "'-c '*")
    done = set_up(tmp_path, named, f"{other.parent}{os.pathsep}{os.environ['PATH']}")
    assert done.stderr == f"PYTHON={named} is no Python 3.10 that runs; using python3.10 instead.\n"


def without_programs(folder: Path, target: str, user: int) -> subprocess.CompletedProcess[str]:
    """Make a target on a machine that has make and a shell alone."""
    for name in ("make", "sh"):
        program = shutil.which(name)
        assert program is not None
        (folder / name).symlink_to(program)
    (folder / "id").write_text(f"#!{folder / 'sh'}\necho {user}\n")
    (folder / "id").chmod(0o755)
    return subprocess.run(
        ["make", "--no-print-directory", "-f", ROOT / "Makefile", target],
        cwd=folder,
        env={"PATH": str(folder), "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_others_are_told_how_to_get_coq(tmp_path: Path) -> None:
    done = without_programs(tmp_path, "proofs", 1000)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == (
        "The proofs need coqc ocamlfind ocamlopt; install them, for example with 'sudo apt-get install coq ocaml-nox'."
    )


def browser(folder: Path, user: int, *, present: bool) -> tuple[subprocess.CompletedProcess[str], str]:
    """Ask for the browser on a machine that has, beside make and a shell, what is written here; and what it called."""
    binaries, log = folder / "bin", folder / "calls"
    binaries.mkdir()
    for name in ("make", "sh"):
        found = shutil.which(name)
        assert found is not None
        (binaries / name).symlink_to(found)
    log.touch()
    programs = {"id": f"echo {user}", "apt-get": f'echo "apt-get $*" >> {log}'} | ({"chromium": ""} if present else {})
    for name, body in programs.items():
        (binaries / name).write_text(f"#!{binaries / 'sh'}\n{body}\n")
        (binaries / name).chmod(0o755)
    done = subprocess.run(
        ["make", "--no-print-directory", "-f", ROOT / "Makefile", "browser"],
        cwd=folder,
        env={"PATH": str(binaries), "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done, log.read_text()


def test_a_browser_that_is_there_is_left_alone(tmp_path: Path) -> None:
    done, calls = browser(tmp_path, 0, present=True)
    assert (done.returncode, done.stdout, done.stderr, calls) == (0, "", "", "")


def test_root_gets_the_browser_from_debian(tmp_path: Path) -> None:
    done, calls = browser(tmp_path, 0, present=False)
    assert done.returncode == 0, done.stderr
    assert calls == ("apt-get update -qq\napt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core\n")


def test_others_are_told_how_to_get_a_browser(tmp_path: Path) -> None:
    done, calls = browser(tmp_path, 1000, present=False)
    assert done.returncode == 2 and calls == ""
    assert done.stderr.splitlines()[0] == (
        "The tests of reports need chromium, and there is none on the path; install it, for example with "
        "'sudo apt-get install chromium fonts-dejavu-core'."
    )


@pytest.mark.parametrize("line", ["exec make test"])
def test_ci_calls_make_test_and_nothing_else(line: str) -> None:
    commands = (ROOT / ".ci" / "run").read_text().splitlines()
    assert [c for c in commands if c and not c.startswith(("#", "cd ", "set "))] == [line]


def test_fuzzing_without_a_python_for_atheris_says_what_to_install(tmp_path: Path) -> None:
    binaries = tmp_path / "bin"
    binaries.mkdir()
    for name in ("make", "sh"):
        program = shutil.which(name)
        assert program is not None
        (binaries / name).symlink_to(program)
    for name in ("Makefile", "setup.cfg", "constraints-newer.txt"):
        shutil.copy(ROOT / name, tmp_path)
    ended = {
        target: subprocess.run(
            ["make", "--no-print-directory", target],
            cwd=tmp_path,
            env={"PATH": str(binaries), "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        for target in ("fuzz", "fuzzers")
    }
    message = "Fuzzing needs atheris, which runs on Python 3.11 to 3.13; install one, or name it: FUZZ_PYTHON=..."
    assert ended["fuzz"].returncode == 2 and ended["fuzz"].stderr.splitlines()[0] == message
    message = "There is no Python from 3.11 to 3.13 here: readers are tried with the seeds of the fuzzing alone."
    assert ended["fuzzers"].returncode == 0 and ended["fuzzers"].stderr.splitlines() == [message]
    assert not (tmp_path / ".venv-fuzz").exists()

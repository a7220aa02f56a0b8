"""``pisnn-deploy doctor``: what works here, what is missing, what is broken."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pisnn_deploy import __version__
from pisnn_deploy.backends import Run, RunOptions, registry
from pisnn_deploy.backends.cpu import INTERPRETER_VARIABLE
from pisnn_deploy.cli import doctor
from pisnn_deploy.cli.main import group
from pisnn_deploy.errors import CheckError


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled packages are taken to work: importing each takes a process of its own."""

    def imported(name: str, module: str, how: str) -> doctor.Diagnosis:
        return doctor.Diagnosis(name, "works", how)

    monkeypatch.setattr(doctor, "_imported", imported)


def diagnose(*words: str) -> tuple[dict[str, dict[str, str]], BaseException | None]:
    ended = CliRunner().invoke(group, ["doctor", "--json", *words])
    told = json.loads(ended.stdout)
    assert told["versions"] == {"pisnn-deploy": __version__, "python": sys.version.split()[0]}
    return {one["name"]: one for one in told["diagnoses"]}, ended.exception


def test_everything_works_where_lava_is_installed() -> None:
    found, problem = diagnose("--run")
    assert problem is None
    working = [name for name, one in found.items() if one["status"] == "works"]
    abilities = ["backend cpu", "backend fast", "backend onnx", "backend torch", "train", "compile"]
    assert working == [*abilities, "run on cpu", "run on fast", "run on onnx", "cpu and fast and onnx"]
    assert found["numpy"]["detail"].startswith("1.26")


@pytest.mark.usefixtures("quick")
def test_an_interpreter_without_lava_is_broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = tmp_path / "python"
    other.write_text("#!/bin/sh\necho 'ModuleNotFoundError: no lava' >&2\nexit 1\n")
    other.chmod(0o755)
    monkeypatch.setenv(INTERPRETER_VARIABLE, str(other))
    found, problem = diagnose()
    assert found["backend cpu"] == {
        "name": "backend cpu",
        "status": "broken",
        "detail": f"{other}: ModuleNotFoundError: no lava",
    }
    assert isinstance(problem, CheckError) and str(problem) == "broken: backend cpu"


@pytest.mark.usefixtures("quick")
def test_an_interpreter_with_another_version_is_broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = tmp_path / "python"
    other.write_text('#!/bin/sh\necho \'{"python": "3.10.1", "pisnn-deploy": "0.0.9"}\'\n')
    other.chmod(0o755)
    monkeypatch.setenv(INTERPRETER_VARIABLE, str(other))
    found, _ = diagnose()
    assert found["backend cpu"]["detail"] == f"{other} has pisnn-deploy 0.0.9, this is {__version__}"


@pytest.mark.usefixtures("quick")
def test_an_interpreter_that_does_not_exist_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(INTERPRETER_VARIABLE, "/nowhere/python")
    found, _ = diagnose()
    told = f"{INTERPRETER_VARIABLE}=/nowhere/python cannot be started (No such file or directory)"
    assert found["backend cpu"]["detail"] == told


@pytest.mark.usefixtures("quick")
def test_without_lava_the_interpreter_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(INTERPRETER_VARIABLE, raising=False)
    monkeypatch.setattr(sys, "version_info", (3, 12, 1, "final", 0))
    monkeypatch.setattr(doctor, "_is_installed", lambda module: not module.startswith("lava"))
    found, problem = diagnose()
    assert problem is None
    assert [found[name]["status"] for name in ("backend cpu", "backend torch", "train", "compile")] == [
        *["missing"] * 3,
        "works",
    ]
    assert found["backend cpu"]["detail"].startswith("Lava needs Python 3.10 and this is 3.12; name a Python 3.10")
    assert found["train"]["detail"] == "needs lava-dl, which runs on Python 3.10 alone; this is 3.12"


@pytest.mark.usefixtures("quick")
def test_a_backend_that_gives_other_integers_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    right = registry.run_graph

    def wrong(backend: str, graph: Any, mass: Any, options: RunOptions) -> Run:
        found = right("fast", graph, mass, options)
        found.trace.mass[-1, 0] += backend == "onnx"
        return found

    monkeypatch.setattr(doctor, "run_graph", wrong)
    found, problem = diagnose("--run")
    assert found["cpu and fast and onnx"]["detail"].startswith("end with different integers: {'cpu': [")
    assert isinstance(problem, CheckError) and str(problem) == "broken: cpu and fast and onnx"


def test_a_package_that_cannot_be_imported_is_broken() -> None:
    # What importing it prints last is told.
    assert doctor._imported("backend onnx", "this_is_no_module", "works") == doctor.Diagnosis(
        "backend onnx", "missing", "this_is_no_module is not installed"
    )

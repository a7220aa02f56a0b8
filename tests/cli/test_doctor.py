"""``pisnn-deploy doctor``: what works here, what is missing, what is broken."""

from __future__ import annotations

import json
import re
import resource
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from pisnn_deploy import __version__
from pisnn_deploy.cli.commands import doctor
from pisnn_deploy.cli.main import group
from pisnn_deploy.core.errors import CheckError
from pisnn_deploy.core.optional import INTERPRETER_VARIABLE
from pisnn_deploy.runs import Run, RunOptions, registry


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
    abilities = ["backend cpu", "backend fast", "backend onnx", "backend torch", "train"]
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
    versions = doctor._versions()
    monkeypatch.setattr(doctor, "_versions", lambda: {k: v for k, v in versions.items() if not k.startswith("lava")})
    found, problem = diagnose()
    assert problem is None
    missing = ("lava-nc", "lava-dl", "backend cpu", "train")
    assert [name for name, one in found.items() if one["status"] == "missing"] == list(missing)
    assert found["backend cpu"]["detail"].startswith("Lava needs Python 3.10 and this is 3.12; name a Python 3.10")
    assert found["train"]["detail"] == "needs lava-dl, which only runs on Python 3.10, not 3.12"


@pytest.mark.parametrize(
    ("kind", "limit", "broken", "detail"),
    [
        (
            resource.RLIMIT_AS,
            307_200_000,
            ["backend cpu", "backend fast", "backend onnx", "backend torch", "train"],
            "memory ran out: backend cpu needs at least 1000 MB of address space, but the limit is 307 MB; raise "
            "it with ulimit -v",
        ),
        (
            resource.RLIMIT_NOFILE,
            16,
            ["backend cpu"],
            "backend cpu opens up to 128 files at once, but the limit is 16; raise it with ulimit -n",
        ),
    ],
)
def test_what_the_limits_of_the_process_refuse_is_broken(
    kind: int, limit: int, broken: list[str], detail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    monkeypatch.setattr(resource, "getrlimit", lambda asked: (limit, limit) if asked == kind else free)
    found, problem = diagnose()
    assert [name for name, one in found.items() if one["status"] == "broken"] == broken
    assert found["backend cpu"]["detail"] == detail
    assert isinstance(problem, CheckError) and str(problem) == f"broken: {', '.join(broken)}"


def with_wrong_ends(monkeypatch: pytest.MonkeyPatch, **quanta: tuple[int, int]) -> None:
    """Let backends end with so many quanta more in cells 0 and 1."""
    right = registry.run_graph

    def wrong(backend: str, graph: Any, mass: Any, options: RunOptions) -> Run:
        run = right("fast", graph, mass, options)
        run.trace.mass[-1, :2] += np.array(quanta.get(backend, (0, 0)))
        return run

    monkeypatch.setattr(doctor, "run_graph", wrong)


def trial_rows(found: dict[str, dict[str, str]]) -> dict[str, str]:
    return {name: one["status"] for name, one in found.items() if name.startswith("run on ") or " and " in name}


@pytest.mark.usefixtures("quick")
def test_a_backend_that_gives_other_integers_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    with_wrong_ends(monkeypatch, onnx=(1, -1))  # conserved all the same
    found, problem = diagnose("--run")
    detail = found["run on onnx"]["detail"]
    assert re.fullmatch(r"ends with other integers than cpu and fast: mass \[0\] is (\d+), not (\d+)", detail)
    rows = {"run on cpu": "works", "run on fast": "works", "run on onnx": "broken", "cpu and fast": "works"}
    assert trial_rows(found) == rows
    assert isinstance(problem, CheckError) and str(problem) == "broken: run on onnx"


@pytest.mark.usefixtures("quick")
def test_a_backend_that_loses_mass_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    with_wrong_ends(monkeypatch, onnx=(1, 0))
    found, problem = diagnose("--run")
    told = "the rows of the run do not add up: +1 quanta at PDE step 20; wrong rows: 1"
    assert found["run on onnx"]["detail"] == told and found["cpu and fast"]["status"] == "works"
    assert isinstance(problem, CheckError) and str(problem) == "broken: run on onnx"


@pytest.mark.usefixtures("quick")
def test_where_no_two_backends_agree_none_is_called_right(monkeypatch: pytest.MonkeyPatch) -> None:
    with_wrong_ends(monkeypatch, onnx=(1, -1), cpu=(2, -2))
    found, problem = diagnose("--run")
    detail = found["cpu and fast and onnx"]["detail"]
    assert re.fullmatch(r"end with different integers: on fast mass \[0\] is (\d+), not (\d+) as on cpu", detail)
    assert isinstance(problem, CheckError) and str(problem) == "broken: cpu and fast and onnx"


def test_a_package_that_cannot_be_imported_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    # What importing it prints last is told.
    assert doctor._imported("backend onnx", "onnxruntime", "works") == doctor.Diagnosis(
        "backend onnx", "missing", "needs onnxruntime, which is not installed: pip install 'pisnn-deploy[onnx]'"
    )

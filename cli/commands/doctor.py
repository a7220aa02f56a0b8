"""``pisnn-deploy doctor``."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import click
import numpy as np
from rich.text import Text

from pisnn_deploy import __version__
from pisnn_deploy.checks.example_graphs import heat_graph
from pisnn_deploy.cli.console import print_json, print_table
from pisnn_deploy.cli.options import HELP, JSON, QUIET
from pisnn_deploy.core.errors import CheckError, PisnnError, UsageError
from pisnn_deploy.core.limits import FILES_OF_LAVA, lack_for
from pisnn_deploy.core.optional import INTERPRETER_VARIABLE, LAVA_DL, is_installed, lack_of
from pisnn_deploy.core.surroundings import NEUTRAL, python_command
from pisnn_deploy.lava.backend import worker_command
from pisnn_deploy.runs import Run, RunOptions, run_graph

PACKAGES = (
    "numpy",
    "scipy",
    "llvmlite",
    "onnx",
    "onnxruntime",
    "torch",
    "lava-nc",
    "lava-dl",
    "dask",
    "pydantic",
    "click",
)
STEPS = 20
"""PDE steps of the trial runs."""
SMALL_SHARED_MEMORY = 1 << 26
"""Bytes; what containers have unless asked for more, too little for Lava networks of some ten thousand cells."""
_ASK = (
    "import json, importlib.metadata as m, lava; "
    "print(json.dumps({'python': sys.version.split()[0], 'pisnn-deploy': m.version('pisnn-deploy')}))"
)
_COLOURS = {"works": "green", "missing": "yellow", "broken": "red", "note": ""}


@dataclass(frozen=True)
class Diagnosis:
    """The state of one part of the installation.

    Attributes
    ----------
    status : str
        ``works``; ``missing``, where it is not installed or cannot be on this Python; ``broken``; ``note``, which is
        neither good nor bad.
    """

    name: str
    status: Literal["works", "missing", "broken", "note"]
    detail: str


@click.command("doctor", context_settings=HELP)
@click.option(
    "--run", "trial", is_flag=True, help="Run a small graph on every working backend and compare the results."
)
@JSON
@QUIET
def command(trial: bool, as_json: bool, quiet: bool) -> None:
    """Check what works on this machine: versions, cores, memory, backends.

    \b
    Examples:
      pisnn-deploy doctor
      pisnn-deploy doctor --run
      pisnn-deploy doctor --json

    Exit code 1 if something is broken: installed but not working, or not within ulimit -v and -n. A missing package is
    not an error.
    """
    diagnoses = [*_machine(), *_packages(), *_abilities()]
    if trial:
        diagnoses += _trials([each.name.removeprefix("backend ") for each in diagnoses if _can_be_tried(each)])
    if as_json:
        versions = {"pisnn-deploy": __version__, "python": platform.python_version()}
        print_json({"versions": versions, "diagnoses": [asdict(diagnosis) for diagnosis in diagnoses]})
    elif not quiet:
        rows = [(each.name, Text(each.status, _COLOURS[each.status]), each.detail) for each in diagnoses]
        print_table(
            f"pisnn-deploy {__version__} on Python {platform.python_version()}", rows, ("what", "status", "detail")
        )
    broken = [diagnosis.name for diagnosis in diagnoses if diagnosis.status == "broken"]
    if broken:
        raise CheckError(f"broken: {', '.join(broken)}")


def _can_be_tried(diagnosis: Diagnosis) -> bool:
    # Loading torch takes longer than the other checks together.
    return diagnosis.status == "works" and diagnosis.name in ("backend cpu", "backend fast", "backend onnx")


def _machine() -> Iterator[Diagnosis]:
    yield Diagnosis("system", "note", f"{platform.system()} {platform.release()} on {platform.machine()}")
    yield Diagnosis("interpreter", "note", sys.executable)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Diagnosis("cores", "note", f"{cores}")
    shared = Path("/dev/shm")
    if shared.is_dir():
        free = shutil.disk_usage(shared).free
        hint = "; large Lava networks need more (docker run --shm-size)" if free < SMALL_SHARED_MEMORY else ""
        yield Diagnosis("shared memory", "note", f"{free >> 20} MB free{hint}")


def _packages() -> Iterator[Diagnosis]:
    versions = _versions()
    for name in PACKAGES:
        known = name in versions
        yield Diagnosis(name, "note" if known else "missing", versions.get(name, "not installed"))


def _versions() -> dict[str, str]:
    """Versions of those of `PACKAGES` that are installed."""
    versions = {}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def _abilities() -> Iterator[Diagnosis]:
    yield _lava()
    if not is_installed("llvmlite"):
        lack = lack_for("backend fast")
        works = f"in plain numpy, slowly; compiled kernels need {lack_of('llvmlite')}"
        yield Diagnosis("backend fast", "broken" if lack else "works", lack or works)
    else:
        yield _imported("backend fast", "llvmlite", "in compiled kernels")
    yield _imported("backend onnx", "onnxruntime", "on onnxruntime")
    abilities = (("backend torch", "torch", "torch", "torch"), ("train", "training", "lava-dl", LAVA_DL))
    for name, part, package, module in abilities:
        if package not in _versions():
            yield Diagnosis(name, "missing", f"needs {lack_of(module)}")
        else:
            lack = lack_for(part)
            yield Diagnosis(name, "broken" if lack else "works", lack)


def _imported(name: str, module: str, how: str) -> Diagnosis:
    """Whether a compiled package can be imported: some wheels do not fit the machine."""
    if not is_installed(module):
        return Diagnosis(name, "missing", f"needs {lack_of(module)}")
    lack = lack_for(name)
    if lack:  # even an import might hang
        return Diagnosis(name, "broken", lack)
    done = subprocess.run(python_command(f"import {module}"), cwd=NEUTRAL, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return Diagnosis(name, "works", how)
    return Diagnosis(name, "broken", f"{module} cannot be used: {_last_line(done.stderr)}")


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no error message"


def _lava() -> Diagnosis:
    name = "backend cpu"
    try:
        interpreter = worker_command()[0]
    except UsageError as error:
        return Diagnosis(name, "missing", str(error).removeprefix("cpu backend: "))
    lack = lack_for(name, FILES_OF_LAVA) if is_installed("lava") else ""
    if lack:
        return Diagnosis(name, "broken", lack)
    named = os.environ.get(INTERPRETER_VARIABLE)
    try:
        done = subprocess.run(
            python_command(_ASK, interpreter), cwd=NEUTRAL, capture_output=True, text=True, check=False
        )
    except OSError as error:
        return Diagnosis(name, "broken", f"{INTERPRETER_VARIABLE}={interpreter} cannot be started ({error.strerror})")
    if done.returncode:
        status: Literal["missing", "broken"] = "broken" if named or is_installed("lava") else "missing"
        return Diagnosis(name, status, f"{interpreter}: {_last_line(done.stderr)}")
    versions = json.loads(done.stdout.splitlines()[-1])
    if versions["pisnn-deploy"] != __version__:
        return Diagnosis(
            name, "broken", f"{interpreter} has pisnn-deploy {versions['pisnn-deploy']}, this is {__version__}"
        )
    return Diagnosis(name, "works", f"real Lava processes on Python {versions['python']}")


def _trials(backends: list[str]) -> Iterator[Diagnosis]:
    """Run the same small graph everywhere: all must end with the same integers."""
    graph = heat_graph()
    mass = graph.initial + 100 * np.arange(graph.mesh.cells, dtype=np.int64)
    runs: dict[str, Run] = {}
    problems: dict[str, str] = {}
    for backend in backends:
        try:
            run = run_graph(backend, graph, mass, RunOptions(STEPS, STEPS, deadline_seconds=60.0))
        except PisnnError as error:
            problems[backend] = str(error)
            continue
        if run.conserved:
            runs[backend] = run
        else:
            problems[backend] = run.verdict.reason
    usual = _majority(runs)
    for backend in [name for name in runs if usual and name not in usual]:
        difference = _difference(runs[usual[0]], runs.pop(backend))
        problems[backend] = f"ends with other integers than {' and '.join(usual)}: {difference}"
    for backend in backends:
        works = f"{STEPS} PDE steps conserved every quantum"
        status: Literal["works", "broken"] = "broken" if backend in problems else "works"
        yield Diagnosis(f"run on {backend}", status, problems.get(backend, works))
    if usual and len(runs) > 1:
        yield Diagnosis(" and ".join(runs), "works", "all end with the same integers")
    elif len(runs) > 1:
        first, *others = runs
        wrong = next(name for name in others if _difference(runs[first], runs[name]))
        difference = _difference(runs[first], runs[wrong])
        yield Diagnosis(
            " and ".join(runs), "broken", f"end with different integers: on {wrong} {difference} as on {first}"
        )


def _majority(runs: Mapping[str, Run]) -> list[str]:
    """Backends that agree on the integers, if they are the majority; else none."""
    for first in runs.values():
        alike = [name for name, run in runs.items() if not _difference(first, run)]
        if 2 * len(alike) > len(runs):
            return alike
    return []


def _difference(right: Run, other: Run) -> str:
    """The first integer of the last row on which two runs differ; empty if none does."""
    for name in ("mass", "ledger", "transported"):
        expected, actual = getattr(right.trace, name)[-1], getattr(other.trace, name)[-1]
        wrong = np.flatnonzero(expected != actual)
        if wrong.size:
            return f"{name} [{wrong[0]}] is {actual[wrong[0]]}, not {expected[wrong[0]]}"
    return ""

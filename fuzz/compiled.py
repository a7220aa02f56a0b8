"""Small graphs for seeds, and the checks of every accepted graph."""

from __future__ import annotations

import contextlib
import io
from functools import lru_cache
from pathlib import Path
from typing import Any

from fuzz.meshes import mesh_bytes
from fuzz.oracle import require
from pisnn_deploy.campaign.plan import cases_of, read_plan
from pisnn_deploy.campaign.row import Row
from pisnn_deploy.campaign.work import WorkerOptions, compile_case, run_case
from pisnn_deploy.checks import check
from pisnn_deploy.cli.commands.inspect import print_artifact
from pisnn_deploy.core.errors import CheckError
from pisnn_deploy.core.printable import json_text
from pisnn_deploy.graph.artifact import Artifact, artifact_bytes, read_artifact
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.wellformed import defects
from pisnn_deploy.project.graphs import require_compiled
from pisnn_deploy.report.graph_text import dot_text
from pisnn_deploy.runs import RunOptions
from pisnn_deploy.runs.run import start_of
from pisnn_deploy.runs.stepping import ReferenceStepper, stepped_run
from pisnn_deploy.target import Profile, load_profile
from pisnn_deploy.verify import check_certificate

PLAN = """
models: [heat1d]
meshes: [16, 3]
steps: [3]
backends: [fast]
initial: [random]
seeds: [1]
faults: [none, "drop:packet[3]@1"]
"""


@lru_cache(maxsize=1)
def small_graph() -> IntegerGraph:
    """A line of 16 cells between reservoirs."""
    return _compiled("heat1d", mesh="16", boundary="dirichlet=0,1")[0]


@lru_cache(maxsize=8)
def profile_named(name: str) -> Profile:
    """A profile of the library."""
    return load_profile(name)


def artifact_seeds(folder: Path) -> list[bytes]:
    """Artifacts of each kind of graph: runs of equal numbers, dense coding, binary spikes, a plane, a mesh of cells."""
    (folder / "plate.msh").write_bytes(mesh_bytes(".msh", folder, 2, file_format="gmsh22"))
    requests: tuple[tuple[str, dict[str, Any]], ...] = (
        ("heat1d", {"mesh": "72"}),
        ("heat1d", {"mesh": "12", "boundary": "dirichlet=0,1", "coding": "dense", "limiter": "positivity"}),
        ("heat1d", {"mesh": "10", "profile": "loihi1"}),
        ("heat2d", {"mesh": "4x4", "boundary": "x=periodic y=dirichlet=0,1"}),
        ("heat2d", {"mesh": str(folder / "plate.msh"), "boundary": "left=dirichlet=1"}),
    )
    return [artifact_bytes(*_compiled(name, **options)) for name, options in requests]


def _compiled(name: str, **options: Any) -> tuple[IntegerGraph, dict[str, object]]:
    from pisnn_deploy.project.compilation import compile_requested
    from pisnn_deploy.project.request import compile_request

    return compile_requested(compile_request(name, **options))


def read_and_use(path: Path) -> None:
    """Read an artifact; if accepted, read it again, inspect, verify, check and run it."""
    read = read_artifact(path)
    graph = read.graph
    require(not list(defects(graph)), "an artifact was accepted whose graph has defects")
    _require_same(path, read)
    require_printable(printed(print_artifact, path, read) + dot_text(graph) + json_text(read.provenance))
    wrong = tuple((claim.claim, claim.text) for claim in check_certificate(graph, read.altered) if not claim.holds)
    check(graph, profile_named("loihi2"), wrong)
    require_compiled(str(path), graph)  # a forger would seal it again
    # On numpy, because kernels would be compiled for each new program. A broken invariant is a result (exit code 1).
    with contextlib.suppress(CheckError):
        stepped_run("fast", graph, ReferenceStepper(graph, start_of(graph, graph.initial), 3), RunOptions(3))


def _require_same(path: Path, read: Artifact) -> None:
    """Require that a rewritten artifact is sealed, and has the same bytes once it is read and written again."""
    written = artifact_bytes(read.graph, read.provenance)
    copy = path.with_name("copy.pisnn")
    copy.write_bytes(written)
    again = read_artifact(copy)
    require(
        artifact_bytes(again.graph, again.provenance) == written, "an artifact reads differently once it is written"
    )
    require(read.graph.certificate is None or not again.altered, "an artifact that was written anew has a broken seal")


def printed(show: Any, *arguments: object) -> str:
    """Output of a function."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        show(*arguments)
    return text.getvalue()


def require_printable(text: str) -> None:
    """Fail if text contains terminal controls, or a line that GitHub would run as a command."""
    for line in text.split("\n"):
        require(line.isprintable(), f"not printable: {ascii(line)[:100]}")
        require(not line.lstrip().startswith("::") and "##[" not in line, f"a command of a CI: {ascii(line)[:100]}")


def small_rows(folder: Path) -> list[Row]:
    """Rows of a campaign: a run, one with a fault, one from random fields, and one that is refused."""
    plan = folder / "plan.yaml"
    plan.write_text(PLAN)
    rows = []
    for case in cases_of(read_plan(plan), plan):
        options = WorkerOptions()
        rows.append(run_case(case, compile_case(case.target, options), options))
    return rows

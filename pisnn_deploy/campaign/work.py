"""Work of a cluster's worker: compile a target and run its cases. Every error becomes a row."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.campaign.case import NO_FAULT, OWN, RANDOM, Case, Named, Target
from pisnn_deploy.campaign.plan import digest_of_file, digest_of_profile
from pisnn_deploy.campaign.row import LARGEST, Row, Verdict, left_out
from pisnn_deploy.core.distance import relative_l2
from pisnn_deploy.core.errors import CheckError, PisnnError, UsageError
from pisnn_deploy.faults.spec import parse_fault
from pisnn_deploy.fields.npy_file import read_field
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.artifact import artifact_bytes, warnings_in
from pisnn_deploy.graph.columns import columns_of
from pisnn_deploy.project.compilation import compile_requested
from pisnn_deploy.project.law_solution import Solution, law_errors, law_solution
from pisnn_deploy.project.own_problem import admitted_mass, named_start, random_start, reference_of, steps_to_horizon
from pisnn_deploy.project.request import CompileRequest
from pisnn_deploy.runs import Run, RunOptions, run_graph
from pisnn_deploy.runs.plausibility import plausibility
from pisnn_deploy.runs.reading import last_values
from pisnn_deploy.runs.run import row_bytes

KEPT_ROWS = 400
"""Maximum number of kept steps of a run."""
KEPT_BYTES = 1 << 30
"""Maximum memory for kept steps, in bytes."""


@dataclass(frozen=True)
class WorkerOptions:
    """How a worker compiles and runs.

    Attributes
    ----------
    compile_graph : callable
        Compiles a request to a graph and its provenance.
    deadline_seconds : float
        Time limit of each run, see `RunOptions`.
    """

    compile_graph: Callable[[CompileRequest], tuple[IntegerGraph, dict[str, Any]]] = compile_requested
    deadline_seconds: float = 3600.0


@dataclass(frozen=True)
class Compiled:
    """Result of compiling a target.

    Attributes
    ----------
    graph : IntegerGraph or None
        The graph; None if compiling failed.
    artifact : str or None
        SHA-256 of the artifact, hexadecimal.
    seconds : float
        Wall-clock time of compiling.
    verdict : str
        Verdict of all cases if there is no graph.
    message : str
        Why there is no graph.
    warnings : int or None
        Number of compiler warnings.
    """

    graph: IntegerGraph | None
    artifact: str | None
    seconds: float
    verdict: Verdict = "refused"
    message: str = ""
    warnings: int | None = None


def compile_case(target: Target, options: WorkerOptions) -> Compiled:
    """Compile a target."""
    started = time.perf_counter()
    try:
        for named in (target.model, target.mesh):
            _require_same(named)
        if target.profile.digest != digest_of_profile(target.profile.location):
            raise UsageError(f"profile {target.profile.text}: differs on this worker from the one in the plan")
        graph, provenance = options.compile_graph(target.request)
        artifact = hashlib.sha256(artifact_bytes(graph, provenance)).hexdigest()
    except Exception as error:  # every error is a result of the case, so that none ends the campaign
        return Compiled(None, None, time.perf_counter() - started, *_reason(error))
    return Compiled(graph, artifact, time.perf_counter() - started, warnings=len(warnings_in(provenance)))


def run_case(case: Case, compiled: Compiled, options: WorkerOptions) -> Row:
    """Run a case.

    Parameters
    ----------
    compiled : Compiled
        Result for the case's target.
    """
    facts = _axes(case) | {"artifact": compiled.artifact, "compile_seconds": compiled.seconds}
    graph = compiled.graph
    if graph is None:
        return Row(**facts, verdict=compiled.verdict, message=compiled.message)
    facts |= {"compile_warnings": compiled.warnings, "cells": graph.mesh.cells, "faces": columns_of(graph).size}
    try:
        steps = steps_to_horizon(graph) if case.steps is None else case.steps
        facts["asked_steps"] = steps
        mass = admitted_mass(graph, _start(case, graph), case.initial.text)
        faults = () if case.fault == NO_FAULT else (parse_fault(case.fault),)
        limits = RunOptions(steps, _spacing(graph, steps), options.deadline_seconds, faults=faults)
        run = run_graph(case.backend, graph, mass, limits)
        return Row(**facts, **_outcome(case, graph, run))
    except Exception as error:  # likewise
        verdict, message = _reason(error)
        return Row(**facts, verdict=verdict, message=message)


def failed_row(case: Case, message: str) -> Row:
    """Row of a case without a result from any worker."""
    return Row(**_axes(case), verdict="failed", message=message)


def _spacing(graph: IntegerGraph, steps: int) -> int:
    """PDE steps between kept steps, such that plausibility is judged on as many of them as in `simulate`."""
    return max(1, -(-steps // max(1, min(KEPT_ROWS, KEPT_BYTES // row_bytes(graph) - 2))))


def _axes(case: Case) -> dict[str, Any]:
    return {"key": case.key, **case.described()}


def _reason(error: Exception) -> tuple[Verdict, str]:
    """Verdict and message of an attempt that raised an error: refused for invalid input, else failed."""
    if isinstance(error, PisnnError) and not isinstance(error, CheckError):
        return "refused", str(error)
    return "failed", str(error) if isinstance(error, CheckError) else f"{type(error).__name__}: {error}"


def _start(case: Case, graph: IntegerGraph) -> NDArray[np.float64]:
    if case.initial.is_file:
        _require_same(case.initial)
        return read_field(Path(case.initial.location), graph.shape).reshape(-1)
    if case.initial.text == OWN:
        return graph.values(graph.initial)
    if case.initial.text == RANDOM:
        return random_start(graph, case.seed or 0)
    return named_start(graph, case.initial.text)


def _require_same(named: Named) -> None:
    if named.is_file and digest_of_file(Path(named.location)) != named.digest:
        raise UsageError(f"{named.text}: differs on this worker from the file in the plan")


def _outcome(case: Case, graph: IntegerGraph, run: Run) -> dict[str, Any]:
    facts: dict[str, Any] = {"verdict": run.verdict.word, "seconds": run.wall_seconds}
    known = _solution_of_law(case, graph, run)
    facts["plausible"] = plausibility(graph, run, None if known is None else known.fields).holds
    if run.detections:
        facts["fault_detected_step"] = run.detections[0].step
    counts = {
        "steps": run.steps,
        "time_steps": run.time_steps,
        **{f"violations_{kind}": count for kind, count in run.violations.items()},
        "packets": run.packets_sent,
        "events": sum(run.events.values()),
    }
    if run.end is not None:
        counts["drift"] = run.verdict.drift
        facts["time"] = run.steps * graph.time_step
        facts["relative_l2_error"] = _error(case, graph, run) if known is None else _error_of_law(graph, run, known)
    outside = [left_out(name, count) for name, count in counts.items() if abs(count) > LARGEST]
    message = "; ".join(part for part in (run.verdict.reason, *outside) if part)
    fitting = {name: count for name, count in counts.items() if abs(count) <= LARGEST}
    return {**facts, **fitting, "message": message or None}


def _solution_of_law(case: Case, graph: IntegerGraph, run: Run) -> Solution | None:
    """Solution of a law's recipe at the end of a run from its own start; None without one."""
    if graph.spec.equation != "law" or case.initial.text != OWN or not run.conserved:
        return None
    return law_solution(graph, graph.spec, run.steps)[0]


def _error_of_law(graph: IntegerGraph, run: Run, known: Solution) -> float | None:
    """Largest relative L2 error of a field."""
    errors = [entry["relative_l2"] for entry in law_errors(graph, run.trace.mass[-1], known).values()]
    return max((error for error in errors if error is not None and math.isfinite(error)), default=None)


def _error(case: Case, graph: IntegerGraph, run: Run) -> float | None:
    """Relative L2 error at the end; None if no exact solution is known."""
    if case.initial.is_file or case.initial.text == RANDOM or not run.conserved or graph.spec.equation == "law":
        return None
    exact = reference_of(graph, run.steps, None if case.initial.text == OWN else case.initial.text)
    error = relative_l2(last_values(graph, run), exact)
    return error if error is not None and math.isfinite(error) else None

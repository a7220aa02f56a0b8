"""The JSON object that ``simulate`` writes about a run."""

from __future__ import annotations

import importlib.metadata
import platform
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from pisnn_deploy import __version__
from pisnn_deploy.core.distance import relative_l2
from pisnn_deploy.faults.outcome import outcomes
from pisnn_deploy.graph import Field, IntegerGraph
from pisnn_deploy.project.law_solution import law_errors
from pisnn_deploy.project.own_problem import problem_of
from pisnn_deploy.project.simulation import Simulation
from pisnn_deploy.runs.reading import last_values

_RUNS_ON = {"cpu": "lava-nc", "fast": "llvmlite", "onnx": "onnxruntime", "torch": "torch"}
"""The Python distribution that each backend uses."""


def result_of(simulation: Simulation, artifact: str) -> dict[str, Any]:
    """The JSON object of ``simulate``.

    Parameters
    ----------
    artifact : str
        Name of the artifact in reports.
    """
    graph, run = simulation.graph, simulation.run
    result = {
        "verdict": run.verdict.word,
        "backend": run.backend,
        "artifact": artifact,
        "model": graph.spec.name,
        "mesh": list(graph.mesh.shape),
        "cells": graph.mesh.cells,
        "faces": graph.mesh.faces,
        "channels": run.trace.columns.size,
        "fields": [_field(field) for field in graph.fields],
        "steps": run.steps,
        "time_steps": run.time_steps,
        "period": graph.period,
        "time": run.steps * graph.time_step,
        "time_step": graph.time_step,
        "kept": {"steps": run.trace.step.size, "last": int(run.trace.step[-1]) if run.trace.step.size else None},
        "mass": run.verdict.balances[0].figures() if len(run.verdict.balances) == 1 else None,
        "balances": [{"fields": balance.fields, **balance.figures()} for balance in run.verdict.balances],
        "ledgers": {
            field: {name: gain._asdict() for name, gain in gains.items()} for field, gains in run.ledgers().items()
        },
        "violations": run.violations,
        "plausible": simulation.plausible.to_dict(),
        # Domains do not count spikes, because those in halos are sent twice.
        "packets": {"sent": run.packets_sent, "quanta": run.quanta_sent} if run.events else None,
        "events": run.events or None,
        "error": _error(graph, simulation) if run.conserved else None,
        "wall_seconds": run.wall_seconds,
        "steps_per_second": run.steps / run.wall_seconds if run.wall_seconds > 0 else 0.0,
    }
    faults = simulation.request.injection.parsed
    if faults:
        result["faults"] = [asdict(outcome) for outcome in outcomes(graph, faults, run.detections)]
        result["healed"] = sum(detection.healed for detection in run.detections)
    if run.trace.probes:
        result["probes"] = [probed.counts() for probed in run.trace.probes]
    if simulation.steady is not None:
        result["steady"] = asdict(simulation.steady)
    if simulation.reference_errors is not None:
        result["reference"] = simulation.reference_errors.to_dict()
    if simulation.comparison is not None:
        result["against"] = _comparison(simulation)
    return result


def _field(field: Field) -> dict[str, Any]:
    return {
        "name": field.name,
        "unit": field.unit or None,
        "quantum": field.quantum,
        "value_per_quantum": field.value_per_quantum,
        "reservoirs": int(field.reservoirs.size),
    }


def _error(graph: IntegerGraph, simulation: Simulation) -> dict[str, Any] | None:
    """Relative L2 error at the last kept step; None without a reference, or if it is 0 everywhere.

    Laws have errors of each field, or the reason why there are none.
    """
    trace = simulation.run.trace
    if graph.spec.equation == "law":
        exact, reason = simulation.of_law
        if exact is None:
            return {"reason": reason} if reason else None
        return {
            "fields": law_errors(graph, trace.mass[-1], exact),
            "reference": exact.basis,
            "time": int(trace.step[-1]) * graph.time_step,
        }
    distance = relative_l2(last_values(graph, simulation.run), simulation.reference) if trace.step.size else None
    if distance is None:
        return None
    return {
        "relative_l2": distance,
        "reference": problem_of(graph).equation,
        "reference_error": simulation.reference_error,
        "time": int(trace.step[-1]) * graph.time_step,
    }


def _comparison(simulation: Simulation) -> dict[str, Any]:
    """Result of the comparison with another backend."""
    compared = simulation.comparison
    assert compared is not None
    return {
        "backend": simulation.request.against,
        "steps": compared.steps,
        "equal_integers": compared.integers,
        "difference": None if compared.difference is None else asdict(compared.difference),
        "same_end": compared.failures[0] == compared.failures[1],
    }


def versions(backend: str) -> dict[str, str]:
    """Versions of the software that runs a graph.

    Returns
    -------
    dict of str to str
        By distribution.
    """
    versions = {"pisnn-deploy": __version__, "python": platform.python_version()}
    for name in ("numpy", _RUNS_ON[backend]):
        with suppress(importlib.metadata.PackageNotFoundError):  # `fast` runs without it
            versions[name] = importlib.metadata.version(name)
    return versions

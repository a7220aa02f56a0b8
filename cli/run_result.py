"""Result table of ``simulate``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from pisnn_deploy.cli.console import Row
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.report.measures import error_text
from pisnn_deploy.runs import Run
from pisnn_deploy.runs.plausibility import plausibility


def result_rows(graph: IntegerGraph, run: Run, result: Mapping[str, Any]) -> list[Row]:
    """Rows of names and values for a result.

    Parameters
    ----------
    result : mapping
        See `pisnn_deploy.project.run_result`.
    """
    plausible = plausibility(graph, run)
    mass, error = result["mass"], result["error"]
    colour = "green" if result["verdict"] == "conserved" else "red"
    rows: list[Row] = [
        ("verdict", Text(result["verdict"], f"bold {colour}")),
        ("steps", f"{result['steps']} PDE steps, {result['time_steps']} time steps"),
        *_balance(graph, run, mass),
        ("violations", _violations(result)),
        ("plausible", Text(plausible.summary, "" if plausible.holds else "bold yellow")),
    ]
    if result["packets"] is not None:
        rows += [
            ("packets", f"{result['packets']['sent']} sent, {result['packets']['quanta']} quanta"),
            ("events", ", ".join(f"{name} {count}" for name, count in result["events"].items())),
        ]
    for outcome in result.get("faults", []):
        text = "not detected"
        if outcome["detected"]:
            healed = ", healed" if outcome["healed"] else ""
            text = f"{outcome['kind']} violation at {outcome['place']}, PDE step {outcome['step']}{healed}"
        rows.append(("fault", Text(f"{outcome['spec']}: {text}")))
    if error is not None:
        text = error_text(error["relative_l2"], error["reference_error"])
        known_to = f"{error['reference']}, known to {error['reference_error']:.0e}"
        rows.append(("relative L2 error", f"{text} at time {error['time']:.4f} ({known_to})"))
    if "against" in result:
        comparison = result["against"]
        text = f"all {comparison['equal_integers']} integers of {comparison['steps']} PDE steps are equal"
        if comparison["difference"]:
            text = "differs"
        elif not comparison["same_end"]:
            text += ", and yet the runs end differently"
        rows.append((f"against {comparison['backend']}", text))
    rows.append(("speed", f"{result['steps_per_second']:.0f} PDE steps per second"))
    return rows


def _balance(graph: IntegerGraph, run: Run, mass: Mapping[str, int]) -> list[Row]:
    """Masses of the first and the last kept row."""
    if not run.trace.step.size:
        return [("mass", "no PDE step was kept")]
    end = "the end" if run.trace.step[-1] == run.steps and not run.failure else f"PDE step {run.trace.step[-1]}"
    rows: list[Row] = [("mass", f"{mass['initial']} quanta at the start, {mass['final']} at {end}")]
    if graph.mesh.reservoirs:
        verb = "gave" if mass["ledger"] < 0 else "took"
        rows.append(("ledgers", f"reservoirs {verb} {abs(mass['ledger'])} quanta"))
    rows.append(("drift", f"{mass['drift']} quanta"))
    return rows


def _violations(result: Mapping[str, Any]) -> str:
    counts = ", ".join(f"{kind} {count}" for kind, count in result["violations"].items())
    return f"{counts}; {result['healed']} more were healed" if result.get("healed") else counts

"""Result table of ``simulate``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.text import Text

from pisnn_deploy.cli.console import Row
from pisnn_deploy.fields.dataset import has_units
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.report.measures import error_text
from pisnn_deploy.runs import Run
from pisnn_deploy.runs.plausibility import Plausibility, plausibility

MOST_LEDGERS = 40
"""Most ledgers that the table lists."""


def result_rows(
    graph: IntegerGraph, run: Run, result: Mapping[str, Any], plausible: Plausibility | None = None
) -> list[Row]:
    """Rows of names and values for a result.

    Parameters
    ----------
    result : mapping
        See `pisnn_deploy.project.run_result`.
    plausible : Plausibility, optional
        Result of `pisnn_deploy.runs.plausibility.plausibility`, if known.
    """
    plausible = plausible or plausibility(graph, run)
    error = result["error"]
    colour = "green" if result["verdict"] == "conserved" else "red"
    rows: list[Row] = [
        ("verdict", Text(result["verdict"], f"bold {colour}")),
        ("steps", f"{result['steps']} PDE steps, {result['time_steps']} time steps"),
        ("time", f"{result['time']:.6g}{_seconds(graph)}, in PDE steps of {result['time_step']:.6g}{_seconds(graph)}"),
        *_steady(result),
        *_balances(run),
        *_ledgers(graph, run),
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
    if graph.spec.equation == "law":
        rows += _law_errors(error)
    elif error is not None:
        text = error_text(error["relative_l2"], error["reference_error"])
        known_to = f"{error['reference']}, known to {error['reference_error']:.0e}"
        rows.append(("relative L2 error", f"{text} at time {error['time']:.4f} ({known_to})"))
    rows += _reference(graph, result)
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


def _seconds(graph: IntegerGraph) -> str:
    return " s" if has_units(graph) else ""


def _steady(result: Mapping[str, Any]) -> Iterator[Row]:
    steady = result.get("steady")
    if steady is not None:
        yield "steady", f"no cell changes by more than {steady['rate']:.2e} per unit of time"


def _reference(graph: IntegerGraph, result: Mapping[str, Any]) -> Iterator[Row]:
    """Errors against the user's reference: at the last time, and where they are largest."""
    compared = result.get("reference")
    if compared is None:
        return
    times = compared["times"]
    if not times:
        yield "reference", f"{compared['file']} has no time that the run reached"
    for name, figures in compared["fields"].items() if times else ():
        of = f" of {name}" if len(graph.fields) > 1 else ""
        errors = figures["relative_l2"]
        kind, errors = ("largest difference", figures["largest"]) if None in errors else ("relative L2 error", errors)
        worst = max(range(len(errors)), key=errors.__getitem__)
        text = f"{errors[-1]:.2e} at time {times[-1]:.6g}"
        if len(times) > 1:
            text += f"; largest {errors[worst]:.2e} at time {times[worst]:.6g}, of {len(times)} times"
        yield f"reference{of}", f"{kind} {text}"
    if compared["later_times"]:
        yield "reference", f"{compared['later_times']} later times were not reached"


def _balances(run: Run) -> Iterator[Row]:
    """Masses of the first and the last kept row, for each set of fields that channels join."""
    if not run.trace.step.size:
        yield "mass", "no PDE step was kept"
        return
    end = "the end" if run.trace.step[-1] == run.steps and not run.failure else f"PDE step {run.trace.step[-1]}"
    balances = run.verdict.balances
    for balance, fields in zip(balances, run.trace.columns.joined, strict=True):
        of = f" of {' and '.join(balance.fields)}" if len(balances) > 1 else ""
        yield f"mass{of}", f"{balance.initial} quanta at the start, {balance.final} at {end}"
        if any(field.field.reservoirs.size for field in fields):
            verb = "gave" if balance.ledger < 0 else "took"
            yield f"ledgers{of}", f"reservoirs {verb} {abs(balance.ledger)} quanta"
        yield f"drift{of}", f"{balance.drift} quanta"


def _ledgers(graph: IntegerGraph, run: Run) -> Iterator[Row]:
    """What each ledger took or gave, in quanta and in physical units."""
    lines = [(field, name, gain) for field, gains in run.ledgers().items() for name, gain in gains.items()]
    for field, name, gain in lines[:MOST_LEDGERS]:
        of = f" of {field}" if len(graph.fields) > 1 else ""
        verb = "gave" if gain.quanta < 0 else "took"
        yield f"ledger {name}{of}", f"{verb} {abs(gain.quanta)} quanta, {abs(gain.amount):.6g}"
    if len(lines) > MOST_LEDGERS:
        yield "ledgers", f"{len(lines) - MOST_LEDGERS} more are in the output of --json"


def _law_errors(error: Mapping[str, Any] | None) -> Iterator[Row]:
    """Errors of the fields of a law."""
    if error is None:
        return
    if "reason" in error:
        yield "error", f"not known: {error['reason']}"
        return
    for name, figures in error["fields"].items():
        relative = figures["relative_l2"]
        text = f"largest {figures['largest']:.2e}" if relative is None else f"{relative:.2e} (relative L2)"
        known = f"known to {figures['reference_error']:.0e} a cell"
        yield f"error of {name}", f"{text} at time {error['time']:.4f}; {known}"
    yield "reference", error["reference"]


def _violations(result: Mapping[str, Any]) -> str:
    counts = ", ".join(f"{kind} {count}" for kind, count in result["violations"].items())
    return f"{counts}; {result['healed']} more were healed" if result.get("healed") else counts

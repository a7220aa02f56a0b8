"""Tables of where the accuracy of a compilation went."""

from __future__ import annotations

from pisnn_deploy.cli.console import Row, print_table
from pisnn_deploy.compiler.explanation import Explanation


def print_accuracy(explanation: Explanation) -> None:
    """Print the error after each stage and what one bit more would win."""
    if explanation.problem:
        print_table("accuracy", [("not measured", explanation.problem)])
        return
    rows: list[Row] = []
    previous = None
    for stage in explanation.stages:
        rows.append((stage.name, _error(stage.error), _factor(stage.error, previous), stage.note))
        previous = stage.error or previous
    title = f"relative L2 error after {explanation.steps} PDE steps (1e-4: a ten-thousandth of the field)"
    print_table(title, rows, ("so far", "error", "times", "note"))
    last = explanation.stages[-1].error
    gains: list[Row] = [
        (gain.name, _error(gain.error), _factor(gain.error, last), gain.note) for gain in explanation.one_more_bit
    ]
    print_table("with one bit more", gains, ("in", "error", "times", "note"))


def _error(error: float | None) -> str:
    return "-" if error is None else f"{error:.2e}"


def _factor(error: float | None, before: float | None) -> str:
    return "" if error is None or not before else f"{error / before:.2f}"

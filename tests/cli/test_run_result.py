"""The table of `simulate`: each row is said of the figures of this run."""

from __future__ import annotations

from typing import Any

import pytest
from models_under_test import compiled

from pisnn_deploy.cli.run_result import result_rows
from pisnn_deploy.graph.artifact import Artifact
from pisnn_deploy.project.run_result import result_of
from pisnn_deploy.project.simulate_request import simulate_request
from pisnn_deploy.project.simulation import Simulation
from pisnn_deploy.runs import RunOptions, fast


def rows_of(start: int = 0, **more: Any) -> dict[str, str]:
    graph = compiled(cells=8)
    run = fast.run(graph, graph.initial + start, RunOptions(5))
    simulation = Simulation(Artifact(graph, {}, ""), run, simulate_request(backend="fast"), start=None)
    result = result_of(simulation, "a.pisnn") | more
    return {str(name): str(text) for name, text in result_rows(graph, run, result)}


@pytest.mark.parametrize(
    ("difference", "same_end", "text"),
    [
        (None, True, "all 40 integers of 5 PDE steps are equal"),
        (None, False, "all 40 integers of 5 PDE steps are equal, and yet the runs end differently"),
        ({"step": 3}, True, "differs"),
    ],
)
def test_two_backends_are_equal_only_if_they_end_alike(difference: object, same_end: bool, text: str) -> None:
    other = {"backend": "cpu", "steps": 5, "equal_integers": 40, "difference": difference, "same_end": same_end}
    assert rows_of(against=other)["against cpu"] == text


def test_a_run_without_rows_has_no_masses() -> None:
    rows = rows_of(start=1 << 30)
    assert rows["verdict"] == "violated" and rows["mass"] == "no PDE step was kept" and "drift" not in rows
    assert rows["plausible"] == "cannot be judged: the run is violated"

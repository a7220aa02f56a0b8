"""Pictures of runs and graphs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from models_under_test import compiled, hidden_model

from pisnn_deploy.backends import RunOptions, run_graph
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.problems import problem
from pisnn_deploy.report.graph_picture import dot_text, draw_graph
from pisnn_deploy.report.picture import draw_run

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def test_a_run_is_drawn_the_same_each_time(tmp_path: Path) -> None:
    graph = compiled(cells=32)
    run = run_graph("fast", graph, graph.membrane.initial, RunOptions(20, every=3))
    exact = problem("heat1d").reference(graph.mesh, 20 * graph.time_step)
    for name in ("a.png", "b.png"):
        draw_run(tmp_path / name, graph, run, exact)
    assert (tmp_path / "a.png").read_bytes().startswith(SIGNATURE)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def violated() -> IntegerGraph:
    graph = compiled(cells=8)
    route = graph.synapses[-1]
    mantissas = route.mantissas.copy()
    mantissas[3] *= 2
    return replace(graph, synapses=(*graph.synapses[:-1], replace(route, mantissas=mantissas)))


@pytest.mark.parametrize(
    ("graph", "steps"), [(compiled(cells=2), 0), (compiled(cells=2), 1), (compiled(cells=8), 5), (violated(), 9)]
)
def test_short_and_broken_runs_are_drawn(graph: IntegerGraph, steps: int, tmp_path: Path) -> None:
    run = run_graph("fast", graph, graph.membrane.initial, RunOptions(steps))
    draw_run(tmp_path / "a.png", graph, run, None)
    assert (tmp_path / "a.png").read_bytes().startswith(SIGNATURE)


def test_a_field_at_rest_is_drawn(tmp_path: Path) -> None:
    graph = compiled(cells=8)
    run = run_graph("fast", graph, np.full(8, 1000, np.int64), RunOptions(4))
    assert run.packets_sent == 0
    draw_run(tmp_path / "a.png", graph, run, None)


def test_the_graph_as_picture_and_as_dot(tmp_path: Path) -> None:
    graph = compiled(hidden_model((3,)), 4)
    draw_graph(tmp_path / "g.png", graph)
    assert (tmp_path / "g.png").read_bytes().startswith(SIGNATURE)
    assert dot_text(graph) == (
        'digraph "heat1d" {\n  rankdir=LR;\n  node [shape=box];\n'
        '  "membrane" [label="membrane\\n4 neurons"];\n'
        '  "hidden1" [label="hidden1\\n12 neurons"];\n'
        '  "flux" [label="flux\\n4 neurons"];\n'
        '  "membrane" -> "hidden1" [label="membrane-to-hidden1\\n48 entries"];\n'
        '  "hidden1" -> "flux" [label="hidden1-to-flux\\n8 entries"];\n'
        '  "flux" -> "membrane" [label="route\\n8 entries"];\n}\n'
    )

"""Ledgers and packets over time in reports."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from models_under_test import compiled
from reported_runs import Reported, report_of

from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.report.flows import MOST_ROWS, draw_ledgers, draw_spikes
from pisnn_deploy.runs import Run, RunOptions, run_graph


@pytest.fixture(scope="module")
def graph() -> IntegerGraph:
    """A line between two reservoirs."""
    return compiled(cells=32, boundary="dirichlet=0,1")


@pytest.fixture(scope="module")
def run(graph: IntegerGraph) -> Run:
    """A run whose kept steps are not evenly spaced: 0, 3, 6, 9, 10."""
    return run_graph("fast", graph, graph.initial, RunOptions(10, every=3))


def test_the_raster_has_the_packets_of_a_step(graph: IntegerGraph, run: Run) -> None:
    axes = Figure().add_subplot()
    draw_spikes(axes, graph, run.trace.step * graph.time_step, run)
    (mesh,) = (each for each in axes.collections if isinstance(each, QuadMesh))
    drawn = np.nan_to_num(np.asarray(mesh.get_array(), np.float64)).reshape(-1, 4)
    assert run.trace.columns.size <= MOST_ROWS and np.any(drawn)
    last = run.trace.transported[-1] - run.trace.transported[-2]
    assert np.array_equal(drawn[:, -1], last)
    assert np.array_equal(3 * drawn[:, 0], run.trace.transported[1])


def test_ledgers_end_with_their_amounts(graph: IntegerGraph, run: Run) -> None:
    axes = Figure().add_subplot()
    draw_ledgers(axes, graph, run.trace.step * graph.time_step, run)
    ends = {str(line.get_label()): np.asarray(line.get_ydata())[-1] for line in axes.lines}
    assert ends == {name: gain.amount for name, gain in run.ledgers()["u"].items()} and len(ends) == 2


def test_reports_show_them_where_there_are_any(line: Reported, tmp_path: Path) -> None:
    assert 'id="chart-spikes"' in line.html and 'id="chart-ledgers"' in line.html
    closed = report_of(compiled(cells=16), tmp_path, "--steps", 3).html
    assert 'id="chart-spikes"' in closed and 'id="chart-ledgers"' not in closed
    assert 'id="chart-spikes"' not in report_of(compiled(cells=16), tmp_path, "--steps", 0, name="still").html

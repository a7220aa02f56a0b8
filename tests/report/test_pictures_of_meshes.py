"""Pictures of runs on meshes from files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from compiled_once import compile_once
from matplotlib.figure import Figure
from models_under_test import heat_model, plane_model

from pisnn_deploy.compiler import CompileOptions, LowerTwoPoint, Material
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.mesh import parse_boundary, read_mesh_file
from pisnn_deploy.report.graph_picture import draw_graph
from pisnn_deploy.report.panels import time_axis
from pisnn_deploy.report.picture import _profile, draw_run
from pisnn_deploy.runs import RunOptions, run_graph
from pisnn_deploy.target import load_profile

PLATE = Path(__file__).parents[2] / "examples" / "plate_with_hole" / "plate.msh"


@pytest.fixture(scope="module")
def plate() -> IntegerGraph:
    materials = {"steel": Material(16.0, 3.8), "copper": Material(390.0, 3.4)}
    lower = LowerTwoPoint(read_mesh_file(PLATE), {"left": 0.5, "hole": 1.5}, materials)
    return compile_once(plane_model(), CompileOptions(lower, load_profile("loihi2")))


def test_no_line_is_drawn_through_a_hole(plate: IntegerGraph) -> None:
    axes = Figure().add_subplot()
    _profile(axes, plate, plate.values(np.stack([plate.initial] * 2)), None, "exact")
    assert [line.get_linestyle() for line in axes.lines] == ["None", "None"]
    assert all(line.get_marker() == "." for line in axes.lines)
    line = compile_once(
        heat_model(),
        CompileOptions(LowerTwoPoint((8,), parse_boundary("no-flux", 1), {}), load_profile("loihi2")),
    )
    axes = Figure().add_subplot()
    _profile(axes, line, line.values(np.stack([line.initial] * 2)), None, "exact")
    assert [one.get_linestyle() for one in axes.lines] == ["-", "-"]


def test_tiny_times_have_short_labels(plate: IntegerGraph) -> None:
    run = run_graph("fast", plate, plate.initial, RunOptions(3))
    figure = Figure()
    axes = figure.add_subplot()
    time_axis(axes, plate, run.trace.step * plate.time_step, run)
    figure.draw_without_rendering()
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert plate.time_step < 1e-5 and labels and max(map(len, labels)) <= 5, labels


def test_a_plate_is_drawn_the_same_each_time(plate: IntegerGraph, tmp_path: Path) -> None:
    run = run_graph("fast", plate, plate.initial, RunOptions(20))
    for name in ("a", "b"):
        draw_run(tmp_path / f"{name}.png", plate, run, None)
        draw_graph(tmp_path / f"{name}g.png", plate)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "ag.png").read_bytes() == (tmp_path / "bg.png").read_bytes()

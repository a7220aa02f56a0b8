"""docs/reference/artifact.md is complete: its program alone replays a run bit for bit."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from compiled_once import compile_once
from graphs_by_hand import random_graph, reaction, sink, two_fields
from law_recipes import shallow_water
from models_under_test import (
    compiled,
    compiled_box,
    heat_model,
    hidden_model,
    oscillating_model,
    plane_model,
    seeing_box,
    stock_box,
)
from reference_runs import reference_run

from pisnn_deploy.compiler import CompileOptions, LowerTwoPoint, Material
from pisnn_deploy.compiler.construct import construct
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.artifact import write_artifact
from pisnn_deploy.graph.kinds import starting_from
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.mesh import read_mesh_file
from pisnn_deploy.physics.model import Model
from pisnn_deploy.runs import RunOptions
from pisnn_deploy.target import load_profile

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "artifact.md"


def plate() -> IntegerGraph:
    """The part with a hole and two materials."""
    folder = PAGE.parents[2] / "examples" / "plate_with_hole"
    lower = LowerTwoPoint(
        read_mesh_file(folder / "plate.msh"),
        {"hole": 1.0, "left": 0.0},
        {"steel": Material(16.0, 3.8), "copper": Material(390.0, 3.4)},
    )
    return compile_once(plane_model(), CompileOptions(lower, load_profile("loihi2")))


def test_the_program_of_the_page_replays_a_run_on_cells_that_differ(tmp_path: Path) -> None:
    assert_replayed(plate(), tmp_path)


@pytest.mark.parametrize("boundary", ["no-flux", "dirichlet=0.5,1.5"])
@pytest.mark.parametrize("model", [heat_model(leak=900), hidden_model((3, 2))], ids=["leak", "hidden"])
def test_the_program_of_the_page_replays_a_run(model: Model, boundary: str, tmp_path: Path) -> None:
    assert_replayed(compiled(model, 9, boundary), tmp_path)


def test_the_program_of_the_page_replays_a_run_of_stock_processes(tmp_path: Path) -> None:
    assert_replayed(stock_box(plane_model(), (5, 6), "x=periodic y=no-flux", send_threshold=40), tmp_path)


@pytest.mark.parametrize("boundary", ["periodic", "x=no-flux y=dirichlet=1,0.5"])
def test_the_program_of_the_page_replays_a_run_on_a_plane(boundary: str, tmp_path: Path) -> None:
    assert_replayed(compiled_box(plane_model(), (5, 6), boundary), tmp_path)


def test_the_program_of_the_page_replays_a_run_of_faces_that_see_residues(tmp_path: Path) -> None:
    assert_replayed(seeing_box(heat_model(leak=900), (9,), "dirichlet=0.5,1.5"), tmp_path)


@pytest.mark.parametrize("boundary", ["no-flux", "dirichlet=0,0.5"])
def test_the_program_of_the_page_replays_a_run_with_a_limiter(boundary: str, tmp_path: Path) -> None:
    graph = compiled(oscillating_model(), 9, boundary, limiter="positivity")
    start = np.where(np.arange(9) == 4, graph.window.upper // 2, 0)
    assert_replayed(starting_from(graph, start), tmp_path)


@pytest.mark.parametrize(
    "build", [two_fields, sink, reaction, lambda: random_graph(3), lambda: construct(shallow_water(), (8,))]
)
def test_the_program_of_the_page_replays_any_graph(build: Callable[[], IntegerGraph], tmp_path: Path) -> None:
    graph = build()
    semantics = Semantics(graph)
    states = semantics.begin()
    for step in range(25):
        states, _ = semantics.advance(states, step)
    masses = [value for holder in graph.holders for mass in states[holder].values() for value in mass.tolist()]
    assert replayed(graph, tmp_path) == masses


def replayed(graph: IntegerGraph, tmp_path: Path) -> list[int]:
    """Masses and ledgers after 25 PDE steps, by the program of the page."""
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    script = tmp_path / "replay.py"
    script.write_text(program)
    write_artifact(tmp_path / "a.pisnn", graph, {})
    printed = subprocess.run(
        [sys.executable, "-I", script, tmp_path / "a.pisnn", "25"], capture_output=True, text=True, check=True
    ).stdout
    return [int(word) for word in printed.split()]


def assert_replayed(graph: IntegerGraph, tmp_path: Path) -> None:
    run = reference_run(graph, graph.initial, RunOptions(25))
    assert replayed(graph, tmp_path) == [*run.trace.mass[-1].tolist(), *run.trace.ledger[-1].tolist()]

"""Every model of the zoo does what the project promises of it, on integers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from commands import run_command
from compiled_once import compile_once

from pisnn_deploy.checks import check
from pisnn_deploy.compiler import CompileOptions, Lower
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.mesh import parse_boundary
from pisnn_deploy.physics.problems import problem
from pisnn_deploy.project import zoo
from pisnn_deploy.report.measures import measure_run
from pisnn_deploy.runs import RunOptions, run_graph
from pisnn_deploy.target import load_profile
from pisnn_deploy.training.checkpoint import read_checkpoint
from pisnn_deploy.training.recipe import read_recipe
from pisnn_deploy.training.trainer import train

GOALS = {
    "heat1d": (2e-6, 200),
    "heat2d": (5e-5, 400),
    "laplace2d": (1e-4, 400),
    "advection_diffusion1d": (2e-3, 400),
    "burgers1d": (4e-4, 600),
}
"""Largest relative L2 error at the problem's horizon, and most PDE steps to it."""


def compiled_zoo(name: str, shape: tuple[int, ...] | None = None, boundary: str = "") -> IntegerGraph:
    with zoo.model_path(name) as path:
        model = read_checkpoint(path)
    one = problem(name)
    shape = shape or one.default_shape
    sides = parse_boundary(boundary, len(shape)) if boundary else one.default_boundary(shape)
    return compile_once(model, CompileOptions(Lower(shape, sides), load_profile("loihi2")))


def test_each_problem_has_a_model_and_a_card_with_figures() -> None:
    assert set(zoo.names()) == set(GOALS)
    for name in zoo.names():
        card = (Path(__file__).parents[2] / "models" / name / "card.md").read_text()
        assert card.startswith(f"# {name}\n") and "relative L2 error" in card and "drift 0" in card


@pytest.mark.parametrize("name", GOALS)
def test_its_goal_is_reached_on_integers_and_it_fits_loihi2(name: str) -> None:
    error, most = GOALS[name]
    graph, one = compiled_zoo(name), problem(name)
    steps = round(one.horizon / graph.time_step)
    assert steps <= most
    run = run_graph("fast", graph, graph.initial, RunOptions(steps, every=max(1, steps // 7)))
    assert run.conserved, run.failure
    held = graph.values(graph.sole_field.reservoirs)
    found = measure_run(graph, run, lambda time: one.reference(graph.grid, held, time))
    assert found.relative_l2[-1] <= error
    assert not found.drift.any() and not found.residual.any()
    assert max(bound.bits for bound in graph.bounds if bound.is_state_or_payload) <= 24
    report = check(graph, load_profile("loihi2"))
    assert [finding.message for finding in report.findings if finding.severity == "error"] == []


@pytest.mark.parametrize(("name", "cells", "most"), [("laplace2d", 128, 900), ("laplace2d", 32, 200)])
def test_steps_to_a_steady_state_grow_like_the_cells_along_an_axis(name: str, cells: int, most: int) -> None:
    found = compiled_zoo(name, (cells, cells)).quantisation
    assert found.steps <= most
    assert found.relative_l2_integer is not None and found.relative_l2_integer < 5e-4


@pytest.mark.parametrize("boundary", ["no-flux", "dirichlet=0,1", "x-=no-flux x+=dirichlet=1"])
def test_heat1d_is_as_good_between_walls_and_reservoirs(boundary: str) -> None:
    found = compiled_zoo("heat1d", (128,), boundary).quantisation
    assert found.relative_l2_integer is not None and found.relative_l2_integer <= 2e-6


@pytest.mark.parametrize(
    "name",
    [
        *("laplace2d", "advection_diffusion1d"),
        # The same training of a kernel with Adam, for 17 s each.
        *(pytest.param(name, marks=pytest.mark.long) for name in ("heat1d", "heat2d")),
    ],
)
def test_its_recipe_gives_the_committed_integers(name: str, tmp_path: Path) -> None:
    with zoo.recipe_path(name) as recipe_file, zoo.model_path(name) as model_file:
        recipe, committed = read_recipe(recipe_file), read_checkpoint(model_file)
    trained = train(recipe, state_path=tmp_path / "state").model
    assert trained.spec == committed.spec
    scale = 2 ** committed.spec.weight_exponents[0] / committed.spec.weight_unit
    kernels = [np.rint(model.weights[0] * scale).astype(int).tolist() for model in (trained, committed)]
    assert kernels[0] == kernels[1]


def test_laplace_on_lava_closes_its_balance_with_the_ledgers(tmp_path: Path) -> None:
    words = ("simulate", "laplace2d", "--backend", "cpu", "--steps", "40", "--save", "a.npz", "--json", "-q")
    done = run_command(*words, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    mass = json.loads(done.stdout)["mass"]
    assert mass["drift"] == 0 and mass["ledger"] == mass["initial"] - mass["final"] != 0
    with np.load(tmp_path / "a.npz") as trace:
        assert trace["ledger"].shape == (41, 256) and trace["mass"].shape == (41, 64, 64)
        totals = trace["mass"].sum(axis=(1, 2)) + trace["ledger"].sum(axis=1)
    assert (totals == mass["initial"]).all()


def test_laplace_from_zero_needs_a_wider_range(tmp_path: Path) -> None:
    wider = "compile laplace2d --mesh 32x32 --range -0.5,1.5 --flux 0.9 -o a.pisnn -q"
    assert run_command(*wider.split(), folder=tmp_path).returncode == 0
    from_zero = "simulate a.pisnn --initial zero --backend fast --json -q"
    done = run_command(*from_zero.split(), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["verdict"] == "conserved" and found["error"]["relative_l2"] < 2e-3 and found["mass"]["drift"] == 0

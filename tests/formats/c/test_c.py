"""Graphs as C99: every integer of every PDE step, and an audit that fails when it should."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from drawn_laws import drawn_law
from faces_by_hand import random_graph_of_one_field
from generated_c import STRICT, UNDEFINED, Library, in_step, library
from graphs_by_hand import runnable_graph
from models_under_test import compiled_box, heat_model, oscillating_model, seeing_box
from pydantic import ValidationError
from trace_setups import set_ups
from two_point_graphs import seeing_materials

from pisnn_deploy.cli.main import group
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.formats.c.audit import audit_arrays, book_of
from pisnn_deploy.formats.c.plan import plan
from pisnn_deploy.formats.c.writer import c_files
from pisnn_deploy.formats.trace import TRACED_STEPS
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.annotations import Bound
from pisnn_deploy.graph.artifact import write_artifact
from pisnn_deploy.graph.kinds import starting_from
from pisnn_deploy.graph.layout import window_biases
from pisnn_deploy.graph.semantics import Semantics

FAR = 1 << 40
GLOBAL, LOCAL, FLUX, OVERFLOW, RANGE, MISSED = range(1, 7)
MEMBRANE, FACES = 0, 1


KINDS = (
    "heat1d delta",
    "laplace2d delta",
    "burgers1d delta",
    "heat2d x=periodic y=dirichlet=0,1",
    "heat1d stock with a send threshold",
    "heat2d stock",
    "heat1d binary",
    "heat2d conductivity",
    "heat1d limiter between reservoirs dense",
    "advection_diffusion1d limiter",
    "heat1d capacity with a limiter",
)


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_graph_has_the_integers_of_the_reference(name: str, tmp_path: Path) -> None:
    graph = dict(set_ups())[name](tmp_path)
    for compiler in UNDEFINED:
        folder = tmp_path / compiler
        folder.mkdir()
        in_step(graph, library(graph, folder, compiler=compiler), 6)


@pytest.mark.parametrize("build", [partial(seeing_box, heat_model(leak=900), (9,)), seeing_materials])
def test_faces_that_see_residues(build: Callable[[], IntegerGraph], tmp_path: Path) -> None:
    graph = build()
    in_step(graph, library(graph, tmp_path), 6)


@pytest.fixture(scope="module")
def cut() -> IntegerGraph:
    """All mass is in one cell, and faces ask more of its neighbours than these have."""
    graph = compiled_box(oscillating_model(), (9,), "no-flux", limiter="positivity")
    mass = np.zeros(9, np.int64)
    mass[3] = graph.window.upper // 8
    return starting_from(graph, mass)


def test_what_cells_keep_back_is_that_of_the_reference(cut: IntegerGraph, tmp_path: Path) -> None:
    compiled = library(cut, tmp_path)
    in_step(cut, compiled, 25)
    (answers,) = cut.order.answers
    compiled.loaded.pisnn_reset()
    compiled.loaded.pisnn_step()
    assert compiled.array(next(n for n in compiled.plan.neurons if n.name == answers).sends[0]).any()


def test_the_audit_sees_a_cell_below_the_floor_of_a_limiter(cut: IntegerGraph, tmp_path: Path) -> None:
    answers = cut.population(*cut.order.answers)
    generous = replace(answers, parameters={"least": answers.parameters["least"] - 4000})
    compiled = library(cut.with_populations(generous), tmp_path)
    compiled.loaded.pisnn_reset()
    compiled.loaded.pisnn_step()
    assert compiled.audit()[:2] == (RANGE, MEMBRANE)


def test_what_is_heard_after_asking_needs_a_bound(cut: IntegerGraph) -> None:
    with pytest.raises(UsageError, match=r"^c: flux asks before it hears \w+_short, which has no declared bound"):
        plan(bounded(cut))


LAWS = int(os.environ.get("PISNN_CASES", "5"))


@pytest.mark.parametrize("seed", range(LAWS))
def test_a_random_law_has_the_integers_of_the_reference(seed: int, tmp_path: Path) -> None:
    try:
        graph = drawn_law(seed)
    except (ValidationError, UsageError):
        return
    in_step(graph, library(graph, tmp_path), 6)


def bounded(graph: IntegerGraph) -> IntegerGraph:
    """The graph with bounds of its masses, so wide that nothing leaves them."""
    ends = [(field.holder, quantity) for field in graph.fields for quantity in ("mass", "ledger")]
    return replace(graph, bounds=tuple(Bound(*key, -FAR, FAR, 41) for key in ends))


@pytest.mark.parametrize("seed", range(LAWS))
@pytest.mark.parametrize("draw", [runnable_graph, random_graph_of_one_field])
def test_a_random_graph_has_the_integers_of_the_reference(
    draw: Callable[[int], IntegerGraph], seed: int, tmp_path: Path
) -> None:
    graph = bounded(draw(seed))
    in_step(graph, library(graph, tmp_path), 4)


@pytest.fixture(scope="module")
def heat(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """heat1d between reservoirs."""
    folder = tmp_path_factory.mktemp("heat")
    return library(dict(set_ups())["heat1d dirichlet=0,1"](folder), folder)


@pytest.mark.parametrize("name", ["heat1d dirichlet=0,1", "laplace2d delta"])
def test_sides_set_while_it_runs_are_those_of_a_graph_compiled_for_them(name: str, tmp_path: Path) -> None:
    graph = dict(set_ups())[name](tmp_path)
    compiled = library(graph, tmp_path)
    spec, layer, reservoirs = graph.model_spec, graph.operator[0], graph.sole_field.reservoirs.copy()
    first, window = graph.population(graph.chain[1]), graph.window
    middle, rng = (window.lower + window.upper) // 2, np.random.default_rng(3)
    compiled.loaded.pisnn_reset()
    for side, settable in enumerate(compiled.plan.sides.sides):
        numbers = graph.ledgers_of(graph.sole_field)[settable.name]
        assert compiled.loaded.pisnn_set_boundary(side, window.upper + 1) == 1
        assert compiled.loaded.pisnn_set_boundary(side, window.lower - 1) == 1
        for value in (window.lower, middle + int(rng.integers(-1000, 1000))):
            reservoirs[numbers] = value
            assert compiled.loaded.pisnn_set_boundary(side, value) == 0
    assert compiled.loaded.pisnn_set_boundary(99, window.lower) == 1
    reach = (spec.half_width, spec.transverse, reservoirs, spec.wall)
    biases = window_biases(layer.weight, layer.bias, graph.grid, *reach)
    changed = replace(first, parameters={**first.parameters, "bias": biases})
    # Bounds of the artifact were proved for its own values alone.
    semantics = Semantics(replace(graph.with_populations(changed), bounds=()))
    states = semantics.begin()
    for step in range(5):
        states, _ = semantics.advance(states, step)
        compiled.loaded.pisnn_step()
        assert compiled.audit()[0] == 0
        assert dict(compiled.state())["u"] == next(iter(states[graph.holders[0]].values())).tolist()


@pytest.mark.parametrize(
    ("array", "index", "value", "kind", "population"),
    [
        ("membrane_mass", 5, 3, LOCAL, MEMBRANE),
        ("membrane_ledger", 1, 3, LOCAL, MEMBRANE),
        ("flux_residue", 7, 1, FLUX, FACES),
        ("flux_packet", 9, 1, FLUX, FACES),
        ("flux_current_seen", 9, 1, FLUX, FACES),
        ("flux_packet", 9, 1 << 30, OVERFLOW, FACES),
    ],
)
def test_the_audit_names_what_was_changed(
    heat: Library, array: str, index: int, value: int, kind: int, population: int
) -> None:
    heat.loaded.pisnn_reset()
    for _ in range(3):
        heat.loaded.pisnn_step()
        assert heat.audit()[0] == 0
    heat.loaded.pisnn_step()
    arrays = [a for holders in heat.plan.holders for a, _ in holders.parts]
    arrays += [a for neurons in heat.plan.neurons for a in neurons.arrays] + list(audit_arrays(heat.plan))
    heat.array(next(a for a in arrays if a.name == array))[index] += value
    reservoir = heat.plan.holders[0].cells.size if array.endswith("ledger") else 0
    assert heat.audit() == (kind, population, index + reservoir, 4)


def test_the_audit_sees_mass_that_appears_in_the_books_too(heat: Library) -> None:
    heat.loaded.pisnn_reset()
    (holders,) = heat.plan.holders
    for array in (holders.cells, book_of(holders.cells)):
        heat.array(array)[3] += 1
    heat.loaded.pisnn_step()
    assert heat.audit()[0] == GLOBAL


def test_the_audit_sees_a_mass_outside_the_window_and_a_missed_call(heat: Library) -> None:
    (holders,) = heat.plan.holders
    heat.array(holders.cells)[:] = holders.field.window.upper + 1000
    heat.loaded.pisnn_begin()
    heat.loaded.pisnn_step()
    assert heat.audit()[:2] in ((RANGE, MEMBRANE), (OVERFLOW, FACES))
    heat.loaded.pisnn_reset()
    heat.loaded.pisnn_step()
    heat.loaded.pisnn_step()
    assert heat.audit()[0] == MISSED


def test_the_self_test_passes_without_warnings_and_fails_on_another_weight(tmp_path: Path) -> None:
    graph = dict(set_ups())["heat1d delta"](tmp_path)
    files = c_files(plan(graph))
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    for flags in ("", "-DPISNN_AUDIT=0"):
        command = ["make", "-s", "clean", "test", f"CFLAGS={' '.join(STRICT)} -O1 {flags}"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"equal: {TRACED_STEPS} PDE steps\n", "")
    source = files["pisnn.c"].decode()
    assert source.count("46 *") == 1
    (tmp_path / "pisnn.c").write_text(source.replace("46 *", "45 *"))
    done = subprocess.run(["make", "-s", "clean", "test"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "not those of pisnn-deploy" in done.stdout


def test_files_have_the_same_bytes_each_time(tmp_path: Path) -> None:
    graph = dict(set_ups())["heat1d delta"](tmp_path)
    assert c_files(plan(graph), "digest") == c_files(plan(graph), "digest")


def test_the_command_writes_a_folder_or_an_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(group, ["export", "heat1d", "--to", "c"])
    assert done.exit_code == 0, done.output
    names = ["CMakeLists.txt", "Makefile", "main.c", "pisnn.c", "pisnn.h"]
    assert sorted(path.name for path in Path("heat1d-c").iterdir()) == names
    done = CliRunner().invoke(group, ["export", "heat1d", "--to", "c", "-o", "heat.zip", "--json"])
    assert json.loads(done.output)["files"] == names


def test_an_artifact_that_fails_verification_is_not_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    graph = dict(set_ups())["heat1d delta"](tmp_path)
    narrow = replace(graph, bounds=tuple(replace(b, upper=b.upper // 2) for b in graph.bounds))
    write_artifact(Path("narrow.pisnn"), narrow, {})
    done = CliRunner().invoke(group, ["export", "narrow.pisnn", "--to", "c"])
    assert done.exit_code == 1 and not Path("narrow-c").exists()
    assert "heat1d: not exported, because verification fails: bounds: flux drive ranges" in str(done.exception)

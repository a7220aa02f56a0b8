"""Corners, materials and starts: the field after some steps is the right one, or the refusal names what is at fault."""

from __future__ import annotations

import json
import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import pisnn_deploy as pd
from compiled_files import compile_file

Case = Callable[[str], Path]


@pytest.fixture(autouse=True)
def command_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


def test_a_turned_plate_has_the_turned_field(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    case("corner_of_two_dirichlet_sides")
    runpy.run_path("run.py")
    *plates, difference = capsys.readouterr().out.splitlines()
    assert [plate.split()[-2:] for plate in plates] == [["conserved", "0.5"]] * 2
    assert float(difference) == 0.0


def test_a_hot_cell_cools_without_ringing(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    """One material is the plain graph: after each number of steps the field is the exact one at that time."""
    case("medium_flicker")
    runpy.run_path("run.py")
    rows = capsys.readouterr().out.splitlines()
    assert [row.split()[:2] for row in rows] == [[str(n), "conserved"] for n in (1, 2, 5, 20)]
    time_step = pd.load("k.pisnn").graph.time_step
    for row in rows:
        steps, values = int(row.split()[0]), [float(word) for word in row.split("[")[1].rstrip("]").split()]
        away = np.abs(np.array(values) - hot_cell(steps * time_step)).max()
        # Finite volumes that are exact in time are 0.10, 0.04, 0.009 and 0.001 off at the case's times.
        assert away <= {1: 0.03, 2: 0.015, 5: 0.004, 20: 0.001}[steps]
        assert values[2] == max(values)


def hot_cell(time: float) -> NDArray[np.float64]:
    """Exact averages over cells 8 to 12 of 32, of which cell 10 began with 1, between no-flux walls."""
    waves = np.pi * np.arange(1, 400)
    edges = np.arange(33) / 32
    averages = np.diff(np.sin(waves[:, None] * edges), axis=1) / waves[:, None] * 32
    decay = np.exp(-0.01 * waves**2 * time) * 2 * averages[:, 10] / 32
    return np.asarray(1 / 32 + decay @ averages[:, 8:13])


def test_two_materials_do_not_ring_either(case: Case) -> None:
    """Explicit two-point steps: not farther from the exact field than finite volumes that are exact in time."""
    case("medium_flicker")
    np.save("k.npy", np.where(np.arange(32) < 31, 0.01, 0.02))
    start = np.zeros(32)
    start[10] = 1.0
    options: dict[str, Any] = {"mesh": "32", "boundary": "no-flux", "value_range": "-1,2", "slope": 192.0}
    artifact = pd.CompiledArtifact(*compile_file("heat1d", conductivity=Path("k.npy"), **options))
    for steps in (1, 2, 5, 20):
        values = artifact.simulate(steps, backend="fast", initial=start, every=steps).values[-1][8:13]
        away = np.abs(values - hot_cell(steps * artifact.graph.time_step)).max()
        assert away <= {1: 0.10, 2: 0.06, 5: 0.03, 20: 0.01}[steps]
        assert values.argmax() == 2


def test_slopes_that_stay_are_told_with_their_size(case: Case, run: Any) -> None:
    case("stock_frozen_slope")
    words = ("compile", "heat1d", "--mesh", "256", "--boundary", "no-flux", "--range", "280,320", "--slope", "70")
    done = run(*words, "--processes", "stock", "--json", "-o", "x.pisnn")
    told = json.loads(done.stdout)
    assert done.returncode == 0 and len(told["warnings"]) == 1
    assert told["warnings"][0].startswith(f"stock: a field at rest may stay up to {told['frozen']['quanta']:.0f} quanta")
    artifact = pd.load("x.pisnn")
    x = (np.arange(256) + 0.5) / 256
    start = 300 + 5 * np.cos(np.pi * x) * np.sinc(0.5 / 256)
    steps = round(120 / artifact.graph.time_step)
    values = artifact.simulate(steps, backend="fast", initial=start, every=steps).values[-1]
    exact = 300 + (start - 300) * np.exp(-0.01 * np.pi**2 * 120)
    away = float(np.abs(values - exact).max())
    assert 0.4 * told["frozen"]["value"] <= away <= told["frozen"]["value"]
    assert "frozen" in run(*words, "--processes", "stock", "-o", "x.pisnn").stdout
    assert json.loads(run(*words, "--json", "-o", "x.pisnn").stdout)["frozen"] is None


def test_capacities_are_compiled_or_refused_by_name(case: Case, run: Any) -> None:
    case("capacity_refused_with_internal_error")
    for ratio in (2, 100, 1000, 2000, 8000):
        np.save(f"c{ratio}.npy", np.where(np.arange(32) < 16, 1.0, ratio))
    for words in (
        ("--range=0,0.001", "--capacity", "c2.npy"),
        ("--capacity", "c100.npy"),
        ("--capacity", "c100.npy", "--profile", "generic-int"),
        ("--capacity", "c1000.npy", "--profile", "generic-int"),
        ("--capacity", "c2000.npy", "--profile", "generic-int"),
    ):
        done = run("compile", "heat1d", "--mesh", "32", "--boundary", "no-flux", *words, "-q", "-o", "x.pisnn")
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        assert run("verify", "x.pisnn", "-q").returncode == 0
    wide = ("--mesh", "32", "--boundary", "no-flux", "--capacity", "c8000.npy", "--profile", "generic-int")
    done = run("compile", "heat1d", *wide, "-o", "x.pisnn")
    assert done.returncode == 2 and done.stderr.replace("\n", " ").strip() == (
        "error: quantise-two-point: cell 16 has 8000 times the capacity of cell 0; inverse volumes, which are weights "
        "of 16 to 16319, differ by a factor of at most 1019; use a mesh with more uniform cells, or materials that "
        "differ less"
    )

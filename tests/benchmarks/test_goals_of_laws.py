from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks import goals_of_laws
from benchmarks.parts import law_measures


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Measurements of another day."""
    monkeypatch.setattr(law_measures, "FOLDER", tmp_path)
    row = {"name": "road", "mesh": "8", "steps": 3, "measure": "L1", "error": 2e-3, "goal": 1e-3, "compared": "float"}
    figure = {"rows": [{**row, "drift": 0, "bits": 24, "reached": False, "seconds": 1.0}]}
    run = {"mesh": "8", "neurons": 9, "coding": "delta", "steps": 200, "integers": 5, "seconds": 2.0}
    for key in law_measures.MEASURES:
        content: dict[str, Any] = figure if key.startswith("figure") else {**run, "different": "", "failures": []}
        law_measures.path_of(key).write_text(json.dumps(content))
    return tmp_path


def test_what_misses_its_goal_is_named(kept: Path) -> None:
    known = {key: law_measures.measured(key) for key in law_measures.MEASURES if key != "lava lwr"}
    assert "| road | 8 | 3 | L1 | 2.00e-03 | 1.00e-03 | **no** | float | 0 | 24 |" in goals_of_laws.goals(known)
    sentences = goals_of_laws.missed(known)
    assert sentences.startswith("Not reached: road, road") and sentences.endswith(". Not measured: lava lwr.")


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "yes, 5"),
        ({"different": "cpu and fast first differ"}, "**no**: cpu and fast first differ"),
        ({"failures": ["a quantum is missing"]}, "**no**: a quantum is missing"),
        ({"steps": 199}, "**no**: ended after 199"),
    ],
)
def test_runs_on_lava_that_differ_or_end_early_are_told(kept: Path, changes: dict[str, Any], verdict: str) -> None:
    path = law_measures.path_of("lava lwr")
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    lines = goals_of_laws.backends({"lava lwr": law_measures.measured("lava lwr")})
    (line,) = (line for line in lines if line.startswith("| lwr |"))
    assert f" | {verdict} | " in line


def test_a_measurement_is_kept_until_it_is_asked_for_again(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(law_measures.MEASURES, "lava lwr", lambda: {"steps": 7})
    assert law_measures.measured("lava lwr")["steps"] == 200
    law_measures.path_of("lava lwr").unlink()
    assert law_measures.measured("lava lwr") == {"steps": 7}


def test_melting_ice_is_compared_with_neumanns_solution() -> None:
    def errors(heat: np.ndarray[Any, Any]) -> dict[str, float]:
        graph = SimpleNamespace(time_step=0.2, values=lambda mass: mass, grid=SimpleNamespace(lengths=(1.0,)))
        run: Any = SimpleNamespace(steps=1, graph=graph, mass=[heat])
        return law_measures.stefan_errors(run)

    cells = np.arange(4000)
    front = 2 * 0.62006256 * 0.2**0.5
    place = (cells + 0.5) / cells.size
    # Temperature is nearly a parabola below the front; a straight line is off by a few percent.
    line = np.where(place < front, 2 - place / front, 0)
    assert 1e-3 < errors(line)["l1"] < 5e-2
    assert errors(line)["front"] == pytest.approx(front)
    assert errors(np.zeros(4000))["heat"] == 1

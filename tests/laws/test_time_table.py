"""Functions of time in the boundary section of a recipe."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from short_laws import line

from pisnn_deploy.core.errors import FileError, SeveralErrors, UsageError
from pisnn_deploy.laws.conditions import read_conditions, side_texts
from pisnn_deploy.laws.integration import legendre, third_order
from pisnn_deploy.laws.problem import solution
from pisnn_deploy.laws.reference import solved
from pisnn_deploy.laws.spec import read_law
from pisnn_deploy.laws.time_table import TimeTable

DAY = TimeTable((0.0, 1.0, 4.0), (2.0, 4.0, 2.0), periodic=True)
RECIPE = """
name: wall
law: {fields: [u], diffusion: {u: 0.1}}
domain: {lengths: 1, boundary: {left: {held: {table: day.csv, periodic: true}}, right: wall}}
initial: {u: 2}
range: {u: [0, 5]}
time: 1
mesh: 8
"""


def test_values_are_linear_between_points_and_kept_or_repeated_beyond() -> None:
    times = np.array([-1.0, 0.0, 0.5, 2.5, 4.0, 5.5])
    assert DAY.at(times) == pytest.approx([2 + 2 / 3, 2, 3, 3, 2, 3 + 2 / 3])
    once = TimeTable(DAY.times, (2.0, 4.0, 1.0))
    assert once.at(np.array([-1.0, 4.0, 9.0])).tolist() == [2, 1, 1]


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"times": [0, 1]}, "needs values: a list of numbers"),
        ({"times": [0, 1], "values": 3}, "needs values: a list of numbers, not 3"),
        ({"times": [0, 1], "values": [1, 2], "unit": "s"}, "has an unknown entry unit"),
        ({"times": [0, 1], "values": [1, 2, 3]}, "has 2 times but 3 values"),
        ({"times": [0], "values": [1]}, "has 1 points, expected 2 to 4096"),
        ({"times": [0, 2, 2], "values": [1, 2, 3]}, "has the time 2 after 2; times must grow"),
        ({"times": [0, 1], "values": [1, "x"]}, 'has "x" in values, expected numbers'),
        ({"times": [0, 1], "values": [1, 2], "periodic": 1}, "has periodic 1, expected true or false"),
        ({"times": [0, 1], "values": [1, 2], "periodic": True}, "begins with 1 and ends with 2"),
        ({"table": "day.csv"}, 'names the file "day.csv", which is only read beside a recipe'),
    ],
)
def test_wrong_tables_are_refused(table: dict[str, Any], problem: str) -> None:
    _, flaws = read_conditions({"left": {"held": table}, "right": "wall"}, ("u",), 1, ("x",))
    ((place, sentence),) = flaws
    assert place == "domain.boundary.left.held" and problem in sentence


def test_a_table_is_read_from_a_file_beside_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "day.csv").write_text("time,value\n0,2\n1,4\n4,2\n")
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    spec = read_law(path)
    assert spec.conditions["left"]["u"].over_time == DAY
    assert side_texts(spec.conditions)["left"] == "held a table of 3 values at times 0 to 4, periodic"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("0,2\n1,x\n", "row 2 is"),
        ("0,2,3\n", "row 1 is"),
        ("0 2\n", "row 1 is"),
        ("0,2\n", "expected 2 to 4096"),
        ("0,2\n1,7\n2,2\n", "u is 7 at time 1, outside its range 0 to 5"),
    ],
)
def test_wrong_files_are_refused(tmp_path: Path, content: str, problem: str) -> None:
    (tmp_path / "day.csv").write_text(content)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    with pytest.raises((FileError, SeveralErrors), match=problem):
        read_law(tmp_path / "recipe.yaml")


def test_files_elsewhere_are_refused(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("day.csv", "../day.csv"))
    with pytest.raises(FileError, match=r"expected a \.csv file in the same folder"):
        read_law(tmp_path / "recipe.yaml")


def test_stages_of_time_steps_know_their_time() -> None:
    def rates(state: np.ndarray[Any, Any], time: float) -> np.ndarray[Any, Any]:
        return np.asarray(np.exp(time) - 0.3 * state)

    exact = (np.e - np.exp(-0.3)) / 1.3

    methods = ((third_order, 2.8), (partial(legendre, stages=5), 1.9))
    for method, order in methods:
        errors = []
        for steps in (8, 16):
            state = np.zeros(1)
            for number in range(steps):
                state = method(rates, state, number / steps, 1 / steps)
            errors.append(abs(float(state[0]) - exact))
        assert np.log2(errors[0] / errors[1]) > order


def test_the_solver_carries_a_table_into_the_domain() -> None:
    table = {"times": [0, 0.5, 1], "values": [0.2, 0.6, 0.4]}
    spec = line(
        {"fields": ["u"], "flux": {"u": "u"}},
        {"u": "0.2"},
        domain={"lengths": [1.0], "boundary": {"left": {"inflow": table}, "right": "outflow"}},
        range={"u": [0, 1]},
    )
    state = solved(spec, (128,), 0.75).state[0]
    centres = (np.arange(128) + 0.5) / 128
    expected = np.where(centres < 0.75, np.interp(0.75 - centres, table["times"], table["values"]), 0.2)
    assert np.abs(state - expected).mean() < 1e-3


def test_exact_solutions_refuse_sides_that_change() -> None:
    spec = line(
        {"fields": ["u"], "diffusion": {"u": "0.1"}},
        {"u": "0.5"},
        domain={
            "lengths": [1.0],
            "boundary": {"left": {"held": {"times": [0, 1], "values": [0.5, 1]}}, "right": "wall"},
        },
        range={"u": [0, 1]},
        reference="rest",
    )
    with pytest.raises(UsageError, match="the side left changes with time"):
        solution(spec, (8,), 0.1)

"""Runs in physical terms: times with units, until the field is steady, against a reference of the user's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from laws_compiled import compiled_law
from models_under_test import compiled

from pisnn_deploy.cli.main import group
from pisnn_deploy.core.errors import CheckError, UsageError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.artifact import Artifact, write_artifact
from pisnn_deploy.project.durations import Duration, parse_duration
from pisnn_deploy.project.simulate_request import simulate_request
from pisnn_deploy.project.simulation import Simulation, simulate
from pisnn_deploy.runs import RunOptions, fast


def run(graph: IntegerGraph, steps: int | None = None, **options: Any) -> Simulation:
    return simulate(Artifact(graph, {}, ""), simulate_request(steps, backend="fast", **options))


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [(2.5, 2.5, ""), ("2.5", 2.5, ""), ("2.5s", 2.5, "s"), ("3 ms", 3, "ms"), ("1e-1s", 0.1, "s"), (".5h", 0.5, "h")],
)
def test_times_are_numbers_with_a_unit_or_none(text: float | str, value: float, unit: str) -> None:
    assert parse_duration(text) == Duration(value, unit)


@pytest.mark.parametrize("text", ["", "s", "-1s", "nan", "inf", float("nan"), -1.0, "1e400", "2,5", "1 2s", "0x10"])
def test_anything_else_is_no_time(text: float | str) -> None:
    with pytest.raises(UsageError, match=r"expected a finite number, at least 0, such as 2.5 or 2.5s$"):
        parse_duration(text)


def test_a_unit_needs_a_law_that_states_units() -> None:
    water = compiled_law("shallow_water1d", (16,))
    for text, step in (("1s", 1.0), ("500ms", 0.5), (1.0, 1.0)):
        assert run(water, time=text).run.steps == -(-step // water.time_step)
    with pytest.raises(UsageError, match=r"`time` 1m: m is no unit of time; use ns, us, ms, s, min, h, d"):
        run(water, time="1m")
    with pytest.raises(UsageError, match=r"`time` 2 s: heat1d states no units, so its time has none; give a number"):
        run(compiled(cells=8), time="2s")


def test_a_run_ends_with_the_first_step_that_changes_less() -> None:
    graph, tolerance = compiled(cells=16), 0.01
    steady = run(graph, until_steady=tolerance)
    assert steady.steady is not None and steady.run.steps == steady.steady.step
    whole = fast.run(graph, graph.initial, RunOptions(steady.run.steps + 5))
    rates = np.abs(np.diff(graph.values(np.asarray(whole.trace.mass)), axis=0)).max(axis=1) / graph.time_step
    assert int(np.flatnonzero(rates < tolerance)[0]) + 1 == steady.run.steps
    assert steady.steady.rate == rates[steady.run.steps - 1]


def test_the_first_step_is_found_across_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = compiled(cells=16)
    whole = run(graph, until_steady=0.01).run.steps
    monkeypatch.setattr("pisnn_deploy.project.steady._STEPS_AT_ONCE", 7)
    assert run(graph, until_steady=0.01).run.steps == whole > 7


def test_a_field_that_is_not_steady_in_time_says_how_far_it_is() -> None:
    graph = compiled(cells=16)
    with pytest.raises(CheckError, match=r"`until_steady` 0.01: not reached within 3 PDE steps \(time .*\); a cell"):
        run(graph, 3, until_steady=0.01)
    with pytest.raises(CheckError, match="try a larger tolerance: one quantum in a PDE step is already"):
        run(graph, 3, until_steady=1e-12)
    for wrong in (0.0, float("nan"), -1.0):
        with pytest.raises(UsageError, match="`until_steady`"):
            run(graph, until_steady=wrong)
    with pytest.raises(UsageError, match="`faults`: does not go with `until_steady`"):
        run(graph, until_steady=1.0, faults=["drop:packet[3]@0"])


def test_a_trajectory_is_compared_at_each_of_its_times(tmp_path: Path) -> None:
    graph = compiled(cells=16)
    own = run(graph, 20, every=4, save=tmp_path / "own.npz")
    with np.load(tmp_path / "own.npz") as trace:
        assert trace["time"].tolist() == [step * graph.time_step for step in range(0, 21, 4)]
    again = run(graph, reference=tmp_path / "own.npz")
    errors = again.reference_errors
    assert errors is not None and again.run.steps == 20 and errors.steps == tuple(range(0, 21, 4))
    assert set(errors.relative_l2["u"]) == set(errors.largest["u"]) == {0.0} and errors.later == 0
    shorter = run(graph, 9, reference=tmp_path / "own.npz").reference_errors
    assert shorter is not None and shorter.steps == (0, 4, 8) and shorter.later == 3
    other = run(graph, reference=tmp_path / "own.npz", initial="bump").reference_errors
    assert other is not None and all(error for error in other.relative_l2["u"])
    with pytest.raises(UsageError, match="`every` 3: the reference has PDE step 4, which is not kept; leave it out"):
        run(graph, every=3, reference=tmp_path / "own.npz")
    assert own.reference_errors is None


def test_one_field_is_compared_at_the_end_and_drawn(tmp_path: Path) -> None:
    graph = compiled(cells=16)
    values = graph.values(np.asarray(run(graph, 5).run.trace.mass[-1]))
    np.save(tmp_path / "end.npy", values + 0.25)
    done = run(graph, 5, reference=tmp_path / "end.npy")
    assert done.reference_errors is not None and done.reference_errors.steps == (5,)
    assert done.reference_errors.largest["u"] == (0.25,)
    drawn, name = done.drawn_reference
    assert drawn is not None and (drawn == values + 0.25).all() and name == "reference"


def test_times_between_steps_are_refused(tmp_path: Path) -> None:
    graph = compiled(cells=16)
    run(graph, 4, save=tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as trace:
        arrays = dict(trace)
    meta = arrays["meta"].tobytes().replace(str(graph.time_step).encode(), str(graph.time_step * 1.01).encode())
    np.savez(tmp_path / "b.npz", **{**arrays, "meta": np.frombuffer(meta, np.uint8)})
    with pytest.raises(UsageError, match=r"b.npz: time .* is no PDE step of .*, and nothing is interpolated; give the"):
        run(graph, reference=tmp_path / "b.npz")


def test_the_table_has_time_rate_and_errors(tmp_path: Path) -> None:
    write_artifact(tmp_path / "a.pisnn", compiled(cells=16), {})
    words = ["simulate", str(tmp_path / "a.pisnn"), "--backend", "fast"]
    saved = CliRunner().invoke(group, [*words, "--steps", "6", "--save", str(tmp_path / "a.npz")])
    assert saved.exit_code == 0, saved.output
    done = CliRunner().invoke(group, [*words, "--reference", str(tmp_path / "a.npz"), "--steps", "4"])
    text = " ".join(done.output.replace("│", " ").split())
    assert "reference relative L2 error 0.00e+00 at time" in text and ", of 5 times" in text
    assert "reference 2 later times were not reached" in text
    steady = CliRunner().invoke(group, [*words, "--until-steady", "0.01"])
    assert "no cell changes by more than" in steady.output and steady.exit_code == 0

"""``pisnn-deploy estimate``: a table of all targets, with the figures that ``check`` gives one by one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from models_under_test import compiled

from pisnn_deploy.checks import check_target
from pisnn_deploy.cli.main import group
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph.artifact import write_artifact
from pisnn_deploy.project import estimation
from pisnn_deploy.project.estimation import TIME, all_targets, estimate_targets, measure_here
from pisnn_deploy.target import load_target

BOARDS = Path(__file__).parents[2] / "hardware_profiles" / "boards"
GRAPH = compiled(cells=16)


@pytest.fixture
def artifact(tmp_path: Path) -> str:
    path = tmp_path / "a.pisnn"
    write_artifact(path, GRAPH, {})
    return str(path)


def estimated(*words: str) -> Any:
    ended = CliRunner().invoke(group, ["estimate", *words, "--json"], catch_exceptions=False)
    assert ended.exit_code == 0
    told = json.loads(ended.stdout)
    assert (told["schema"], told["version"]) == ("pisnn-deploy-estimate", 1)
    return told["artifacts"]


def test_every_target_has_the_figures_of_check(artifact: str) -> None:
    (told,) = estimated(artifact)
    assert told["artifact"] == artifact and told["mesh"] == [16] and told["measured"] is None
    assert [row["target"] for row in told["targets"]] == [*all_targets()]
    assert {"loihi2", "cortex-m0", "cortex-m4", "rv32imc", "ice40-up5k", "ecp5-25f"} == set(all_targets())
    for row in told["targets"]:
        costs = check_target(GRAPH, load_target(row["target"])).estimates
        for name in (TIME, "energy_per_pde_step_nj"):
            ends = (costs[name].value, costs[name].low, costs[name].high)
            assert tuple(row[name][end] for end in ("value", "low", "high")) == ends
            assert row[name]["sources"] and all(row[name]["sources"])
        assert row["fits"] and not row["problems"]
    by_name = {row["target"]: row for row in told["targets"]}
    assert by_name["ecp5-25f"][TIME]["high"] < by_name["ice40-up5k"][TIME]["low"]
    assert by_name["ecp5-25f"]["energy_per_pde_step_nj"]["low"] is None
    m4 = by_name["cortex-m4"]
    assert m4["pde_steps_per_second"]["high"] == 1e6 / m4[TIME]["low"]


def test_the_table_names_targets_sources_and_missing_figures(artifact: str) -> None:
    words = ["estimate", artifact, "--profile", "ecp5-25f", "--profile", "loihi2"]
    ended = CliRunner().invoke(group, words, env={"COLUMNS": "200"})
    assert ended.exit_code == 0
    text = " ".join(ended.stdout.split())
    assert "ecp5-25f" in text and "not published" in text and "sources" in text and "cortex-m0" not in text
    assert CliRunner().invoke(group, ["estimate", artifact, "-q"]).stdout == ""


def test_events_of_a_run_change_chips_and_no_boards(artifact: str, tmp_path: Path) -> None:
    run = tmp_path / "run.json"
    run.write_text(json.dumps({"steps": 10, "events": dict.fromkeys(GRAPH.chain, 0)}))
    (quiet,) = estimated(artifact, "--events", str(run))
    (busy,) = estimated(artifact)
    assert quiet["activity"].startswith("Events of 10 PDE steps")
    changed = {a["target"] for a, b in zip(quiet["targets"], busy["targets"], strict=True) if a[TIME] != b[TIME]}
    assert changed == {"loihi2"}
    ended = CliRunner().invoke(group, ["estimate", artifact, artifact, "--events", str(run)])
    assert isinstance(ended.exception, UsageError) and "--events" in str(ended.exception)


def test_what_does_not_fit_is_said_and_still_estimated(artifact: str, tmp_path: Path) -> None:
    small = tmp_path / "small.yaml"
    text = (BOARDS / "cortex-m0.yaml").read_text()
    small.write_text(text.replace("name: cortex-m0", "name: small").replace("{value: 262144", "{value: 100"))
    (told,) = estimated(artifact, "--profile", str(small))
    (row,) = told["targets"]
    assert not row["fits"] and "bytes of flash, but small has 100" in row["problems"][0]
    assert row[TIME]["low"] > 0


def test_a_graph_that_cannot_be_exported_has_no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise UsageError("too many neurons")

    monkeypatch.setattr(estimation, "check_target", refused)
    (row,) = estimate_targets(GRAPH, ["cortex-m0"])
    assert row.problems == ("too many neurons",) and row.time.low is None and row.steps_per_second == (None, None)


def test_this_cpu_is_measured_only_on_demand(artifact: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimation, "_MOST_STEPS", 1 << 12)
    (told,) = estimated(artifact, "--profile", "cortex-m0", "--measure")
    assert [one["name"] for one in told["measured"]] == ["this CPU, fast", "this CPU, float64"]
    assert all(one[TIME] > 0 and one["energy_per_pde_step_nj"] is None for one in told["measured"])


def test_a_run_that_stops_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimation, "_MOST_STEPS", 1 << 12)

    def stopped(*_: object) -> None:
        raise UsageError("the run stopped")

    monkeypatch.setattr(estimation, "_run", stopped)
    fast, _ = measure_here(GRAPH)
    assert fast.microseconds is None and fast.note == "the run stopped"


def test_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    ended = CliRunner().invoke(group, ["estimate", str(tmp_path / "none.pisnn")])
    assert isinstance(ended.exception, UsageError)

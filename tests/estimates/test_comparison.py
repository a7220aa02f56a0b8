"""The estimates beside dense coding and a float solver: counted by hand on small graphs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from checked_graphs import heat_graph, with_figure
from click.testing import CliRunner
from models_under_test import binary_box, compiled, heat_model, hidden_model

from pisnn_deploy.checks import check
from pisnn_deploy.checks.report import Report
from pisnn_deploy.cli.main import group
from pisnn_deploy.estimates.activity import Activity
from pisnn_deploy.target import load_profile

HEAT = heat_graph(1000)
LOIHI1 = load_profile("loihi1")


def compared(report: Report) -> dict[str, dict[str, float | None]]:
    found: dict[str, dict[str, float | None]] = report.to_dict()["comparison"]
    return found


def test_half_of_the_spikes_take_half_of_the_operations() -> None:
    activity = Activity({"membrane": 0.5, "flux": 0.5}, "by hand")
    found = compared(check(HEAT, LOIHI1, activity=activity))
    assert found["here"]["spikes"] == 1000 and found["dense"]["spikes"] == 2000
    assert found["here"]["synaptic_operations"] == 2000 and found["dense"]["synaptic_operations"] == 4000
    assert found["ratio"]["spikes"] == found["ratio"]["synaptic_operations"] == 0.5
    low, high = found["ratio"]["energy_low"], found["ratio"]["energy_high"]
    assert low is not None and high is not None and 0.5 < low < high < 1


def test_energies_of_exact_figures_have_one_ratio() -> None:
    profile = LOIHI1
    for name, value in (("synaptic_operation", 20.0), ("neuron_update_active", 80.0), ("neuron_update_inactive", 50.0)):
        profile = with_figure(profile, f"energy.{name}_pj", value)
    activity = Activity({"membrane": 0.25, "flux": 0.25}, "by hand")
    found = compared(check(HEAT, profile, activity=activity))
    # 4,000 updates in a PDE step, 500 or 2,000 of them active, and 1,000 or 4,000 synaptic operations.
    expected = (500 * 80 + 3500 * 50 + 1000 * 20) / (2000 * 80 + 2000 * 50 + 4000 * 20)
    assert found["ratio"]["energy_low"] == pytest.approx(expected)
    assert found["ratio"]["energy_high"] == pytest.approx(expected)


def test_a_float_solver_of_the_same_stencil() -> None:
    graph = compiled(cells=16)
    found = compared(check(graph, LOIHI1))["float_solver"]
    # 8 weights a face: 8 products and 7 sums; then a sum on either side of the face. Values are read and written.
    assert found["multiplications"] == 16 * 8
    assert found["additions"] == 16 * 7 + 2 * 16
    assert found["bytes"] == 2 * 8 * 16
    leaky = compared(check(compiled(heat_model(leak=1024), cells=16), LOIHI1))["float_solver"]
    assert leaky["multiplications"] == 16 * 9 and leaky["bytes"] == 2 * 8 * 16 + 2 * 8 * 16
    hidden = compared(check(compiled(hidden_model((3,)), cells=16), LOIHI1))["float_solver"]
    assert hidden["comparisons"] == 16 * 3


def test_measured_seconds_stand_beside_the_estimated_time() -> None:
    report = check(HEAT, LOIHI1, seconds=1e-3)
    time, found = report.estimates["time_per_pde_step_us"], compared(report)["float_solver"]
    assert time.low is not None and time.high is not None
    assert found["time_ratio_low"] == pytest.approx(time.low / 1000)
    assert found["time_ratio_high"] == pytest.approx(time.high / 1000)


def test_binary_spikes_count_line_by_line() -> None:
    graph = binary_box(heat_model(), (8,), "periodic")
    found = compared(check(graph, LOIHI1))["dense"]
    assert any("only sends its set bits" in sentence for sentence in check(graph, LOIHI1).comparison.not_comparable)
    lines = {population.name: population.lines for population in graph.populations}
    assert found["spikes"] == 8 * (lines["membrane"] + lines["flux"])
    entries = {synapse.source: synapse.entries for synapse in graph.synapses}
    assert found["synaptic_operations"] == sum(entries[name] * lines[name] for name in entries)


def test_an_unscheduled_graph_has_counts_and_no_energies() -> None:
    found = compared(check(replace(HEAT, period=None), LOIHI1))
    assert found["dense"]["synaptic_operations"] == 4000 and found["dense"]["energy_high_nj"] is None
    assert found["ratio"]["energy_low"] is None


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf"])
def test_seconds_must_be_positive(seconds: str) -> None:
    done = CliRunner().invoke(group, ["check", "heat.pisnn", "--against-seconds", seconds])
    assert "--against-seconds" in str(done.exception) and "expected a positive number of seconds" in str(done.exception)

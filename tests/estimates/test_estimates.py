"""Estimates: ranges with sources, and nothing where the public record has nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from checked_graphs import heat_graph, placed, with_figure
from models_under_test import compiled_box, plane_model

from pisnn_deploy.checks import check
from pisnn_deploy.checks.formats.text import estimate_rows
from pisnn_deploy.core.errors import FileError
from pisnn_deploy.estimates.activity import Activity, read_activity
from pisnn_deploy.estimates.estimate import Estimate
from pisnn_deploy.target import load_profile, names

HEAT = heat_graph(1000)


def test_time_on_loihi2() -> None:
    estimate = check(HEAT, load_profile("loihi2")).estimates["time_per_pde_step_us"]
    # 2,000 neurons at 0.59 and 4.2 ns in each of two time steps, and 4,000 synapses at 0.75 ns.
    assert estimate.low == pytest.approx(2 * 2000 * 0.59e-3)
    assert estimate.value == pytest.approx(2 * 2000 * 4.2e-3 + 4000 * 0.75e-3)
    assert estimate.high == pytest.approx(2 * 2000 * 4.9e-3 + 4000 * 0.76e-3)
    assert estimate.confidence == "inferred"
    assert len(estimate.sources) == 3


def test_barrier_sets_the_pace_of_a_small_graph() -> None:
    estimate = check(heat_graph(4), load_profile("loihi1")).estimates["time_per_pde_step_us"]
    assert estimate.low == pytest.approx(2 * 0.113)
    assert estimate.value == pytest.approx(2 * 0.465 + 16 * 3.5e-3)


def test_busiest_core_sets_the_pace() -> None:
    graph = placed(HEAT, [0] * 1000, [1] * 900 + [0] * 100)
    estimate = check(graph, load_profile("loihi2")).estimates["time_per_pde_step_us"]
    assert estimate.low == pytest.approx(2 * 1100 * 0.59e-3)


def test_energy_of_loihi2_has_bounds_and_no_figure() -> None:
    estimate = check(HEAT, load_profile("loihi2")).estimates["energy_per_pde_step_nj"]
    assert (estimate.value, estimate.low, estimate.confidence) == (None, 0.0, "inferred")
    assert estimate.high == pytest.approx(4000 * 6.8e-3 + 4000 * 10.8e-3)
    assert estimate.sources[0] == "Range from Hala Point's 15 TOPS/W and from 2,600 W at 380 T operations a second"


def test_energy_on_loihi1() -> None:
    estimate = check(HEAT, load_profile("loihi1")).estimates["energy_per_pde_step_nj"]
    assert estimate.low == pytest.approx(2 * 2000 * 51.2e-3)
    assert estimate.value == pytest.approx(2000 * (81e-3 + 52e-3) + 4000 * 23.6e-3)


def test_generic_target_has_no_estimates() -> None:
    estimates = check(HEAT, load_profile("generic-int")).estimates
    for name in ("time_per_pde_step_us", "energy_per_pde_step_nj"):
        assert (estimates[name].value, estimates[name].low, estimates[name].high) == (None, None, None)


def test_unscheduled_graph_has_no_estimates() -> None:
    estimates = check(replace(HEAT, period=None), load_profile("loihi1")).estimates
    sources = ("The graph is not scheduled, so its period is unknown.",)
    for name in ("time_per_pde_step_us", "energy_per_pde_step_nj"):
        assert estimates[name] == Estimate(None, None, None, "unpublished", sources)


def test_synaptic_operations_and_messages_are_counted() -> None:
    found = check(HEAT, load_profile("loihi2")).estimates
    operations = found["synaptic_operations_per_pde_step"]
    assert (operations.low, operations.value, operations.high) == (0.0, 4000.0, 4000.0)
    assert found["messages_between_cores_per_pde_step"].value is None
    placed_graph = compiled_box(plane_model(), (40, 48), "periodic")
    placement = placed_graph.placement
    assert placement is not None and placement.cores > 1
    messages = check(placed_graph, load_profile("loihi2")).estimates["messages_between_cores_per_pde_step"]
    assert messages.value == messages.high == sum(int(runs[:, 1].sum()) for runs in placement.axons.values())
    assert messages.confidence == "counted"


def test_counted_events_move_the_estimates_between_their_ends(tmp_path: Path) -> None:
    run = {"steps": 10, "events": {"membrane": 5000, "flux": 2500}}
    path = tmp_path / "run.json"
    path.write_text(json.dumps(run))
    activity = read_activity(path, HEAT)
    assert activity.fraction == {"membrane": 0.5, "flux": 0.25}
    found = check(HEAT, load_profile("loihi1"), activity=activity).estimates
    assert found["synaptic_operations_per_pde_step"].value == 2000 * 0.5 + 2000 * 0.25
    energy = found["energy_per_pde_step_nj"]
    most = check(HEAT, load_profile("loihi1")).estimates["energy_per_pde_step_nj"].value
    assert energy.value == pytest.approx(750 * 81e-3 + (4000 - 750) * 52e-3 + 1500 * 23.6e-3)
    assert energy.low is not None and energy.value is not None and most is not None
    assert energy.low < energy.value < most


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("[1]", "lacks the steps and events of a run"),
        ('{"steps": 1, "events": {"membrane": -1, "flux": 0}}', "lacks the steps and events of a run"),
        ('{"steps": true, "events": {"membrane": 1, "flux": 0}}', "lacks the steps and events of a run"),
        ('{"steps": 1, "events": {"membrane": 1}}', "events: must have the populations membrane, flux"),
        ('{"steps": 0, "events": {"membrane": 1, "flux": 0}}', "steps: must be at least 1"),
    ],
)
def test_a_damaged_result_of_a_run_is_one_clear_line(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(content)
    with pytest.raises(FileError) as caught:
        read_activity(path, HEAT)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_missing_figure_leaves_the_value_out() -> None:
    profile = with_figure(load_profile("loihi1"), "time.synaptic_operation_ns", None, confidence="unpublished")
    estimate = check(HEAT, profile).estimates["time_per_pde_step_us"]
    assert estimate.value is None
    assert estimate.low == pytest.approx(2 * 2000 * 5.3e-3)


def test_a_message_goes_from_a_neighbour_to_the_other_corner_of_the_routers() -> None:
    graph = placed(HEAT, [0] * 1000, [1] * 1000)
    assert graph.placement is not None
    # Each cell sends to the faces' core and each face to the cells'.
    runs = {"drive": np.array([[0, 1000, 1]]), "route": np.array([[0, 1000, 0]])}
    graph = replace(graph, placement=replace(graph.placement, axons=runs))
    found = check(graph, load_profile("loihi1")).estimates
    assert found["messages_between_cores_per_pde_step"].value == 2000
    energy, time = found["message_energy_per_pde_step_nj"], found["message_time_ns"]
    # 1.7 pJ within a tile; 111 out, 7 hops of 3.0 and 3 of at most 4.2.
    assert energy.low == pytest.approx(2000 * 1.7e-3)
    assert energy.high == pytest.approx(2000 * (111 + 7 * 3.0 + 3 * 4.2) * 1e-3)
    assert time.low == pytest.approx(2.1)
    assert time.high == pytest.approx(5.1 + 7 * 4.1 + 3 * 6.5 + 16.0)
    assert energy.value is None and time.value is None
    half = Activity({"membrane": 0.5, "flux": 0.5}, "by hand")
    less = check(graph, load_profile("loihi1"), activity=half).estimates["message_energy_per_pde_step_nj"]
    assert less.low == pytest.approx(1000 * 1.7e-3)


def test_nothing_bounds_a_message_to_another_chip() -> None:
    graph = placed(HEAT, [0] * 1000, [120] * 1000, 2)
    assert graph.placement is not None
    runs = {"drive": np.array([[0, 1000, 120]]), "route": np.array([[0, 1000, 0]])}
    graph = replace(graph, placement=replace(graph.placement, axons=runs))
    found = check(graph, load_profile("kapoho_bay")).estimates
    assert found["messages_between_chips_per_pde_step"].value == 2000
    for name in ("message_energy_per_pde_step_nj", "message_time_ns"):
        assert found[name].low is not None and found[name].high is None
        assert "Some messages go to other chips, for which no energy or time is public." in found[name].sources


def test_messages_of_loihi2_and_of_unplaced_graphs_are_not_published() -> None:
    for graph, profile in ((placed(HEAT, [0] * 1000, [1] * 1000), "loihi2"), (HEAT, "loihi1")):
        found = check(graph, load_profile(profile)).estimates
        for name in ("message_energy_per_pde_step_nj", "message_time_ns"):
            estimate = found[name]
            assert (estimate.value, estimate.low, estimate.high) == (None, None, None)


def test_ledgers_of_reservoirs_send_no_spikes() -> None:
    graph = compiled_box(plane_model(), (10, 12), "dirichlet=0,1")
    assert graph.mesh.reservoirs
    most = check(graph, load_profile("loihi2")).estimates["spikes_per_pde_step"].high
    assert most == graph.mesh.cells + graph.mesh.faces


@pytest.mark.parametrize("name", names())
def test_text_shows_ranges_and_never_a_figure_of_its_own(name: str) -> None:
    """Of times and energies, the text has the ends of the range, or says that there is none."""
    report = check(placed(HEAT, [0] * 1000, [1] * 1000), load_profile(name))
    for row, (key, estimate) in zip(estimate_rows(report), report.estimates.items(), strict=True):
        if estimate.confidence != "counted":
            ends = [end for end in (estimate.low, estimate.high) if end is not None]
            numbers = [float(word) for word in row[1].split() if word[0].isdigit()]
            assert numbers == pytest.approx(sorted(set(ends)), rel=1e-3), key


def test_ratio_of_energies_on_loihi2_is_at_most_that_of_a_quiet_graph() -> None:
    """Between the ratio of operations and 1: a neuron that sends takes at least what one takes that does not."""
    quarter = Activity({"membrane": 0.25, "flux": 0.25}, "by hand")
    ratio = check(HEAT, load_profile("loihi2"), activity=quarter).comparison.ratio
    assert ratio.energy_low is not None and ratio.energy_high is not None
    assert 0.25 <= ratio.energy_low < ratio.energy_high <= 1

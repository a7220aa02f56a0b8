"""Estimates: ranges with sources, and nothing where the public record has nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from checked_graphs import heat_graph, placed, with_figure

from pisnn_deploy.checks import Estimate, check
from pisnn_deploy.profiles import load_profile

HEAT = heat_graph(1000)


def test_time_on_loihi2() -> None:
    estimate = check(HEAT, load_profile("loihi2")).estimates["time_per_pde_step_us"]
    # 2,000 neurons at 0.59 and 4.2 ns in each of two time steps, and 4,000 synapses at 0.75 ns.
    assert estimate.low == pytest.approx(2 * 2000 * 0.59e-3)
    assert estimate.value == pytest.approx(2 * 2000 * 4.2e-3 + 4000 * 0.75e-3)
    assert estimate.high is None
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


def test_energy_is_not_published_for_loihi2() -> None:
    estimate = check(HEAT, load_profile("loihi2")).estimates["energy_per_pde_step_nj"]
    assert (estimate.value, estimate.low, estimate.high, estimate.confidence) == (None, None, None, "unpublished")
    assert estimate.sources[0] == "Range from Hala Point's 15 TOPS/W and from 2,600 W at 380 T operations a second"


def test_energy_on_loihi1() -> None:
    estimate = check(HEAT, load_profile("loihi1")).estimates["energy_per_pde_step_nj"]
    assert estimate.low == pytest.approx(2 * 2000 * 51.2e-3)
    assert estimate.value == pytest.approx(2000 * (81e-3 + 52e-3) + 4000 * 23.6e-3)


def test_generic_target_has_no_estimates() -> None:
    estimates = check(HEAT, load_profile("generic-int")).estimates
    assert {(e.value, e.low, e.high) for e in estimates.values()} == {(None, None, None)}


def test_unscheduled_graph_has_no_estimates() -> None:
    estimates = check(replace(HEAT, period=None), load_profile("loihi1")).estimates
    sources = ("The graph is not scheduled, so its period is unknown.",)
    assert set(estimates.values()) == {Estimate(None, None, None, "unpublished", sources)}


def test_missing_figure_leaves_the_value_out() -> None:
    profile = with_figure(load_profile("loihi1"), "time.synaptic_operation_ns", None, confidence="unpublished")
    estimate = check(HEAT, profile).estimates["time_per_pde_step_us"]
    assert estimate.value is None
    assert estimate.low == pytest.approx(2 * 2000 * 5.3e-3)

"""Measures of a run: zero where nothing is wrong, and not zero where something is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from models_under_test import compiled

from pisnn_deploy.core.distance import relative_l2
from pisnn_deploy.physics.problems import problem
from pisnn_deploy.report.measures import measure_run
from pisnn_deploy.runs import RunOptions, run_graph


def test_a_correct_run_has_no_drift_and_no_residual() -> None:
    for boundary in ("periodic", "dirichlet=0,1"):
        graph = compiled(cells=32, boundary=boundary)
        run = run_graph("fast", graph, graph.initial, RunOptions(40, every=7))
        held = graph.values(graph.sole_field.reservoirs)
        found = measure_run(graph, run, lambda t: problem("heat1d").reference(graph.grid, held, t))  # noqa: B023
        assert not found.drift.any() and not found.residual.any()
        assert found.relative_l2[0] < 1e-5 and found.relative_l2.max() < 1e-4
        assert found.energy[0] == 1 and found.time[-1] == 40 * graph.time_step
        assert found.overshoot[0] == 0 and found.overshoot.max() <= 2


def test_what_is_wrong_is_measured() -> None:
    graph = compiled(cells=32)
    run = run_graph("fast", graph, graph.initial, RunOptions(3))
    mass = run.trace.mass.copy()
    mass[2, 5] += 10**7
    found = measure_run(graph, replace(run, trace=replace(run.trace, mass=mass)), lambda _: None)
    assert found.drift.tolist() == [0, 0, 10**7, 0]
    assert found.residual.tolist() == [0, 0, 10**7, 10**7]
    assert found.overshoot[2] > 0 and np.isnan(found.relative_l2).all()


def test_a_reference_of_zero_gives_no_number() -> None:
    assert relative_l2(np.ones(3), np.zeros(3)) is relative_l2(np.ones(3), None) is None
    assert relative_l2(np.ones(4), np.full(4, 2.0)) == 0.5


def test_a_field_too_small_to_be_squared_has_no_relative_error() -> None:
    assert relative_l2(np.zeros(4), np.full(4, 1e-212)) is None

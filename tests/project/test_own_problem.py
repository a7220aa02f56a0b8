"""Where a run of a graph's own problem starts."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from models_under_test import compiled, compiled_box, laplace_model, plane_model, space_model
from reference_runs import reference_run

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.project.own_problem import (
    admitted_mass,
    named_start,
    random_start,
    reference_of,
    steps_to_horizon,
    steps_to_time,
)
from pisnn_deploy.runs import RunOptions

GRAPHS = {
    "line": lambda: compiled(cells=64),
    "few cells": lambda: compiled(cells=8, boundary="no-flux"),
    "walls": lambda: compiled(cells=48, boundary="dirichlet=0.5,1.5"),
    "plane": lambda: compiled_box(plane_model(), (10, 12), "periodic"),
    "space": lambda: compiled_box(space_model(), (6, 5, 7), "no-flux"),
    "laplace": lambda: compiled_box(laplace_model(), (20, 20), "x=dirichlet=0,1 y=dirichlet=0,0"),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_random_starts_are_admitted_and_differ(name: str) -> None:
    graph = GRAPHS[name]()
    masses = [admitted_mass(graph, random_start(graph, seed), "random") for seed in range(4)]
    for seed, mass in enumerate(masses):
        assert np.array_equal(mass, admitted_mass(graph, random_start(graph, seed), "random"))
        assert not any(np.array_equal(mass, other) for other in masses[:seed])
        run = reference_run(graph, mass, RunOptions(40, every=40))
        assert run.conserved, run.failure


def test_a_time_is_reached_by_the_first_step_at_or_after_it() -> None:
    graph = compiled(cells=16)
    step = graph.time_step
    counts = {0.0: 0, step: 1, 0.5 * step: 1, 1.001 * step: 2, 3 * step: 3, 7 * step: 7, 1e6 * step: 10**6}
    assert {time: steps_to_time(graph, time) for time in counts} == counts
    for number in (*range(1000), 10**9 + 7):
        assert steps_to_time(graph, number * step) == number
    with pytest.raises(UsageError, match=r"^`time` 1e\+300: is .* PDE steps of .* away, more than "):
        steps_to_time(graph, 1e300)


def rough(graph: IntegerGraph) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    values = graph.values(graph.initial)
    values = 0.5 * values
    values[::2] += 0.3
    return values


def test_what_the_operating_range_does_not_admit_is_named() -> None:
    graph = compiled(cells=64)
    with pytest.raises(UsageError) as caught:
        admitted_mass(graph, rough(graph), "rough")
    named = re.fullmatch(
        "rough: face 0 is steeper than the operating range allows; compile with `slope` ([0-9.]+) or more to widen it",
        str(caught.value),
    )
    assert named is not None and len(named[1].replace(".", "").strip("0")) <= 3
    high = np.full(64, 1.0)
    high[5] = 2.5
    message = (
        "high: cell 5 has the value 2.5, outside the operating range 0 to 2; compile with `value_range` LOWER,UPPER to "
        "widen it"
    )
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        admitted_mass(graph, high, "high")


def test_starts_and_references_are_the_problems_own() -> None:
    graph = compiled(cells=64)
    own = graph.values(graph.initial)
    assert np.abs(named_start(graph, "modes") - own).max() <= graph.value_per_quantum
    exact = reference_of(graph, 0, None)
    assert exact is not None and np.array_equal(exact, named_start(graph, "modes"))
    assert steps_to_horizon(graph) == round(1.0 / graph.time_step)
    with pytest.raises(UsageError, match=r"^initial condition 'nix': unknown for heat1d; use modes, bump$"):
        named_start(graph, "nix")


@pytest.mark.parametrize(("time_step", "steps"), [(5e-324, "inf"), (1e-300, "1e+300")])
def test_a_horizon_that_no_run_reaches_is_refused(time_step: float, steps: str) -> None:
    graph = replace(compiled(cells=8), time_step=time_step)
    message = (
        f"the problem's final time is {steps} PDE steps of {time_step:g} away, more than 1099511627776; give a number"
    )
    with pytest.raises(UsageError, match=re.escape(message)):
        steps_to_horizon(graph)

"""Runs of laws are judged by their operating ranges and by the reference."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from law_recipes import traffic

from pisnn_deploy.compiler import CompileOptions, GraphOptions
from pisnn_deploy.compiler.compile import compile_law
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.runs import RunOptions, fast
from pisnn_deploy.runs.plausibility import plausibility
from pisnn_deploy.runs.run import Run
from pisnn_deploy.target import load_profile

STEPS = 10


@cache
def ran() -> tuple[IntegerGraph, Run]:
    graph = compile_law(traffic(), (16,), CompileOptions(None, load_profile("loihi2"), GraphOptions()))
    return graph, fast.run(graph, graph.initial, RunOptions(STEPS, 1))


def test_a_run_in_its_range_is_plausible_also_without_a_reference() -> None:
    graph, run = ran()
    judged = plausibility(graph, run)
    assert judged.holds and not judged.doubt and judged.sentences == ()
    assert judged.summary.startswith("yes: u 0.2") and judged.summary.endswith(" in 0 to 1")


def test_a_run_near_its_reference_is_plausible_and_one_far_from_it_is_not() -> None:
    graph, run = ran()
    field = graph.fields[0]
    end, start = (field.values(run.trace.mass[row]).reshape(-1) for row in (-1, 0))
    near = plausibility(graph, run, {"u": end + 1e-3})
    assert near.holds and near.summary.endswith("0.001 from the reference on average")
    far = plausibility(graph, run, {"u": start + 0.05 * np.sign(start - 0.5)})
    assert far.holds is False
    (sentence,) = far.sentences
    assert sentence.startswith("u is 0.") and "from the reference on average, which moved by 0.05 since" in sentence
    assert far.to_dict()["fields"][0]["moved"] == pytest.approx(0.05)


def test_small_distances_are_not_judged_where_nothing_moves() -> None:
    graph, run = ran()
    still = replace(run, trace=replace(run.trace, mass=np.repeat(run.trace.mass[:1], STEPS + 1, axis=0)))
    start = graph.fields[0].values(run.trace.mass[0]).reshape(-1)
    assert plausibility(graph, still, {"u": start + 0.009}).holds
    assert not plausibility(graph, still, {"u": start + 0.03}).holds


def test_a_recorded_value_beyond_the_range_is_told() -> None:
    graph, run = ran()
    mass = run.trace.mass.copy()
    top = graph.fields[0].window.upper + 1000
    mass[3, :2] += np.array([top - mass[3, 0], mass[3, 0] - top])
    judged = plausibility(graph, replace(run, trace=replace(run.trace, mass=mass)))
    assert judged.holds is False and "beyond its operating range 0 to 1" in judged.sentences[0]

"""The numpy backend: trace, audit and counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from models_under_test import compiled, heat_model, hidden_model

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.runs import RunOptions, run_graph


def initial(graph: IntegerGraph) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return graph.initial


def test_a_run_is_conserved_and_traced() -> None:
    graph = compiled(cells=32)
    run = run_graph("fast", graph, initial(graph), RunOptions(100, every=7))
    assert run.conserved and run.steps == 100 and run.time_steps == 201
    assert run.trace.step.tolist() == [*range(0, 100, 7), 100]
    assert (run.trace.mass.sum(axis=1) == initial(graph).sum()).all()
    moved = np.array([graph.mesh.divergence(row) for row in run.trace.transported])
    assert np.array_equal(run.trace.mass, initial(graph) + moved)


def test_no_steps_at_all() -> None:
    graph = compiled()
    run = run_graph("fast", graph, initial(graph), RunOptions(0))
    assert run.conserved and run.steps == 0 and run.time_steps == 1
    assert np.array_equal(run.trace.mass[0], initial(graph))


def test_dense_and_delta_coding_give_the_same_integers() -> None:
    for model in (heat_model(), hidden_model((3, 2))):
        runs = []
        for coding in ("delta", "dense"):
            graph = compiled(model, coding=coding)
            runs.append(run_graph("fast", graph, initial(graph), RunOptions(50)))
        assert np.array_equal(runs[0].trace.mass, runs[1].trace.mass)
        assert runs[0].conserved and runs[1].conserved


def test_a_broken_route_is_caught() -> None:
    graph = compiled()
    route = graph.synapses[-1]
    mantissas = route.mantissas.copy()
    mantissas[4] *= 2
    broken = replace(graph, synapses=(*graph.synapses[:-1], route.with_mantissas(mantissas)))
    run = run_graph("fast", broken, initial(graph), RunOptions(50))
    assert run.failure.startswith("local invariant broken: membrane [2] at PDE step 1: expected ")
    assert run.violations["local"] == 1 and run.violations["global"] == 1 and not run.conserved


def test_an_overflow_stops_the_run_and_is_counted() -> None:
    graph = compiled()
    tight = tuple(replace(b, bits=3) if b.quantity == "residue" else b for b in graph.bounds)
    run = run_graph("fast", replace(graph, bounds=tight), initial(graph), RunOptions(50))
    assert run.failure.startswith("overflow: flux residue [") and run.failure.endswith("outside its 3 signed bits")
    assert run.violations["overflow"] == 1 and run.steps < 50


def test_leaving_the_operating_range_is_a_violation() -> None:
    graph = compiled()
    mass = initial(graph).copy()
    mass[7] = graph.window.upper + 5
    run = run_graph("fast", graph, mass, RunOptions(50))
    assert run.failure.startswith("operating range left: membrane [7] at PDE step 0: limit ")
    assert run.violations["range"] >= 1


def test_unknown_backend() -> None:
    graph = compiled()
    with pytest.raises(UsageError) as caught:
        run_graph("gpu", graph, initial(graph), RunOptions(1))
    assert str(caught.value) == "backend 'gpu': unknown; use cpu, fast, onnx, torch"


def test_progress_ends_with_the_last_step() -> None:
    seen: list[int] = []
    graph = compiled()
    run_graph("fast", graph, initial(graph), RunOptions(20), seen.append)
    assert seen[-1] == 20

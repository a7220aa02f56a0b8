"""Graphs of Lava's own processes: Lava gives the reference's integers, and every fault is seen."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from models_under_test import plane_model, stock_box
from network_runs import assert_same, break_with

from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.lava import backend as cpu
from pisnn_deploy.runs import RunOptions, fast, run_graph
from pisnn_deploy.runs.comparison import compare
from pisnn_deploy.runs.domains.stepper import stepper_here
from pisnn_deploy.runs.run import start_of
from pisnn_deploy.runs.stepping import stepped_run

ROWS = ("step", "mass", "transported", "in_flight", "flux")


def lively(graph: IntegerGraph) -> Integers:
    window = graph.window
    reach = min(window.upper // 4, (window.difference or window.upper) // 4)
    middle = window.upper // 2
    return np.random.default_rng(2).integers(middle - reach, middle + reach, graph.mesh.cells, dtype=np.int64)


@pytest.mark.parametrize(
    "graph",
    [
        lambda: stock_box(plane_model(), (5, 6), "x=periodic y=no-flux"),
        lambda: stock_box(shape=(9,), boundary="no-flux", send_threshold=3000),
    ],
    ids=["plane", "what is small waits"],
)
def test_lava_and_the_reference_agree_on_every_integer(graph: object) -> None:
    assert callable(graph)
    built = graph()
    found = compare(("cpu", "fast"), built, lively(built), RunOptions(40))
    assert found.difference is None and found.failures == ("", "")
    assert found.integers == 41 * (built.mesh.cells + 3 * built.mesh.faces)


@pytest.mark.parametrize("backend", ["cpu", "fast"])
def test_a_run_that_is_cut_is_the_whole(backend: str) -> None:
    graph = stock_box(shape=(8,), send_threshold=500)
    mass = lively(graph)
    whole = run_graph("fast", graph, mass, RunOptions(20, every=3, everything=True))
    first = run_graph(backend, graph, mass, RunOptions(20, every=3, everything=True, until=7))
    second = run_graph(backend, graph, mass, RunOptions(20, every=3, everything=True, start=first.end))
    for row in ROWS:
        found = np.concatenate([getattr(first.trace, row), getattr(second.trace, row)])
        assert np.array_equal(found, getattr(whole.trace, row)), row
    for counted in ("steps", "time_steps", "packets_sent", "quanta_sent", "events"):
        assert getattr(second, counted) == getattr(whole, counted), counted
    assert second.conserved and whole.packets_sent > 0


def test_a_wrong_weight_of_the_route_is_caught() -> None:
    graph = stock_box()
    drive, route = graph.synapses
    mantissas = route.mantissas.copy()
    mantissas[4] *= 2
    broken = replace(graph, synapses=(drive, route.with_mantissas(mantissas)))
    found = cpu.run(broken, graph.initial, RunOptions(9))
    assert found.failure.startswith("local invariant broken: membrane [2] at PDE step 1: expected ")
    assert found.violations["local"] == found.violations["global"] == 1
    assert_same(found, fast.run(broken, graph.initial, RunOptions(9)))


def test_a_face_that_forgets_what_it_kept_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    break_with(monkeypatch, "forgetful_face")
    graph = stock_box(send_threshold=50_000)
    run = cpu.run(graph, graph.initial, RunOptions(30))
    assert run.failure.startswith("flux invariant broken: flux [")
    assert run.violations["flux"] > 0 and run.violations["local"] == 0


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_others_agree_with_the_reference(backend: str) -> None:
    graph, options = stock_box(send_threshold=3), RunOptions(40, everything=True)
    fast, other = (run_graph(name, graph, graph.initial, options) for name in ("fast", backend))
    assert not fast.failure and fast.trace.flux is not None and other.trace.flux is not None
    assert np.array_equal(fast.trace.mass, other.trace.mass) and np.array_equal(fast.trace.flux, other.trace.flux)


def test_domains_agree_with_the_undivided_run() -> None:
    graph, options = stock_box(send_threshold=3), RunOptions(40, everything=True)
    whole, start = run_graph("fast", graph, graph.initial, options), start_of(graph, graph.initial)
    with closing(stepper_here(graph, start, 40, 2)) as stepper:
        found = stepped_run("fast", graph, stepper, options)
    assert whole.trace.flux is not None and found.trace.flux is not None
    assert np.array_equal(found.trace.mass, whole.trace.mass) and np.array_equal(found.trace.flux, whole.trace.flux)
    assert found.events == whole.events

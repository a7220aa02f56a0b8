"""Any valid graph has the same integers on every backend.

`PISNN_CASES=200 pytest tests/runs/test_every_backend.py` tries more of them than a plain run does.
"""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from drawn_graphs import KINDS, drawn_graph, drawn_masses
from generated_c import in_step, library

from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.kinds import known_face, starting_from
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.runs import Run, RunOptions, run_graph
from pisnn_deploy.runs.run import start_of
from pisnn_deploy.runs.stepping import ReferenceStepper, stepped_run

CASES = int(os.environ.get("PISNN_CASES", "24"))
STEPS = 12
OPTIONS = RunOptions(STEPS, everything=True)


@cache
def drawn(seed: int) -> IntegerGraph:
    graph = drawn_graph(seed)
    return starting_from(graph, drawn_masses(graph, seed))


@cache
def of_reference(seed: int) -> Run:
    graph = drawn(seed)
    reference = ReferenceStepper(graph, start_of(graph, graph.initial), STEPS)
    return stepped_run("reference", graph, reference, OPTIONS)


def assert_same(found: Run, expected: Run) -> None:
    """Every integer, and the same failure."""
    assert found.failure == expected.failure
    for part in ("mass", "ledger", "transported", "flux"):
        assert np.array_equal(getattr(found.trace, part), getattr(expected.trace, part)), part


@pytest.mark.parametrize("seed", range(CASES))
def test_fast_onnx_and_torch_have_the_integers_of_the_reference(seed: int) -> None:
    graph = drawn(seed)
    for backend in ("fast", "onnx", "torch"):
        assert_same(run_graph(backend, graph, graph.initial, OPTIONS), of_reference(seed))


def stays_in_range(seed: int) -> bool:
    return not of_reference(seed).failure


def some_of(kind: str, count: int) -> list[int]:
    """Seeds of a kind whose runs stay in range."""
    seeds = (seed for seed in range(1000) if KINDS[seed % len(KINDS)] == kind and stays_in_range(seed))
    return [next(seeds) for _ in range(count)]


@pytest.mark.parametrize("kind", dict.fromkeys(KINDS))
def test_c_has_the_integers_of_the_reference(kind: str, tmp_path: Path) -> None:
    for seed in some_of(kind, max(1, CASES // 25)):
        graph, folder = drawn(seed), tmp_path / str(seed)
        folder.mkdir()
        in_step(graph, library(graph, folder), STEPS)


@pytest.mark.parametrize("kind", ["line", "residues", "multi-point"])
def test_lava_has_the_integers_of_the_reference(kind: str) -> None:
    for seed in some_of(kind, max(1, CASES // 25)):
        assert_same(run_graph("cpu", drawn(seed), drawn(seed).initial, OPTIONS), of_reference(seed))


def test_every_limiter_occurs_and_withholds_and_most_runs_stay_in_range() -> None:
    graphs = {seed: drawn(seed) for seed in range(CASES)}
    assert sum(map(stays_in_range, graphs)) > CASES / 2
    limiters = {known_face(graph).limiter for graph in graphs.values()}
    assert {None if limiter is None else limiter.has_ceiling for limiter in limiters} == {None, False, True}
    assert sum(withholds(seed) for seed, graph in graphs.items() if graph.order.answers) > 1


def withholds(seed: int) -> bool:
    """Whether a cell keeps something back in the first PDE step."""
    graph = drawn(seed)
    semantics = Semantics(replace(graph, bounds=()))
    state = semantics.step(semantics.start(graph.initial))
    return any(answer.any() for name in graph.order.answers for answer in state.messages[name])

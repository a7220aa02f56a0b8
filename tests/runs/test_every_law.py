"""Laws of all kinds, constructed and trained, have the same integers on every backend.

`PISNN_CASES=250 pytest tests/runs/test_every_law.py` tries ten times as many.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from drawn_laws import SHAPES, drawn_law, drawn_trained_law
from fields_by_hand import first_masses
from graphs_by_hand import side_by_side
from pydantic import ValidationError

from pisnn_deploy.core.errors import CompileError, UsageError
from pisnn_deploy.graph.columns import columns_of
from pisnn_deploy.graph.integer import Coding, IntegerGraph, Integers
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.runs import RunOptions, run_graph
from pisnn_deploy.runs.comparison import compare

CASES = int(os.environ.get("PISNN_CASES", "25"))
TRAINED_CASES = 2 * CASES // 5
STEPS = 6
POPULATIONS_OF_NETWORK = 36
"""Its start takes longer than its steps, and a graph has at most 64."""
CODINGS: tuple[Coding, ...] = ("delta", "dense")


@cache
def compiled_law(seed: int) -> IntegerGraph | None:
    """A random law, a third of them with sides that depend on time; None if its text is refused."""
    try:
        return drawn_law(seed, CODINGS[seed // 2 % 2], over_time=seed % 3 == 0)
    except CompileError:
        raise
    except (ValidationError, UsageError):
        return None


@cache
def trained_law(seed: int) -> IntegerGraph | None:
    """A random law with random trained fluxes; None if its text is refused."""
    try:
        return drawn_trained_law(seed, CODINGS[seed // 2 % 2])
    except CompileError:
        raise
    except (ValidationError, UsageError):
        return None


def rows_of_reference(graph: IntegerGraph, steps: int) -> Integers:
    """Masses and ledgers of all fields after each PDE step."""
    semantics = Semantics(graph)
    states, rows = semantics.begin(), []
    for step in range(steps + 1):
        rows.append(np.concatenate([next(iter(states[holder].values())) for holder in graph.holders]))
        if step < steps:
            states, _ = semantics.advance(states, step)
    return np.stack(rows)


DRAWN = [(compiled_law, seed) for seed in range(CASES)] + [(trained_law, seed) for seed in range(TRAINED_CASES)]


@pytest.mark.parametrize(("law", "seed"), DRAWN)
def test_a_law_has_the_same_integers_on_every_backend(law: Callable[[int], IntegerGraph | None], seed: int) -> None:
    graph = law(seed)
    if graph is None:
        return
    mass, columns = first_masses(graph), columns_of(graph)
    run = run_graph("fast", graph, mass, RunOptions(STEPS))
    assert run.conserved or run.failure.startswith("operating range left: "), run.failure
    rows = columns.merged(run.trace.mass, run.trace.ledger)
    assert np.array_equal(rows, rows_of_reference(graph, run.steps))
    for backend in ("onnx", "torch"):
        comparison = compare(("fast", backend), graph, mass, RunOptions(STEPS))
        assert comparison.difference is None, comparison.difference.sentence("fast", backend)
        assert comparison.failures == (run.failure, run.failure)


def stays_in_range(graph: IntegerGraph) -> bool:
    return run_graph("fast", graph, first_masses(graph), RunOptions(STEPS)).conserved


def test_most_laws_are_compiled_and_all_kinds_occur() -> None:
    graphs = [graph for graph in map(compiled_law, range(CASES)) if graph is not None]
    assert len(graphs) > 0.9 * CASES and sum(map(stays_in_range, graphs)) > 0.7 * CASES
    assert {len(graph.mesh.shape) for graph in graphs} == {1, 2}
    assert {len(graph.fields) for graph in graphs} == {1, 2, 3}
    assert any(population.clock for graph in graphs for population in graph.between_fields)
    assert {getattr(graph.spec, "scheme", "") for graph in graphs} == {"auto", "taylor"}
    operations = {op.name for graph in graphs for p in graph.between_fields for op in p.program.operations}
    assert operations >= {"mul_shr", "table", "min", "max", "abs"}
    ledgers = {ledger.name for graph in graphs for field in graph.fields for ledger in field.ledgers}
    assert ledgers >= {"left", "right", "top", "bottom"} and any(name.endswith("-source") for name in ledgers)


def test_most_trained_laws_are_compiled_and_all_kinds_occur() -> None:
    graphs = [graph for graph in map(trained_law, range(TRAINED_CASES)) if graph is not None]
    assert len(graphs) > 0.7 * TRAINED_CASES and sum(map(stays_in_range, graphs)) > 0.5 * TRAINED_CASES
    assert {(len(graph.fields), len(graph.mesh.shape)) for graph in graphs} >= {(1, 1), (1, 2), (2, 1), (3, 2)}
    assert all("hidden-x" in {p.name for p in graph.populations} for graph in graphs)
    ledgers = {ledger.name for graph in graphs for field in graph.fields for ledger in field.ledgers}
    assert ledgers >= {"left", "right", "top", "bottom"}


def network_of_laws(axes: int, coding: Coding, number: int) -> IntegerGraph:
    """Trained and constructed laws in turn, side by side, until there are enough populations for one network."""
    graphs, populations = list[IntegerGraph](), 0
    for seed in range(10_000 * number, 10_000 * (number + 1)):
        if (1 + seed % 2, CODINGS[seed // 2 % 2]) != (axes, coding):
            continue
        graph = (trained_law, compiled_law)[len(graphs) % 2](seed)
        if graph is not None and graph.coding == coding and stays_in_range(graph):
            if populations + len(graph.populations) <= POPULATIONS_OF_NETWORK:
                graphs.append(graph)
                populations += len(graph.populations)
            elif populations > POPULATIONS_OF_NETWORK / 2:
                break
    return side_by_side(graphs)


@pytest.mark.parametrize("number", range(max(1, CASES // 25)))
@pytest.mark.parametrize(("axes", "coding"), [(1, "delta"), (2, "dense")])
def test_laws_run_on_lava(axes: int, coding: Coding, number: int) -> None:
    graph = network_of_laws(axes, coding, number)
    assert graph.mesh.shape == SHAPES[axes - 1] and len(graph.fields) > 2
    assert any("hidden-x" in population.name for population in graph.populations)
    comparison = compare(("cpu", "fast"), graph, first_masses(graph), RunOptions(STEPS))
    assert comparison.difference is None, comparison.difference.sentence("cpu", "fast")
    assert comparison.failures == ("", "") and comparison.steps == STEPS

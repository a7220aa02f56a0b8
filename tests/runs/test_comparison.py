"""Two backends side by side: equal, or the first integer that is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from models_under_test import binary_box, compiled, heat_model, hidden_model
from network_runs import break_with

from pisnn_deploy.runs import RunOptions, comparison, fast
from pisnn_deploy.runs.comparison import compare, first_difference


def test_equal_backends_are_equal_in_every_integer(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = compiled(hidden_model((3,)), cells=7, boundary="dirichlet=-1,1")
    monkeypatch.setattr(comparison, "STRETCH_BYTES", 8 * 8 * (graph.mesh.holders + 4 * graph.mesh.faces))
    told: list[int] = []
    found = compare(("fast", "torch"), graph, graph.initial, RunOptions(20), told.append)
    assert found.difference is None and found.failures == ("", "")
    # The first stretch keeps the start too.
    assert found.steps == 20 and found.integers == 21 * (graph.mesh.holders + 3 * graph.mesh.faces)
    assert told == [8, 16, 20]


def test_lava_equals_fast_with_binary_spikes() -> None:
    graph = binary_box(heat_model(leak=1024), (8,), "no-flux")
    found = compare(("cpu", "fast"), graph, graph.initial, RunOptions(12))
    assert found.difference is None and found.steps == 12


@pytest.mark.parametrize(
    ("population", "quantity", "part", "row", "index"),
    [
        ("membrane", "mass", "mass", 3, 5),
        ("flux", "packet", 0, 2, 1),
        ("flux", "current", 1, 4, 0),
        ("flux", "residue", 2, 1, 6),
    ],
)
def test_one_wrong_integer_is_named(population: str, quantity: str, part: str | int, row: int, index: int) -> None:
    graph = compiled(cells=8)
    run = fast.run(graph, graph.initial, RunOptions(6, everything=True))
    trace = run.trace
    assert trace.flux is not None and first_difference(trace, trace) is None
    mass, flux = trace.mass.copy(), trace.flux.copy()
    if isinstance(part, str):
        mass[row, index] += 1
    else:
        flux[row, part, index] += 1
    found = first_difference(trace, replace(trace, mass=mass, flux=flux))
    assert found is not None
    assert (found.step, found.population, found.quantity, found.index) == (row, population, quantity, index)
    assert found.values[1] == found.values[0] + 1
    assert found.sentence("cpu", "fast").startswith(
        f"cpu and fast first differ at PDE step {row}: {population} {quantity} [{index}] is "
    )


def test_of_several_wrong_integers_the_earliest_is_named() -> None:
    graph = compiled(cells=8)
    trace = fast.run(graph, graph.initial, RunOptions(6, everything=True)).trace
    assert trace.flux is not None
    mass, flux = trace.mass.copy(), trace.flux.copy()
    mass[2, 7] += 1
    flux[5, 1, 0] += 1
    found = first_difference(trace, replace(trace, mass=mass, flux=flux))
    assert found is not None and (found.step, found.quantity, found.index) == (2, "mass", 7)


def test_a_broken_lava_model_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    break_with(monkeypatch, "lossy_reset")
    graph = compiled(cells=8)
    found = compare(("cpu", "fast"), graph, graph.initial, RunOptions(20))
    assert found.failures[0].startswith("flux invariant broken: flux ") and found.failures[1] == ""
    assert found.difference is None and found.steps < 20
    assert np.int64(found.steps) >= 0
    # Of the run that went on only the rows that the other one has are counted.
    assert found.integers == (found.steps + 1) * (graph.mesh.holders + 3 * graph.mesh.faces)

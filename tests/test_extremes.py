"""The smallest meshes, the emptiest and the fullest fields, the shortest runs."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from models_under_test import compiled, heat_model

from pisnn_deploy.core.errors import CompileError
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.physics.model import Model, OperatingRange
from pisnn_deploy.runs import RunOptions, run_graph
from pisnn_deploy.runs.run import Integers, Run
from pisnn_deploy.verify.checker import check_certificate

BOUNDARIES = ("periodic", "no-flux", "dirichlet=0,1", "dirichlet=1,1")


def run(graph: IntegerGraph, mass: Integers, steps: int, backend: str = "fast") -> Run:
    found = run_graph(backend, graph, mass, RunOptions(steps))
    assert found.conserved and found.steps == steps, found.failure
    assert set(found.trace.totals()) == {int(mass.sum())}
    return found


def of_any_slope(lower: float = 0.0, upper: float = 2.0) -> Model:
    return heat_model(operating_range=OperatingRange(lower=lower, upper=upper))


@pytest.mark.parametrize(
    ("cells", "boundary"), [case for case in product((1, 2, 3), BOUNDARIES) if case != (1, "no-flux")]
)
def test_meshes_of_a_few_cells(cells: int, boundary: str) -> None:
    graph = compiled(cells=cells, boundary=boundary)
    assert all(found.holds for found in check_certificate(graph))
    ended = run(graph, graph.initial, 400)
    at_rest = ended.trace.mass[-1] * graph.value_per_quantum
    assert ended.trace.step.tolist() == list(range(401))
    if boundary == "dirichlet=1,1":
        assert np.abs(at_rest - 1).max() < 4 * graph.value_per_quantum
    if not graph.mesh.reservoirs:
        assert np.ptp(ended.trace.mass[-1]) <= 2


@pytest.mark.parametrize(("cells", "steps"), [(1, 3), (2, 0)])
def test_meshes_of_a_few_cells_on_lava(cells: int, steps: int) -> None:
    graph = compiled(cells=cells)
    expected = run(graph, graph.initial, steps)
    found = run(graph, graph.initial, steps, "cpu")
    assert np.array_equal(found.trace.mass, expected.trace.mass) and found.events == expected.events


def test_a_cell_without_faces_is_refused() -> None:
    with pytest.raises(CompileError) as refused:
        compiled(cells=1, boundary="no-flux")
    assert str(refused.value) == "lower: the mesh has no face, so nothing could move; use at least two cells"


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("steps", [0, 1])
def test_the_shortest_runs(boundary: str, steps: int) -> None:
    graph = compiled(cells=5, boundary=boundary)
    ended = run(graph, graph.initial, steps)
    assert ended.trace.step.tolist() == list(range(steps + 1))
    assert ended.time_steps == steps * 2 + 1
    assert np.array_equal(ended.trace.mass[0], graph.initial)


@pytest.mark.parametrize("value", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("boundary", ["periodic", "no-flux"])
def test_a_constant_field_is_at_rest(value: float, boundary: str) -> None:
    graph = compiled(cells=9, boundary=boundary)
    mass = graph.mass(np.full(9, value))
    ended = run(graph, mass, 50)
    assert (ended.trace.mass == mass).all() and ended.quanta_sent == 0 and not any(ended.events.values())


@pytest.mark.parametrize("boundary", ["periodic", "no-flux"])
@pytest.mark.parametrize("full", [0, 4, 8])
def test_all_mass_in_one_cell(boundary: str, full: int) -> None:
    graph = compiled(of_any_slope(), cells=9, boundary=boundary)
    mass = np.full(9, graph.window.lower, np.int64)
    mass[full] = graph.window.upper
    ended = run(graph, mass, 2000)
    assert np.ptp(ended.trace.mass[-1]) <= 8
    lowest, highest = ended.trace.mass.min(), ended.trace.mass.max()
    assert graph.window.lower <= lowest and highest <= graph.window.upper


def test_negative_values() -> None:
    graph = compiled(of_any_slope(-2.0, -1.0), cells=9)
    values = np.where(np.arange(9) % 2, -1.0, -2.0)
    ended = run(graph, graph.mass(values), 2000)
    assert np.abs(graph.values(ended.trace.mass[-1]) - values.mean()).max() < 8 * graph.value_per_quantum
    mirrored = run(compiled(of_any_slope(1.0, 2.0), cells=9), -graph.mass(values), 2000)
    assert np.array_equal(mirrored.trace.mass, -ended.trace.mass)

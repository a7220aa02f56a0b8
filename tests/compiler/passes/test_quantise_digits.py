"""Weights of many digits: two-point and multi-point fluxes on cells that differ, compiled, proved and run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from compiled_once import compile_once
from models_under_test import plane_model
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import spsolve
from two_point_graphs import base, four_triangles

from pisnn_deploy.compiler import CompileOptions, GraphOptions, LowerMultiPoint, LowerTwoPoint, Material
from pisnn_deploy.compiler.analysis.faces import face_weights
from pisnn_deploy.graph import CellGraph, IntegerGraph
from pisnn_deploy.graph.digits import split
from pisnn_deploy.mesh import parse_boundary, read_mesh_file
from pisnn_deploy.physics.model import OperatingRange
from pisnn_deploy.runs import RunOptions, run_graph
from pisnn_deploy.target import load_profile
from pisnn_deploy.verify import check_certificate

PLATE = Path(__file__).parents[3] / "examples" / "plate_with_hole" / "plate.msh"
UNIT = OperatingRange(lower=0.0, upper=1.0)


def compiled(lower: LowerTwoPoint, digits: str = "many") -> IntegerGraph:
    graph = GraphOptions(digits=digits, placement="none")  # type: ignore[arg-type]
    return compile_once(plane_model(), CompileOptions(lower, load_profile("loihi2"), graph, UNIT))


def steady(graph: CellGraph) -> NDArray[np.float64]:
    rates, cells = graph.rates, graph.mesh.cells
    matrix = csr_matrix((rates.values, rates.columns, rates.starts), shape=rates.shape)
    return np.asarray(spsolve(matrix[:, :cells].tocsc(), -(matrix[:, cells:] @ graph.reservoirs)))


def test_digits_are_those_of_the_number_and_odd() -> None:
    numbers = np.concatenate([np.arange(-40_000, 40_000, 7), [1 << 21, -(1 << 21), 64, -64, 8192, -8192]])
    for count, bits in ((1, 7), (2, 7), (3, 7), (4, 3), (3, 2)):
        parts = split(numbers, count, bits)
        assert np.array_equal(sum(part << bits * k for k, part in enumerate(parts)), numbers)
        assert all(np.abs(part).max() <= 1 << bits >> 1 for part in parts[:-1])
        assert all(np.array_equal(a, -b) for a, b in zip(parts, split(-numbers, count, bits), strict=True))


@pytest.mark.parametrize("name", ["digits", "several"])
def test_weights_are_the_fluxes_on_one_scale(name: str) -> None:
    graph = base(name)
    kind = LowerMultiPoint if name == "several" else LowerTwoPoint
    lower = kind(four_triangles(), {"left": 0.5, "right": 1.5}, {"copper": Material(2.0, 1.5), "steel": Material(1.0)})
    exact = lower(plane_model()).fluxes.between(0, 4).toarray()
    weights = face_weights(graph).toarray()
    scale = np.abs(weights).sum() / np.abs(exact).sum()
    assert np.abs(weights).max() >= 1 << 12 and np.abs(weights - scale * exact).max() <= 3


@pytest.mark.parametrize("kind", [LowerTwoPoint, LowerMultiPoint])
def test_a_constant_field_between_equal_reservoirs_is_at_rest(kind: type[LowerTwoPoint]) -> None:
    materials = {"copper": Material(300.0, 2.9), "steel": Material(1.0, 7.0)}
    graph = compiled(kind(four_triangles(), {"left": 0.7, "right": 0.7}, materials))
    assert all(finding.holds for finding in check_certificate(graph))
    for mass in (graph.initial, graph.mass(np.full(4, 0.25))):
        run = run_graph("fast", graph, mass, RunOptions(50))
        assert run.conserved and not run.failure
        # From 0.25 both reservoirs push alike; from their own value nothing moves at all.
        assert (run.packets_sent == 0) == (mass is graph.initial)


@pytest.mark.parametrize("kind", [LowerTwoPoint, LowerMultiPoint])
def test_no_bound_is_left_from_extreme_starts(kind: type[LowerTwoPoint]) -> None:
    graph = compiled(kind(four_triangles(), {"left": 0.0, "right": 1.0}, {"steel": Material(40.0, 3.0)}))
    for seed in range(8):
        values = np.random.default_rng(seed).choice([0.0, 1.0], 4)
        run = run_graph("fast", graph, graph.mass(values), RunOptions(60))
        assert run.conserved and not run.failure and not any(run.violations.values())


@pytest.mark.parametrize("jump", [10.0, 1000.0])
def test_the_steady_profile_across_materials_is_that_of_the_floats(jump: float) -> None:
    conductivity = np.full((8, 8), 0.01)
    conductivity[2:6, 3:7] /= jump
    sides = parse_boundary("x=no-flux y=dirichlet=0,1", 2)
    lower = LowerTwoPoint((8, 8), sides, {"default": Material(1.0)}, conductivity)
    graph, wanted = compiled(lower), steady(lower(plane_model()))
    assert all(finding.holds for finding in check_certificate(graph))
    run = run_graph("fast", graph, graph.mass(wanted), RunOptions(20_000, every=500))
    assert run.conserved and not run.failure
    # At every instant, not only on average.
    assert np.abs(graph.values(run.trace.mass) - wanted).max() <= 2 * graph.resolution <= 2e-3


def test_the_plate_loses_little_to_integers() -> None:
    materials = {"steel": Material(16.0, 3.8), "copper": Material(390.0, 3.4)}
    lower = LowerTwoPoint(read_mesh_file(PLATE), {"hole": 1.0, "left": 0.0, "right": 0.0}, materials)
    graph = compiled(lower, "auto")
    figures = graph.quantisation
    assert figures.relative_l2_float is not None and figures.relative_l2_integer is not None
    assert figures.relative_l2_integer <= 1.1 * figures.relative_l2_float
    assert graph.history[-1].name == "search" and "of one 1.56e-03" in graph.history[-1].summary

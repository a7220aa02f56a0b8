"""No step of multi-point fluxes increases the energy: proved point by point, in integers, on meshes of any size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from models_under_test import plane_model
from numpy.typing import NDArray
from two_point_graphs import base

from pisnn_deploy.compiler.analysis.energy import points_of_energy
from pisnn_deploy.compiler.analysis.faces import face_weights, full_exponent, level_bits
from pisnn_deploy.compiler.passes.quantise_digits import QuantiseDigits
from pisnn_deploy.core.rows import Rows
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.kinds import known_face, with_faces
from pisnn_deploy.graph.layout import route_matrix
from pisnn_deploy.graph.two_point import MultiPointGraph
from pisnn_deploy.mesh import CellMesh, fluxes_around_points, multi_point_fluxes
from pisnn_deploy.physics.model import OperatingRange
from pisnn_deploy.verify.energy import are_positive, energy_points
from pisnn_deploy.verify.point_fluxes import part_fluxes

UNIT = OperatingRange(lower=0.0, upper=2.0)


def strip(count: int) -> CellMesh:
    """A sheared strip of two rows of squares, cut into triangles, without reservoirs."""
    random = np.random.default_rng(0)
    x, y = np.meshgrid(np.arange(count + 1.0), np.arange(3.0), indexing="ij")
    points = np.stack([x + 0.4 * y, y], axis=-1).reshape(-1, 2) + random.uniform(-0.1, 0.1, (3 * count + 3, 2))
    a = (3 * np.arange(count)[:, None] + np.arange(2)).reshape(-1)
    corners = np.concatenate([np.stack([a, a + 3, a + 4], axis=1), np.stack([a, a + 4, a + 1], axis=1)])
    sides = np.sort(np.concatenate([np.delete(corners, corner, axis=1) for corner in range(3)]), axis=1)
    distinct, number, shared = np.unique(sides, axis=0, return_inverse=True, return_counts=True)
    cells = np.tile(np.arange(len(corners)), 3)[np.argsort(number.reshape(-1), kind="stable")]
    start = np.cumsum(shared) - shared
    inner = np.flatnonzero(shared == 2)
    return CellMesh(
        points=points,
        corners=corners,
        source=cells[start[inner]],
        target=cells[start[inner] + 1],
        face_corners=distinct[inner],
        material=(np.arange(len(corners)) // 7) % 2,
        material_names=("copper", "steel"),
        group=np.zeros(0, np.int64),
        group_names=(),
    )


def quantised(count: int) -> IntegerGraph:
    """Integers of a strip whose conductivities jump."""
    mesh, small = strip(count), base("several")
    assert small.materials is not None
    conductivity = np.where(mesh.material == 0, 40.0, 1.0)
    points = mesh.points[mesh.corners]
    edges = points[:, 1:] - points[:, :1]
    volumes = np.abs(np.linalg.det(edges)) / 2
    graph = MultiPointGraph(
        spec=plane_model().spec,
        mesh=mesh,
        coefficients=multi_point_fluxes(mesh, conductivity),
        capacity=volumes,
        reservoirs=np.zeros(0),
        initial=np.full(mesh.cells, 1.0),
        materials=replace(small.materials, conductivity=conductivity, capacity=np.ones(mesh.cells)),
    )
    return QuantiseDigits(24, UNIT)(graph)


@pytest.fixture(scope="module")
def long() -> IntegerGraph:
    """A graph of more than 1,024 cells."""
    return quantised(260)


def proved(graph: IntegerGraph, weights: Rows | None = None) -> int | str:
    own = face_weights(graph).between(0, graph.mesh.cells)
    return energy_points(graph, own if weights is None else weights, full_exponent(graph) + level_bits(graph))


def norm(graph: IntegerGraph) -> float:
    """Norm of a step in the root of the energy, by a dense matrix."""
    loss = -(route_matrix(graph.mesh).first_rows(graph.mesh.cells) @ face_weights(graph)).toarray()
    root = np.sqrt(graph.sole_field.inverse_volume.astype(np.float64))
    scaled = loss[:, : graph.mesh.cells] * np.outer(root, root) / 2.0 ** (full_exponent(graph) + level_bits(graph))
    return float(np.linalg.norm(np.eye(graph.mesh.cells) - scaled, 2))


def test_energy_is_proved_beyond_a_thousand_cells(long: IntegerGraph) -> None:
    # A point of one cell alone has no faces.
    assert long.mesh.cells == 1040 and points_of_energy(long) == proved(long) == 3 * 261 - 2


def test_the_norm_of_the_whole_step_agrees() -> None:
    graph = quantised(20)
    assert proved(graph) == 61 and norm(graph) <= 1 + 1e-12
    steeper = with_faces(graph, exponent=known_face(graph).exponent - 2)
    assert isinstance(proved(steeper), str) and norm(steeper) > 1


def test_a_weight_that_adds_energy_is_found(long: IntegerGraph) -> None:
    weights = face_weights(long).between(0, long.mesh.cells)
    away = weights.values.copy()
    row = np.flatnonzero(weights.row_of == 77)
    away[row] = -away[row]
    assert str(proved(long, weights.with_values(away))).startswith("a PDE step may increase the energy around a point")
    away = weights.values.copy()
    away[row[0]] += 1
    assert "do not sum to 0" in str(proved(long, weights.with_values(away)))
    assert "may lose more than its value" in str(proved(long, weights.with_values(weights.values * 2)))


def test_parts_are_those_of_the_other_computation() -> None:
    mesh = strip(5)
    conductivity = np.exp(np.random.default_rng(1).uniform(-3, 3, mesh.cells))
    theirs, ours = part_fluxes(mesh, conductivity), fluxes_around_points(mesh, conductivity)
    dense: list[NDArray[np.float64]] = []
    for parts in (theirs, ours):
        dense.append(np.zeros((len(mesh.points), mesh.faces, mesh.cells)))
        np.add.at(dense[-1], (parts.point, parts.face, parts.holder), parts.value)
    assert np.abs(dense[0] - dense[1]).max() < 1e-12 * np.abs(dense[0]).max()


def test_only_matrices_without_negative_eigenvalues_pass() -> None:
    random = np.random.default_rng(2)
    for scale in (1, 1 << 20, 1 << 40):
        roots = random.integers(-50, 50, (40, 5, 8))
        gram = np.matmul(roots, roots.transpose(0, 2, 1)) * scale
        assert are_positive(gram)
        least = np.linalg.eigvalsh(gram[:1].astype(np.float64))[0, 0]
        gram[0] -= int(least * 1.001 + 1) * np.eye(5, dtype=np.int64)
        assert not are_positive(gram)
    assert not are_positive(np.array([[[1, 2], [2, 1]]]) << 40)
    assert not are_positive(np.array([[[1 << 20, 1 << 50], [1 << 50, 1 << 20]]]))
    assert are_positive(np.array([[[1 << 58, 0], [0, 1 << 9]]])) and are_positive(np.zeros((3, 0, 0), np.int64))

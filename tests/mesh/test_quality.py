"""Angles of a mesh and what they do to two-point fluxes, against a solver of the test's own."""

from __future__ import annotations

import itertools
from pathlib import Path

import meshio
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import spsolve

from pisnn_deploy.mesh import MeshFile, Quality, quality, read_mesh_file, two_point_quality

PLATE = Path(__file__).parents[2] / "examples" / "plate_with_hole" / "plate.msh"


def strip(columns: int, rows: int, slant: float, stretch: float, folder: Path) -> MeshFile:
    """Triangles between lattice lines."""
    across, up = np.meshgrid(np.arange(columns + 1), np.arange(rows + 1))
    points = np.stack([across + slant * up, stretch * up, 0 * up], axis=-1).reshape(-1, 3).astype(np.float64)
    number = np.arange(len(points)).reshape(rows + 1, columns + 1)
    a, b, c, d = number[:-1, :-1], number[:-1, 1:], number[1:, :-1], number[1:, 1:]
    cells = np.concatenate([np.stack(t, axis=-1).reshape(-1, 3) for t in ((a, b, c), (b, d, c))])
    meshio.Mesh(points, [("triangle", cells)]).write(folder / "mesh.vtk", binary=False)
    return read_mesh_file(folder / "mesh.vtk")


def flux_factors(mesh: MeshFile) -> NDArray[np.float64]:
    """Eigenvalues of the mean of flux times slope for linear fields at the whole boundary, solved directly."""
    closed = mesh.with_reservoirs(mesh.group_names)
    cells = closed.cells
    outside = mesh.points[mesh.boundary_corners].mean(axis=1)
    conductance = closed.geometry().area / closed.geometry().distance.sum(axis=1)
    matrix = np.zeros((closed.holders, closed.holders))
    for source, target, value in zip(closed.source, closed.target, conductance, strict=True):
        matrix[[source, target, source, target], [source, target, target, source]] += np.array([1, 1, -1, -1]) * value
    inner = spsolve(sparse.csc_matrix(matrix[:cells, :cells]), -matrix[:cells, cells:] @ outside)
    given = (matrix[cells:] @ np.concatenate([inner, outside])).T @ outside
    return np.linalg.eigvalsh(given / closed.geometry().volumes.sum())


def test_acute_triangles_have_the_right_fluxes(tmp_path: Path) -> None:
    found = two_point_quality(strip(5, 4, 0.5, 0.9, tmp_path))
    assert found is not None and found.warnings == () and found.is_solved
    assert found.largest_degrees < 1e-5 and found.large_share == 0
    assert found.flux_factors == pytest.approx((1, 1), abs=1e-6)


@pytest.mark.parametrize(("slant", "stretch"), [(0.0, 1.0), (0.0, 4.0), (1.3, 1.0), (0.2, 0.1)])
def test_the_factors_are_those_of_a_direct_solver(slant: float, stretch: float, tmp_path: Path) -> None:
    mesh = strip(6, 5, slant, stretch, tmp_path)
    found = two_point_quality(mesh)
    low, high = flux_factors(mesh)
    assert found is not None and found.is_solved
    assert found.flux_factors == pytest.approx((low, high), rel=1e-3)
    assert len(found.warnings) == 1 and found.warnings[0].startswith(f"mesh: fluxes are {low:.2f} to {high:.2f} times ")


def test_turning_and_scaling_a_mesh_changes_nothing(tmp_path: Path) -> None:
    mesh = strip(4, 6, 0.1, 2.0, tmp_path)
    expected = two_point_quality(mesh)
    assert expected is not None
    text = (tmp_path / "mesh.vtk").read_bytes()
    read = meshio.read(tmp_path / "mesh.vtk")
    turn = np.array([[np.cos(1.0), -np.sin(1.0), 0], [np.sin(1.0), np.cos(1.0), 0], [0, 0, 1]])
    for scale in (1e-9, 1.0, 1e9):
        read.points = read.points @ turn.T
        meshio.Mesh(read.points * scale, read.cells).write(tmp_path / "turned.vtk", binary=True)
        found = two_point_quality(read_mesh_file(tmp_path / "turned.vtk"))
        assert found is not None and found.flux_factors == pytest.approx(expected.flux_factors, rel=1e-3)
        assert found.mean_degrees == pytest.approx(expected.mean_degrees, rel=1e-6)
    assert (tmp_path / "mesh.vtk").read_bytes() == text


def test_tetrahedra(tmp_path: Path) -> None:
    points = np.stack(np.meshgrid(*(np.arange(4.0),) * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    paths = [np.cumsum([0, *order]) for order in itertools.permutations((16, 4, 1))]
    base = np.array([i * 16 + j * 4 + k for i, j, k in itertools.product(range(3), repeat=3)])
    cells = np.concatenate([base[:, None] + path for path in paths])
    meshio.Mesh(points, [("tetra", cells)]).write(tmp_path / "mesh.vtu")
    mesh = read_mesh_file(tmp_path / "mesh.vtu")
    found = two_point_quality(mesh)
    low, *_, high = flux_factors(mesh)
    assert found is not None and found.flux_factors == pytest.approx((low, high), rel=1e-3) and high > 1.02


def test_what_is_not_solved_is_a_bound_from_above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mesh = strip(30, 30, 0.0, 4.0, tmp_path)
    solved = two_point_quality(mesh)
    monkeypatch.setattr(quality, "_WORK", 0)
    monkeypatch.setattr(quality, "_FEWEST", 2)
    bound = two_point_quality(mesh)
    assert solved is not None and bound is not None and solved.is_solved and not bound.is_solved
    assert bound.flux_factors[0] > solved.flux_factors[0] and bound.flux_factors[1] > solved.flux_factors[1]
    assert bound.to_dict()["flux_factors_are_bounds"] is True


def test_the_example_is_a_good_mesh() -> None:
    found = two_point_quality(read_mesh_file(PLATE))
    assert isinstance(found, Quality) and found.warnings == ()
    assert found.to_dict() == {
        "mean_degrees": 0.086,
        "largest_degrees": 19.35,
        "share_beyond_20_degrees": 0.0,
        "flux_factors": [1.0001, 1.0005],
        "flux_factors_are_bounds": False,
    }


def test_a_mesh_of_one_cell_has_no_angles(tmp_path: Path) -> None:
    meshio.Mesh(np.eye(3)[[0, 1, 2]] * [1, 1, 0], [("triangle", np.array([[0, 1, 2]]))]).write(tmp_path / "m.vtu")
    assert two_point_quality(read_mesh_file(tmp_path / "m.vtu")) is None

"""Multi-point fluxes: exact for linear fields on any simplices and across materials; symmetric and positive."""

from __future__ import annotations

import itertools
from pathlib import Path

import meshio
import numpy as np
import pytest
from numpy.typing import NDArray

from pisnn_deploy.mesh import CellMesh, centroids, multi_point_fluxes, read_mesh_file
from pisnn_deploy.mesh.geometry import face_geometry

Points = NDArray[np.float64]


def layered(dims: int, turn: float = 0.0) -> CellMesh:
    """A cube of moved simplices, hot and cold at both ends of x, of two materials that meet at x = 1/2.

    Parameters
    ----------
    turn : float
        Angle in radians by which the mesh is turned in the xy plane.
    """
    count = 4
    points = np.stack(np.meshgrid(*(np.linspace(0, 1, count + 1),) * dims, indexing="ij"), axis=-1).reshape(-1, dims)
    moves = np.random.default_rng(dims).uniform(-0.07, 0.07, points.shape)
    # Points stay on the outline and on the interface.
    points += moves * ((points > 0) & (points < 1)) * np.where(points[:, :1] == 0.5, np.arange(dims) > 0, True)
    strides = (count + 1) ** np.arange(dims)[::-1]
    paths = [np.cumsum([0, *order]) for order in itertools.permutations(strides.tolist())]
    base = np.array([np.dot(at, strides) for at in itertools.product(range(count), repeat=dims)])
    cells = np.concatenate([base[:, None] + path for path in paths])
    kind, face_kind = ("triangle", "line") if dims == 2 else ("tetra", "triangle")
    ends = {0.0: "cold", 1.0: "hot"}
    sides = [np.delete(cells, corner, axis=1) for corner in range(dims + 1)]
    faces = {name: [s[(points[s, 0] == x).all(axis=1)] for s in sides] for x, name in ends.items()}
    rotation = np.eye(dims)
    rotation[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    listed = np.concatenate([*faces["cold"], *faces["hot"]])
    tags = np.repeat([3, 4], [sum(map(len, faces[name])) for name in ("cold", "hot")])
    material = 1 + (points[cells, 0].mean(axis=1) > 0.5).astype(np.int64)
    path = Path("layered.msh")
    meshio.Mesh(
        np.pad(points @ rotation.T, ((0, 0), (0, 3 - dims))),
        [(kind, cells), (face_kind, listed)],
        cell_data={name: [material, tags] for name in ("gmsh:physical", "gmsh:geometrical")},
        field_data={
            **{name: np.array([tag, dims]) for tag, name in ((1, "left"), (2, "right"))},
            **{name: np.array([tag, dims - 1]) for tag, name in ((3, "cold"), (4, "hot"))},
        },
    ).write(path, file_format="gmsh22", binary=False)
    return read_mesh_file(path).with_reservoirs(("cold", "hot"))


@pytest.mark.parametrize(("dims", "turn"), [(2, 0.0), (2, 0.7), (3, 0.0), (3, 1.9)])
@pytest.mark.parametrize("jump", [1.0, 1000.0])
def test_fluxes_of_piecewise_linear_fields_are_exact(
    dims: int, turn: float, jump: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    mesh = layered(dims, turn)
    conductivity = np.where(mesh.material == 0, 1.0, jump)
    fluxes = multi_point_fluxes(mesh, conductivity)
    along = np.cos(turn), np.sin(turn)
    x = centroids(mesh)[:, :2] @ along
    values = np.where(x < 0.5, x, 0.5 + (x - 0.5) / jump)
    held = np.where(mesh.group == 0, 0.0, 0.5 + 0.5 / jump)
    area, normal, corner = face_geometry(mesh.points[mesh.face_corners])
    outward = np.sign(((corner - centroids(mesh)[mesh.source]) * normal).sum(axis=1))
    exact = -outward * area * (normal[:, :2] @ along)
    assert np.abs(fluxes @ np.concatenate([values, held]) - exact).max() < 1e-12 * jump
    assert np.abs(fluxes.sums()).max() < 1e-12 * jump


@pytest.mark.parametrize("dims", [2, 3])
def test_what_cells_lose_is_symmetric_and_positive(dims: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mesh = layered(dims)
    fluxes = multi_point_fluxes(mesh, np.where(mesh.material == 0, 1.0, 50.0)).toarray()
    loss = np.zeros((mesh.holders, mesh.holders))
    np.add.at(loss, mesh.source, fluxes)
    np.subtract.at(loss, mesh.target, fluxes)
    inside = loss[: mesh.cells, : mesh.cells]
    assert np.abs(inside - inside.T).max() < 1e-13 * np.abs(inside).max()
    assert np.linalg.eigvalsh(inside)[0] > 0

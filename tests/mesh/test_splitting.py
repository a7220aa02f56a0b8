"""Quadrilaterals and hexahedra: the right volumes, faces and groups, whatever the order of their points."""

from __future__ import annotations

from pathlib import Path

import meshio
import numpy as np
import pytest
from numpy.typing import NDArray

from pisnn_deploy.cli import mesh_rows
from pisnn_deploy.core.errors import FileError
from pisnn_deploy.mesh import MeshFile, multi_point_fluxes, read_mesh_file

CUBE = np.array([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1)])


def boxes(dims: int, counts: tuple[int, ...], seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """A box of moved cells whose points have random numbers."""
    random = np.random.default_rng(seed)
    axes = [np.linspace(0, count, count + 1) for count in counts]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, dims)
    inner = ((points > 0) & (points < counts)).all(axis=1, keepdims=True)
    points = points + inner * random.uniform(-0.2, 0.2, points.shape)
    corners = CUBE[: 2**dims, :dims]
    origins = np.stack(np.meshgrid(*map(np.arange, counts), indexing="ij"), axis=-1).reshape(-1, 1, dims)
    cells = np.ravel_multi_index(tuple((origins + corners).transpose(2, 0, 1)), tuple(n + 1 for n in counts))
    number = random.permutation(len(points))
    moved = np.empty_like(points)
    moved[number] = points
    return moved, number[cells]


def written(dims: int, counts: tuple[int, ...], seed: int, folder: Path) -> MeshFile:
    points, cells = boxes(dims, counts, seed)
    kind, side_kind, count = ("quad", "line", 2) if dims == 2 else ("hexahedron", "quad", 4)
    ends = (0, counts[0])
    faces = [(0, 3), (1, 2)] if dims == 2 else [(0, 3, 7, 4), (1, 2, 6, 5)]
    sides = [
        cells[:, face][(points[cells[:, face], 0] == end).all(axis=1)] for face, end in zip(faces, ends, strict=True)
    ]
    assert all(side.shape[1] == count for side in sides)
    tags = [1 + (points[cells, 0].mean(axis=1) > 1).astype(int), np.repeat([3, 4], [len(side) for side in sides])]
    meshio.Mesh(
        np.pad(points, ((0, 0), (0, 3 - dims))),
        [(kind, cells), (side_kind, np.concatenate(sides))],
        cell_data={"gmsh:physical": tags, "gmsh:geometrical": tags},
        field_data={
            **{name: np.array([tag, dims]) for tag, name in ((1, "steel"), (2, "copper"))},
            **{name: np.array([tag, dims - 1]) for tag, name in ((3, "cold"), (4, "hot"))},
        },
    ).write(folder / "mesh.msh", file_format="gmsh22", binary=False)
    return read_mesh_file(folder / "mesh.msh")


def test_tables_say_how_many_cells_were_split() -> None:
    assert mesh_rows.split({"split_cells": 12}) == [("split", "12 quadrilateral or hexahedral cells of the mesh file")]
    assert mesh_rows.split({}) == mesh_rows.split({"split_cells": "many"}) == []


@pytest.mark.parametrize(("dims", "counts"), [(2, (3, 4)), (3, (2, 3, 2))])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_volumes_faces_and_groups(dims: int, counts: tuple[int, ...], seed: int, tmp_path: Path) -> None:
    file = written(dims, counts, seed, tmp_path)
    parts, cells = 2 if dims == 2 else 6, int(np.prod(counts))
    assert file.warnings == () and len(file.corners) == parts * cells and file.split == cells
    assert file.material_names == ("copper", "steel") and file.group_names == ("cold", "hot", "rest")
    mesh = file.with_reservoirs(("cold", "hot"))
    volumes = mesh.geometry().volumes
    assert volumes.sum() == pytest.approx(np.prod(counts))
    on_ends = 2 * int(np.prod(counts[1:])) * (1 if dims == 2 else 2)
    assert mesh.reservoirs == on_ends and (mesh.geometry().area > 0).all()
    # Each interior face has two cells: no diagonal of a cell meets another one of its neighbour.
    outer = sum(2 * cells // count for count in counts) * (1 if dims == 2 else 2)
    assert 2 * len(file.interior) + outer == (dims + 1) * parts * cells
    fluxes = multi_point_fluxes(mesh, np.ones(mesh.cells))
    x = np.concatenate([mesh.points[mesh.corners].mean(axis=1)[:, 0], np.where(mesh.group == 0, 0.0, counts[0])])
    through = fluxes @ x
    hot = mesh.target >= mesh.cells
    assert abs(through[hot]).sum() == pytest.approx(2 * np.prod(counts[1:]))


def test_a_hexahedron_with_a_face_that_is_not_flat_has_the_volume_of_its_triangles(tmp_path: Path) -> None:
    points = CUBE.astype(float)
    points[6] += 0.3
    meshio.Mesh(points, [("hexahedron", np.arange(8)[None])]).write(tmp_path / "mesh.vtu")
    mesh = read_mesh_file(tmp_path / "mesh.vtu").with_reservoirs(())
    # Five of the six tetrahedra have the moved point, and grow by 0.3 of their volume.
    assert mesh.cells == 6 and mesh.geometry().volumes.sum() == pytest.approx(1.25)


@pytest.mark.parametrize(
    ("points", "kind"),
    [
        (np.array([(0, 0, 0), (1, 0, 0), (0.2, 0.2, 0), (0, 1, 0)])[[1, 2, 3, 0]], "quadrilateral"),
        (CUBE[[0, 1, 3, 2, 4, 5, 6, 7]], "hexahedron"),
        (CUBE[[0, 2, 1, 3]], "quadrilateral"),
    ],
)
def test_cells_that_are_not_convex_are_refused(points: NDArray[np.float64], kind: str, tmp_path: Path) -> None:
    name = "quad" if kind == "quadrilateral" else "hexahedron"
    meshio.Mesh(points.astype(float), [(name, np.arange(len(points))[None])]).write(tmp_path / "mesh.vtu")
    with pytest.raises(FileError, match=f"has a {kind} that is not convex, number 0 of its kind counted from 0"):
        read_mesh_file(tmp_path / "mesh.vtu")

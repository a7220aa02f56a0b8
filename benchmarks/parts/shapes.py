"""Meshes of the plate with a hole, the L-shaped domain and the cube, at any fineness."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import meshio
import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.mesh import MeshFile, read_mesh_file

Points = NDArray[np.float64]
Cells = NDArray[np.int64]
Sides = Mapping[str, Callable[[Points], NDArray[np.bool_]]]
Shape = Callable[[int], tuple[Points, Cells]]


def mesh_of(points: Points, cells: Cells, sides: Sides) -> MeshFile:
    """A mesh with named sides, by the middle of each boundary face."""
    dims = points.shape[1]
    faces = np.concatenate([np.delete(cells, corner, axis=1) for corner in range(dims + 1)])
    _, first, counts = np.unique(np.sort(faces, axis=1), axis=0, return_index=True, return_counts=True)
    outer = faces[first[counts == 1]]
    middle = points[outer].mean(axis=1)
    group = np.zeros(len(outer), np.int64)
    for number, within in enumerate(sides.values(), 2):
        group[within(middle)] = number
    kept = group > 0
    kind, face_kind = ("triangle", "line") if dims == 2 else ("tetra", "triangle")
    tags = [np.ones(len(cells), np.int64), group[kept]]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mesh.msh"
        meshio.Mesh(
            np.pad(points, ((0, 0), (0, 3 - dims))),
            [(kind, cells), (face_kind, outer[kept])],
            cell_data={"gmsh:physical": tags, "gmsh:geometrical": tags},
            field_data={
                "whole": np.array([1, dims]),
                **{name: np.array([number, dims - 1]) for number, name in enumerate(sides, 2)},
            },
        ).write(path, file_format="gmsh22", binary=False)
        return read_mesh_file(path)


def plate(count: int) -> tuple[Points, Cells]:
    """A plate of 2 x 1 with a round hole, from the hole to the outline in straight, skew rows."""
    around, across = 12 * count, 2 * count
    along = np.arange(around) / around * 6
    x = np.interp(along, [0, 0.5, 2.5, 3.5, 5.5, 6], [1, 1, -1, -1, 1, 1])
    y = np.interp(along, [0, 0.5, 2.5, 3.5, 5.5, 6], [0, 0.5, 0.5, -0.5, -0.5, 0])
    outline = np.stack([x, y], axis=1)
    hole = 0.18 * outline / np.hypot(x, y)[:, None]
    part = (np.arange(across + 1) / across)[:, None, None]
    points = (hole + part**1.5 * (outline - hole)).reshape(-1, 2) + np.array([1.0, 0.5])
    row, turn = np.meshgrid(np.arange(across), np.arange(around), indexing="ij")
    a, b = row * around + turn, row * around + (turn + 1) % around
    c, d = a + around, b + around
    return points, np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([b, d, c], -1).reshape(-1, 3)])


def bend(count: int) -> tuple[Points, Cells]:
    """An L of three squares, with right triangles that are sheared by their diagonals."""
    numbers = np.arange((2 * count + 1) ** 2).reshape(2 * count + 1, -1)
    grid = np.stack(np.meshgrid(*(np.linspace(0, 2, 2 * count + 1),) * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    a, b, c, d = numbers[:-1, :-1], numbers[:-1, 1:], numbers[1:, :-1], numbers[1:, 1:]
    cells = np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, b, d), (a, d, c))])
    cells = cells[(grid[cells].mean(axis=1) < 1).any(axis=1)]
    used, place = np.unique(cells, return_inverse=True)
    return grid[used], place.reshape(cells.shape)


def graded(count: int) -> tuple[Points, Cells]:
    """The L with cells that shrink towards its inner corner."""
    points, cells = bend(count)
    away = points - 1
    return 1 + np.sign(away) * np.abs(away) ** 1.5, cells


def sides_of(shape: Shape) -> tuple[Sides, Mapping[str, float]]:
    """Named sides of the plate or the L, and the values that they are held at."""
    if shape is plate:
        sides: Sides = {
            "hole": lambda x: np.hypot(x[:, 0] - 1, x[:, 1] - 0.5) < 0.3,
            "ends": lambda x: (x[:, 0] < 1e-9) | (x[:, 0] > 2 - 1e-9),
        }
        return sides, {"hole": 1.0, "ends": 0.0}
    sides = {"bottom": lambda x: x[:, 0] > 2 - 1e-9, "top": lambda x: x[:, 1] > 2 - 1e-9}
    return sides, {"bottom": 1.0, "top": 0.0}


def cube(count: int) -> tuple[Points, Cells]:
    """A cube of moved tetrahedra, six for each small cube."""
    points = np.stack(np.meshgrid(*(np.linspace(0, 1, count + 1),) * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    inner = ((points > 0) & (points < 1)).all(axis=1, keepdims=True)
    points += inner * np.random.default_rng(0).uniform(-0.15, 0.15, points.shape) / count
    strides = (count + 1) ** np.arange(3)[::-1]
    base = np.array([np.dot(at, strides) for at in itertools.product(range(count), repeat=3)])
    paths = [np.cumsum([0, *order]) for order in itertools.permutations(strides.tolist())]
    return points, np.concatenate([base[:, None] + path for path in paths])

"""Small mesh files of each format, and the checks of every accepted mesh."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import meshio
import numpy as np

from fuzz.oracle import require
from pisnn_deploy.mesh import read_mesh_file


def mesh_bytes(suffix: str, folder: Path, dims: int, **options: Any) -> bytes:
    """A square of eight triangles or two tetrahedra, with groups where meshio writes them."""
    axis = np.linspace(0.0, 1.0, 3)
    path = folder / f"seed{suffix}"
    if dims == 2:
        points = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
        corner = [i * 3 + j for i in range(2) for j in range(2)]
        cells = np.array([t for k in corner for t in ((k, k + 3, k + 4), (k, k + 4, k + 1))])
        blocks = [("line", np.array([[0, 1], [1, 2]])), ("triangle", cells)]
    else:
        points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]], np.float64)
        blocks = [("triangle", np.array([[0, 1, 2]])), ("tetra", np.array([[0, 1, 2, 3], [1, 2, 3, 4]]))]
    if dims == 2 and suffix in (".msh", ".vtk", ".vtu"):
        points = np.column_stack([points, np.zeros(len(points))])
    groups = [np.ones(len(blocks[0][1]), np.int64), np.arange(len(blocks[1][1])) % 2 + 2]
    content: dict[str, Any] = {}
    if options.get("file_format") == "gmsh":  # meshio writes no groups in it
        blocks = blocks[1:]
    elif suffix == ".msh":
        content = {
            "cell_data": {"gmsh:physical": groups, "gmsh:geometrical": groups},
            "field_data": {"left": np.array([1, dims - 1]), "iron": np.array([2, dims]), "tin": np.array([3, dims])},
        }
    elif suffix == ".mesh":
        content = {"cell_data": {"medit:ref": groups}}
    elif suffix == ".inp":
        blocks = blocks[1:]
    meshio.Mesh(points, blocks, **content).write(path, **options)
    return path.read_bytes()


def mesh_seeds(suffix: str, *options: dict[str, Any], more: tuple[bytes, ...] = ()) -> Any:
    """Seeds of a format: both dimensions with each set of meshio's options, and handwritten files."""
    return lambda folder: [*(mesh_bytes(suffix, folder, dims, **each) for each in options for dims in (2, 3)), *more]


def read_mesh(path: Path) -> None:
    """Read a mesh; an accepted one must have no defects, with and without reservoirs."""
    read = read_mesh_file(path)
    for names in ((), read.group_names[:1]):
        mesh = read.with_reservoirs(names)
        require(not list(mesh.defects()), f"a mesh was accepted that has defects: {list(mesh.defects())[:1]}")
        require(bool((mesh.geometry().volumes > 0).all()), "a mesh was accepted that has a cell without volume")

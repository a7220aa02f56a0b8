"""Materials and groups of meshes that the library reads: cell data, numbers of groups, cell sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import meshio
import numpy as np
import pytest

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.mesh import MeshFile, read_mesh_file

POINTS = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
TRIANGLES = np.array([[0, 1, 2], [0, 2, 3]])
LINES = np.array([[0, 1], [1, 2]])


def read(folder: Path, data: dict[str, Any], suffix: str = ".vtu") -> MeshFile:
    """A square of two triangles, with two of its sides as lines where the data has them."""
    blocks: list[tuple[str, Any]] = [("triangle", TRIANGLES)]
    if any(len(arrays) == 2 for arrays in data.values()):
        blocks.append(("line", LINES))
    path = folder / f"mesh{suffix}"
    options: dict[str, Any] = {} if suffix == ".mesh" else {"binary": True}
    meshio.Mesh(POINTS, blocks, cell_data=data).write(path, **options)
    return read_mesh_file(path)


@pytest.mark.parametrize("suffix", [".vtu", ".vtk"])
@pytest.mark.parametrize("name", ["MaterialIDs", "material_id", "Material", "Region", "CellEntityIds"])
@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8, np.float64])
def test_materials_by_number(suffix: str, name: str, dtype: type[np.generic], tmp_path: Path) -> None:
    other = [np.array([1, 2], np.int64)]
    file = read(tmp_path, {"a": other, name: [np.array([7, 0], dtype)], "z": other}, suffix)
    assert file.material_names == ("0", "7") and file.material.tolist() == [1, 0] and file.warnings == ()


def test_sides_by_number(tmp_path: Path) -> None:
    file = read(tmp_path, {"MaterialIDs": [np.array([1, 1]), np.array([0, 5])]})
    assert file.material_names == ("1",) and file.group_names == ("0", "5", "rest")


def test_the_only_integers_there_are(tmp_path: Path) -> None:
    file = read(tmp_path, {"phase": [np.array([3, 4])], "temperature": [np.array([0.5, 1.0])]})
    assert file.material_names == ("3", "4")
    assert file.warnings == ("mesh: materials are taken from the integer cell data 'phase'",)


@pytest.mark.parametrize(
    ("data", "warning"),
    [
        (
            {"a": [np.array([0, 1])], "b": [np.array([0, 1])]},
            "mesh: cell data 'a', 'b' is not used as materials: name the one that holds them 'MaterialIDs'",
        ),
        (
            {"MaterialIDs": [np.array([0.5, 1])]},
            "mesh: cell data 'MaterialIDs' is not used as materials: it is not one integer per cell",
        ),
        (
            {"MaterialIDs": [np.array([[0, 1, 2], [1, 2, 3]])]},
            "mesh: cell data 'MaterialIDs' is not used as materials: it is not one integer per cell",
        ),
    ],
)
def test_what_is_not_read_as_materials_is_told(data: dict[str, Any], warning: str, tmp_path: Path) -> None:
    file = read(tmp_path, data)
    assert file.material_names == ("default",) and file.warnings == (warning,)


def test_what_is_no_material(tmp_path: Path) -> None:
    ghosts = {"vtkGhostType": [np.array([0, 1], np.uint8)], "u": [np.array([0.0, 1.0])]}
    file = read(tmp_path, ghosts)
    assert file.material_names == ("default",) and file.warnings == ()


def test_zero_is_no_group_where_gmsh_or_medit_say_so(tmp_path: Path) -> None:
    for key, suffix in (("gmsh:physical", ".vtu"), ("medit:ref", ".mesh")):
        file = read(tmp_path, {key: [np.array([0, 3]), np.array([0, 5])]}, suffix)
        assert file.material_names == ("3", "default") and file.group_names == ("5", "rest")
    with pytest.raises(FileError, match="has elements whose group is not an integer"):
        read(tmp_path, {"gmsh:physical": [np.array([0.5, 3])]})

"""Meshes of every class answer for themselves."""

from __future__ import annotations

import numpy as np
import pytest
from models_under_test import box

from pisnn_deploy.mesh import CellMesh, Mesh
from pisnn_deploy.mesh.base import FaceMesh

TRIANGLES = CellMesh(
    points=np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.0]]),
    corners=np.array([[0, 1, 2], [0, 2, 3]]),
    source=np.array([0, 1]),
    target=np.array([1, 2]),
    face_corners=np.array([[0, 2], [2, 3]]),
    material=np.zeros(2, np.int64),
    material_names=("all",),
    group=np.zeros(1, np.int64),
    group_names=("top",),
)


@pytest.mark.parametrize("mesh", [box((5,)), box((3, 4)), box((2, 3, 4)), TRIANGLES])
def test_what_every_mesh_has(mesh: Mesh | CellMesh) -> None:
    assert isinstance(mesh, FaceMesh) and mesh.holders == mesh.cells + mesh.reservoirs
    assert len(mesh.axes) == len(mesh.shape) and np.prod(mesh.shape) == mesh.cells
    flux = np.arange(1, mesh.faces + 1)
    gain = mesh.divergence(flux)
    assert gain.shape == (mesh.holders,) and gain.sum() == 0
    line = mesh.middle_line()
    assert line.cells.size == line.positions.size > 0 and (np.diff(line.positions) > 0).all()
    assert mesh.described()["faces"] == mesh.faces


def test_rows_and_planes() -> None:
    row, plane = box((5,)), box((3, 4))
    assert row.is_line and not plane.is_line and not TRIANGLES.is_line
    assert [m.view().axes for m in (row, plane, TRIANGLES)] == [("position",), ("x", "y"), ("x", "y")]
    assert (row.middle_line().axis, plane.middle_line().axis, TRIANGLES.middle_line().axis) == ("position", "y", "x")
    assert plane.middle_line().cells.tolist() == [4, 5, 6, 7] and TRIANGLES.middle_line().cells.tolist() == [1, 0]
    assert plane.centres_along("x") is not None and TRIANGLES.centres_along("cell") is None
    assert TRIANGLES.middle_line().extent is None and row.middle_line().extent == row.lengths[0]

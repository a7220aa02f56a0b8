"""Meshes of every class answer for themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from models_under_test import box

from pisnn_deploy.mesh import CellMesh, Mesh, structured_mesh
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


def test_which_cells_are_drawn() -> None:
    row, plane, solid = (box(shape).view() for shape in ((5,), (3, 4), (3, 4, 5)))
    assert (row.kind, row.shape, row.profile) == ("line", (5,), range(5))
    assert (plane.kind, plane.shape, plane.profile) == ("plane", (3, 4), range(4, 8))
    assert (solid.axes, solid.shape, solid.plane) == (("y", "z"), (4, 5), ("x", 1, 3))
    assert solid.cells.tolist() == list(range(20, 40))
    thinned = box((8, 8)).view(16)
    assert thinned.stride == 2 and thinned.cells.reshape(4, 4)[:, 0].tolist() == [9, 25, 41, 57]
    triangles, dots = TRIANGLES.view(), TRIANGLES.view(1)
    assert (triangles.kind, dots.kind, triangles.profile) == ("triangles", "points", None)
    assert triangles.vertices is not None and triangles.vertices.shape == (2, 3, 2)
    assert dots.vertices is not None and dots.vertices.shape == (1, 1, 2) and dots.stride == 2


def test_borders_lie_between_materials() -> None:
    assert TRIANGLES.view().borders.size == 0
    two = replace(TRIANGLES, material=np.array([0, 1]), material_names=("a", "b"))
    assert two.view().borders.tolist() == [[[0.0, 0.0], [2.0, 1.0]]]


def test_conductances_are_resistances_in_series() -> None:
    grid = structured_mesh((2,), (1.0,), (("dirichlet", "no-flux"),))
    # A reservoir, half a cell of 2, then half a cell of 2 and half a cell of 4.
    assert grid.conductances(np.array([2.0, 4.0])) == pytest.approx([1 / (0.25 / 2), 1 / (0.25 / 2 + 0.25 / 4)])
    plane = structured_mesh((2, 4), (1.0, 1.0), (("no-flux", "no-flux"),) * 2)
    across = plane.conductances(np.ones(8))
    assert across[plane.axis == 0] == pytest.approx(0.25 / 0.5) and across[plane.axis == 1] == pytest.approx(0.5 / 0.25)
    # At right angles centres are centroids, one on either side of the diagonal.
    geometry = TRIANGLES.geometry()
    assert geometry.volumes.tolist() == [1.0, 1.0] and geometry.area == pytest.approx([5**0.5, 2.0])
    assert TRIANGLES.conductances(np.ones(2))[1] == pytest.approx(2.0 / (1 / 3))
    assert geometry.distance[1, 1] == 0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"target": np.array([1])}, "mesh source, target and material have sizes that do not match"),
        ({"target": np.array([1, 1])}, "a reservoir of the mesh does not have exactly one face"),
        ({"target": np.array([1, 3])}, "mesh target has a value outside 0 to 2"),
        ({"corners": np.array([[0, 1], [0, 2]])}, "mesh cells have 2 corners in 2 dimensions"),
        ({"points": TRIANGLES.points * 1e100}, "mesh points have a coordinate that is not below 1e+100"),
    ],
)
def test_defects_of_triangles(change: dict[str, Any], sentence: str) -> None:
    assert not [*TRIANGLES.defects()]
    assert sentence in [*replace(TRIANGLES, **change).defects()]


def test_defects_of_grids() -> None:
    grid = box((5,))
    assert not [*grid.defects()]
    (moved,) = replace(grid, target=grid.target[::-1].copy()).defects()
    assert moved == f"mesh target does not match shape (5,) with boundary {grid.boundary}"
    assert "mesh lengths (0.0,) give cells a volume of 0.0" in [*replace(grid, lengths=(0.0,)).defects()]


def test_on_a_grid_each_cell_and_each_reservoir_stands_for_itself() -> None:
    grid = structured_mesh((3,), (1.0,), (("dirichlet", "dirichlet"),))
    assert grid.material_of_cells.tolist() == [0, 1, 2] and grid.group_of_reservoirs.tolist() == [0, 1]
    assert grid.grid is grid and TRIANGLES.grid is None
    assert grid.volume == pytest.approx(1 / 3) and TRIANGLES.volume is None
    assert grid.angles() is None and TRIANGLES.angles().size == 1
    assert grid.lengths_by_name() == {"mesh length 0": 1.0} and TRIANGLES.lengths_by_name() == {}

"""Parts of a mesh that lie on each other without sharing points: found wherever they are, told, and joined if asked."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import meshio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pisnn_deploy.core.errors import FileError, UsageError
from pisnn_deploy.mesh import MeshFile, read_mesh_file, simplex_pairs
from pisnn_deploy.mesh.contact import find_contact

Points = NDArray[np.float64]
Indices = NDArray[np.int64]
Mesh = tuple[Points, Indices]


def box(counts: tuple[int, ...], origin: tuple[float, ...] = (), side: float = 1.0) -> Mesh:
    """A box of cubes of one size, each cut into 2 triangles or 6 tetrahedra."""
    dims = len(counts)
    shape = np.array(counts) + 1
    points = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1).reshape(-1, dims) * side
    stride = np.append(np.cumprod(shape[:0:-1])[::-1], 1)
    base = np.stack(np.meshgrid(*map(np.arange, counts), indexing="ij"), axis=-1).reshape(-1, dims) @ stride
    paths = [np.cumsum([0, *stride[list(order)]]) for order in itertools.permutations(range(dims))]
    return points + np.array(origin or (0.0,) * dims), np.concatenate([base[:, None] + path for path in paths])


def joined(*meshes: Mesh) -> Mesh:
    """Meshes side by side, with points of their own."""
    starts = np.cumsum([0, *(len(points) for points, _ in meshes)])
    return (
        np.concatenate([points for points, _ in meshes]),
        np.concatenate([cells + start for (_, cells), start in zip(meshes, starts, strict=False)]),
    )


def torn(mesh: Mesh, random: np.random.Generator, noise: float = 0.0) -> Mesh:
    """The same cells, each with points of its own in a random order, moved a little."""
    points, cells = mesh
    own = points[cells.reshape(-1)] + noise * random.uniform(-1, 1, (cells.size, points.shape[1]))
    order = random.permutation(cells.size)
    place = np.empty_like(order)
    place[order] = np.arange(cells.size)
    return own[order], place.reshape(cells.shape)


def read(mesh: Mesh, folder: Path, weld: float | None = None) -> MeshFile:
    points, cells = mesh
    kind = "triangle" if cells.shape[1] == 3 else "tetra"
    path = folder / "mesh.vtk"
    padded = np.pad(points, ((0, 0), (0, 3 - points.shape[1])))
    meshio.Mesh(padded, [(kind, cells)]).write(path, binary=False)
    return read_mesh_file(path, weld)


def refusal(mesh: Mesh, folder: Path, weld: float | None = None) -> str:
    with pytest.raises((FileError, UsageError)) as caught:
        read(mesh, folder, weld)
    return str(caught.value).removeprefix(f"{folder / 'mesh.vtk'}: ")


@pytest.mark.parametrize("dims", [2, 3])
def test_a_good_mesh_has_nothing_to_tell(dims: int, tmp_path: Path) -> None:
    file = read(box((3,) * dims), tmp_path)
    assert file.warnings == () and file.welded is None
    contact = find_contact(file.points, file.corners, file.interior, file.boundary, file.boundary_corners)
    assert contact.parts == (3**dims * math.factorial(dims),) and contact.is_complete
    assert not len(contact.overlaps) and not contact.matching and not contact.odd.size


@pytest.mark.parametrize("dims", [2, 3])
def test_two_bodies_that_touch(dims: int, tmp_path: Path) -> None:
    rest = (2,) * (dims - 1)
    two = joined(box((2, *rest)), box((3, *rest), (2.0,) + (0.0,) * (dims - 1)))
    sides, pairs, cells = {2: (4, 3, "12, 8"), 3: (16, 9, "72, 48")}[dims]
    zeros = ", 0" * (dims - 1)
    assert read(two, tmp_path).warnings == (
        f"mesh: the cells form 2 disconnected parts ({cells} cells); nothing flows between them",
        f"mesh: {sides} cell faces lie on each other without sharing points, so nothing flows through them; {pairs} "
        f"pairs of points coincide, the first at (2{zeros}); --weld 0.001 joins them",
    )
    file = read(two, tmp_path, 0.001)
    whole = read(box((5, *rest)), tmp_path)
    assert file.warnings == () and file.welded == pairs
    assert len(file.interior) == len(whole.interior) and len(file.points) == len(whole.points)


def test_bodies_apart_are_counted(tmp_path: Path) -> None:
    file = read(joined(box((2, 2)), box((1, 1), (4.0, 0.0)), box((1, 1), (8.0, 0.0))), tmp_path)
    assert file.warnings == ("mesh: the cells form 3 disconnected parts (8, 2, 2 cells); nothing flows between them",)


def test_a_crack(tmp_path: Path) -> None:
    points, cells = box((4, 2))
    inner = int(np.flatnonzero((points == (2, 0)).all(axis=1))[0])
    right = (points[cells][:, :, 0].mean(axis=1) > 2) & (cells == inner).any(axis=1)
    cells = np.where(right[:, None] & (cells == inner), len(points), cells)
    file = read((np.append(points, points[[inner]] + (1e-4, 0), 0), cells), tmp_path)
    assert file.warnings == (
        "mesh: 2 cell faces lie on each other without sharing points, so nothing flows through them; 1 pair of "
        "points coincide, up to 0.0001 apart, the first at (2, 0); --weld 0.001 joins them",
    )


@pytest.mark.parametrize("dims", [2, 3])
def test_halves_that_do_not_match(dims: int, tmp_path: Path) -> None:
    rest = (0.0,) * (dims - 1)
    fine = box((2,) * dims, (1.0, *rest), 0.5)
    file = read(joined(box((1,) * dims), fine), tmp_path)
    sides = {2: 1 + 2, 3: 2 + 8}[dims]
    assert file.warnings[1].startswith(f"mesh: {sides} cell faces touch faces with other corners, the first ")
    assert file.warnings[1].endswith("and --weld cannot join them: mesh both parts together")


def test_other_diagonals_do_not_match(tmp_path: Path) -> None:
    points, cells = box((1, 1, 1))
    turned = np.stack([1 + points[:, 0], points[:, 1], 1 - points[:, 2]], axis=1)
    file = read(joined((points, cells), (turned, cells)), tmp_path)
    assert file.warnings[1].startswith("mesh: 4 cell faces touch faces with other corners, ")


@pytest.mark.parametrize("dims", [2, 3])
def test_a_body_twice(dims: int, tmp_path: Path) -> None:
    once = box((2,) * dims)
    count = len(once[1])
    assert refusal(joined(once, once), tmp_path).startswith(
        f"has {count} cells twice, with different points: first numbers 0 and {count} counted from 0, around ("
    )
    assert refusal(joined(once, once), tmp_path, 1e-6) == f"has a cell twice, numbers 0 and {count} counted from 0"


@pytest.mark.parametrize("shift", [(0.5, 0.25), (0.03, 0.0), (1.9, 1.9), (-3.1, -3.3)])
def test_bodies_that_overlap(shift: tuple[float, float], tmp_path: Path) -> None:
    message = refusal(joined(box((2, 2)), box((8, 8), shift)), tmp_path)
    assert message.startswith("has overlapping cells, at least ") and " counted from 0, around (" in message


def test_a_small_cell_inside_of_a_large_one(tmp_path: Path) -> None:
    for dims in (2, 3):
        small = box((1,) * dims, (0.2,) * dims, 1e-3)
        assert refusal(joined(box((1,) * dims), small), tmp_path).startswith("has overlapping cells, at least ")


def test_a_mesh_that_winds_around_a_point_twice(tmp_path: Path) -> None:
    turns = np.arange(0, 4 * np.pi - 1e-9, np.pi / 4)
    rim = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    numbers = np.arange(turns.size)
    cells = np.stack([np.zeros_like(numbers), 1 + numbers, 1 + (numbers + 1) % turns.size], axis=1)
    assert "cells twice, with different points" in refusal((np.append([[0.0, 0.0]], rim, 0), cells), tmp_path)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 3), st.integers(0, 10**6), st.sampled_from((0.0, 1e-9, 1e-4)), st.integers(-6, 6))
def test_torn_cells_are_found_and_welded(dims: int, seed: int, noise: float, power: int) -> None:
    """Every cell with points of its own: all inner faces are told, and welding brings the mesh back."""
    random = np.random.default_rng(seed)
    scale = 10.0**power
    points, cells = box(tuple(random.integers(1, 3, dims)))
    points = points * scale
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        whole = read((points, cells), Path(folder))
        loose = torn((points, cells), random, noise * scale)
        file = read(loose, Path(folder))
        inner = len(whole.interior)
        assert any(text.startswith(f"mesh: {2 * inner} cell faces lie on each other") for text in file.warnings)
        welded = read(loose, Path(folder), max(4 * noise, 1e-6) * scale)
    assert welded.warnings == () and len(welded.points) == len(whole.points) and len(welded.interior) == inner
    assert welded.welded == cells.size - len(points)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 3), st.integers(0, 10**6))
def test_overlaps_are_those_of_a_search_among_all_pairs(dims: int, seed: int) -> None:
    """A random heap of simplices: what is found is what brute force finds, by a linear program of the test's own."""
    from scipy.optimize import linprog

    random = np.random.default_rng(seed)
    count = 12
    at = random.uniform(0, 3, (count, 1, dims)) + random.uniform(-1, 1, (count, dims + 1, dims))
    volumes = abs(np.linalg.det(at[:, 1:] - at[:, :1]))
    at = at[volumes > 0.2]
    cells = np.arange(at.shape[0] * (dims + 1)).reshape(-1, dims + 1)
    faces = np.concatenate([np.delete(cells, k, axis=1) for k in range(dims + 1)])
    none = np.zeros((0, 2), np.int64)
    contact = find_contact(at.reshape(-1, dims), cells, none, np.tile(np.arange(len(cells)), dims + 1), faces)
    found = set(map(tuple, contact.overlaps.tolist()))
    for one, other in itertools.combinations(range(len(cells)), 2):
        # The largest w such that a point has all barycentric coordinates in both at least w.
        equal = np.zeros((dims + 2, 2 * (dims + 1) + 1))
        equal[:dims, : dims + 1], equal[:dims, dims + 1 : -1] = at[one].T, -at[other].T
        equal[dims, : dims + 1] = equal[dims + 1, dims + 1 : -1] = 1
        above = np.column_stack([-np.eye(2 * (dims + 1)), np.ones(2 * (dims + 1))])
        solved = linprog(
            np.append(np.zeros(2 * (dims + 1)), -1.0),
            above,
            np.zeros(2 * (dims + 1)),
            equal,
            np.append(np.zeros(dims), [1, 1]),
            bounds=(None, None),
        )
        if abs(solved.fun) > 0.05:
            assert ((one, other) in found) == (-solved.fun > 0)


def test_needles_are_not_searched_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simplex_pairs, "MOST_PAIRS", 1)
    angles = np.linspace(0, 1, 200)
    fan = np.append([[0.0, 0.0]], np.stack([np.cos(angles), np.sin(angles)], axis=1), 0)
    numbers = np.arange(1, 200)
    cells = np.stack([np.zeros_like(numbers), numbers, numbers + 1], axis=1)
    assert read((fan, cells), tmp_path).warnings == (
        "mesh: not all pairs of cells were checked for overlap and contact, because cells are very thin or very "
        "dense in places",
    )


@pytest.mark.parametrize(
    ("tolerance", "problem"),
    [
        (0.0, "weld: the tolerance 0 is not a positive number"),
        (-1.0, "weld: the tolerance -1 is not a positive number"),
        (math.nan, "weld: the tolerance nan is not a positive number"),
        (math.inf, "weld: the tolerance inf is not a positive number"),
        (
            1.0,
            "welding within 1 would join corners of a cell: the shortest edge is 1; choose a smaller tolerance",
        ),
    ],
)
def test_tolerances_that_cannot_be_used(tolerance: float, problem: str, tmp_path: Path) -> None:
    assert refusal(box((2, 2)), tmp_path, tolerance) == problem


def test_a_chain_of_points_may_not_join_a_cell(tmp_path: Path) -> None:
    triangle = np.array([(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)])
    chain = [(np.array([(x, 0.0), (x, -9.0), (x + 0.6, -9.0)]), np.array([[0, 1, 2]])) for x in (0.3, 0.55)]
    message = refusal(joined((triangle, np.array([[0, 1, 2]])), *chain), tmp_path, 0.5)
    assert message == (
        "welding within 0.5 would join corners of cell 0 through points between them; choose a smaller tolerance"
    )


def test_nothing_to_weld_is_told(tmp_path: Path) -> None:
    file = read(box((2, 2)), tmp_path, 0.25)
    assert file.welded == 0 and file.warnings == (
        "mesh: --weld joined no points, because none lie within 0.25 of each other",
    )


def test_sides_with_points_of_their_own(tmp_path: Path) -> None:
    points, cells = box((2, 2))
    left = np.flatnonzero(points[:, 0] == 0)
    lines = len(points) + np.stack([np.arange(2), np.arange(1, 3)], axis=1)
    every = np.pad(np.concatenate([points, points[left]]), ((0, 0), (0, 1)))
    tags = [np.array([5, 5]), np.full(len(cells), 6)]
    path = tmp_path / "mesh.msh"
    meshio.Mesh(
        every,
        [("line", lines), ("triangle", cells)],
        cell_data={"gmsh:physical": tags, "gmsh:geometrical": tags},
        field_data={"left": np.array([5, 1])},
    ).write(path, file_format="gmsh22", binary=False)
    assert read_mesh_file(path).elsewhere["left"] == "(2 edges) contains no face of a cell"
    file = read_mesh_file(path, 1e-6)
    assert file.welded == 3 and file.warnings == () and len(file.points) == len(points)
    assert file.group_names == ("left", "rest") and file.boundary_group.tolist().count(0) == 2

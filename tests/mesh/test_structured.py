"""Faces, incidence, reservoirs and windows of structured meshes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from models_under_test import box

from pisnn_deploy.mesh import Mesh, Sides, Wall, reservoir_layers, structured_mesh, window_cells
from pisnn_deploy.mesh.window import QUADRATIC

pairs: st.SearchStrategy[Sides] = st.sampled_from(
    [
        ("periodic", "periodic"),
        ("no-flux", "no-flux"),
        ("dirichlet", "dirichlet"),
        ("no-flux", "dirichlet"),
        ("dirichlet", "no-flux"),
    ]
)
axes = st.lists(st.tuples(st.integers(1, 5), pairs), min_size=1, max_size=3)


def mesh_of(axes: list[tuple[int, Sides]]) -> Mesh:
    return structured_mesh(tuple(count for count, _ in axes), (1.0,) * len(axes), tuple(sides for _, sides in axes))


@given(axes, st.integers(0, 2**31))
def test_what_leaves_a_holder_enters_another(axes: list[tuple[int, Sides]], seed: int) -> None:
    mesh = mesh_of(axes)
    packets = np.random.default_rng(seed).integers(-100, 100, mesh.faces)
    assert mesh.divergence(packets).sum() == 0 and mesh.divergence(packets).size == mesh.holders
    faces = {"periodic": 0, "no-flux": -1, "dirichlet": 1}
    expected = sum(mesh.cells // count * (2 * count + faces[a] + faces[b]) // 2 for count, (a, b) in axes)
    assert mesh.faces == expected
    ends = np.concatenate([mesh.source, mesh.target])
    reservoirs = np.sort(ends[ends >= mesh.cells]) - mesh.cells
    assert np.array_equal(reservoirs, np.arange(mesh.reservoirs)), "each reservoir has one face"


@given(axes)
def test_layers_name_each_reservoir_once(axes: list[tuple[int, Sides]]) -> None:
    mesh = mesh_of(axes)
    numbers = [layer.reshape(-1) for pair in reservoir_layers(mesh) for layer in pair]
    assert np.array_equal(np.sort(np.concatenate(numbers)), np.arange(mesh.reservoirs))


def test_a_packet_moves_from_source_to_target() -> None:
    assert box((3,), "no-flux").divergence(np.array([5, 0])).tolist() == [-5, 5, 0]
    assert box((2,), "dirichlet=0,0").divergence(np.array([5, 0, 0])).tolist() == [5, 0, -5, 0]


@pytest.mark.parametrize(
    ("boundary", "face", "expected"),
    [
        ("periodic", 0, [3, 0, 1, 2]),
        ("periodic", 3, [2, 3, 0, 1]),
        ("no-flux", 0, [0, 0, 1, 2]),
        ("no-flux", 2, [1, 2, 3, 3]),
    ],
)
def test_window_of_a_face(boundary: str, face: int, expected: list[int]) -> None:
    window = window_cells(box((4,), boundary), 2, 0, np.zeros(0))
    assert window.cell[face, :, 0].tolist() == expected
    assert (window.numerator == 1).all() and window.denominator == 1 and not window.offset.any()


def test_windows_wider_than_the_mesh_reflect_again() -> None:
    assert window_cells(box((2,), "no-flux"), 4, 0, np.zeros(0)).cell[0, :, 0].tolist() == [1, 1, 0, 0, 1, 1, 0, 0]
    window = window_cells(box((2,), "dirichlet=10,20"), 3, 0, np.array([10, 20]))
    assert window.cell[0, :, 0].tolist() == [1, 1, 0, 0, 1, 1]
    assert window.numerator[0, :, 0].tolist() == [1, -1, -1, 1, 1, -1]
    assert window.offset[0].tolist() == [-20, 20, 20, 0, 0, 40]


def test_windows_follow_the_axis_of_the_face() -> None:
    mesh = structured_mesh((3, 4), (3.0, 4.0), (("periodic", "periodic"), ("no-flux", "no-flux")))
    cell = window_cells(mesh, 1, 0, np.zeros(0)).cell[:, :, 0]
    assert (cell[:, 0] == mesh.source).all() and (cell[:, 1] == mesh.target).all()
    assert mesh.spacing == (1.0, 1.0) and mesh.volume == 1.0 and mesh.boundary_text == "x: periodic, y: no-flux"


def test_transverse_positions_come_after_those_along_the_axis() -> None:
    mesh = box((4, 5))
    window = window_cells(mesh, 1, 1, np.zeros(0))
    face = int(np.flatnonzero((mesh.source == 6) & (mesh.axis == 0))[0])
    assert window.cell[face, :, 0].tolist() == [5, 6, 7, 10, 11, 12]
    face = int(np.flatnonzero((mesh.source == 6) & (mesh.axis == 1))[0])
    assert window.cell[face, :, 0].tolist() == [1, 6, 11, 2, 7, 12]


@pytest.mark.parametrize("wall", ["reflection", QUADRATIC])
@pytest.mark.parametrize("axis", [0, 1])
def test_ghost_cells_continue_a_slope_beyond_reservoirs(wall: Wall, axis: int) -> None:
    mesh = box((4, 6), "x=dirichlet=0,0 y=dirichlet=0,0")
    along = np.indices(mesh.shape)[axis].reshape(-1) + 0.5
    held = np.zeros(mesh.reservoirs)
    for a, pair in enumerate(reservoir_layers(mesh)):
        for which, numbers in enumerate(pair):
            held[numbers] = which * mesh.shape[axis] if a == axis else np.arange(numbers.size) + 0.5
    seen = window_cells(mesh, 3, 0, held, wall).values(along)
    steps = np.diff(seen[mesh.axis == axis], axis=1)
    assert np.abs(steps - 1).max() < 1e-12


def test_quadratic_ghost_cells_are_averages_of_the_parabola() -> None:
    mesh = box((5,), "dirichlet=0,0")
    edges = np.arange(-4.0, 10.0)
    averages = np.diff(edges**3 / 3 - edges**2 + 7 * edges)  # of x^2 - 2 x + 7
    seen = window_cells(mesh, 4, 0, np.array([7.0, 22.0]), QUADRATIC).values(averages[4:9])
    expected = np.stack([averages[face : face + 8] for face in range(6)])
    assert np.abs(seen - expected).max() < 1e-12

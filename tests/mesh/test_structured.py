"""Faces, incidence and windows of structured meshes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pisnn_deploy.mesh import Side, structured_mesh
from pisnn_deploy.mesh.structured import window_cells

sides: st.SearchStrategy[Side] = st.sampled_from(["periodic", "no-flux"])
axes = st.lists(st.tuples(st.integers(1, 5), sides), min_size=1, max_size=3)


@given(axes, st.integers(0, 2**31))
def test_what_leaves_a_cell_enters_another(axes: list[tuple[int, Side]], seed: int) -> None:
    shape = tuple(count for count, _ in axes)
    mesh = structured_mesh(shape, (1.0,) * len(axes), tuple(side for _, side in axes))
    packets = np.random.default_rng(seed).integers(-100, 100, mesh.faces)
    assert mesh.divergence(packets).sum() == 0
    expected = sum(int(np.prod(shape)) // count * (count if side == "periodic" else count - 1) for count, side in axes)
    assert mesh.faces == expected


def test_a_packet_moves_from_source_to_target() -> None:
    mesh = structured_mesh((3,), (1.0,), ("no-flux",))
    assert mesh.divergence(np.array([5, 0])).tolist() == [-5, 5, 0]


@pytest.mark.parametrize(
    ("boundary", "face", "expected"),
    [
        ("periodic", 0, [3, 0, 1, 2]),
        ("periodic", 3, [2, 3, 0, 1]),
        ("no-flux", 0, [0, 0, 1, 2]),
        ("no-flux", 2, [1, 2, 3, 3]),
    ],
)
def test_window_of_a_face(boundary: Side, face: int, expected: list[int]) -> None:
    mesh = structured_mesh((4,), (1.0,), (boundary,))
    assert window_cells(mesh, 2)[face].tolist() == expected


def test_windows_wider_than_the_mesh_reflect_again() -> None:
    mesh = structured_mesh((2,), (1.0,), ("no-flux",))
    assert window_cells(mesh, 4)[0].tolist() == [1, 1, 0, 0, 1, 1, 0, 0]


def test_windows_follow_the_axis_of_the_face() -> None:
    mesh = structured_mesh((3, 4), (3.0, 4.0), ("periodic", "no-flux"))
    windows = window_cells(mesh, 1)
    assert (windows[:, 0] == mesh.source).all() and (windows[:, 1] == mesh.target).all()
    assert mesh.spacing == (1.0, 1.0) and mesh.volume == 1.0

"""Integers on meshes converge like h^2 beside linear finite elements of scikit-fem, as the page of meshes says."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("skfem", reason="scikit-fem is not installed")

from benchmarks import meshes
from benchmarks.parts import shapes
from benchmarks.parts.shapes import Points, Shape, Sides


def figures(rows: list[str]) -> tuple[Points, Points]:
    """Two-point, multi-point, integer and P1 errors of each mesh, and their orders in the last refinement."""
    cells = [[word.strip() for word in row.strip("| \n").split("|")] for row in rows]
    return np.array([row[1:5] for row in cells[:-1]], np.float64), np.array(cells[-1][1:5], np.float64)


@pytest.mark.parametrize(
    ("shape", "counts", "least"),
    [(shapes.plate, (2, 4), 1.9), (shapes.bend, (4, 8), 1.1), (shapes.graded, (4, 8), 1.6)],
    ids=["plate", "bend", "graded"],
)
def test_integers_in_the_plane_are_as_exact_as_the_floats_and_as_elements(
    shape: Shape, counts: tuple[int, ...], least: float
) -> None:
    sides, values = shapes.sides_of(shape)
    errors, orders = figures(list(meshes.convergence(shape, counts, sides, values)))
    two, several, integers, elements = errors.T
    assert (integers <= 1.05 * several).all() and (integers <= 2 * elements).all() and (two > 5 * integers).all()
    assert orders[2] > least


def test_integers_in_a_cube_beat_elements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meshes, "COUNTS_OF_CUBE", (2, 4))
    errors, orders = figures(list(meshes.tetrahedra()))
    _, several, integers, elements = errors.T
    assert (integers <= several).all() and (integers < elements).all() and orders[2] > 1.7


def test_elements_are_exact_for_linear_fields() -> None:
    sides: Sides = {"low": lambda x: x[:, 0] < 1e-9, "high": lambda x: x[:, 0] > 1 - 1e-9}
    points, cells = shapes.cube(2)
    solution = meshes.finite_elements(points, cells, sides, {"low": 0.0, "high": 1.0})
    assert np.abs(solution - points[:, 0]).max() < 1e-12

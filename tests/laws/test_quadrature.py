from __future__ import annotations

import math

import numpy as np
import pytest

from pisnn_deploy.laws.expression import parse
from pisnn_deploy.laws.grid import Grid, averaged_down
from pisnn_deploy.laws.quadrature import box_averages, cell_averages

LINE = Grid((10,), (2.0,), (-1.0,))
SQUARE = Grid((12, 8), (3.0, 2.0), (-1.5, -1.0))


def test_polynomials_of_degree_7_are_exact() -> None:
    averages = cell_averages([parse("x**7 - 3*x**2 + a", ["x", "a"], "f")], {"a": 2.0}, LINE)
    edges = LINE.edges(0)
    exact = np.diff(edges**8 / 8 - edges**3 + 2 * edges) / LINE.spacing[0]
    np.testing.assert_allclose(averages[0], exact, rtol=0, atol=1e-14)


def test_products_in_a_plane_are_exact() -> None:
    averages = cell_averages([parse("x**3*y**2 + y", ["x", "y"], "f")], {}, SQUARE)
    along_x = np.diff(SQUARE.edges(0) ** 4 / 4) / SQUARE.spacing[0]
    along_y = np.diff(SQUARE.edges(1) ** 3 / 3) / SQUARE.spacing[1]
    means = SQUARE.centres(1)
    np.testing.assert_allclose(averages[0], np.outer(along_x, along_y) + means, rtol=0, atol=1e-13)


@pytest.mark.parametrize("place", [0.0, 0.05, 0.123456789, -0.999, 1 / 3])
def test_a_jump_on_a_line_is_exact_wherever_it_is(place: float) -> None:
    averages = cell_averages([parse("where(x < a, 2, 1)", ["x", "a"], "f")], {"a": place}, LINE)
    edges = LINE.edges(0)
    exact = 1 + np.diff(np.minimum(edges, place)) / LINE.spacing[0]
    np.testing.assert_allclose(averages[0], exact, rtol=0, atol=1e-11)


@pytest.mark.parametrize(
    ("text", "integral"), [("abs(x - 0.3)", 1.09), ("max(x, 0.3)", 0.845), ("min(x, 0.3)", -0.245)]
)
def test_a_kink_is_exact(text: str, integral: float) -> None:
    averages = cell_averages([parse(text, ["x"], "f")], {}, LINE)
    assert float(averages[0].sum()) * LINE.spacing[0] == pytest.approx(integral, abs=1e-12)


def test_the_area_of_a_disc() -> None:
    averages = cell_averages([parse("where(x**2 + y**2 < 0.64, 1, 0)", ["x", "y"], "f")], {}, SQUARE)
    assert float(averages[0].sum()) * SQUARE.volume == pytest.approx(0.64 * math.pi, abs=2e-5)
    finer = cell_averages([parse("where(x**2 + y**2 < 0.64, 1, 0)", ["x", "y"], "f")], {}, SQUARE.refined(4))
    assert np.abs(averaged_down(finer[0], 4) - averages[0]).max() < 1e-4


def test_boxes_of_any_size() -> None:
    corners, widths = np.array([[0.0], [0.25], [0.9]]), np.array([[0.25], [0.65], [1.0]])
    averages = box_averages(parse("where(x < 0.5, x, 1)", ["x"], "f"), {}, corners, widths)
    expected = [0.125, ((0.25 - 0.0625) / 2 + 0.4) / 0.65, 1.0]
    np.testing.assert_allclose(averages, expected, rtol=0, atol=1e-12)


def test_a_constant_and_a_smooth_function_in_space() -> None:
    box = Grid((3, 4, 5), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    flat, wave = cell_averages([parse("a", ["a"], "f"), parse("sin(x)*y*z", ["x", "y", "z"], "f")], {"a": 3.0}, box)
    assert np.array_equal(flat, np.full((3, 4, 5), 3.0))
    assert float(wave.mean()) == pytest.approx((1 - math.cos(1.0)) / 4, abs=1e-12)

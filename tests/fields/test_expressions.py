"""Initial fields from expressions: averages of cells, not values at centres."""

from __future__ import annotations

import math

import numpy as np
import pytest
from laws_compiled import compiled_law
from models_under_test import compiled, compiled_box, plane_model, space_model
from two_point_graphs import base

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.fields.expressions import averages_of
from pisnn_deploy.fields.formats import is_field_file
from pisnn_deploy.graph.places import centres_of
from pisnn_deploy.project.own_problem import is_name
from pisnn_deploy.project.starting import initial_mass


def test_a_wave_is_averaged_over_each_cell() -> None:
    edges = np.linspace(0, 1, 9)
    exact = 1 + 0.5 * np.diff(np.sin(2 * math.pi * edges)) / (2 * math.pi / 8)
    values = averages_of(compiled(cells=8), "1 + 0.5*cos(2*pi*x)")
    assert np.abs(values - exact).max() < 1e-12
    assert averages_of(compiled(cells=8), "where(x < 0.5, 1, 0)").tolist() == pytest.approx([1.0] * 4 + [0.0] * 4)


def test_axes_are_those_of_the_mesh() -> None:
    plane, space = compiled_box(plane_model(), (5, 6), "periodic"), compiled_box(space_model(), (6, 5, 7), "no-flux")
    assert averages_of(plane, "x + 10*y").reshape(5, 6)[1, 2] == pytest.approx(1.5 + 25)
    assert averages_of(space, "x + 10*y + 100*z").reshape(6, 5, 7)[1, 2, 3] == pytest.approx(1.5 + 25 + 350)
    with pytest.raises(UsageError, match="`initial`: column 1: unknown name 'z'; known are x, y, pi"):
        averages_of(plane, "z")


def test_triangles_average_polynomials_exactly() -> None:
    graph = base("triangles")
    points, corners = graph.mesh.simplices  # type: ignore[misc]
    middles = points[corners].mean(axis=1)
    assert np.abs(averages_of(graph, "1 + x - 2*y") - (1 + middles[:, 0] - 2 * middles[:, 1])).max() < 1e-14
    # The average of x^2 over a triangle is (the sum of x_i^2 and x_i x_j) / 6.
    x = points[corners][..., 0]
    squares = ((x**2).sum(axis=1) + x[:, 0] * x[:, 1] + x[:, 1] * x[:, 2] + x[:, 2] * x[:, 0]) / 6
    assert np.abs(averages_of(graph, "x**2") - squares).max() < 1e-14
    assert averages_of(graph, "2").tolist() == [2.0] * 4 and centres_of(graph).shape == (4, 2)


def test_each_field_of_a_law_has_an_expression() -> None:
    graph = compiled_law("shallow_water1d", (16,))
    text = averages_of(graph, "h = 1 + 0.1*where(x < 0, 1, 0); q = 0")
    assert text.tolist() == averages_of(graph, {"q": "0", "h": "1 + 0.1*where(x < 0, 1, 0)"}).tolist()
    assert text.reshape(2, 16)[0].tolist() == pytest.approx([1.1] * 8 + [1.0] * 8)
    assert (initial_mass(graph, {"q": "0", "h": "1.5"})[0].reshape(2, 16)[1] == 0).all()
    for wrong, message in {
        "1": "the graph has 2 fields; write one expression for each: h = ...; q = ...",
        "h = 1": "has the fields h, the graph h, q",
        "h = 1; h = 2": "h is given twice",
        "h = 1; 2": "'2' names no field; write h = ...; q = ...",
        "h = 1; q = k": "q: column 2: unknown name 'k'",
        "h = 1; q = 1/0": "q: has no finite average in cell 0",
    }.items():
        with pytest.raises(UsageError) as refused:
            averages_of(graph, wrong)
        assert message in str(refused.value)


def test_names_files_and_expressions_are_told_apart() -> None:
    files = {"a.npy": True, "1.e3": False, "0.5*x": False, "cos(x)/2.": False, "modes": False, "x" * 5000: False}
    assert {text: is_field_file(text) for text in files} == files
    graph = compiled(cells=8)
    assert [is_name(graph, text) for text in ("modes", "x", "pi", "2", "1 + x")] == [True, False, False, False, False]

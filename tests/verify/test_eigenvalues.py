"""Eigenvalues are proved to be real and between bounds, or left open."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from models_under_test import compiled_box, laplace_model
from numpy.typing import NDArray

from pisnn_deploy.graph import Claim, IntegerGraph
from pisnn_deploy.verify.eigenvalues import real_span
from pisnn_deploy.verify.exactness import axes_hold, why_assumed
from pisnn_deploy.verify.faces import face_of
from pisnn_deploy.verify.waves import axis_gains, axis_matrices, modulus


def spectrum(matrix: NDArray[np.int64]) -> tuple[float, float]:
    values = np.linalg.eigvals(matrix)
    return float(values.real.min()), float(values.real.max())


@pytest.mark.parametrize("count", [1, 2, 7, 12])
@pytest.mark.parametrize("is_mirrored", [False, True])
def test_bounds_hold_the_eigenvalues_closely(count: int, is_mirrored: bool) -> None:
    random, proved = np.random.default_rng(count), 0
    for _ in range(20):
        apart, matrix = 1000 * np.arange(count), random.integers(-40, 41, (count, count))
        if is_mirrored:
            apart, matrix = np.minimum(apart, apart[::-1]), matrix + matrix[::-1, ::-1]
        matrix += np.diag(apart)
        span, (low, high) = real_span(matrix), spectrum(matrix)
        if span is not None:
            proved += 1
            assert span[0] <= low + 1e-6 and high - 1e-6 <= span[1]
            assert low - 1e-3 < span[0] <= span[1] < high + 1e-3
    assert proved > 5


def test_constants_of_a_periodic_line_have_the_eigenvalue_0_exactly() -> None:
    count = 16
    matrix = -2 * np.eye(count, dtype=np.int64)
    for step in (1, -1):
        matrix += np.roll(np.eye(count, dtype=np.int64), step, 1)
    span = real_span(matrix)
    assert span is not None and span[1] == 0 and abs(span[0] + 4) < Fraction(1, 10**6)
    matrix[0, 0] += 1  # a source
    span = real_span(matrix)
    assert span is not None and span[1] > 0


@pytest.mark.parametrize(
    "matrix",
    [
        [[0, 1], [-1, 0]],  # complex
        [[0, 1], [0, 0]],  # without a basis
        [[5, 0, 1], [0, 5, 0], [0, 0, 5]],
        [[0, 1 << 47], [1, 0]],  # irrational, and badly scaled
    ],
)
def test_what_cannot_be_proved_is_left_open_or_right(matrix: list[list[int]]) -> None:
    span = real_span(np.array(matrix, np.int64))
    assert span is None or (span[0] <= spectrum(np.array(matrix))[0] and spectrum(np.array(matrix))[1] <= span[1])
    assert span is None or matrix[0][1] > 1


def test_a_wrong_basis_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What floats suggest needs no trust: nonsense leads to no bounds, or to wide ones that hold."""
    matrix = np.array([[-3, 1, 0], [1, -2, 2], [0, 1, -5]])
    low, high = spectrum(matrix)
    random = np.random.default_rng(3)
    for _ in range(50):
        basis = random.normal(size=(3, 3))
        monkeypatch.setattr(np.linalg, "eig", lambda _, basis=basis: (np.zeros(3), basis))
        span = real_span(matrix)
        assert span is None or (span[0] <= low and high <= span[1])


def laplace(shape: tuple[int, int] = (20, 16), sides: str = "x=dirichlet=0,1 y=dirichlet=0,0") -> IntegerGraph:
    return compiled_box(laplace_model(), shape, sides)


@pytest.mark.parametrize("sides", ["x=dirichlet=0,1 y=dirichlet=0,0", "x=dirichlet=0,1 y=no-flux", "x=dirichlet=0,1"])
def test_stability_between_walls_of_parabolas_is_proved_exactly(sides: str) -> None:
    graph = laplace(sides=sides if " " in sides else f"{sides} y=periodic")
    assert graph.certificate is not None and graph.certificate.stability.method == "axis-eigenvalues"
    assert why_assumed(graph, "stability") == ""
    matrices, unit = axis_matrices(graph)
    assert [len(matrix) for matrix in matrices] == [20, 16]
    for matrix in matrices:
        span = real_span(matrix)
        assert span is not None and -2 * unit < span[0] < span[1] <= 0
    figure = float(graph.certificate.stability.figures["modulus"])
    assert axes_hold(graph, figure) and not axes_hold(graph, figure - 1e-6)
    assert modulus(axis_gains(graph), face_of(graph).leak) == pytest.approx(figure, abs=1e-9)


def test_what_is_not_proved_exactly_is_assumed(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = laplace()
    monkeypatch.setattr("pisnn_deploy.verify.exactness.real_span", lambda matrix: None)
    assert why_assumed(graph, "stability") == "the largest factor is computed in float64, so it is assumed"
    monkeypatch.setattr("pisnn_deploy.verify.exactness.real_span", lambda matrix: (Fraction(-1), Fraction(1, 1 << 20)))
    assert why_assumed(graph, "stability")  # a mode grows, if ever so slowly
    monkeypatch.setattr("pisnn_deploy.verify.exactness.real_span", lambda matrix: (Fraction(-1 << 20), Fraction(0)))
    assert why_assumed(graph, "stability")


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        ("multi-point", "what distances, areas and materials give is computed in float64, so it is assumed"),
        ("constant-states", "what the law gives at these states is computed in float64, so it is assumed"),
        ("moments", ""),
    ],
)
def test_equations_that_rest_on_floats_are_assumed(method: str, reason: str) -> None:
    graph = laplace()
    assert graph.certificate is not None
    claim = Claim("proved", method, {})  # type: ignore[arg-type]
    assert why_assumed(replace(graph, certificate=replace(graph.certificate, equation=claim)), "equation") == reason

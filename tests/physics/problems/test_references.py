"""References against independent solvers, at the edges of their parameters: no one is off by more than it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from models_under_test import box, compiled
from numpy.typing import NDArray
from scipy import linalg, sparse
from scipy.sparse.linalg import spsolve

from pisnn_deploy.mesh import Mesh, reservoir_layers, reservoir_values, structured_mesh
from pisnn_deploy.physics.problems import problem
from pisnn_deploy.physics.problems.burgers import MOST_POINTS, Burgers, cole_hopf, quadrature
from pisnn_deploy.physics.problems.modes import Modes
from pisnn_deploy.project.own_problem import measured_reference_error, reference_of, relative_reference_error
from pisnn_deploy.report.measures import error_text

Field = NDArray[np.float64]
NONE = np.zeros(0)
PERIODIC = (("periodic", "periodic"),)


def line(cells: int, length: float = 1.0) -> Mesh:
    return structured_mesh((cells,), (length,), (("periodic", "periodic"),))


def averages(spectrum: NDArray[np.complex128], points: int, cells: int) -> Field:
    """Cell averages of a field given by its Fourier coefficients at the points ``j / points``."""
    waves = np.fft.rfftfreq(points, 1 / points)
    at_edges = np.where(waves > 0, spectrum / np.where(waves > 0, 2j * np.pi * waves, 1), 0)
    primitive = np.fft.irfft(at_edges, points)[:: points // cells]
    return np.asarray(np.diff(np.append(primitive, primitive[0])) * cells + spectrum[0].real / points)


def spectral_burgers(modes: Modes, diffusivity: float, time: float, points: int, steps: int, cells: int) -> Field:
    """Fourier pseudo-spectral, with Runge-Kutta of order four and the diffusion exact."""
    x, waves = np.arange(points) / points, 2 * np.pi * np.fft.rfftfreq(points, 1 / points)
    start = sum(
        a * np.cos(k * x - p) for a, k, p in zip(modes.amplitudes, modes.waves(1.0), modes.shifts(), strict=True)
    )
    kept = waves < 2 / 3 * waves[-1]
    spectrum, tick = np.fft.rfft(start), time / steps
    half = np.exp(-diffusivity * waves**2 * tick / 2)

    def rate(s: NDArray[np.complex128]) -> NDArray[np.complex128]:
        field = np.fft.irfft(s * kept, points)
        return np.asarray(-0.5j * waves * kept * np.fft.rfft(field * field))

    for _ in range(steps):
        first = rate(spectrum)
        second = rate(half * (spectrum + tick / 2 * first))
        third = rate(half * spectrum + tick / 2 * second)
        fourth = rate(half * half * spectrum + tick * half * third)
        spectrum = half * half * (spectrum + tick / 6 * first) + tick / 3 * half * (second + third) + tick / 6 * fourth
    # A mean velocity moves the field.
    spectrum = spectrum * np.exp(-1j * waves * modes.mean * time)
    return averages(spectrum, points, cells) + modes.mean


@pytest.mark.parametrize(
    ("amplitudes", "diffusivity", "time", "points", "steps"),
    [
        ((0.5,), 0.01 / math.pi, 0.5, 1024, 1500),  # the problem's own
        ((0.5,), 0.01 / math.pi, 5.0, 1024, 6000),  # amplitude^2 time / viscosity = 393
        ((1.0,), 0.004, 1.0, 2048, 4000),  # 250, and a shock
        ((0.3, 0.2), 0.002, 1.0, 2048, 3000),  # two shocks that run into each other
        ((0.5,), 1.0, 2.0, 64, 400),  # all gone but the mean
        ((0.5,), 0.05, 3e-3, 128, 50),
    ],
)
def test_cole_hopf_agrees_with_a_spectral_solver(
    amplitudes: tuple[float, ...], diffusivity: float, time: float, points: int, steps: int
) -> None:
    modes = Modes(1.0, amplitudes, (math.pi / 2, 0.4)[: len(amplitudes)])
    exact = cole_hopf(line(64), modes, diffusivity, time)
    assert np.abs(exact.values - spectral_burgers(modes, diffusivity, time, points, steps, 64)).max() < 2e-9
    assert 0 < exact.error < 1e-9


def characteristics(diffusivity: float, time: float, edges: Field) -> Field:
    """Averages of the inviscid flow before the shock, from the feet of the characteristics of the cells' edges."""
    feet = edges - time
    for _ in range(60):
        speed = 0.5 * np.sin(2 * np.pi * feet)
        feet -= (feet + (1 + speed) * time - edges) / (1 + np.pi * np.cos(2 * np.pi * feet) * time)
    # Between two characteristics the integral of u over x is that over the feet, with the stretching of the interval.
    integral = feet - np.cos(2 * np.pi * feet) / (4 * np.pi) + (1 + 0.5 * np.sin(2 * np.pi * feet)) ** 2 / 2 * time
    return np.asarray(np.diff(integral) / np.diff(edges))


@pytest.mark.parametrize(("diffusivity", "close"), [(1e-5, 2e-4), (1e-7, 2e-6), (1e-10, 4e-9)])
def test_cole_hopf_tends_to_characteristics_as_the_viscosity_vanishes(diffusivity: float, close: float) -> None:
    modes, time = Modes(1.0, (0.5,), (math.pi / 2,)), 0.2
    mesh = line(64)
    exact = cole_hopf(mesh, modes, diffusivity, time)
    wrong = np.abs(exact.values - characteristics(diffusivity, time, np.arange(65) / 64)).max()
    assert wrong < close, "what is left is the viscosity's doing, and falls with it"
    assert exact.error < 1e-10


def test_half_as_many_points_are_what_the_stated_error_is_made_of(monkeypatch: pytest.MonkeyPatch) -> None:
    modes, mesh = Modes(1.0, (0.5,), (math.pi / 2,)), line(64)
    right = cole_hopf(mesh, modes, 0.01 / math.pi, 5.0)
    monkeypatch.setattr("pisnn_deploy.physics.problems.burgers._PEAK", 1.5)
    coarse = cole_hopf(mesh, modes, 0.01 / math.pi, 5.0)
    assert 1e-8 < np.abs(coarse.values - right.values).max() < coarse.error, "too few points are told"


def test_an_integral_that_would_take_minutes_is_no_reference() -> None:
    flow = Burgers(diffusivity=1e-13)
    _, points = quadrature(Modes(1.0, (0.5,), (math.pi / 2,)), 1.0, 1e-13, 10.0)
    assert points * 257 > MOST_POINTS
    assert flow.reference(line(256), NONE, 10.0) is None and flow.reference_error(line(256), NONE, 10.0) is None


def refined_heat(boundary: str, time: float, diffusivity: float, name: str, reservoirs: Field, cells: int) -> Field:
    """Finite volumes on two finer meshes, each to rounding in time, extrapolated."""
    found = []
    for factor in (8, 16):
        count = cells * factor
        mesh = box((count,), boundary)
        heat = problem("heat1d", diffusivity)
        start = heat.initial(mesh, reservoirs, name)
        left, right = (side == "dirichlet" for side in mesh.boundary[0])
        ring = mesh.boundary[0] == ("periodic", "periodic")
        off = np.full(count - 1, 1.0)
        middle = np.full(count, -2.0)
        middle[0], middle[-1] = (-3.0 if left else -1.0), (-3.0 if right else -1.0)
        source = np.zeros(count)
        values = list(reservoirs)
        if left:
            source[0] = 2 * values.pop(0)
        if right:
            source[-1] = 2 * values.pop(0)
        matrix = np.diag(middle) + np.diag(off, 1) + np.diag(off, -1)
        if ring:
            matrix[0, 0] = matrix[-1, -1] = -2.0
            matrix[0, -1] = matrix[-1, 0] = 1.0
        rates, vectors = linalg.eigh(matrix)
        steady = np.linalg.solve(matrix, -source) if left or right else np.zeros(count)
        decay = np.exp(rates * diffusivity * time * count**2)
        end = steady + vectors @ (decay * (vectors.T @ (start - steady)))
        found.append(end.reshape(cells, factor).mean(axis=1))
    return np.asarray((4 * found[1] - found[0]) / 3)


@pytest.mark.parametrize(("diffusivity", "time"), [(0.01, 1.0), (1e-6, 1.0), (0.01, 40.0), (50.0, 1e-4)])
@pytest.mark.parametrize(
    ("boundary", "held"),
    [
        ("periodic", ()),
        ("no-flux", ()),
        ("dirichlet=0,1", (0.0, 1.0)),
        ("x-=no-flux x+=dirichlet=1", (1.0,)),
        ("x-=dirichlet=3 x+=no-flux", (3.0,)),
    ],
)
def test_heat_agrees_with_extrapolated_finite_volumes(
    boundary: str, held: tuple[float, ...], diffusivity: float, time: float
) -> None:
    mesh, levels = box((16,), boundary), np.array(held)
    for name in ("modes", "bump"):
        one = problem("heat1d", diffusivity)
        exact, error = one.reference(mesh, levels, time, name), one.reference_error(mesh, levels, time, name)
        assert exact is not None and error is not None and error < 1e-13
        assert np.abs(exact - refined_heat(boundary, time, diffusivity, name, levels, 16)).max() < 3e-7


@pytest.mark.parametrize(
    ("cells", "length", "time"), [(64, 1.0, 0.7), (4096, 1e-3, 1e3), (8, 1e6, 1e7), (64, 1.0, 1e9)]
)
@pytest.mark.parametrize(("diffusivity", "velocity"), [(1e-3, 1.0), (1e-12, -3.0), (10.0, 1e-6)])
def test_advection_and_diffusion_agree_with_higher_precision(
    cells: int, length: float, time: float, diffusivity: float, velocity: float
) -> None:
    one, mesh = problem("advection_diffusion1d", diffusivity, velocity), line(cells, length)
    for name, amplitudes, phase in (("modes", (0.5, 0.0, 0.25), 0.0), ("bump", _BUMP, 0.7)):
        exact, error = one.reference(mesh, NONE, time, name), one.reference_error(mesh, NONE, time, name)
        assert exact is not None and error is not None
        right = np.full(cells, np.longdouble(1))
        centres = (np.arange(cells, dtype=np.longdouble) + np.longdouble(0.5)) * np.longdouble(length) / cells
        for number, amplitude in enumerate(amplitudes, start=1):
            wave = 2 * _PI * number / np.longdouble(length)
            shrink = np.sin(_PI * number / cells) * cells / (_PI * number)
            turned = np.cos(wave * (centres - np.longdouble(velocity) * np.longdouble(time)) - np.longdouble(phase))
            right += amplitude * np.exp(-np.longdouble(diffusivity) * wave**2 * np.longdouble(time)) * shrink * turned
        assert np.abs(exact - right.astype(np.float64)).max() <= error, "no farther than it says"


_PI = np.longdouble("3.14159265358979323846264338327950288")
_BUMP = tuple(0.4 * math.exp(-((n / 2) ** 2)) for n in range(1, 9))


def five_points(shape: tuple[int, int], lengths: tuple[float, float]) -> Field:
    """The Laplace equation under a sine, by a direct solver of finite volumes."""
    lines, sources = [], []
    for count, length in zip(shape, lengths, strict=True):
        matrix = sparse.diags([1.0, -2.0, 1.0], [-1, 0, 1], shape=(count, count)).tolil()
        matrix[0, 0] = matrix[-1, -1] = -3.0
        lines.append(matrix.tocsr() * (count / length) ** 2)
        sources.append(2 * (count / length) ** 2)
    edges = np.pi * np.arange(shape[0] + 1) / shape[0]
    side = -np.diff(np.cos(edges)) / np.diff(edges)
    right = np.zeros(shape)
    right[:, -1] = -sources[1] * side
    both = sparse.kron(lines[0], sparse.identity(shape[1])) + sparse.kron(sparse.identity(shape[0]), lines[1])
    return np.asarray(spsolve(both.tocsc(), right.reshape(-1)), np.float64).reshape(shape)


@pytest.mark.parametrize("lengths", [(1.0, 1.0), (1.0, 12.0), (12.0, 1.0), (1e-6, 2e-6)])
def test_laplace_agrees_with_a_direct_solver(lengths: tuple[float, float]) -> None:
    one, shape = problem("laplace2d"), (8, 8)
    boundary = one.default_boundary(shape)
    mesh = structured_mesh(shape, lengths, boundary.sides)
    levels = np.array(reservoir_values(boundary, reservoir_layers(mesh)))
    exact, error = one.reference(mesh, levels, 0.0), one.reference_error(mesh, levels, 0.0)
    assert exact is not None and error is not None and error < 1e-12
    coarse, fine = (
        five_points((8 * factor, 8 * factor), lengths).reshape(8, factor, 8, factor).mean(axis=(1, 3))
        for factor in (8, 16)
    )
    # Corners make the direct solver less than second order.
    assert np.abs(exact.reshape(shape) - (4 * fine - coarse) / 3).max() < 2e-3 * exact.max()


def test_a_tall_domain_has_a_reference_too() -> None:
    one = problem("laplace2d")
    boundary = one.default_boundary((2, 600))
    mesh = structured_mesh((2, 600), (1.0, 600.0), boundary.sides)
    levels = np.array(reservoir_values(boundary, reservoir_layers(mesh)))
    field = one.reference(mesh, levels, 0.0)
    assert field is not None and np.isfinite(field).all() and (field >= 0).all()
    rows = field.reshape(2, 600)[0, 590:]
    assert np.allclose(rows[1:] / rows[:-1], math.exp(math.pi)), "falls by exp(-pi) from cell to cell"


def test_reservoirs_of_whole_quanta_are_part_of_the_error_of_laplace() -> None:
    one, shape = problem("laplace2d"), (16, 16)
    boundary = one.default_boundary(shape)
    mesh = structured_mesh(shape, (1.0, 1.0), boundary.sides)
    levels = np.array(reservoir_values(boundary, reservoir_layers(mesh)))
    moved = levels + np.where(levels > 0, 5e-4, 0.0)
    error = one.reference_error(mesh, moved, 0.0)
    assert error is not None and 5e-4 <= error < 6e-4
    assert one.reference_error(mesh, levels + 0.1, 0.0) is None


def test_an_error_below_the_reference_s_own_is_told_as_such() -> None:
    assert error_text(3.25e-4, 1e-9) == "3.25e-04" and error_text(3.25e-4, None) == "3.25e-04"
    assert error_text(3.25e-13, 7e-13) == "3.25e-13, within the reference's own error of 7.0e-13"
    graph = compiled(cells=32)
    known_to, reference = measured_reference_error(graph), reference_of(graph, 3, None)
    assert known_to is not None and 0 < known_to < 1e-13
    assert reference is not None and 0 < relative_reference_error(graph, 3, None, reference) < 1e-13
    assert relative_reference_error(graph, 3, None, np.zeros(32)) == math.inf

from __future__ import annotations

import numpy as np
import pytest
from short_laws import ADVECTION, TRAFFIC, line, recipe

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.laws.baselines import SCHEMES, baseline
from pisnn_deploy.laws.godunov import GodunovFlux
from pisnn_deploy.laws.grid import Field
from pisnn_deploy.laws.problem import compare, exact, initial
from pisnn_deploy.laws.spec import LawSpec
from pisnn_deploy.laws.terms import Terms


def l1(spec: LawSpec, scheme: str, shape: tuple[int, ...], field: str) -> float:
    truth = exact(spec, shape, spec.time)
    assert truth is not None
    return compare(baseline(scheme, spec, shape, spec.time).fields, truth.fields)[field].l1


@pytest.mark.parametrize(
    ("name", "shape", "field", "expected"),
    [
        (
            "shallow_water1d",
            (128,),
            "h",
            {"godunov": 9.10e-3, "lax-wendroff": 4.78e-3, "muscl": 3.90e-3, "weno5": 2.45e-3},
        ),
        ("lwr", (128,), "rho", {"godunov": 3.61e-3, "lax-wendroff": 2.63e-4, "muscl": 3.37e-4, "weno5": 2.51e-6}),
        ("burgers2d", (32, 32), "u", {"godunov": 3.58e-2, "lax-wendroff": 8.17e-3, "muscl": 9.02e-3, "weno5": 4.85e-4}),
        ("heat3d", (16, 16, 16), "u", {"central": 3.49e-4}),
    ],
)
def test_errors_of_the_schemes(name: str, shape: tuple[int, ...], field: str, expected: dict[str, float]) -> None:
    measured = {scheme: l1(recipe(name), scheme, shape, field) for scheme in expected}
    assert measured == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(
    ("scheme", "order"), [("godunov", 0.85), ("muscl", 1.6), ("lax-wendroff", 1.9), ("weno5", 3.0)]
)
def test_orders(scheme: str, order: float) -> None:
    spec = recipe("lwr")
    coarse, fine = (l1(spec, scheme, (count,), "rho") for count in (64, 128))
    assert np.log2(coarse / fine) > order


@pytest.mark.parametrize("scheme", [name for name in SCHEMES if name != "central"])
def test_mass_is_conserved_and_the_cost_counted(scheme: str) -> None:
    spec = recipe("lwr")
    result = baseline(scheme, spec, (32,), spec.time, steps=20)
    assert (result.steps, result.flux_evaluations) == (20, 20 * SCHEMES[scheme].evaluations)
    assert float(result.fields["rho"].sum()) == pytest.approx(float(initial(spec, (32,))["rho"].sum()), abs=1e-12)


def laplacian(u: Field) -> Field:
    return np.asarray(sum(np.roll(u, shift, axis) for shift in (1, -1) for axis in (0, 1)) - 4 * u, np.float64)


def test_central_differences_are_the_plain_scheme() -> None:
    separation, step = recipe("cahn_hilliard2d"), 0.02
    start = initial(separation, (64, 64))["u"]
    u = start
    for _ in range(20):
        u = u + step * laplacian(u**3 - u - laplacian(u))
    result = baseline("central", separation, (64, 64), 20 * step, steps=20)
    np.testing.assert_allclose(result.fields["u"], u, rtol=0, atol=1e-13)
    reaction = recipe("gray_scott2d")
    u, v = initial(reaction, (64, 64)).values()
    for _ in range(20):
        rate = u * v**2
        u, v = u + 0.16 * laplacian(u) - rate + 0.035 * (1 - u), v + 0.08 * laplacian(v) + rate - 0.095 * v
    fields = baseline("central", reaction, (64, 64), 20.0, steps=20).fields
    np.testing.assert_allclose([fields["u"], fields["v"]], [u, v], rtol=0, atol=1e-13)


def test_a_courant_number_of_1_is_exact_for_first_order() -> None:
    spec = line(ADVECTION, {"u": "where(x < 0.5, 1, 0)"})
    result = baseline("godunov", spec, (16,), 0.25, steps=4)
    np.testing.assert_allclose(result.fields["u"], np.roll(initial(spec, (16,))["u"], 4), rtol=0, atol=1e-12)


def test_sharp_fronts_stay_within_their_values() -> None:
    sides = {"left": {"inflow": 1}, "right": "outflow"}
    spec = line(ADVECTION, {"u": 0}, domain={"lengths": [1.0], "boundary": sides}, time=0.5)
    for scheme in ("godunov", "muscl"):
        values = baseline(scheme, spec, (50,), 0.5).fields["u"]
        assert values.min() >= -1e-15 and values.max() <= 1 + 1e-15 and values[0] == pytest.approx(1)


@pytest.mark.parametrize("flux", ["u**2/2", "u*(1 - u)", "u**3 - u", "sin(6*u)"])
def test_the_exact_flux_is_that_of_the_least_or_largest_state_between(flux: str) -> None:
    spec = line({"fields": ["u"], "flux": {"u": flux}}, {"u": 1})
    terms = Terms(spec.parsed())
    turns = np.random.default_rng(5).uniform(-1, 1, (1, 41))
    exact_flux = GodunovFlux.of(terms, 0, turns)
    assert exact_flux is not None
    lower, upper = turns[:, :-1], turns[:, 1:]
    between = lower[..., None] + (upper - lower)[..., None] * np.linspace(0, 1, 20001)
    values = terms.flux(0, between, {})
    brute = np.where(lower <= upper, values.min(axis=-1), values.max(axis=-1))
    np.testing.assert_allclose(exact_flux.through(lower, upper), brute, rtol=0, atol=1e-7)


def test_fluxes_of_place_or_other_fields_have_no_exact_flux() -> None:
    spec = line({"fields": ["u"], "flux": {"u": "speed*u"}, "given": {"speed": "1 + x"}}, {"u": 1})
    assert GodunovFlux.of(Terms(spec.parsed()), 0, np.ones((1, 4))) is None
    assert GodunovFlux.of(Terms(recipe("wave1d").parsed()), 0, np.ones((2, 4))) is None


def test_an_unknown_scheme_is_refused() -> None:
    message = "^baseline: unknown scheme 'euler'; use central, godunov, lax-wendroff, muscl, weno5$"
    with pytest.raises(UsageError, match=message):
        baseline("euler", line(TRAFFIC, {"u": "0.5"}), (8,), 0.1)


@pytest.mark.parametrize("scheme", ["godunov", "muscl"])
def test_prescribed_fluxes_and_walls(scheme: str) -> None:
    law = {"fields": ["u"], "flux": {"u": "0.3*u"}, "diffusion": {"u": "0.01"}}
    spec = line(
        law, {"u": 1}, domain={"lengths": [1.0], "boundary": {"left": {"flux": 0.4}, "right": "wall"}}, time=0.5
    )
    assert float(baseline(scheme, spec, (20,), 0.5).fields["u"].mean()) == pytest.approx(1.2, abs=1e-12)

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from short_laws import ADVECTION, BURGERS, HEAT, NAMES, SHALLOW_WATER, TRAFFIC, line, recipe

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.laws.finite_volumes import FiniteVolumes
from pisnn_deploy.laws.integration import integrate, legendre, march, third_order
from pisnn_deploy.laws.problem import compare, exact, grid_of, initial, solution, stacked
from pisnn_deploy.laws.reference import reference, solved
from pisnn_deploy.laws.spec import LawSpec

WAVE = {"u": "1 + 0.5*sin(2*pi*x)"}


def volumes_of(spec: LawSpec, shape: tuple[int, ...]) -> FiniteVolumes:
    return FiniteVolumes(spec.parsed(), grid_of(spec, shape), spec.conditions)


def error_with(spec: LawSpec, count: int, steps: int | None = None) -> float:
    """Mean difference of the solver to the exact averages, with equal time steps if given."""
    expected = exact(spec, (count,), spec.time)
    assert expected is not None
    start = stacked(spec, initial(spec, (count,)))
    volumes = volumes_of(spec, (count,))
    if steps is None:
        state = integrate(volumes, start, spec.time).state
    else:

        def advance(before: np.ndarray[Any, Any], now: float, step: float, _: int) -> np.ndarray[Any, Any]:
            return third_order(volumes.rates_at, before, now, step)

        state = march(start, spec.time, lambda _: (spec.time / steps, 3), advance).state
    return float(np.abs(state - stacked(spec, expected.fields)).mean())


@pytest.mark.parametrize(
    ("law", "name", "time"), [(ADVECTION, "modes", 0.5), (TRAFFIC, "characteristics", 0.1), (BURGERS, "cole-hopf", 0.1)]
)
def test_order_five_in_space(law: dict[str, Any], name: str, time: float) -> None:
    spec = line(law, {"u": "0.6 + 0.3*sin(2*pi*x)"}, time=time, reference=name)
    # Time steps that shrink like h^(5/3), so that the third order in time does not show.
    errors = [error_with(spec, count, steps) for count, steps in ((40, 60), (80, 190), (160, 604))]
    order = np.log2(errors[0] / errors[-1]) / 2
    # Diffusion has the order 4.
    assert order > (4.8 if law is not BURGERS else 4), errors


def test_order_three_at_a_fixed_courant_number() -> None:
    spec = line(ADVECTION, WAVE, reference="modes")
    errors = [error_with(spec, count) for count in (40, 80, 160)]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert np.all((orders > 2.8) & (orders < 3.8)), (errors, orders)


def test_order_four_of_diffusion_and_two_of_its_time_steps() -> None:
    spec = line(HEAT, WAVE, reference="modes", time=1.0)
    errors = [error_with(spec, count, 800) for count in (8, 16, 32)]
    assert np.all(np.log2(np.array(errors[:-1]) / errors[1:]) > 3.8), errors
    volumes, start = volumes_of(spec, (32,)), stacked(spec, initial(spec, (32,)))
    rates = volumes.rates_at
    fine = march(start, 1.0, lambda _: (1 / 800, 3), lambda u, now, step, _: third_order(rates, u, now, step)).state
    by_steps = []
    for steps in (8, 16, 32):
        state = start
        for _ in range(steps):
            state = legendre(volumes.rates_at, state, 0.0, 1 / steps, 9)
        by_steps.append(float(np.abs(state - fine).max()))
    assert np.all(np.log2(np.array(by_steps[:-1]) / by_steps[1:]) > 1.8), by_steps


@pytest.mark.parametrize("name", ["lwr", "wave1d", "porous_medium", "shallow_water1d"])
def test_the_stated_error_covers_the_difference_to_the_exact_solution(name: str) -> None:
    spec = recipe(name)
    result, truth = reference(spec, (64,), spec.time), exact(spec, (64,), spec.time)
    assert truth is not None and result.factor == 4
    for field, difference in compare(result.fields, truth.fields).items():
        assert difference.largest <= result.errors[field] * (1.3 if name == "shallow_water1d" else 1)
    assert result.basis == "WENO5 on 256 cells, compared with half as many per axis"


def test_two_runs_give_the_same_bytes() -> None:
    spec = recipe("lwr")
    first, second = (reference(spec, (32,), spec.time).fields["rho"].tobytes() for _ in range(2))
    assert first == second


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_is_solved_and_conserved(name: str) -> None:
    spec = recipe(name)
    shape = tuple(8 for _ in spec.mesh) if name != "porous_medium" else (32,)
    time = spec.time / 50 if spec.dimensions > 1 else spec.time / 5
    start, later = initial(spec, shape), solved(spec, shape, time)
    for field, values in zip(spec.parsed().fields, later.state, strict=True):
        assert np.isfinite(values).all()
        if name in ("gray_scott2d", "advection_diffusion2d") or field in ("q", "qx", "qy"):
            continue
        assert float(values.sum()) == pytest.approx(float(start[field].sum()), rel=1e-12, abs=1e-11)


def test_a_coarser_grid_is_taken_and_said_where_it_would_take_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = recipe("burgers2d")
    monkeypatch.setattr("pisnn_deploy.laws.reference.MOST_UPDATES", 1e4)
    result = reference(spec, (8, 8), 0.05)
    assert result.factor == 2
    assert result.basis == "WENO5 on 16x16 cells, compared with half as many per axis"


def test_symmetry_of_the_radial_dam_break() -> None:
    spec = recipe("shallow_water2d")
    height, along_x, along_y = solved(spec, (16, 16), 0.3).state
    assert np.array_equal(height, height.T) and np.array_equal(along_x, along_y.T)
    np.testing.assert_allclose(along_x, -along_x[::-1], rtol=0, atol=1e-12)


def test_a_lake_at_rest_stays_at_rest() -> None:
    spec = recipe("lake1d")
    assert not solved(spec, (64,), spec.time).state.any()


def heated(boundary: dict[str, Any], initial: str = "0", time: float = 100.0) -> LawSpec:
    return line(HEAT, {"u": initial}, domain={"lengths": [1.0], "boundary": boundary}, time=time)


@pytest.mark.parametrize(
    ("boundary", "expected"),
    [
        ({"left": {"held": 1}, "right": {"held": 2}}, lambda x: 1 + x),
        ({"left": {"held": 1}, "right": {"robin": [0.02, 0.5]}}, lambda x: 1 - x / 3),
        ({"left": {"flux": 0.01}, "right": {"held": 0}}, lambda x: 1 - x),
        ({"left": {"held": 1.5}, "right": "wall"}, lambda x: 1.5 + 0 * x),
        ({"left": {"held": 1.5}, "right": "outflow"}, lambda x: 1.5 + 0 * x),
    ],
)
def test_steady_states_between_sides(boundary: dict[str, Any], expected: Any) -> None:
    spec = heated(boundary, "1 + 0.3*sin(2*pi*x)", time=600.0)
    state = solved(spec, (24,), spec.time).state[0]
    np.testing.assert_allclose(state, expected(grid_of(spec, (24,)).centres(0)), rtol=0, atol=1e-6)


def test_a_given_flux_brings_what_it_says() -> None:
    spec = heated({"left": {"flux": 0.2}, "right": {"flux": -0.05}})
    state = solved(spec, (16,), 3.0).state[0]
    assert float(state.mean()) == pytest.approx(0.15 * 3.0, abs=1e-12)


def test_inflow_counts_where_the_field_flows_in_and_is_free_where_it_flows_out() -> None:
    both = {"left": {"inflow": 2}, "right": {"inflow": 9}}
    spec = line(ADVECTION, {"u": 1}, domain={"lengths": [1.0], "boundary": both}, time=0.5)
    state = solved(spec, (100,), 0.5).state[0]
    np.testing.assert_allclose(state[[0, 30, 70, 99]], [2, 2, 1, 1], rtol=0, atol=1e-3)
    backwards = line({"fields": ["u"], "flux": {"u": "-u"}}, {"u": 1}, domain={"lengths": [1.0], "boundary": both})
    np.testing.assert_allclose(solved(backwards, (100,), 0.5).state[0][[0, 99]], [1, 9], rtol=0, atol=1e-3)


def test_a_wave_leaves_through_an_outflow_and_returns_from_a_wall() -> None:
    law = {"fields": ["p", "v"], "flux": {"p": "v", "v": "p"}, "vector": ["v"]}
    bump = "exp(-(x - 0.5)**2/0.005)"
    sides = {"left": "outflow", "right": "wall"}
    spec = line(law, {"p": bump, "v": bump}, domain={"lengths": [1.0], "boundary": sides}, time=1.0)
    pressure, velocity = solved(spec, (200,), 1.0).state
    # A wave to the right comes back as one to the left, with the same pressure.
    np.testing.assert_allclose(pressure, initial(spec, (200,))["p"], rtol=0, atol=1e-3)
    np.testing.assert_allclose(velocity, -initial(spec, (200,))["v"], rtol=0, atol=1e-3)
    assert np.abs(solved(spec, (200,), 2.0).state).max() < 1e-4


def test_given_functions_and_sources_depend_on_the_place() -> None:
    law = {"fields": ["u"], "flux": {"u": "speed*u"}, "given": {"speed": "1 + x"}, "sources": {"u": "u"}}
    spec = line(
        law, {"u": 1}, domain={"lengths": [1.0], "boundary": {"left": {"inflow": 1}, "right": "outflow"}}, time=3
    )
    # In the steady state (1 + x) u_x = 0.
    np.testing.assert_allclose(solved(spec, (40,), 3.0).state[0], 1.0, rtol=0, atol=1e-9)


def test_four_fields_that_travel_by_themselves() -> None:
    law = {"fields": ["a", "b", "c", "d"], "flux": {"a": "b", "b": "c", "c": "d", "d": "a + 0*b"}}
    spec = line(law, dict.fromkeys("abcd", "1"), reference="linear-waves")
    with pytest.raises(UsageError, match="the speeds are not real, or their waves not independent; use solver"):
        exact(spec, (16,), 0.1)


def test_what_a_recipe_names_is_solved() -> None:
    spec = recipe("lwr")
    named, truth = solution(spec, (16,), 0.1), exact(spec, (16,), 0.1)
    assert named is not None and truth is not None and np.array_equal(named.fields["rho"], truth.fields["rho"])
    by_solver = solution(spec.model_copy(update={"reference": "solver"}), (16,), 0.1)
    assert by_solver is not None and by_solver.basis.startswith("WENO5 on 64 cells")
    assert solution(spec.model_copy(update={"reference": None}), (16,), 0.1) is None


def test_the_stated_error_covers_the_time_steps_of_reactions() -> None:
    law = {"fields": ["u", "v"], "exchange": [{"from": "u", "to": "v", "rate": "4*u"}], "diffusion": {"u": "1e-6"}}
    still, flowing = (line({**law, "flux": flux}, {"u": 1, "v": 0}) for flux in ({}, {"u": "1e-3*u", "v": "1e-3*v"}))
    for spec in (still, flowing):
        result = reference(spec, (4,), 0.5)
        off = abs(float(result.fields["u"].mean()) - np.exp(-2.0))
        assert 0 < off <= result.errors["u"] < 3e-3


def test_after_a_shock_the_solver_takes_over_from_the_characteristics() -> None:
    later = solution(recipe("lwr"), (16,), 0.4)
    expected = "WENO5 on 64 cells, compared with half as many per axis, because by time 0.4 there is a shock"
    assert later is not None and later.basis == expected


def test_heights_below_zero_are_refused_without_a_warning() -> None:
    law = {"fields": ["h", "q"], "flux": {"h": "q", "q": "q**2/h + sqrt(h)"}, "vector": ["q"]}
    start = {"h": "0.02 + 0.01*sin(2*pi*x)", "q": "where(x < 0.5, 1, -1)"}
    with pytest.raises(
        UsageError, match=r"^reference: the solver's values are not finite at time 0\.0\d*; check the law and its"
    ):
        solved(line(law, start), (16,), 0.5)


def test_values_that_become_infinite_are_refused() -> None:
    law = {"fields": ["u"], "sources": {"u": "u**2"}, "diffusion": {"u": "0.01"}}
    spec = line(law, {"u": 1}, time=2.0)
    with pytest.raises(
        UsageError, match=r"^reference: at time \d.* the solver needs a time step of .*; choose a coarser"
    ):
        solved(spec, (8,), 2.0)


def test_a_mesh_of_another_dimension_is_refused() -> None:
    message = "^law lwr has 1 axes, but the mesh has 2$"
    with pytest.raises(UsageError, match=message):
        initial(recipe("lwr"), (8, 8))


def test_a_start_without_finite_values_is_refused() -> None:
    spec = line(TRAFFIC, {"u": "1/(x - x)"})
    message = r"^initial.u: has no finite average in cell \(0,\) of the mesh; check the expression$"
    with pytest.raises(UsageError, match=message):
        initial(spec, (8,))


def test_shallow_water_in_one_dimension_against_the_dam_break() -> None:
    spec = line(
        SHALLOW_WATER,
        {"h": "where(x < 0, 2, 1)", "q": 0},
        domain={"lengths": [5.0], "origin": [-2.5], "boundary": "wall"},
        reference="stoker",
        time=1.0,
    )
    truth = exact(spec, (128,), 1.0)
    assert truth is not None
    state = dict(zip("hq", solved(spec, (128,), 1.0).state, strict=True))
    assert compare(state, truth.fields)["h"].l1 < 2.6e-3


def test_a_flux_that_is_fastest_between_two_states_is_resolved() -> None:
    law = {"fields": ["u"], "flux": {"u": "u**2/(u**2 + 0.5*(1 - u)**2)"}}
    sides = {"left": {"held": 1}, "right": "outflow"}
    spec = line(law, {"u": "0"}, range={"u": [0, 1]}, domain={"lengths": [1.0], "boundary": sides}, time=0.5)
    known = reference(spec, (64,), 0.5)
    # Buckley and Leverett's front by Welge's tangent, at sqrt(1/3).
    saturation = (1 / 3) ** 0.5
    speed = saturation / (saturation**2 + 0.5 * (1 - saturation) ** 2)
    assert known.fields["u"].sum() / 64 == pytest.approx(0.5, rel=1e-2)
    assert abs((np.argmax(known.fields["u"] < saturation / 2)) / 64 - 0.5 * speed) < 1 / 64
    assert known.fields["u"].min() >= 0 and known.fields["u"].max() <= 1


def test_values_far_outside_the_range_are_no_reference() -> None:
    law = {"fields": ["u"], "flux": {"u": "-u*(1 - u)**4"}}
    spec = line(law, {"u": "0.2"}, range={"u": [0, 1]}, domain={"lengths": [1.0], "boundary": "wall"}, time=2.0)
    message = r"^the solver of the reference leaves the operating range: u reaches -?[0-9.e+]+, expected 0 to 1$"
    with pytest.raises(UsageError, match=message):
        reference(spec, (64,), 2.0)


def test_a_level_with_kinks_takes_shorter_time_steps() -> None:
    law = {"fields": ["e"], "level": {"e": "max(e - 1, 0)"}}
    sides = {"left": {"held": 2}, "right": "wall"}
    spec = line(law, {"e": "0"}, range={"e": [-0.1, 2.1]}, domain={"lengths": [1.0], "boundary": sides}, time=0.2)
    known = reference(spec, (32,), 0.2)
    # Neumann's solution has taken up 2 sqrt(t/pi) / erf(0.62006).
    assert known.fields["e"].sum() / 32 == pytest.approx(2 * (0.2 / np.pi) ** 0.5 / math.erf(0.62006256), rel=5e-3)
    assert not FiniteVolumes(
        line(HEAT, WAVE).parsed(), grid_of(spec, (32,)), line(HEAT, WAVE).conditions
    ).terms.has_kinks

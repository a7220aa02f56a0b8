from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from short_laws import ADVECTION, BURGERS, HEAT, NAMES, SHALLOW_WATER, TRAFFIC, line, recipe

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.core.plain_yaml import read_mapping
from pisnn_deploy.laws.exact import SOLUTIONS, exact
from pisnn_deploy.laws.problem import Solution, compare, grid_of, initial
from pisnn_deploy.laws.reference import solved
from pisnn_deploy.laws.solution_names import EXACT
from pisnn_deploy.laws.spec import LawSpec, law_flaws
from pisnn_deploy.mesh import PERIODIC, structured_mesh
from pisnn_deploy.physics.problems import problem
from pisnn_deploy.project import zoo

DAM = {"lengths": [5.0], "origin": [-2.5], "boundary": "wall"}
OPEN = {"lengths": [2.0], "origin": [-1.0], "boundary": "outflow"}


def solution(spec: LawSpec, shape: tuple[int, ...], time: float) -> Solution:
    result = exact(spec, shape, time)
    assert result is not None
    return result


EXAMPLES = {
    **{name: recipe(name) for name in NAMES if recipe(name).reference not in ("solver", None)},
    "fan": line(TRAFFIC, {"u": "where(x < 0.01, 0.9, 0.2)"}, domain=OPEN, reference="riemann"),
    "shock": line(TRAFFIC, {"u": "where(x < 0.01, 0.2, 0.9)"}, domain=OPEN, reference="riemann"),
    "falling fan": line(
        ADVECTION | {"flux": {"u": "u**2/2"}}, {"u": "where(x < 0, 0.2, 0.9)"}, domain=OPEN, reference="riemann"
    ),
    "travelling": line(
        BURGERS, {"u": "1 - 0.5*tanh(25*(x + 0.1))"}, domain=OPEN, reference="travelling-wave", time=0.2
    ),
    "two waves": line(BURGERS, {"u": "1 + 0.3*sin(2*pi*x + 1) + 0.2*cos(4*pi*x)"}, reference="cole-hopf"),
    "carried modes": line(
        {**HEAT, "flux": {"u": "0.7*u"}}, {"u": "1 + 0.3*sin(2*pi*x + 1) + 0.2*cos(6*pi*x)"}, reference="modes"
    ),
    "dam to the left": line(
        {**SHALLOW_WATER, "flux": {"h": "q", "q": "q**2/h + 4.9*h**2"}},
        {"h": "where(x < 0.1, 0.5, 1.5)", "q": 0},
        domain={**DAM, "lengths": [10.0], "origin": [-5.0]},
        reference="stoker",
    ),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_solver_comes_closer_on_finer_meshes(name: str) -> None:
    spec = EXAMPLES[name]
    counts = {1: (48, 96), 2: (16, 32), 3: (4, 8)}[spec.dimensions] if name != "lake1d" else (8, 24)
    apart = []
    for count in counts:
        shape = (count,) * spec.dimensions
        truth, state = solution(spec, shape, spec.time), solved(spec, shape, spec.time).state
        fields = dict(zip(spec.parsed().fields, state, strict=True))
        apart.append(max(difference.l1 for difference in compare(fields, truth.fields).values()))
    jumps = {"fan", "shock", "falling fan", "dam to the left", "shallow_water1d", "porous_medium"}
    if name != "lake1d":
        assert apart[1] < (3e-2 if name in jumps else 2e-2) and apart[1] < apart[0] / (1.7 if name in jumps else 9)


@pytest.mark.parametrize("name", EXAMPLES)
def test_averages_of_finer_cells_are_those_of_the_cells(name: str) -> None:
    spec = EXAMPLES[name]
    coarse_shape = {1: (16,), 2: (8, 8), 3: (4, 4, 4)}[spec.dimensions]
    fine_shape = tuple(3 * count for count in coarse_shape)
    coarse, fine = solution(spec, coarse_shape, spec.time), solution(spec, fine_shape, spec.time)
    for field, values in coarse.fields.items():
        blocks = fine.fields[field].reshape([size for count in coarse_shape for size in (count, 3)])
        averaged = blocks.mean(axis=tuple(range(1, 2 * len(coarse_shape), 2)))
        assert np.abs(values - averaged).max() <= coarse.errors[field] + fine.errors[field] + 1e-11


def test_cole_hopf_agrees_with_the_problem_of_the_model() -> None:
    spec = line(
        {**BURGERS, "diffusion": {"u": "0.01/pi"}}, {"u": "1 + 0.5*sin(2*pi*x)"}, reference="cole-hopf", time=0.5
    )
    model = problem("burgers1d")
    mesh = structured_mesh((128,), (1.0,), model.default_boundary((128,)).sides)
    averages = model.reference(mesh, np.zeros(0), 0.5)
    assert averages is not None
    np.testing.assert_allclose(solution(spec, (128,), 0.5).fields["u"], averages, rtol=0, atol=1e-12)


def test_modes_agree_with_the_problem_of_the_model() -> None:
    model = problem("heat1d")
    mesh = structured_mesh((24,), (1.0,), ((PERIODIC, PERIODIC),))
    expected = model.reference(mesh, np.zeros(0), 0.7)
    start = model.initial(mesh, np.zeros(0))
    assert expected is not None
    spec = line(HEAT, {"u": "1 + 0.5*cos(2*pi*x) + 0.25*cos(6*pi*x)"}, reference="modes")
    np.testing.assert_allclose(initial(spec, (24,))["u"], start, rtol=0, atol=1e-12)
    np.testing.assert_allclose(solution(spec, (24,), 0.7).fields["u"], expected, rtol=0, atol=1e-12)


def test_the_dam_break_conserves_and_jumps_as_its_shock_must() -> None:
    spec = recipe("shallow_water1d")
    values = solution(spec, (2000,), 1.0).fields
    width = 5.0 / 2000
    assert values["h"].sum() * width == pytest.approx(7.5, abs=1e-12)
    # The walls press with g h^2 / 2 on either side.
    assert values["q"].sum() * width == pytest.approx((4 - 1) / 2, abs=1e-12)
    x = grid_of(spec, (2000,)).centres(0)
    middle, discharge = (float(values[name][np.searchsorted(x, 1.0)]) for name in ("h", "q"))
    shock = discharge / (middle - 1)
    assert discharge**2 / middle + middle**2 / 2 - 0.5 == pytest.approx(shock * discharge, rel=1e-12)
    place = float(x[np.flatnonzero(values["h"] > 1.01)[-1]])
    assert place == pytest.approx(shock, abs=2 * width)


def test_a_dam_over_dry_ground() -> None:
    spec = line(
        SHALLOW_WATER,
        {"h": "where(x < 0, 1, 0)", "q": 0},
        domain=DAM,
        reference="stoker",
        range={"h": [1e-3, 2], "q": [-1, 1]},
    )
    values = solution(spec, (500,), 1.0).fields
    x = grid_of(spec, (500,)).centres(0)
    inside = (x > -0.98) & (x < 1.98)
    np.testing.assert_allclose(values["h"][inside], (2 - x[inside]) ** 2 / 9, rtol=0, atol=1e-4)
    assert values["h"].sum() * 0.01 == pytest.approx(2.5, abs=1e-12)
    assert values["q"].sum() * 0.01 == pytest.approx(0.5, abs=1e-12)


def test_barenblatts_profile() -> None:
    spec = recipe("porous_medium")
    values = solution(spec, (256,), 3.0).fields["u"]
    x, spread = grid_of(spec, (256,)).centres(0), 4 ** (1 / 3)
    expected = np.maximum(0.5 - x**2 / 12 / spread**2, 0) / spread
    np.testing.assert_allclose(values, expected, rtol=0, atol=5e-4)
    assert values.sum() / 32 == pytest.approx(2 / 3 * math.sqrt(6), abs=1e-12)


@pytest.mark.parametrize(
    "law",
    [
        {"level": {"u": "max(u, 0)**2"}},
        {"diffusion": {"u": "2*max(u, 0)"}},
        {"level": {"u": "u"}, "diffusion": {"u": "2*u"}},
    ],
)
def test_other_texts_of_the_porous_medium(law: dict[str, Any]) -> None:
    plain = recipe("porous_medium").model_dump(mode="json", by_alias=True)
    plain["law"] = {"fields": ["u"], **law}
    spec = LawSpec.model_validate({**plain, "range": {"u": [-0.01, 0.6]}})
    expected = solution(recipe("porous_medium"), (64,), 3.0).fields["u"]
    assert np.array_equal(solution(spec, (64,), 3.0).fields["u"], expected)


@pytest.mark.parametrize(
    ("spec", "time", "problem_text"),
    [
        (line(TRAFFIC, {"u": "0.5 + 0.3*sin(2*pi*x)"}, reference="characteristics"), 2.0, "by time 2 there is a shock"),
        (line(TRAFFIC, {"u": "0.5 + 0.3*x"}, reference="characteristics"), 0.1, "initial.u is not periodic"),
        (line(HEAT, {"u": "1"}, reference="characteristics"), 0.1, "the law has diffusion"),
        (line(TRAFFIC, {"u": "1"}, reference="cole-hopf"), 0.1, "the flux is another"),
        (line(TRAFFIC, {"u": "1"}, reference="stoker"), 0.1, "the law has 1 fields on 1 axes"),
        (line(TRAFFIC, {"u": "0.5 + 0.1*x"}, reference="rest"), 0.1, "the start changes at a rate of"),
        (line(TRAFFIC, {"u": "x"}, reference="riemann"), 0.1, "the side left is periodic"),
        (line(TRAFFIC, {"u": "x"}, reference="riemann", domain=OPEN), 0.1, "initial.u differs from its start by"),
        (line(HEAT, {"u": "exp(-x)"}, reference="gaussian"), 0.1, "initial.u is no Gaussian"),
        (
            line(HEAT, {"u": "exp(-(x - 0.5)**2/0.01) + 0.01*sin(6*x)*exp(-(x - 0.5)**2)"}, reference="gaussian"),
            0.1,
            "initial.u differs from its start by",
        ),
        (
            line({**HEAT, "diffusion": {"u": "u"}}, {"u": "1"}, reference="modes"),
            0.1,
            "the diffusivity of u is not constant",
        ),
        (
            line(
                {**HEAT, "flux": {"u": "u"}},
                {"u": "1"},
                reference="modes",
                domain={"lengths": [1.0], "boundary": "wall"},
            ),
            0.1,
            "u flows against a wall",
        ),
        (
            line(SHALLOW_WATER, {"h": "where(x < 0, 2, 1)", "q": 0}, domain=DAM, reference="stoker"),
            2.0,
            "at time 2 the waves reach the sides",
        ),
        (
            line(SHALLOW_WATER, {"h": "where(x < 0, 2, 1)", "q": "x"}, domain=DAM, reference="stoker"),
            0.1,
            "initial.q is not 0",
        ),
        (
            line({"fields": ["u"], "level": {"u": "u**3"}}, {"u": "max(0.5 - x**2, 0)"}, reference="barenblatt"),
            0.1,
            "the diffusivity is not proportional to the field",
        ),
        (
            line(
                {"fields": ["u"], "level": {"u": "u**2"}},
                {"u": "max(0.5 - x**2/0.1, 0)"},
                domain={"lengths": [2.0], "origin": [-1.0], "boundary": "wall"},
                reference="barenblatt",
            ),
            9.0,
            "at time 9 it reaches the sides",
        ),
    ],
)
def test_a_recipe_that_poses_another_problem_is_refused(spec: LawSpec, time: float, problem_text: str) -> None:
    name = str(spec.reference)
    with pytest.raises(UsageError) as error:
        exact(spec, (32,), time)
    message = str(error.value)
    assert message.startswith(f"reference: {name} is {SOLUTIONS[name].description}, but {problem_text}")
    assert message.endswith("; use solver")


@pytest.mark.parametrize(
    ("name", "problem_text"),
    [
        ("stokes", "no solution is named 'stokes'; did you mean stoker?"),
        (
            "fourier",
            "no solution is named 'fourier'; use solver, barenblatt, characteristics, cole-hopf, gaussian, "
            "linear-waves, modes, rest, riemann, stoker, travelling-wave, or null",
        ),
    ],
)
def test_an_unknown_name_is_refused(name: str, problem_text: str) -> None:
    with zoo.recipe_path("lwr") as path:
        document = read_mapping(path)
    assert law_flaws({**document, "reference": name}) == [("reference", problem_text)]
    assert tuple(SOLUTIONS) == EXACT


def test_no_exact_solution_is_none() -> None:
    assert exact(line(TRAFFIC, {"u": "1"}), (8,), 0.1) is None
    assert exact(line(TRAFFIC, {"u": "1"}, reference=None), (8,), 0.1) is None


def test_a_gaussian_near_a_side_has_a_large_error() -> None:
    law = {**ADVECTION, "diffusion": {"u": "0.001"}}
    sides = {"left": {"inflow": 0}, "right": "outflow"}
    near, far = (
        line(
            law,
            {"u": f"exp(-(x - {place})**2/0.01)"},
            domain={"lengths": [2.0], "boundary": sides},
            reference="gaussian",
        )
        for place in (0.2, 0.7)
    )
    assert solution(near, (64,), 0.5).errors["u"] > 1e-2 and solution(far, (64,), 0.5).errors["u"] < 1e-6

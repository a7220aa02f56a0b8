"""Taylor series in time: derivatives, bounds, and fields beside exact solutions."""

from __future__ import annotations

from math import factorial, pi
from typing import Any

import numpy as np
import pytest
from law_recipes import Floats, masses_after, recipe, total, traffic, values

from pisnn_deploy.compiler.construct import construct
from pisnn_deploy.compiler.construct.circuit import Circuit
from pisnn_deploy.compiler.construct.fixed_point import Fixed, FixedPoint
from pisnn_deploy.compiler.construct.jets import Factor, Jets
from pisnn_deploy.compiler.construct.monotone import bounds_of_face
from pisnn_deploy.compiler.construct.taylor import WEIGHTS
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.laws.baselines import baseline
from pisnn_deploy.laws.problem import solution
from pisnn_deploy.laws.spec import LawSpec
from pisnn_deploy.programs import run
from pisnn_deploy.programs.arrays import Arrays
from pisnn_deploy.programs.interval import Interval

BOX = "where(x < 0.6, where(x < 0.3, 0.2, 0.8), 0.2)"


def burgers(axes: int = 1, **changes: Any) -> LawSpec:
    """A wave that steepens, along the diagonal in 2D."""
    law: dict[str, Any] = {"fields": ["u"], "flux": {"u": "u**2/2"}, "diffusion": {"u": 0.01}}
    if axes == 2:
        law["flux_y"] = law["flux"]
    phase = "x" if axes == 1 else "(x + y)"
    content = {
        "initial": {"u": f"0.5 + 0.25*sin(2*pi*{phase})"},
        "range": {"u": [0.2, 0.8]},
        "time": 0.25,
        "reference": "cole-hopf",
        "scheme": "taylor",
    }
    return recipe(law, lengths=1.0 if axes == 1 else [1.0, 1.0], **{**content, **changes})


def error(spec: LawSpec, shape: tuple[int, ...]) -> float:
    """Relative L2 error at the final time."""
    graph = construct(spec, shape)
    steps = round(spec.time / graph.time_step)
    exact = solution(spec, shape, steps * graph.time_step)
    assert exact is not None
    return float(np.linalg.norm(end_of(graph, steps) - exact.fields["u"].reshape(-1))) / float(
        np.linalg.norm(exact.fields["u"])
    )


def end_of(graph: IntegerGraph, steps: int) -> Floats:
    end = masses_after(graph, steps)
    assert total(graph, end) == total(graph, masses_after(graph, 0))
    return values(graph, end)["u"]


def test_the_error_of_a_smooth_wave_falls_with_the_third_power_of_the_width() -> None:
    errors = [error(burgers(), (cells,)) for cells in (8, 16, 32)]
    assert errors[0] > 8 * errors[1] > 64 * errors[2]
    assert 100 * errors[2] < error(burgers(scheme="muscl"), (32,))


def test_a_wave_along_the_diagonal_is_far_better_than_with_muscl() -> None:
    assert 8 * error(burgers(2, time=0.15), (16, 16)) < error(burgers(2, time=0.15, scheme="muscl"), (16, 16))


@pytest.mark.parametrize("order", range(6))
def test_derivatives_are_exact_for_averages_of_polynomials(order: int) -> None:
    edges = np.arange(-3, 4, dtype=np.float64)
    for power in range(6):
        cells = np.diff(edges ** (power + 1)) / (power + 1)
        computed = 0.0
        for number, weight in enumerate(WEIGHTS[order]):
            differences = np.diff(cells, order + 2 * number)
            middle = (len(differences) - 1) / 2
            computed += weight * (differences[int(middle)] + differences[int(middle + 0.5)]) / 2
        assert computed == pytest.approx(factorial(order) * (power == order), abs=1e-12)


def at(jets: Jets, factor: Factor, known: dict[Factor, float]) -> float:
    """Value of a factor at a place, from those of the state."""
    if factor not in known:
        known[factor] = sum(
            coefficient * float(np.prod([at(jets, part, known) for part in factors]))
            for factors, coefficient in jets.polynomial(*factor).items()
        )
    return known[factor]


def test_derivatives_in_time_are_those_of_an_exact_solution() -> None:
    # u = (x + 1) / (t + 1) solves u_t + u u_x = 0; u = exp(-t) sin(x) solves u_t = u_xx.
    jets = Jets(1, {("x", (2,)): 1.0}, (0.0,), frozenset((n,) for n in range(6)))
    state: dict[Factor, float] = {("u", (n,)): value for n, value in enumerate([3.0, 1.0, 0, 0, 0, 0])}
    state["x", (1,)] = 3.0
    assert at(jets, ("p", (0,)), state) == -3.0 and at(jets, ("p", (1,)), state) == -1.0
    assert at(jets, ("q", (0,)), state) == 6.0 and at(jets, ("q", (1,)), state) == 2.0
    jets = Jets(1, {("x", (1,)): 0.0}, (1.0,), frozenset((n,) for n in range(6)))
    waves: dict[Factor, float] = {("u", (n,)): np.sin(0.3 + n * pi / 2) for n in range(6)}
    assert at(jets, ("p", (0,)), waves) == pytest.approx(-np.sin(0.3))
    assert at(jets, ("q", (1,)), waves) == pytest.approx(np.cos(0.3))


def test_derivatives_in_time_of_a_plane_wave_through_a_cubic_flux() -> None:
    # u = w(x + y, t) with w_t + (w^3)' + (w^3)' = 0, once in two dimensions and once in one with twice the flux.
    plane = Jets(2, {}, (0.0, 0.0), frozenset((m, n) for m in range(4) for n in range(4)))
    line = Jets(1, {}, (0.0,), frozenset((n,) for n in range(6)))
    wave = [0.7, 0.3, -0.2, 0.5, 0.1, -0.4, 0.2]
    slopes = [0.7**3, 3 * 0.7**2, 6 * 0.7, 6.0, 0.0]
    on_plane: dict[Factor, float] = {("u", (m, n)): wave[m + n] for m in range(4) for n in range(4)}
    on_line: dict[Factor, float] = {("u", (n,)): wave[n] for n in range(6)}
    for order, slope in enumerate(slopes):
        on_plane["x", (order,)] = on_plane["y", (order,)] = slope
        on_line["x", (order,)] = 2 * slope
    for kind in "pq":
        assert at(plane, (kind, (0, 0)), on_plane) == pytest.approx(at(line, (kind, (0,)), on_line))


def minmod(*parts: Floats) -> Floats:
    least, most = np.min(parts, axis=0), np.max(parts, axis=0)
    return np.asarray(np.where(least > 0, least, np.where(most < 0, most, 0)))


def test_bounds_are_those_of_suresh_and_huynh() -> None:
    circuit = Circuit("case")
    names = [circuit.port(f"u{n}", Interval(-1000, 1000)) for n in range(6)]
    sides = bounds_of_face(FixedPoint(circuit, "case"), [Fixed(name, 0) for name in names])
    sent = [str(bound.operand) for side in sides for bound in side]
    cells = np.random.default_rng(4).integers(-900, 900, (6, 500))
    cells[:, 250:] = np.sort(cells[:, 250:], axis=0)
    known = dict(zip(names, cells, strict=True))
    for stage in circuit.stages(sent):
        sends = run(stage.program, Arrays(), {name: known[name] for name in stage.program.inputs}).sends
        known |= dict(zip(stage.program.sends, sends, strict=True))
    result = [known[name] for name in sent]
    for u, (lower, higher) in ((cells, result[:2]), (cells[::-1], result[2:])):
        d = u[:-2] - 2 * u[1:-1] + u[2:]
        bend = [minmod(4 * d[n] - d[n + 1], 4 * d[n + 1] - d[n], d[n], d[n + 1]) for n in range(2)]
        upper, median = u[2] + 2 * (u[2] - u[1]), (u[2] + u[3] - bend[1]) / 2
        large = u[2] + (u[2] - u[1] + 3 * bend[0]) / 2
        first, second = (u[2], u[3], median), (u[2], upper, large)
        assert (lower == 2 * np.maximum(np.min(first, axis=0), np.min(second, axis=0))).all()
        assert (higher == 2 * np.minimum(np.max(first, axis=0), np.max(second, axis=0))).all()


def test_a_shock_narrower_than_a_cell_is_nearer_than_with_weno5() -> None:
    law = {"fields": ["u"], "flux": {"u": "u**2/2"}, "diffusion": {"u": 0.01 / pi}}
    start, ranges = {"u": "-sin(pi*x)"}, {"u": [-1.05, 1.05]}
    spec = recipe(law, lengths=2.0, initial=start, range=ranges, time=0.5, reference="cole-hopf", scheme="taylor")
    graph = construct(spec, (64,))
    steps = round(spec.time / graph.time_step)
    known = solution(spec, (64,), steps * graph.time_step)
    assert known is not None
    exact, ours = known.fields["u"], end_of(graph, steps)
    theirs = baseline("weno5", spec, (64,), steps * graph.time_step).fields["u"]
    assert np.linalg.norm(ours - exact) < 0.5 * np.linalg.norm(theirs - exact)
    assert np.abs(ours).max() < np.abs(exact).max() * 1.01


@pytest.mark.parametrize("flux", ["u**2/2", "u*(1 - u)", "u**2/(u**2 + 0.5*(1 - u)**2)"])
def test_fronts_stay_monotone(flux: str) -> None:
    spec = recipe({"fields": ["u"], "flux": {"u": flux}}, initial={"u": BOX}, range={"u": [0.1, 0.9]}, scheme="taylor")
    graph = construct(spec, (64,))
    end = end_of(graph, 60)
    assert end.min() > 0.2 - 0.005 and end.max() < 0.8 + 0.005
    assert np.abs(np.diff(end, append=end[0])).sum() < 1.2 * 1.02


def test_a_mirrored_problem_has_the_mirrored_solution() -> None:
    ends = [
        end_of(construct(burgers(initial={"u": start}, range={"u": span}), (32,)), 40)
        for start, span in (("0.5 + 0.3*sin(2*pi*x)", [0.1, 0.9]), ("-0.5 + 0.3*sin(2*pi*x)", [-0.9, -0.1]))
    ]
    assert np.abs(ends[0] + ends[1][::-1]).max() < 2e-5  # products are rounded down


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"fields": ["u", "v"], "flux": {"u": "u**2", "v": "v"}}, "one field on a line or a plane"),
        ({"fields": ["u"], "diffusion": {"u": 0.1}, "flux": {"u": "2"}}, "a flux that is not linear in the field"),
        ({"fields": ["u"], "flux": {"u": "0.3 - u"}}, "a flux that is not linear in the field"),
        (
            {"fields": ["u"], "flux": {"u": "abs(u - 0.5)"}},
            "fluxes without kinks that depend on nothing but the field",
        ),
        (
            {"fields": ["u"], "flux": {"u": "(1 + x)*u**2"}},
            "fluxes without kinks that depend on nothing but the field",
        ),
        ({"fields": ["u"], "flux": {"u": "u**2"}, "diffusion": {"u": "u"}}, "a constant diffusivity"),
        ({"fields": ["u"], "flux": {"u": "u**2"}, "sources": {"u": "-u"}}, "a law without sources"),
    ],
)
def test_a_law_that_has_more_is_refused(changes: dict[str, Any], sentence: str) -> None:
    names = changes["fields"]
    spec = recipe(changes, initial=dict.fromkeys(names, "0.5"), range={n: [0, 1] for n in names}, scheme="taylor")
    with pytest.raises(UsageError) as refusal:
        construct(spec, (16,))
    assert str(refusal.value) == f"scheme: taylor needs {sentence}; use muscl"


def test_a_time_step_that_is_too_long_is_refused() -> None:
    with pytest.raises(UsageError) as refusal:
        construct(burgers(courant=0.9), (16,))
    assert str(refusal.value) == "courant: the scheme taylor is stable up to 0.8, not 0.9"


def uses_muscl(spec: LawSpec, cells: int = 32) -> bool:
    return any(synapse.target.endswith("-slope-x") for synapse in construct(spec, (cells,) * spec.dimensions).synapses)


def test_auto_takes_it_for_smooth_starts_with_room() -> None:
    assert not uses_muscl(traffic())
    assert uses_muscl(traffic(), 8)  # a wave of eight cells bends too much
    assert uses_muscl(burgers(scheme="auto", initial={"u": BOX}, reference=None))
    assert uses_muscl(burgers(scheme="auto", range={"u": [0.25, 0.75]}))
    assert uses_muscl(burgers(scheme="auto", courant=0.9))
    assert not uses_muscl(burgers(scheme="auto", courant=0.8))
    assert uses_muscl(burgers(2, scheme="auto"), 20)
    assert not uses_muscl(burgers(2), 20)


def test_auto_takes_muscl_where_derivatives_are_not_finite() -> None:
    law = {"fields": ["u"], "flux": {"u": "u**1.5"}, "positive": ["u"]}
    spec = recipe(law, initial={"u": "0.5 + 0.2*sin(2*pi*x)"}, range={"u": [0, 1]})
    assert uses_muscl(spec)
    with pytest.raises(UsageError):
        construct(spec.model_copy(update={"scheme": "taylor"}), (32,))

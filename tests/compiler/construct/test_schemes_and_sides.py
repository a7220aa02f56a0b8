from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from law_recipes import (
    Floats,
    dye,
    lake,
    masses_after,
    porous_medium,
    recipe,
    shallow_water,
    sound,
    total,
    traffic,
    values,
    warm_bar,
)

from pisnn_deploy.compiler.construct import construct
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.laws.reference import solved


def run(graph: IntegerGraph, steps: int) -> dict[str, Floats]:
    end = masses_after(graph, steps)
    assert total(graph, end) == total(graph, masses_after(graph, 0))
    return values(graph, end)


@pytest.mark.parametrize("boundary", ["periodic", "wall"])
def test_a_sound_wave_keeps_its_energy_and_form(boundary: str) -> None:
    graph = construct(sound(boundary), (64,))
    start = values(graph, masses_after(graph, 0))
    steps = round(1 / graph.time_step)
    end = run(graph, steps)
    swing = np.cos(2 * np.pi * steps * graph.time_step)
    assert np.linalg.norm(end["p"] - swing * start["p"]) < 1e-3 * np.linalg.norm(start["p"])
    energy = [sum((field**2).sum() for field in fields.values()) for fields in (start, end)]
    assert energy[1] < energy[0]
    assert energy[1] > 0.9999 * energy[0]


def test_linear_stencils_carry_a_cloud_better_than_lax_wendroff() -> None:
    shape = 32
    cloud = recipe(
        {"fields": ["u"], "flux": {"u": "u"}, "flux_y": {"u": "0.5*u"}},
        lengths=[1.0, 1.0],
        initial={"u": "0.1 + 0.5*exp(-((x - 0.5)**2 + (y - 0.5)**2)/0.02)"},
        range={"u": [-0.1, 1]},
    )
    graph = construct(cloud, (shape, shape))
    steps = round(1 / graph.time_step)
    place = (np.arange(shape) + 0.5) / shape
    shift = steps * graph.time_step
    away = [(place - 0.5 - speed * shift + 0.5) % 1 - 0.5 for speed in (1, 0.5)]
    exact = 0.1 + 0.5 * np.exp(-(away[0][:, None] ** 2 + away[1] ** 2) / 0.02)
    u = values(graph, masses_after(graph, 0))["u"].reshape(shape, shape)
    number = [speed * graph.time_step * shape for speed in (1, 0.5)]
    for _ in range(steps):
        change = [-(number[a] * (np.roll(u, -1, a) - np.roll(u, 1, a)) / 2) for a in (0, 1)]
        middle = u + (change[0] + change[1]) / 2
        change = [-(number[a] * (np.roll(middle, -1, a) - np.roll(middle, 1, a)) / 2) for a in (0, 1)]
        second = [number[a] ** 2 / 2 * (np.roll(u, -1, a) + np.roll(u, 1, a) - 2 * u) for a in (0, 1)]
        wide = [number[a] ** 2 / 8 * (np.roll(u, -2, a) + np.roll(u, 2, a) - 2 * u) for a in (0, 1)]
        u = u + change[0] + change[1] + sum(second) - sum(wide)
    lax_wendroff = np.abs(u - exact).sum()
    ours = np.abs(run(graph, steps)["u"].reshape(shape, shape) - exact).sum()
    assert ours < 0.5 * lax_wendroff


def test_dye_leaves_and_the_ledgers_know_where() -> None:
    graph = construct(dye(), (24, 24))
    names = [(ledger.name, ledger.reservoirs) for ledger in graph.sole_field.ledgers]
    assert names == [("left", 24), ("right", 24), ("bottom", 24), ("top", 24)]
    steps = round(2 / graph.time_step)
    end = run(graph, steps)["u"]
    assert np.abs(end - 0.1).max() < 1e-4  # the cloud is gone; what a side would let in is not what flows out
    ledgers = masses_after(graph, steps)["u"][24 * 24 :].reshape(4, 24).sum(1)
    assert ledgers[0] < 0 and ledgers[2] < 0
    assert ledgers[1] > 0 and ledgers[3] > 0


PLACE = (np.arange(8) + 0.5) / 8


@pytest.mark.parametrize(
    ("boundary", "steady"),
    [
        ({"left": {"held": 1.0}, "right": {"robin": [2.0, 0.0]}}, 1 - PLACE * 2 / 3),
        ({"left": {"flux": 0.8}, "right": {"held": 0.0}}, 0.8 * (1 - PLACE)),
        ({"left": {"held": "0.3 + 0.1*x"}, "right": "wall"}, 0 * PLACE + 0.3),
        ({"left": "wall", "right": {"robin": [3.0, 0.7]}}, 0 * PLACE + 0.7),
    ],
)
@pytest.mark.parametrize("scheme", ["auto", "wide"])
def test_a_bar_settles_to_what_its_sides_say(boundary: dict[str, Any], steady: Floats, scheme: str) -> None:
    graph = construct(warm_bar(boundary, scheme), (8,))
    end = run(graph, round(8 / graph.time_step))["u"]
    assert np.abs(end - steady).max() < 5e-5


def test_wide_differences_halve_the_error_of_the_porous_medium() -> None:
    exact, errors = {}, []
    for scheme in ("auto", "wide"):
        graph = construct(porous_medium(scheme), (64,))
        steps = round(1 / graph.time_step)
        edges, time = np.linspace(-4, 4, 65), 1 + steps * graph.time_step
        front = np.sqrt(6) * time ** (1 / 3)
        inside = np.clip(edges, -front, front)
        exact = np.diff(time ** (-1 / 3) * (0.5 * inside - inside**3 * time ** (-2 / 3) / 36)) / np.diff(edges)
        errors.append(np.linalg.norm(run(graph, steps)["u"] - exact))
    assert errors[1] < 0.6 * errors[0]


@pytest.mark.parametrize("spec", [traffic(), shallow_water(), lake("0.02*exp(-((x - 0.3)/0.05)**2)")])
def test_a_time_step_is_a_whole_weight_over_a_power_of_two(spec: Any) -> None:
    graph = construct(spec, (32,))
    steps = graph.time_step / (spec.lengths[0] / 32)
    assert (steps * 2**20).is_integer()


def test_diffusion_that_depends_on_another_field_is_a_mean_at_faces() -> None:
    spec = recipe(
        {"fields": ["u", "v"], "diffusion": {"u": "0.5 + v", "v": 0.1}},
        {"left": {"u": {"held": 1.0}, "v": "wall"}, "right": {"u": {"held": 0.0}, "v": "wall"}},
        initial={"u": "1 - x", "v": "0.25"},
        range={"u": [-0.1, 1.1], "v": [0, 1]},
    )
    graph = construct(spec, (8,))
    end = run(graph, 400)
    assert np.abs(end["u"] - (1 - PLACE)).max() < 1e-4
    assert "u-diffusion-x" in graph.chain


def test_a_diffusivity_without_a_polynomial_is_a_table_of_its_integral() -> None:
    spec = recipe(
        {"fields": ["u"], "diffusion": {"u": "exp(u)"}},
        {"left": {"held": 1.0}, "right": {"held": 0.0}},
        initial={"u": "1 - x"},
        range={"u": [-0.1, 1.1]},
    )
    graph = construct(spec, (8,))
    end = run(graph, round(2 / graph.time_step))["u"]
    assert np.abs(end - np.log(1 + (np.exp(1) - 1) * (1 - PLACE))).max() < 2e-3


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"scheme": "best"}, "scheme: best is unknown; constructed laws have auto, muscl, linear, taylor, wide"),
        ({"scheme": "linear"}, "scheme: linear needs fluxes and diffusivities with constant coefficients"),
        ({"quantum_bits": {"h": 26}}, None),
    ],
)
def test_what_cannot_be_constructed_is_refused(changes: dict[str, Any], sentence: str | None) -> None:
    spec = shallow_water().model_copy(update=changes)
    with pytest.raises(UsageError) as refusal:
        construct(spec, (16,))
    assert sentence is None or str(refusal.value) == sentence


@pytest.mark.parametrize(
    ("law", "ranges", "sentence"),
    [
        (
            {"fields": ["u"], "flux": {"u": "sin(1000*u)"}},
            {"u": (0, 1)},
            "law.flux along x: sin(1000*u) changes too fast in its range for a table; narrow the range",
        ),
        (
            {"fields": ["u"], "diffusion": {"u": 0.1}},
            {"u": (1e6, 1e6 + 1)},
            "range.u: 1000000 to 1000001 is only 0.5 quanta, because its words have 24 bits; write the law in "
            "deviations, or in units that make its values alike",
        ),
        (
            {"fields": ["u", "v"], "exchange": [{"from": "u", "to": "v", "rate": "u - v/1e6"}]},
            {"u": (0, 1), "v": (0, 1e6)},
            "range.u: 0 to 1 is only 0.5 quanta, because it exchanges quanta with v; write the law in deviations, or "
            "in units that make its values alike",
        ),
        (
            {"fields": ["u"], "parameters": {"k": 0}, "sources": {"u": "k*x"}},
            {"u": (0, 1)},
            "law: every term is 0, so nothing changes",
        ),
    ],
)
def test_a_law_that_words_of_24_bits_cannot_hold_is_refused(
    law: dict[str, Any], ranges: dict[str, tuple[float, float]], sentence: str
) -> None:
    start = {name: repr((low + high) / 2) for name, (low, high) in ranges.items()}
    with pytest.raises(UsageError) as refusal:
        construct(recipe(law, initial=start, range=ranges), (8,))
    assert str(refusal.value) == sentence


EULER = {
    "fields": ["r", "m", "e"],
    "parameters": {"k": 1.4},
    "flux": {
        "r": "m",
        "m": "m**2/r + (k - 1)*(e - m**2/(2*r))",
        "e": "m/r*(e + (k - 1)*(e - m**2/(2*r)))",
    },
    "vector": ["m"],
    "positive": ["r", "e"],
}


def test_three_fields_take_the_largest_speed_of_their_range() -> None:
    spec = recipe(
        EULER,
        "wall",
        initial={"r": "1 + 0.2*cos(pi*x)", "m": "0", "e": "2.5 + 0.7*cos(pi*x)"},
        range={"r": [0.7, 1.3], "m": [-0.4, 0.4], "e": [1.6, 3.4]},
        time=0.3,
    )
    graph = construct(spec, (64,))
    steps = round(spec.time / graph.time_step)
    integers = run(graph, steps)
    floats = solved(spec, (64,), steps * graph.time_step).state
    for name, expected in zip(("r", "m", "e"), floats, strict=True):
        assert np.abs(integers[name] - expected).max() < 2e-3


def test_chains_of_decay_and_sources_that_vary_in_place() -> None:
    spec = recipe(
        {
            "fields": ["a", "b"],
            "exchange": [{"from": "a", "to": "b", "rate": "2*a"}],
            "sources": {"a": {"rain": "0.3*(1 + x)"}, "b": {"drain": "-b"}},
        },
        initial={"a": "1", "b": "0"},
        range={"a": [0, 2], "b": [0, 2]},
    )
    graph = construct(spec, (8,))
    steps = 60
    integers = run(graph, steps)
    a, b = np.ones(8), np.zeros(8)
    for _ in range(steps):
        a, b = (
            a + graph.time_step * (0.3 * (1 + PLACE) - 2 * a),
            b + graph.time_step * (2 * a - b),
        )
    assert np.abs(integers["a"] - a).max() < 4 * graph.fields[0].value_per_quantum
    assert np.abs(integers["b"] - b).max() < 4 * graph.fields[1].value_per_quantum
    ledgers = {field.name: [entry.name for entry in field.ledgers] for field in graph.fields}
    assert ledgers == {"a": ["rain"], "b": ["drain"]}


def test_a_mesh_with_other_axes_is_refused() -> None:
    with pytest.raises(UsageError) as refusal:
        construct(traffic(), (8, 8))
    assert str(refusal.value) == "the mesh has 2 axes, the law 1"


def test_linear_stencils_do_not_guess_which_waves_enter() -> None:
    spec = recipe(
        {"fields": ["p", "v"], "flux": {"p": "v", "v": "p"}},
        {"left": {"inflow": 0.1}, "right": "outflow"},
        initial={"p": "0.1", "v": "0.1"},
        range={"p": [-1, 1], "v": [-1, 1]},
        scheme="linear",
    )
    with pytest.raises(UsageError) as refusal:
        construct(spec, (8,))
    sentence = "scheme: linear cannot tell which waves enter at the side left, which gives values of several fields"
    assert str(refusal.value) == f"{sentence}; use muscl"


def test_an_inflow_at_which_the_flux_has_no_slope_is_refused() -> None:
    spec = recipe(
        {"fields": ["u"], "flux": {"u": "u*(1 - u)"}},
        {"left": {"inflow": 0.5}, "right": "outflow"},
        initial={"u": 0.2},
        range={"u": [0, 1]},
    )
    with pytest.raises(UsageError) as refusal:
        construct(spec, (8,))
    assert str(refusal.value) == (
        "domain.boundary.left: inflow of u: the flux has slope 0 at 0.5, so nothing says whether it flows in; use held"
    )

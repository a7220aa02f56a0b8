"""Constructed graphs beside the same schemes in float64, and what they conserve."""

from __future__ import annotations

import numpy as np
import pytest
from law_recipes import (
    Floats,
    cahn_hilliard,
    gray_scott,
    lake,
    masses_after,
    porous_medium,
    radial_dam_break,
    recipe,
    total,
    values,
)

from pisnn_deploy.compiler.construct import construct
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.contract import contract_defects
from pisnn_deploy.graph.shape import joined, route_defects, shape_defects


def laplacian(u: Floats) -> Floats:
    return np.roll(u, 1, 0) + np.roll(u, -1, 0) + np.roll(u, 1, 1) + np.roll(u, -1, 1) - 4 * u


def difference(computed: Floats, expected: Floats) -> float:
    return float(np.linalg.norm(computed - expected) / np.linalg.norm(expected))


def assert_sound(graph: IntegerGraph, steps: int) -> None:
    assert [*shape_defects(graph), *route_defects(graph), *contract_defects(graph)] == []
    assert total(graph, masses_after(graph, steps)) == total(graph, masses_after(graph, 0))


def test_gray_scott_keeps_both_species_and_ledgers() -> None:
    graph = construct(gray_scott(16), (16, 16))
    assert_sound(graph, 20)
    assert len({*np.concatenate([*joined(graph).values()]).tolist()}) == 1  # one joined set: u, v and all ledgers
    u, v = (array.reshape(16, 16) for array in values(graph, masses_after(graph, 0)).values())
    for _ in range(100):
        rate = u * v**2
        u, v = (
            u + graph.time_step * (0.16 * laplacian(u) - rate + 0.0352 * (1 - u)),
            v + graph.time_step * (0.08 * laplacian(v) + rate - 0.0938 * v),
        )
    integers = values(graph, masses_after(graph, 100))
    assert difference(integers["u"], u.reshape(-1)) < 1e-5
    assert difference(integers["v"], v.reshape(-1)) < 2e-5


@pytest.mark.parametrize(("multiplies", "quanta"), [(True, 3), (False, 60)])
def test_cahn_hilliard_is_its_float_scheme(multiplies: bool, quanta: int) -> None:
    graph = construct(cahn_hilliard(12), (12, 12), multiplies=multiplies)
    assert_sound(graph, 20)
    names = {operation.name for p in graph.populations for operation in p.program.operations}
    assert ("mul_shr" in names) == multiplies
    u = values(graph, masses_after(graph, 0))["u"].reshape(12, 12)
    for _ in range(400):
        u = u + graph.time_step * laplacian(u**3 - u - laplacian(u))
    off = values(graph, masses_after(graph, 400))["u"] - u.reshape(-1)
    assert np.abs(off).max() < quanta * graph.sole_field.value_per_quantum


def barenblatt(edges: Floats, time: float) -> Floats:
    front = np.sqrt(6) * time ** (1 / 3)
    inside = np.clip(edges, -front, front)
    return np.asarray(np.diff(time ** (-1 / 3) * (0.5 * inside - inside**3 * time ** (-2 / 3) / 36)) / np.diff(edges))


@pytest.mark.parametrize("multiplies", [True, False])
def test_the_porous_medium_spreads_as_barenblatt_says(multiplies: bool) -> None:
    graph = construct(porous_medium(), (64,), multiplies=multiplies)
    steps = round(3 / graph.time_step)
    end = masses_after(graph, steps)
    exact = barenblatt(np.linspace(-4, 4, 65), 1 + steps * graph.time_step)
    assert difference(values(graph, end)["u"], exact) < 2e-3
    assert total(graph, end) == total(graph, masses_after(graph, 0))


def test_a_lake_at_rest_moves_no_quantum() -> None:
    graph = construct(lake(), (40,))
    start, end = masses_after(graph, 0), masses_after(graph, 100)
    assert all(np.array_equal(start[name], end[name]) for name in start)


def test_a_wave_on_the_lake_is_balanced_by_bed_and_walls() -> None:
    graph = construct(lake("0.02*exp(-((x - 0.3)/0.05)**2)"), (40,))
    assert_sound(graph, 100)
    assert {f.name: [entry.name for entry in f.ledgers] for f in graph.fields} == {
        "s": [],
        "q": ["left", "right", "bed"],
    }


def test_a_round_column_stays_symmetric_about_the_diagonal() -> None:
    graph = construct(radial_dam_break(), (16, 16))
    assert_sound(graph, 20)
    end = {name: array.reshape(16, 16) for name, array in values(graph, masses_after(graph, 20)).items()}
    assert np.array_equal(end["h"], end["h"].T)
    assert np.array_equal(end["qx"], end["qy"].T)
    assert np.abs(end["h"] - end["h"][::-1]).max() < 4 * graph.fields[0].value_per_quantum


def test_an_empty_cell_may_lack_quanta_but_a_rate_sees_none() -> None:
    spec = recipe(
        {
            "fields": ["s", "p"],
            "exchange": [{"from": "s", "to": "p", "rate": "s/(0.1 + s)"}],
            "diffusion": {"s": 0.001},
        },
        "wall",
        initial={"s": "exp(-((x - 0.5)/0.1)**2)", "p": "0"},
        range={"s": [0, 1.1], "p": [0, 1.1]},
    )
    graph = construct(spec, (32,))
    start = masses_after(graph, 0)
    s, p = values(graph, start).values()
    for step in range(1, 41):
        rate = graph.time_step * s / (0.1 + s)
        inner = np.diff(s) * 0.001 * graph.time_step * 32**2
        s, p = s - rate + np.concatenate([inner, [0]]) - np.concatenate([[0], inner]), p + rate
        if step % 10 == 0:
            masses = masses_after(graph, step)
            assert all(masses[f.holder].min() >= f.window.lower for f in graph.fields)
    end = values(graph, masses)
    assert np.abs(end["s"] - s).max() < 12 * graph.fields[0].value_per_quantum
    assert np.abs(end["p"] - p).max() < 12 * graph.fields[1].value_per_quantum
    assert total(graph, masses) == total(graph, start)

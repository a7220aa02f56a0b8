from __future__ import annotations

import numpy as np
from law_recipes import Floats, masses_after, shallow_water, total, traffic, values
from scipy.optimize import brentq

from pisnn_deploy.compiler.construct import construct
from pisnn_deploy.graph.contract import contract_defects
from pisnn_deploy.graph.shape import route_defects, shape_defects
from pisnn_deploy.programs.neurons import flux, membrane


def test_traffic_loses_no_car() -> None:
    graph = construct(traffic(), (64,))
    start = masses_after(graph, 0)
    end = masses_after(graph, 60)
    assert total(graph, end) == total(graph, start)
    assert not np.array_equal(end["u"], start["u"])
    assert [*shape_defects(graph), *route_defects(graph), *contract_defects(graph)] == []


def test_channels_and_holders_run_the_programs_that_proofs_know() -> None:
    graph = construct(shallow_water(), (16,))
    assert all(graph.population(field.name).program == membrane() for field in graph.fields)
    for channels in graph.channels:
        program = graph.population(channels.population).program
        exponent = program.operations[-1].operands[-1]
        assert program == flux(int(exponent))
    assert [c.population for c in graph.channels] == ["h-flux", "q-flux"]
    assert all(not population.program.states for population in graph.between_fields)


def test_a_wall_takes_momentum_and_no_water() -> None:
    graph = construct(shallow_water(), (16,))
    ledgers = {field.name: [(entry.name, entry.reservoirs) for entry in field.ledgers] for field in graph.fields}
    assert ledgers == {"h": [], "q": [("left", 1), ("right", 1)]}


def dam_break(edges: Floats, time: float) -> Floats:
    """Cell averages of the depth after Stoker, for depths 2 and 1 and g = 1."""
    left, right = np.sqrt(2.0), 1.0

    def jump(h: float) -> float:
        return float(2 * (left - np.sqrt(h)) - (h - 1) * np.sqrt((h + 1) / (2 * h)))

    middle = brentq(jump, 1.0, 2.0)
    speed = 2 * (left - np.sqrt(middle))
    shock = middle * speed / (middle - right)
    x = (edges[:-1, None] + (np.arange(64) + 0.5) / 64 * np.diff(edges)[:, None]) / time
    fan = ((2 * left - x) / 3) ** 2
    h = np.where(x < -left, 2, np.where(x < speed - np.sqrt(middle), fan, np.where(x < shock, middle, right)))
    return np.asarray(h.mean(1))


def test_the_dam_break_is_as_exact_as_the_prototype() -> None:
    graph = construct(shallow_water(), (128,))
    steps = round(1 / graph.time_step)
    start, end = masses_after(graph, 0), masses_after(graph, steps)
    exact = dam_break(np.linspace(-2.5, 2.5, 129), steps * graph.time_step)
    error = np.abs(values(graph, end)["h"] - exact).sum() / exact.sum()
    assert error < 4.7e-3
    assert total(graph, end) == total(graph, start)

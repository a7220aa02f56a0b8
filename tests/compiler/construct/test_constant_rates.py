"""Sources and exchanges whose rates depend on nothing."""

from __future__ import annotations

import numpy as np
from law_recipes import masses_after, recipe, total, values

from pisnn_deploy.compiler.construct import construct
from pisnn_deploy.graph.contract import contract_defects
from pisnn_deploy.graph.shape import route_defects, shape_defects
from pisnn_deploy.graph.wellformed import defects


def test_constant_rates_add_up() -> None:
    law = {
        "fields": ["u", "v"],
        "diffusion": {"u": 0.01},
        "sources": {"u": 0.1},
        "exchange": [{"from": "u", "to": "v", "rate": 0.05}],
    }
    sections = {"initial": {"u": 0.5, "v": 0.25}, "range": {"u": [0, 1], "v": [0, 1]}, "time": 1, "mesh": 8}
    graph = construct(recipe(law=law, domain={"lengths": 1, "boundary": "periodic"}, **sections), (8,))
    assert [*defects(graph), *shape_defects(graph), *route_defects(graph), *contract_defects(graph)] == []
    after, time = masses_after(graph, 50), 50 * graph.time_step
    assert total(graph, after) == total(graph, masses_after(graph, 0))
    # Rates are rounded once, to a share of a quantum in a step; a channel keeps half a quantum at most.
    quantum = graph.fields[0].value_per_quantum
    computed = values(graph, after)
    assert np.abs(computed["u"] - (0.5 + 0.05 * time)).max() < 3 * quantum
    assert np.abs(computed["v"] - (0.25 + 0.05 * time)).max() < 3 * quantum

"""What a population's values and payloads must lie within is found without a call for each that is right."""

from __future__ import annotations

import numpy as np
import pytest
from graphs_by_hand import reaction, sink, two_fields
from scheduled_graphs import scheduled

from pisnn_deploy.core.errors import OverflowViolation
from pisnn_deploy.graph.integer import Coding, IntegerGraph
from pisnn_deploy.lava.plan import Watch, plan_of


def watches(graph: IntegerGraph, name: str) -> list[Watch]:
    """All that is asked of a population."""
    plan = plan_of(graph, name)
    return [*plan.watches, *(watch for watch in plan.payload_watches if watch is not None)]


@pytest.mark.parametrize("coding", ["delta", "dense"])
@pytest.mark.parametrize("graph", [two_fields(), sink(), reaction()])
def test_limits_are_those_of_what_says_more(graph: IntegerGraph, coding: Coding) -> None:
    whole = scheduled(graph, coding)
    for name in whole.chain:
        assert watches(whole, name)
        for watch in watches(whole, name):
            neurons = len(range(*watch.neurons.indices(whole.size(name))))
            for within in (watch.lowest, watch.highest):
                watch.check(np.full(neurons, within), 1)
                watch.look(np.full(neurons, within), 1)
            for beyond in (watch.lowest - 1, watch.highest + 1):
                with pytest.raises(OverflowViolation) as expected:
                    watch.check(np.full(neurons, beyond), 1)
                with pytest.raises(OverflowViolation) as raised:
                    watch.look(np.full(neurons, beyond), 1)
                assert str(raised.value) == str(expected.value)


def test_one_neuron_is_enough_and_none_is_right() -> None:
    whole = scheduled(two_fields(), "delta")
    watch = watches(whole, whole.chain[0])[0]
    values = np.zeros(whole.size(whole.chain[0]), np.int64)
    watch.look(values[:0], 1)
    values[-1] = watch.lowest - 1
    with pytest.raises(OverflowViolation):
        watch.look(values, 1)

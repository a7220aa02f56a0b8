"""The reference steps any graph: several fields, sinks, products, random populations, against Python integers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from graphs_by_hand import InPythonIntegers, random_graph, reaction, runnable_graph, sink, two_fields
from hypothesis import given, settings
from hypothesis import strategies as st
from models_under_test import compiled, heat_model, hidden_model

from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.artifact import artifact_bytes, read_artifact, write_artifact
from pisnn_deploy.graph.semantics import Semantics, States
from pisnn_deploy.graph.shape import joined, route_defects, shape_defects
from pisnn_deploy.graph.wellformed import defects
from pisnn_deploy.programs import parse

STEPS = 6


def masses(graph: IntegerGraph, states: States) -> dict[str, list[int]]:
    return {holder: next(iter(states[holder].values())).tolist() for holder in graph.holders}


def sums(graph: IntegerGraph, states: States) -> list[int]:
    """Mass of each set of joined holders (I1), in Python integers."""
    sets = joined(graph)
    total = [0] * (1 + max(int(numbers.max()) for numbers in sets.values()))
    for holder, values in masses(graph, states).items():
        for number, value in zip(sets[holder].tolist(), values, strict=True):
            total[number] += value
    return total


def assert_stepped(graph: IntegerGraph) -> States:
    """Every state after every step is that of the Python integers, and no set of joined holders gains or loses."""
    assert not [*shape_defects(graph)] and not [*route_defects(graph)]
    semantics, in_integers = Semantics(graph), InPythonIntegers(graph)
    states, whole = semantics.begin(), in_integers.start()
    at_first = sums(graph, states)
    for step in range(STEPS):
        states, results = semantics.advance(states, step)
        whole = in_integers.step(whole)
        for population in graph.populations:
            for state, values in states[population.name].items():
                assert values.tolist() == [neuron[state] for neuron in whole[population.name]]
        assert sums(graph, states) == at_first
        assert all(len(results[c.population].sends) > c.output for c in graph.channels)
    return states


@pytest.mark.parametrize("build", [two_fields, sink, reaction])
def test_graphs_by_hand_are_stepped_as_in_python_integers(build: Callable[[], IntegerGraph]) -> None:
    graph = build()
    first, last = masses(graph, Semantics(graph).begin()), masses(graph, assert_stepped(graph))
    assert all(first[holder] != last[holder] for holder in graph.holders)


def test_what_channels_join_is_one_sum_each() -> None:
    assert [set(numbers.tolist()) for numbers in joined(two_fields()).values()] == [{0}, {1}]
    assert [set(numbers.tolist()) for numbers in joined(sink()).values()] == [{0}]
    a, b = joined(reaction()).values()
    assert a.tolist() == b.tolist() == [0, 1, 2, 3]  # a cell's two species, and no two cells


def test_a_sink_empties_every_cell_into_its_own_reservoir() -> None:
    graph = sink()
    semantics = Semantics(graph)
    states = semantics.begin()
    (start,) = states["u"].values()
    for step in range(400):
        states, _ = semantics.advance(states, step)
    (end,) = states["u"].values()
    assert int(end.sum()) == int(start.sum()) and not np.abs(end[:5]).max() > 4 and (end[5:] > 0).all()


@pytest.mark.parametrize("build", [two_fields, sink, reaction, lambda: runnable_graph(5), lambda: runnable_graph(6)])
def test_any_graph_is_read_as_it_was_written(build: Callable[[], IntegerGraph], tmp_path: Path) -> None:
    graph = build()
    write_artifact(tmp_path / "a.pisnn", graph, {})
    read = read_artifact(tmp_path / "a.pisnn").graph
    assert artifact_bytes(read, {}) == (tmp_path / "a.pisnn").read_bytes()
    assert masses(read, assert_stepped(read)) == masses(graph, assert_stepped(graph))


@given(st.integers(0, 2**40))
@settings(deadline=None, max_examples=40)
def test_random_graphs_are_stepped_as_in_python_integers(seed: int) -> None:
    assert_stepped(random_graph(seed))


@given(st.integers(0, 2**40))
@settings(deadline=None, max_examples=20)
def test_runnable_graphs_satisfy_the_contract(seed: int) -> None:
    graph = runnable_graph(seed)
    assert defects(graph) == []
    assert_stepped(graph)


def test_phases_and_period_follow_from_the_depth() -> None:
    graph = reaction()
    assert graph.depths == {"a": 0, "b": 0, "level-a": 1, "level-b": 1, "product": 2, "rate": 3}
    assert defects(replace(graph, period=4)) == []
    assert defects(replace(graph, period=2)) == ["period is 2, 6 populations need 4"]
    for model in (heat_model(), hidden_model((3, 2))):
        compiled_graph = compiled(model)
        assert compiled_graph.period == 1 + max(compiled_graph.depths.values())


def altered(graph: IntegerGraph, name: str, **changes: object) -> IntegerGraph:
    """The graph with other attributes of one population."""
    populations = (replace(p, **changes) if p.name == name else p for p in graph.populations)  # type: ignore[arg-type]
    return replace(graph, populations=tuple(populations))


def test_what_is_no_graph_is_named() -> None:
    graph = reaction()
    number = np.arange(4, dtype=np.int64)
    by_name = {synapse.name: synapse for synapse in graph.synapses}
    (channels,) = graph.channels

    def without(name: str) -> IntegerGraph:
        return replace(graph, synapses=tuple(s for s in graph.synapses if s.name != name))

    def with_synapse(name: str, **changes: object) -> IntegerGraph:
        synapse = replace(by_name[name], **changes)  # type: ignore[arg-type]
        return replace(graph, synapses=tuple(synapse if s.name == name else s for s in graph.synapses))

    leaky = parse(
        "neuron membrane(arrival; mass; )\nsum = add(mass, arrival)\nless = asr(sum, 1)\nkeep mass = less\nsend less"
    )
    for broken, sentence in (
        (
            altered(graph, "a", program=leaky, start={}),
            "field a: the program of a must only add what arrives to one state",
        ),
        (without("rate-0-to-b-arrival"), "no synapse joins rate and b"),
        (without("level-b-0-to-product-second"), "no synapse leads to port second of product"),
        (
            with_synapse("level-b-0-to-product-second", port="third"),
            "synapse level-b-0-to-product-second: the program of product has no port third",
        ),
        (
            with_synapse("level-b-0-to-product-second", output=1),
            "synapse level-b-0-to-product-second: the program of level-b sends no value number 1",
        ),
        (
            with_synapse("level-b-0-to-product-second", source="level-c"),
            "synapse level-b-0-to-product-second: there is no population level-c",
        ),
        (
            with_synapse("a-0-to-level-a-arrival", source="rate"),
            "level-a depends on its own output: populations form a cycle",
        ),
        (
            with_synapse("level-b-0-to-product-second", target="a", port="arrival"),
            "value 0 of level-b is sent to a, but is not a packet of a channel that ends there",
        ),
        (
            replace(graph, channels=(replace(channels, output=1),)),
            "channels of rate: its program sends no value number 1",
        ),
        (
            replace(graph, channels=(replace(channels, target=number + 1),)),
            "channels of rate: an end is not a neuron of b",
        ),
        (replace(graph, channels=(replace(channels, population="a"),)), "channels of a: it holds mass itself"),
        (replace(graph, channels=(channels, channels)), "two sets of channels have the same packets"),
        (
            replace(graph, populations=(*graph.populations[:2], *graph.populations[:1:-1])),
            "populations are listed as a, b, rate, product, level-b, level-a; the order of their synapses is a, b, "
            "level-b, level-a, product, rate",
        ),
        (altered(graph, "level-a", size=5), "synapse a-0-to-level-a-arrival is 4 x 4 between populations of 5 and 4"),
        (
            altered(graph, "level-a", parameters={"bias": number}),
            "level-a has the parameters bias, its program expects none",
        ),
        (
            altered(graph, "rate", start={"residue_before": number[:3]}),
            "rate has 3 numbers as residue_before for 4 neurons",
        ),
        (
            altered(graph, "rate", start={"residue_before": number + 2**53}),
            "rate: the start of residue_before of neuron 1 is 9007199254740993, beyond 2^53",
        ),
        (altered(graph, "rate", lines=33), "rate has 33 lines; 0 to 32 are supported"),
    ):
        assert sentence in defects(broken), sentence
    assert list(
        route_defects(with_synapse("rate-0-to-b-arrival", connections=by_name["rate-0-to-a-arrival"].connections))
    ) == ["a packet of rate [0] does not reach each of its ends in b exactly once"]

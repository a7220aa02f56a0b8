"""The checker where cells differ: every change of graph or certificate that changes a claim is rejected."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from models_under_test import level_shift
from mutations import assert_every_field_is_proved_again, assert_random_mutations_are_rejected_or_harmless, rejected
from two_point_graphs import base

from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.kinds import known_face, with_faces
from pisnn_deploy.verify import check_certificate

ONE_DIGIT = ("line", "plane", "triangles", "alike")
NAMES = (*ONE_DIGIT, "digits", "several")


@pytest.mark.parametrize("name", NAMES)
def test_what_the_compiler_issues_is_proved_again(name: str) -> None:
    assert check_certificate(base(name)) and not rejected(base(name))


@pytest.mark.parametrize("name", ONE_DIGIT)
def test_every_field_of_graph_and_certificate_is_proved_again(name: str) -> None:
    assert_every_field_is_proved_again(base(name))


@pytest.mark.parametrize("name", NAMES)
def test_random_mutations_are_rejected_or_harmless(name: str) -> None:
    assert_random_mutations_are_rejected_or_harmless(base(name), 300 if name in ONE_DIGIT else 60)


def finding(graph: IntegerGraph) -> str:
    return next(f"{one.claim}: {one.text}" for one in check_certificate(graph) if not one.holds)


def test_the_checker_says_what_is_wrong() -> None:
    graph = base("triangles")
    medium, level = graph.sole_field, graph.between_fields[0]
    assert medium is not None
    volumes = medium.inverse_volume + (np.arange(4) == 2)
    assert finding(graph.with_field(inverse_volume=volumes)) == (
        "layout: the synapses to the levels differ from the inverse volumes"
    )
    for change in (1, 1 << (level_shift(graph) - 1)):
        shifted = replace(level, parameters={"bias": level.parameters["bias"] + change})
        assert finding(graph.with_populations(shifted)) == (
            "layout: levels are not values rounded to the nearest, with one lowest level for all cells"
        )
    assert finding(with_faces(graph, leak=4095)) == (
        "layout: faces have a leak below 1 or a delay, or the graph has an operator besides its conductances"
    )
    assert finding(with_faces(graph, graph.sole_channels.parameters["bias"] + 1)) == (
        "layout: a bias differs from conductance times reservoir value"
    )
    lower = with_faces(graph, exponent=known_face(graph).exponent - 2)
    assert any("stability" in claim for claim in rejected(lower))
    swapped = tuple(
        synapse.with_mantissas(synapse.mantissas[::-1].copy()) if synapse.name == "hidden1-to-flux" else synapse
        for synapse in graph.synapses
    )
    assert finding(replace(graph, synapses=swapped)) == (
        "layout: the input of a face is not the difference of the levels at its ends"
    )


def test_the_checker_says_what_is_wrong_where_cells_hold_alike() -> None:
    graph = base("alike")
    medium = graph.sole_field
    assert medium is not None and not graph.between_fields
    volumes = medium.inverse_volume + (np.arange(12) == 2)
    assert finding(graph.with_field(inverse_volume=volumes)) == (
        "layout: cells have different inverse volumes, but the graph has no levels"
    )
    assert finding(with_faces(graph, graph.sole_channels.parameters["bias"] + 1)) == (
        "layout: a bias differs from conductance times reservoir value"
    )
    lower = with_faces(graph, exponent=known_face(graph).exponent - 2)
    assert any("stability" in claim for claim in rejected(lower))
    swapped = tuple(
        synapse.with_mantissas(synapse.mantissas[::-1].copy()) if synapse.name == "membrane-to-flux" else synapse
        for synapse in graph.synapses
    )
    assert finding(replace(graph, synapses=swapped)) == (
        "layout: the input of a face is not the difference of the masses at its ends"
    )


def test_a_mantissa_that_the_target_would_change_is_rejected() -> None:
    for graph in map(base, ONE_DIGIT):
        name = f"{graph.chain[-2]}-to-flux-2"
        (synapse,) = (one for one in graph.synapses if one.name == name)
        mantissas = synapse.mantissas.copy()
        mantissas[0] += 1
        assert mantissas.min() < 0 < mantissas.max()
        odd = tuple(one.with_mantissas(mantissas) if one is synapse else one for one in graph.synapses)
        assert finding(replace(graph, synapses=odd)) == (
            f"layout: synapse {name} mixes signs and has an odd mantissa, whose lowest bit the target would clear"
        )


def test_a_claim_of_stability_is_the_one_that_was_proved() -> None:
    graph = base("triangles")
    assert graph.certificate is not None
    stability = graph.certificate.stability
    for other in (
        replace(stability, status="assumed"),
        replace(stability, method="fourier", figures={"modulus": 1.0}),
        replace(stability, figures={"reservoirs": 4}),
    ):
        assert rejected(replace(graph, certificate=replace(graph.certificate, stability=other))) == ["stability"]


def test_a_cell_that_takes_more_than_all_from_others_has_no_maximum_principle() -> None:
    graph = base("line")
    steeper = with_faces(graph, exponent=known_face(graph).exponent - 2)
    found = {one.claim: one.text for one in check_certificate(steeper) if not one.holds}
    assert found["stability"].startswith("other cells have a weight of ")


def altered(graph: IntegerGraph, name: str, at: int, change: int) -> IntegerGraph:
    """The graph with another mantissa in a synapse."""
    (synapse,) = (each for each in graph.synapses if each.name == name)
    mantissas = synapse.mantissas.copy()
    mantissas[at] += change
    return replace(
        graph, synapses=tuple(synapse.with_mantissas(mantissas) if s is synapse else s for s in graph.synapses)
    )


@pytest.mark.parametrize(
    ("name", "synapse", "text"),
    [
        ("several", "level-to-flux-digit-2", "equation: the weights of face 0 and of its reservoirs do not sum to 0"),
        ("several", "level-to-flux", "equation: a weight of face 0 is "),
        ("several", "flux-digit-2-to-flux-digit-3", "layout: flux-digit-2 does not carry to flux-digit-3"),
        ("several", "level-digit-3-to-level", "layout: level-digit-3 does not carry to level"),
        ("several", "membrane-to-level-digit-3", "layout: the synapses to the levels differ from the inverse volumes"),
        (
            "digits",
            "level-to-flux-digit-2",
            "layout: the input of a face is not the difference of the levels at its ends",
        ),
    ],
)
def test_the_checker_says_what_is_wrong_with_digits(name: str, synapse: str, text: str) -> None:
    findings = check_certificate(altered(base(name), synapse, 0, 2))
    assert any(f"{one.claim}: {one.text}".startswith(text) for one in findings if not one.holds)


def test_a_claim_on_energy_is_the_one_that_was_proved() -> None:
    graph = base("several")
    assert graph.certificate is not None and graph.certificate.stability.method == "energy"
    claim = graph.certificate.stability
    for other in (
        replace(claim, method="maximum-principle", figures={"reservoirs": 2}),
        replace(claim, figures={"points": claim.figures["points"] + 1}),
        replace(claim, status="assumed"),
    ):
        assert rejected(replace(graph, certificate=replace(graph.certificate, stability=other))) == ["stability"]
    steep = with_faces(graph, exponent=known_face(graph).exponent - 3)
    assert "stability" in rejected(steep)

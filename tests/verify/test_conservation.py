"""Conservation rests on the shape of a graph: whatever breaks it is rejected, and no program but a holder's can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from graphs_by_hand import reaction, sink, two_fields
from models_under_test import compiled, heat_model

from pisnn_deploy.graph import Claim, IntegerGraph
from pisnn_deploy.programs import Program, parse
from pisnn_deploy.programs.neurons import flux, membrane
from pisnn_deploy.verify import check_certificate
from pisnn_deploy.verify.conservation import conservation, only_adds
from pisnn_deploy.verify.programs import read


def base() -> IntegerGraph:
    return compiled(heat_model((0.25,)), 8, "dirichlet=0,1")


def finding(graph: IntegerGraph) -> str:
    """What is wrong with the claim on conservation."""
    assert graph.certificate is not None
    return next(conservation(graph, graph.certificate.conservation), "")


def with_program(graph: IntegerGraph, name: str, program: Program) -> IntegerGraph:
    populations = (replace(p, program=program) if p.name == name else p for p in graph.populations)
    return replace(graph, populations=tuple(populations))


def test_what_the_compiler_issues_is_conserved() -> None:
    assert finding(base()) == ""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("mass = add(mass_before, arrival)", "mass = sub(mass_before, arrival)"),
        ("mass = add(mass_before, arrival)", "mass = add(arrival, arrival)"),
        ("mass = add(mass_before, arrival)", "mass = add(mass_before, 1)"),
        ("mass = add(mass_before, arrival)", "more = add(mass_before, arrival)\nmass = add(more, 1)"),
        ("mass = add(mass_before, arrival)", "mass = max(mass_before, arrival)"),
        ("send mass", "send mass_before"),
    ],
)
def test_a_holder_that_does_more_than_add_what_arrives_is_rejected(old: str, new: str) -> None:
    text = str(membrane())
    assert old in text and only_adds(read(text))
    wrong = text.replace(old, new)
    assert not only_adds(read(wrong))
    message = "membrane does more than add its input to one state, so it may lose mass"
    assert finding(with_program(base(), "membrane", parse(wrong))) == message


def test_no_other_program_can_lose_mass() -> None:
    nonsense = parse(
        "neuron nonsense(arrival; r; bias)\nk = mul_shr(r, arrival, 3)\nr1 = add(k, 7)\nkeep r = r1\nsend k"
    )
    graph = with_program(base(), "flux", nonsense)
    bounds = tuple(replace(b, quantity="k") if b.quantity == "packet" else b for b in graph.bounds)
    assert finding(replace(graph, bounds=bounds)) == ""
    assert any(not one.holds for one in check_certificate(graph))


def test_what_reaches_a_holder_and_is_no_packet_is_rejected() -> None:
    graph = base()
    (route,) = graph.into("membrane")
    leaks = replace(route, name="leak", source="membrane")
    assert finding(replace(graph, synapses=(*graph.synapses, leaks))) == (
        "synapse leak sends membrane something other than packets of its channels"
    )


def test_a_channel_with_other_ends_than_its_face_is_rejected() -> None:
    graph = base()
    (channels,) = graph.channels
    turned = replace(channels, source=np.roll(channels.source, 1))
    assert finding(replace(graph, channels=(turned,))) == "the ends of face 0 differ from the mesh"


@pytest.mark.parametrize("make", [two_fields, sink, reaction])
def test_routes_of_several_fields_and_channels_are_compared_with_their_ends(make: Callable[[], IntegerGraph]) -> None:
    graph = make()
    claim = Claim("proved", "incidence", {"faces": graph.mesh.faces, "reservoirs": graph.mesh.reservoirs})
    assert not [*conservation(graph, claim)]
    for number, synapse in enumerate(graph.synapses):
        if synapse.target in graph.holders:
            doubled = synapse.with_mantissas(2 * synapse.mantissas)
            wrong = replace(graph, synapses=(*graph.synapses[:number], doubled, *graph.synapses[number + 1 :]))
            assert [*conservation(wrong, claim)] == ["the stored route of face 0 differs from the mesh"]


def test_a_face_of_another_program_still_has_a_conserving_route() -> None:
    assert finding(with_program(base(), "flux", flux(9, 100))) == ""

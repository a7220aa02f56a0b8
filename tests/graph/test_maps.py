"""Stencils that slide over a mesh have the integers, and the bits of floats, of their matrices."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from models_under_test import compiled_box, heat_model, hidden_model, laplace_model, plane_model, space_model

from pisnn_deploy.core.errors import SumTooLarge
from pisnn_deploy.graph import maps
from pisnn_deploy.graph.connections import Incidence
from pisnn_deploy.graph.integer import FLUX, MEMBRANE, IntegerGraph
from pisnn_deploy.graph.maps import Routed, Sliding, map_of
from pisnn_deploy.graph.semantics import Arrivals
from pisnn_deploy.graph.stencil import Stencil
from pisnn_deploy.physics.model import Model

GRAPHS: dict[str, tuple[Callable[[], Model], tuple[int, ...], str]] = {
    "ring": (heat_model, (40,), "periodic"),
    "walls": (heat_model, (40,), "x-=no-flux x+=dirichlet=1"),
    "hidden layers": (lambda: hidden_model((3, 2)), (40,), "no-flux"),
    "plane": (plane_model, (20, 24), "x=periodic y=dirichlet=1,0.5"),
    "reservoirs": (laplace_model, (20, 20), "x=dirichlet=0,1 y=dirichlet=0,0"),
    "space": (space_model, (12, 16, 10), "x=no-flux y=periodic z=dirichlet=0.5,1"),
}


def graph_of(name: str) -> IntegerGraph:
    model, shape, boundary = GRAPHS[name]
    return compiled_box(model(), shape, boundary)


@pytest.fixture(autouse=True)
def small_boxes_slide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maps, "LEAST", 8)
    monkeypatch.setattr(maps, "AT_ONCE", 100)


@pytest.mark.parametrize("name", GRAPHS)
def test_sums_are_those_of_the_matrix(name: str) -> None:
    graph = graph_of(name)
    draw = np.random.default_rng(3)
    synapses = [synapse for synapse in graph.synapses if isinstance(synapse.connections, Stencil)]
    assert synapses
    for synapse in synapses:
        mass = draw.integers(-(1 << 40), 1 << 40, synapse.inputs)
        slides = map_of([synapse])
        assert isinstance(slides, Sliding)
        assert np.array_equal(slides @ mass, synapse.matrix() @ mass)
        twice = map_of([synapse, synapse])
        assert isinstance(twice, Sliding) and np.array_equal(twice @ mass, 2 * (synapse.matrix() @ mass))
        stencil = synapse.connections.revalued(lambda values: values * 0.37)
        assert isinstance(stencil, Stencil)
        values = draw.normal(size=synapse.inputs) ** 3
        assert (Sliding(stencil) @ values).tobytes() == (stencil.rows @ values).tobytes()


def test_integers_that_may_not_fit_are_left_to_the_matrix() -> None:
    (synapse,) = (each for each in graph_of("ring").synapses if isinstance(each.connections, Stencil))
    slides, mass = map_of([synapse]), np.full(synapse.inputs, 1 << 60)
    assert isinstance(slides, Sliding)
    assert not (slides @ mass).any()  # weights cancel, but 64 bits would not hold all partial sums
    mass[::2] *= -1
    with pytest.raises(SumTooLarge):
        _ = slides @ mass


@pytest.mark.parametrize("name", GRAPHS)
def test_routes_are_those_of_the_matrix(name: str) -> None:
    (synapse,) = (each for each in graph_of(name).synapses if isinstance(each.connections, Incidence))
    routed, matrix = map_of([synapse]), synapse.matrix()
    assert isinstance(routed, Routed)
    for most in (1 << 20, 1 << 55, 1 << 60):
        packets = np.random.default_rng(5).integers(-most, most, synapse.inputs)
        assert np.array_equal(routed @ packets, matrix @ packets)
    assert synapse.connections.entries == matrix.entries
    starts, values = synapse.connections.distinct
    distinct = {tuple(sorted(values[a:b].tolist())) for a, b in pairwise(starts.tolist())}
    rows = synapse.mantissa_matrix()
    assert distinct == {tuple(sorted(rows.values[a:b].tolist())) for a, b in pairwise(rows.starts.tolist())}


def test_a_packet_that_returns_to_its_cell_changes_nothing() -> None:
    incidence = Incidence(np.array([0, 1, 1]), np.array([0, 2, 1]), 3, 4)
    assert incidence.entries == incidence.rows.entries == 2
    assert (Routed(incidence, 4) @ np.array([5, 7, 9])).tolist() == [0, -28, 28]
    assert sorted(incidence.distinct[1].tolist()) == [-4, 4]


def test_the_reference_lets_large_stencils_slide(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = graph_of("plane")
    kinds = {type(each) for _, _, each in Arrivals(graph)._weights[FLUX, "arrival"]}
    assert kinds == {Sliding} and MEMBRANE in graph.holders
    monkeypatch.setattr(maps, "LEAST", 1 << 20)
    assert {type(each) for _, _, each in Arrivals(graph)._weights[FLUX, "arrival"]} != {Sliding}

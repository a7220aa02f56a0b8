"""A long axis only repeats rows: what is proved on a shorter one is what the whole mesh says."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from models_under_test import compiled_box, heat_model, plane_model
from spelled_out import explicit

from pisnn_deploy.compiler.passes.prove import Prove, _averages, _shortened
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.connections import Incidence, Stencil
from pisnn_deploy.graph.integer import FLUX, MEMBRANE
from pisnn_deploy.graph.shape import is_incidence
from pisnn_deploy.physics.model import Model

MESHES = [
    (heat_model(), (70,), "periodic"),
    (heat_model(), (71,), "no-flux"),
    (plane_model(), (45, 54), "x=periodic y=no-flux"),
    (plane_model(), (40, 48), "no-flux"),
]


def rows(graph: IntegerGraph) -> set[tuple[tuple[int, ...], ...]]:
    """The rows of the update, each as its sorted weights."""
    update = graph.matrix(FLUX, MEMBRANE) @ graph.matrix(MEMBRANE, FLUX)
    return {tuple(sorted(update.values[a:b].tolist())) for a, b in pairwise(update.starts)}


@pytest.mark.parametrize(("model", "shape", "boundary"), MESHES)
def test_a_shorter_mesh_has_every_row_of_the_update(model: Model, shape: tuple[int, ...], boundary: str) -> None:
    graph = compiled_box(model, shape, boundary)
    small = _shortened(graph)
    assert small.mesh.cells < graph.mesh.cells
    assert rows(small) == rows(graph)


@pytest.mark.parametrize(("model", "shape", "boundary"), MESHES)
def test_a_negative_weight_anywhere_in_a_box_is_seen(model: Model, shape: tuple[int, ...], boundary: str) -> None:
    graph = compiled_box(model, shape, boundary)
    for number, synapse in enumerate(graph.synapses):
        if not isinstance(synapse.connections, Stencil):
            continue
        for entry in range(synapse.connections.values.size):
            values = synapse.connections.values.copy()
            values[entry] += 2 * 120
            wrong = replace(synapse, connections=replace(synapse.connections, values=values))
            broken = replace(graph, synapses=(*graph.synapses[:number], wrong, *graph.synapses[number + 1 :]))
            spelled = replace(wrong, connections=explicit(wrong.mantissa_matrix()))
            whole = replace(graph, synapses=(*graph.synapses[:number], spelled, *graph.synapses[number + 1 :]))
            assert _shortened(whole) is whole
            assert _averages(broken) == _averages(whole)


def test_a_route_that_is_one_rule_needs_no_expansion() -> None:
    graph = compiled_box(heat_model(), (30,), "no-flux")
    assert is_incidence(graph)
    route = graph.synapses[-1]
    for value in (1, 3, -2, 4):  # 1 and 3 lose their lowest bit, the others are too many quanta or backwards
        assert isinstance(route.connections, Incidence)
        connections = replace(route.connections, value=value)
        broken = replace(graph, synapses=(*graph.synapses[:-1], replace(route, connections=connections)))
        assert not is_incidence(broken)
    twice = replace(graph, synapses=(*graph.synapses, replace(route, name="again")))
    assert not is_incidence(twice)
    ring = compiled_box(heat_model(), (1,), "periodic")
    assert not is_incidence(ring) and np.array_equal(ring.mesh.source, ring.mesh.target)
    assert Prove()(ring).certificate is not None

"""The meaning of a graph, against a loop written from the contract alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models_under_test import compiled, heat_model, hidden_model

from pisnn_deploy.core.errors import OverflowViolation
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.kinds import known_face
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.mesh import window_cells
from pisnn_deploy.physics.model import Model


def plain_python(graph: IntegerGraph, mass: list[int], steps: int) -> list[list[int]]:
    """Section 3 of the design in Python integers, straight from the operator and the mesh."""
    window = window_cells(graph.grid, graph.model_spec.half_width, 0, np.zeros(0)).cell[:, :, 0].tolist()
    theta, exponent = 1 << known_face(graph).exponent, known_face(graph).exponent
    current, residue = [0] * graph.mesh.faces, [0] * graph.mesh.faces
    fields = [list(mass)]
    for _ in range(steps):
        mass = list(mass)
        fired = []
        for face, cells in enumerate(window):
            activation = [fields[-1][cell] for cell in cells]
            for number, layer in enumerate(graph.operator):
                drive = [
                    sum(int(w) * a for w, a in zip(row, activation, strict=True)) + int(bias)
                    for row, bias in zip(layer.weight, layer.bias, strict=True)
                ]
                if number + 1 < len(graph.operator):
                    activation = [max(value, 0) >> layer.shift for value in drive]
            kept = abs(current[face]) * (4096 - known_face(graph).leak) >> 12
            current[face] = (kept if current[face] > 0 else -kept) + drive[0]
            residue[face] += current[face]
            packet = (abs(residue[face]) + theta // 2 - 1) >> exponent
            fired.append(packet if residue[face] > 0 else -packet)
            residue[face] -= fired[-1] << exponent
        for face, packet in enumerate(fired):
            mass[graph.mesh.source[face]] -= packet
            mass[graph.mesh.target[face]] += packet
        fields.append(mass)
    return fields


MODELS = [heat_model(), heat_model(leak=900), hidden_model((3,)), hidden_model((3, 2), leak=2000)]


@pytest.mark.parametrize("model", MODELS, ids=["linear", "leak", "hidden", "hidden-leak"])
@pytest.mark.parametrize("boundary", ["periodic", "no-flux"])
@pytest.mark.parametrize("cells", [2, 3, 9])
def test_against_plain_python(model: Model, boundary: str, cells: int) -> None:
    graph = compiled(model, cells, boundary)
    semantics = Semantics(graph)
    state = semantics.start(graph.initial)
    expected = plain_python(graph, graph.initial.tolist(), 12)
    for step in range(12):
        state = semantics.step(state, step)
        assert state.mass.tolist() == expected[step + 1]


@given(st.lists(st.integers(0, 2**20), min_size=9, max_size=9), st.sampled_from(["periodic", "no-flux"]))
@settings(deadline=None, max_examples=30)
def test_mirrored_fields_stay_mirrored_and_mass_is_constant(half: list[int], boundary: str) -> None:
    graph = compiled(heat_model(leak=900), 18, boundary)
    mass = np.array(half + half[::-1], np.int64)
    unbounded = Semantics(IntegerGraph(**{**vars(graph), "bounds": ()}))
    state = unbounded.start(mass)
    for step in range(40):
        state = unbounded.step(state, step)
        assert np.array_equal(state.mass, state.mass[::-1])
        assert state.mass.sum() == mass.sum()


def test_a_value_outside_its_bits_is_named() -> None:
    graph = compiled()
    mass = graph.initial.copy()
    mass[3] = 2 * graph.window.upper
    with pytest.raises(OverflowViolation) as caught:
        Semantics(graph).start(mass)
    assert str(caught.value).startswith(f"overflow: membrane mass [3] is {mass[3]} at PDE step 0, outside its ")

"""Binary spikes: the lines of a population say what its graded spikes say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from models_under_test import binary_box, compiled, heat_model, hidden_model, with_lines

from pisnn_deploy.core.arithmetic import bit_lines
from pisnn_deploy.core.errors import CompileError
from pisnn_deploy.graph.artifact import read_artifact, write_artifact
from pisnn_deploy.graph.integer import FLUX, MEMBRANE
from pisnn_deploy.graph.lines import LARGEST_EXPONENT, lines_of, spikes, stored_synapses
from pisnn_deploy.graph.wellformed import defects
from pisnn_deploy.physics.model import Model


@given(st.integers(1, 32), st.data())
def test_bits_weigh_powers_of_two_and_the_last_one_is_the_sign(bits: int, data: st.DataObject) -> None:
    inside = st.integers(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    values = np.array(data.draw(st.lists(inside, max_size=6)), np.int64)
    lines = bit_lines(values, bits)
    weights = np.array([1 << bit for bit in range(bits - 1)] + [-(1 << (bits - 1))], np.int64)
    assert lines.shape == (bits, values.size)
    assert set(np.unique(lines)) <= {0, 1}
    assert np.array_equal(weights @ lines, values)


@pytest.mark.parametrize(("model", "cells", "boundary"), [(heat_model, 12, "periodic"), (hidden_model, 7, "no-flux")])
def test_lines_add_up_to_the_graded_product(model: Callable[[], Model], cells: int, boundary: str) -> None:
    graph = binary_box(model(), (cells,), boundary)
    random = np.random.default_rng(3)
    for synapse in graph.synapses:
        count = lines_of(graph, synapse.source)
        largest = 1 << (count - 1)
        payload = random.integers(-largest, largest, synapse.inputs)
        lines = bit_lines(payload, count)
        stored = [line for line in stored_synapses(graph) if line.synapse.name.startswith(f"{synapse.name}-bit")]
        assert [line.number for line in stored] == list(range(count))
        assert all(line.synapse.exponent <= LARGEST_EXPONENT for line in stored)
        total = sum(line.synapse.matrix() @ lines[line.number] for line in stored)
        assert np.array_equal(total, synapse.matrix() @ payload)


def test_graded_spikes_are_stored_as_they_are() -> None:
    graph = compiled()
    assert [line.synapse for line in stored_synapses(graph)] == list(graph.synapses)
    assert lines_of(graph, MEMBRANE) == 1


def test_spikes_are_the_bits_that_are_set() -> None:
    graph = binary_box(heat_model(), (6,), "periodic")
    payload = np.array([0, 1, 3, -1, 0, 0], np.int64)
    assert spikes(graph, FLUX, payload) == 0 + 1 + 2 + graph.population(FLUX).lines
    assert spikes(with_lines(graph, {}), FLUX, payload) == 3


def test_every_population_has_the_lines_of_its_payload() -> None:
    graph = binary_box(hidden_model(), (7,), "no-flux")
    widths = {bound.population: bound.bits for bound in graph.bounds if bound.quantity in ("payload", "packet")}
    assert {p.name: p.lines for p in graph.populations} == widths and set(widths) == set(graph.chain)


def test_an_artifact_keeps_the_lines(tmp_path: Path) -> None:
    graph = binary_box(heat_model(), (6,), "periodic")
    write_artifact(tmp_path / "binary.pisnn", graph, {})
    assert [p.lines for p in read_artifact(tmp_path / "binary.pisnn").graph.populations] == [
        p.lines for p in graph.populations
    ]


@pytest.mark.parametrize(
    ("binary", "sentence"),
    [
        ({MEMBRANE: 3}, "binary spikes are declared for membrane but not for every population"),
        ({MEMBRANE: 30, FLUX: 2}, "the packet of flux has "),
        ({MEMBRANE: 30, FLUX: 30}, "a mantissa is beyond 256"),
    ],
)
def test_a_graph_whose_lines_cannot_carry_its_payloads_is_not_well_formed(
    binary: dict[str, int], sentence: str
) -> None:
    graph = with_lines(binary_box(heat_model(), (6,), "periodic"), binary)
    assert any(sentence in found for found in defects(graph))


def test_payloads_that_no_weight_can_follow_are_refused() -> None:
    from pisnn_deploy.compiler.passes.encode import Encode

    with pytest.raises(CompileError, match=r"payloads of membrane have \d+ bits, and synapse membrane-to-flux-bit"):
        Encode(254)(compiled())

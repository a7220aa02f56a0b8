"""Networks in the formats of others: what they answer is what the file's own semantics say, or they are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pisnn_deploy.cli.compilation import compile_file
from pisnn_deploy.errors import FileError
from pisnn_deploy.graph.integer import IntegerGraph

Case = Callable[[str], Path]


def compiled(name: str, **options: Any) -> tuple[IntegerGraph, list[str]]:
    """The graph, and what importing changed or left out."""
    graph, provenance = compile_file(name, problem_name="heat1d", mesh="64", **options)
    return graph, provenance["imported"]["notes"]


def weights(graph: IntegerGraph) -> list[Any]:
    return [layer.weight.tolist() for layer in graph.operator]


def refusal(name: str, **options: Any) -> str:
    with pytest.raises(FileError) as caught:
        compiled(name, **options)
    return str(caught.value)


def test_a_norm_of_lava_dl_divides_the_weights(case: Case) -> None:
    case("netx_weight_exp")
    graph, notes = compiled("flux.net")
    assert graph.spec.diffusion_number == pytest.approx(0.0625, rel=1e-12)
    assert notes == ["the weights of layer/0/neuron were divided by 2^2, its weight_exp"]


def test_graded_spikes_of_lava_dl_carry_the_voltage(case: Case) -> None:
    case("netx_graded_spike")
    graph, notes = compiled("flux.net")
    assert graph.spec.diffusion_number == pytest.approx(0.25, rel=1e-12)
    assert notes == ["layer/0/neuron became C-LIF: signed packets, and a reset that keeps what did not fire"]


@pytest.mark.parametrize(("name", "file"), [("nir_padding_not_told", "flux.nir"), ("nir_nested", "conv_same.nir")])
def test_a_padding_of_nir_is_told(case: Case, name: str, file: str) -> None:
    case(name)
    assert compiled(file)[1] == ["the padding of node 'c' was left out: --boundary says what is beyond a side"]


def test_a_graph_within_a_graph_is_read(case: Case) -> None:
    case("nir_nested")
    nested, flat = compiled("nested.nir"), compiled("flat.nir")
    assert weights(nested[0]) == weights(flat[0]) and nested[0].time_step == flat[0].time_step
    assert nested[1] == flat[1] == []

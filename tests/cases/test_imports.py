"""Networks in the formats of others: what they answer is what the file's own semantics say, or they are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compiled_files import compile_file
from pisnn_deploy.core.errors import FileError
from pisnn_deploy.graph.integer import IntegerGraph

Case = Callable[[str], Path]


def compiled(name: str, **options: Any) -> tuple[IntegerGraph, list[str]]:
    """The graph, and what importing changed or left out."""
    graph, provenance = compile_file(name, problem="heat1d", mesh="64", **options)
    return graph, provenance["imported"]["notes"]


def weights(graph: IntegerGraph) -> list[Any]:
    return [layer.weight.tolist() for layer in graph.operator]


def answer(graph: IntegerGraph, window: list[float]) -> float:
    """The flux of the integers through one face, in units of the cell value."""
    unit = graph.quantum * 64
    values = np.rint(np.array(window) / unit).astype(np.int64)
    for layer in graph.operator[:-1]:
        values = np.maximum(layer.weight @ values + layer.bias, 0) >> layer.shift
    last = graph.operator[-1]
    return float((last.weight @ values + last.bias)[0] * unit / 2.0 ** graph.model_spec.weight_exponents[-1])


def refusal(name: str, **options: Any) -> str:
    with pytest.raises(FileError) as caught:
        compiled(name, **options)
    return str(caught.value)


def test_a_norm_of_lava_dl_divides_the_weights(case: Case) -> None:
    case("netx_weight_exp")
    graph, notes = compiled("flux.net")
    assert graph.model_spec.diffusion_number == pytest.approx(0.0625, rel=1e-12)
    assert notes == ["the weights of layer/0/neuron were divided by 2^2, its weight_exp"]


def test_graded_spikes_of_lava_dl_carry_the_voltage(case: Case) -> None:
    case("netx_graded_spike")
    graph, notes = compiled("flux.net")
    assert graph.model_spec.diffusion_number == pytest.approx(0.25, rel=1e-12)
    assert notes == ["layer/0/neuron became C-LIF, with signed packets and a reset that keeps the residue"]


@pytest.mark.parametrize(("name", "file"), [("nir_padding_not_told", "flux.nir"), ("nir_nested", "conv_same.nir")])
def test_a_padding_of_nir_is_told(case: Case, name: str, file: str) -> None:
    case(name)
    assert compiled(file)[1] == ["the padding of node 'c' was omitted: --boundary sets the boundary conditions"]


def test_a_graph_within_a_graph_is_read(case: Case) -> None:
    case("nir_nested")
    nested, flat = compiled("nested.nir"), compiled("flat.nir")
    assert weights(nested[0]) == weights(flat[0]) and nested[0].time_step == flat[0].time_step
    assert nested[1] == flat[1] == []


def encoded(name: str, step: str, least: str, largest: str) -> list[str]:
    """What is told of cell values in integers."""
    return [
        f"the rounding of activations to multiples of {step} by node '{name}' was omitted: the compiler rounds them",
        f"the clipping of cell values to {least} to {largest} by node '{name}' was omitted: the operating range is "
        "-0.123 to 2.12",
    ]


def rounded(name: str, step: str) -> str:
    return f"the rounding of activations to multiples of {step} by node '{name}' was omitted: the compiler rounds them"


def test_the_type_that_onnx_rounds_to_may_be_an_attribute(case: Case) -> None:
    case("onnx_output_dtype")
    found, reference = (compiled(f"hid_{name}.onnx", diffusion_number=0.5) for name in ("outdtype", "ref"))
    assert weights(found[0])[0] == weights(reference[0])[0] == [[77, -51], [-51, 77]]
    assert len(found[0].between_fields) == 1 and found[0].time_step == reference[0].time_step
    assert found[1] == reference[1] == []
    assert found[0].quantisation.relative_l2_integer == pytest.approx(3e-4, abs=5e-5)
    linear, notes = compiled("wq_outdtype.onnx")
    assert linear.model_spec.diffusion_number == pytest.approx(166 * 0.0015748, rel=1e-5) and notes == []
    activations, notes = compiled("aq_outdtype.onnx")
    assert activations.model_spec.diffusion_number == pytest.approx(0.26) and activations.between_fields == ()
    assert notes[:2] == encoded("QuantizeLinear", "0.007874", "-1.008", "1")
    assert notes[3] == (
        "fluxes of onnxruntime for 64 windows differ by up to 0.0031, 9.6 % of the largest flux; omitted rounding "
        "explains up to 0.0037"
    )


def test_two_scales_of_onnx_multiply(case: Case) -> None:
    case("onnx_qdq_scales")
    changed, half, reference = (compiled(f"{name}.onnx")[0] for name in ("scale_change", "lin_half", "ref"))
    assert weights(changed) == weights(half)
    assert changed.time_step == half.time_step == reference.time_step / 2


def test_cell_values_in_8_bits_are_no_rectifier(case: Case) -> None:
    case("onnx_reshape_uint8")
    reshaped, notes = compiled("static_resh.onnx", diffusion_number=0.5)
    plain = compiled("static_plain.onnx", diffusion_number=0.5)[0]
    assert weights(reshaped) == weights(plain) and reshaped.period == plain.period == 3
    assert notes[:2] == encoded("x2_QuantizeLinear", "0.003918", "0", "0.9992")
    linear, notes = compiled("reshape_u8.onnx")
    assert linear.between_fields == () and notes[:2] == encoded("QuantizeLinear", "0.003922", "0", "1")


def test_operators_of_onnx_that_are_affine_are_read(case: Case) -> None:
    case("onnx_messages")
    padded = "the padding by node 'Pad' (wrap) was omitted: --boundary sets the boundary conditions"
    # Weights at 1 and 3 half cells, as onnxruntime answers them to windows of one 1.
    for name, near, far, told in (
        ("int4", 7 * 0.2 / 7, 0.2 / 7, []),
        ("mul", 0.5 * 0.4, 0.5 * 0.04, []),
        ("qcdq", 7 * 0.2 / 7, 0.2 / 7, []),
        ("wrap", 0.2, 0.02, [padded]),
    ):
        graph, notes = compiled(f"{name}.onnx")
        assert graph.model_spec.diffusion_number == pytest.approx(near + 3 * far) and notes == told
    graph, notes = compiled("int16.onnx", diffusion_number=0.5)
    assert weights(graph)[0] == [[77, -51], [-51, 77]] and graph.period == 3
    assert notes[:2] == encoded("x_QuantizeLinear", "1.525e-05", "0", "0.9993")


def test_a_quantiser_that_clips_is_kept_exactly(case: Case) -> None:
    case("onnx_saturating_quantise")
    clip = (
        "node 'QuantizeLinear' (QuantizeLinear) clips values below -0.1008 and above 0.1, which the operating range "
    )
    assert refusal("flux.onnx") == (
        f"flux.onnx: is not linear, because {clip}may reach, so its weights do not determine the length of a PDE step; give "
        "the `diffusion_number` that it was trained for: diffusivity * dt / h^2"
    )
    graph, notes = compiled("flux.onnx", diffusion_number=0.5)
    assert notes[:2] == [
        rounded("QuantizeLinear", "0.0007874"),
        f"{clip}may reach: this became units of a hidden layer",
    ]
    # onnxruntime: 0.0502 for the window (1, 0).
    assert answer(graph, [1.0, 0.0]) == pytest.approx(0.0502, abs=1e-3)


def test_cell_values_are_real_numbers(case: Case) -> None:
    case("onnx_int8_input")
    assert refusal("flux.onnx") == (
        "flux.onnx: input 'x': has the type INT8, but cell values and fluxes must be real: use FLOAT, DOUBLE, FLOAT16; "
        "quantise inside the network, between real inputs and outputs"
    )

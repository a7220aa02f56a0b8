"""Flux networks from ONNX: every spelling of one network is one network, and everything else is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fuzz.flux_files import KERNEL, conv_onnx, onnx_bytes, written
from pisnn_deploy.core.errors import FileError
from pisnn_deploy.formats.onnx.reader import LARGEST_NODES, SPEC, read_onnx
from pisnn_deploy.formats.reading import Network, Request

PATH = Path("flux.onnx")
COLUMN = KERNEL.astype(np.float32)[:, None]


def node(operator: str, inputs: str, output: str, name: str = "", **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, inputs.split(), [output], name, **attributes)


def read(
    nodes: list[onnx.NodeProto], constants: dict[str, Any], shape: list[int | str], request: Request | None = None
) -> Network:
    arrays = {name: np.asarray(value) for name, value in constants.items()}
    return read_onnx(PATH, onnx_bytes(nodes, arrays, shape), request)


def dense(name: str, operator: str = "Gemm") -> Network:
    """The kernel in one of its spellings."""
    flat = {"w": COLUMN}
    if name == "gemm":
        return read([node("Gemm", "u w b", "flux")], {**flat, "b": np.zeros(1, np.float32)}, ["batch", 8])
    if name == "gemm of the transpose":
        scaled = [node("Gemm", "u w", "flux", transB=1, alpha=2.0)]
        return read(scaled, {"w": COLUMN.T / 2}, [5, 8])
    if name == "matmul":
        return read([node("MatMul", "u w", "flux")], flat, [2, "faces", 8])
    if name == "matmul from the left":
        return read([node("MatMul", "w u", "flux")], {"w": COLUMN.T}, [8])
    if name == "conv and dense over channels":
        nodes = [node("Conv", "u e", "c"), node("Transpose", "c", "t", perm=[0, 2, 1]), node("MatMul", "t w", "flux")]
        return read(nodes, {"e": np.eye(8, dtype=np.float32)[:, None, :], "w": COLUMN}, [1, 1, 32])
    if name == "two convolutions":
        halves = np.zeros((2, 1, 4), np.float32)
        halves[0, 0], halves[1, 0] = KERNEL[:4], KERNEL[4:]
        shift = np.zeros((1, 2, 5), np.float32)
        shift[0, 0, 0] = shift[0, 1, 4] = 1
        nodes = [node("Conv", "u a", "c"), node("Conv", "c b", "flux")]
        return read(nodes, {"a": halves, "b": shift}, ["n", 1, "cells"])
    if name == "shapes alone":
        nodes = [
            node("Unsqueeze", "u x", "r", "wider"),
            node("Reshape", "r s", "m"),
            node("Flatten", "m", "f"),
            node("Squeeze", "f", "q"),
            node("MatMul", "q w", "p"),
            node("Identity", "p", "flux"),
        ]
        return read(nodes, {**flat, "x": np.array([1]), "s": np.array([0, 2, -1])}, ["n", 8])
    assert name == "differences"
    nodes = [node("MatMul", "u a", "p"), node("MatMul", "u b", "q"), node("Sub", "p q", "flux")]
    lower, upper = COLUMN.copy(), -COLUMN
    lower[4:], upper[:4] = 0, 0
    return read(nodes, {"a": lower, "b": upper}, ["n", 8])


@pytest.mark.parametrize(
    "name",
    [
        "gemm",
        "gemm of the transpose",
        "matmul",
        "matmul from the left",
        "conv and dense over channels",
        "two convolutions",
        "shapes alone",
        "differences",
    ],
)
def test_spellings_of_one_network(name: str) -> None:
    network = dense(name)
    assert network.window == (8,) and network.notes == () and len(network.layers) == 1
    assert np.array_equal(network.layers[0].weight[0], KERNEL) and not network.layers[0].bias.any()


def test_a_convolution_over_lines_of_any_length() -> None:
    network = read_onnx(PATH, conv_onnx(metadata={SPEC: json.dumps({"leak": 410}), "other": "x"}))
    assert np.array_equal(network.layers[0].weight[0], KERNEL)
    assert (network.window, network.spec_fields, network.source) == ((8,), {"leak": 410}, "onnx")


def test_weights_of_eight_bits() -> None:
    grid = {"g": np.float32(0.01), "s": np.array([1 / 128], np.float32), "z": np.array([3], np.int8)}
    rounded = (128 * KERNEL).reshape(1, 1, 8).astype(np.int8) + np.int8(3)
    on_constants = node("QuantizeLinear", "f s z", "i", axis=0)
    for before, constants in (
        ([], {"i": rounded}),
        ([on_constants], {"f": KERNEL.reshape(1, 1, 8).astype(np.float32)}),
    ):
        nodes = [
            *before,
            node("DequantizeLinear", "i s z", "w", axis=0),
            node("QuantizeLinear", "u g", "uq", "input"),
            node("DequantizeLinear", "uq g", "ud"),
            node("Conv", "ud w", "flux"),
        ]
        network = read(nodes, {**grid, **constants}, ["n", 1, "cells"])
        assert np.array_equal(network.layers[0].weight, KERNEL[None, :])
        assert network.notes == (
            "the rounding of activations to multiples of 0.01 by node 'input' was omitted: the compiler rounds them",
            "the clipping of cell values to 0 to 2.55 by node 'input' was omitted",
        )


def test_a_clipping_type_is_a_rectifier() -> None:
    def network(zero: Any) -> Network:
        nodes = [
            node("MatMul", "u a", "h"),
            node("QuantizeLinear", "h g z", "hq", "grid"),
            node("DequantizeLinear", "hq g z", "hd"),
            node("MatMul", "hd b", "flux"),
        ]
        first = np.concatenate([COLUMN, -COLUMN], axis=1)
        constants = {"a": first, "b": np.array([[1], [-1]], np.float32), "g": np.float32(0.1), "z": zero}
        return read(nodes, constants, ["n", 8], Request("heat1d"))

    note = "the rounding of activations to multiples of 0.1 by node 'grid' was omitted: the compiler rounds them"
    clipped, whole = network(np.uint8(0)), network(np.uint8(128))
    assert len(clipped.layers) == 2 and clipped.notes == whole.notes == (note,)
    assert np.allclose(whole.layers[0].weight[0], 2 * KERNEL, rtol=1e-15)


def test_hidden_layers_with_two_outputs_that_are_rectified() -> None:
    first = np.concatenate([COLUMN, -COLUMN], axis=1)
    nodes = [node("Gemm", "u w", "h"), node("Relu", "h", "flux")]
    layers = read(nodes, {"w": first}, ["n", 8]).layers
    assert np.array_equal(layers[0].weight, first.T) and np.array_equal(layers[1].weight, [[1, -1]])


def test_planes_see_lines_beside_them() -> None:
    kernel = np.arange(18, dtype=np.float32).reshape(1, 1, 6, 3)
    network = read([node("Conv", "u w", "flux", pads=[3, 1, 3, 1])], {"w": kernel}, ["n", 1, "x", "y"])
    assert network.window == (6, 3) and np.array_equal(network.layers[0].weight[0], np.arange(18))
    assert network.notes == ("the padding of node 'Conv' was omitted: --boundary sets the boundary conditions",)


CONV: dict[str, Any] = {"w": KERNEL.reshape(1, 1, 8).astype(np.float32)}
LINE: list[int | str] = ["n", 1, "cells"]
KNOWN = (
    "Add, BatchNormalization, Cast, Clip, Constant, Conv, DequantizeLinear, Div, Flatten, Gemm, Identity, MatMul, Mul, "
    "Neg, Pad, QLinearConv, QLinearMatMul, QuantizeLinear, Relu, Reshape, Squeeze, Sub, Sum, Transpose, Unsqueeze, "
    "com.microsoft.DequantizeLinear, com.microsoft.QGemm, com.microsoft.QuantizeLinear, qonnx.Quant"
)


@pytest.mark.parametrize(
    ("nodes", "constants", "shape", "message"),
    [
        (
            [node("Conv", "u w", "h"), node("Tanh", "h", "flux", "squash")],
            CONV,
            LINE,
            f"node 'squash' (Tanh): is not a supported operator; use {KNOWN}",
        ),
        (
            [node("Conv", "u w", "flux", domain="com.microsoft")],
            CONV,
            LINE,
            f"node 0 (com.microsoft.Conv): is not a supported operator of the domain com.microsoft; use {KNOWN}",
        ),
        ([node("Conv", "u w", "flux", "c", group=2)], CONV, LINE, "node 'c' (Conv): must have one group, not 2"),
        (
            [node("Conv", "u w", "flux", "c", strides=[2])],
            CONV,
            LINE,
            "node 'c' (Conv): must have strides of 1, not [2], because each face needs a flux",
        ),
        (
            [node("Conv", "u v", "flux", "c")],
            CONV,
            LINE,
            "input 'u': must declare the size of the window, but its last size is open",
        ),
        (
            [node("Conv", "u v", "flux", "c")],
            CONV,
            [1, 1, 8],
            "node 'c' (Conv): has the undefined input 'v'",
        ),
        ([node("MatMul", "u u", "flux", "m")], {}, [1, 8], "node 'm' (MatMul): must have constant weights"),
        (
            [node("Relu", "w", "flux", "r")],
            CONV,
            [1, 8],
            "node 'r' (Relu): has only constant inputs, expected a tensor of the network",
        ),
        (
            [node("Gemm", "u w", "flux", "g")],
            {"w": np.ones((7, 1), np.float32)},
            [1, 8],
            "node 'g' (Gemm): weights of shape (1, 7) do not fit a tensor of shape (1, 8)",
        ),
        (
            [node("Gemm", "u w", "flux", "g")],
            {"w": np.ones((8, 3), np.float32)},
            [1, 8],
            "output 'flux': the network has 3 outputs per window, but a face has one flux",
        ),
        (
            [node("Relu", "u", "r"), node("Add", "u r", "flux", "skip")],
            {},
            [1, 1],
            "node 'skip' (Add): tensors can only be added if they have the same shape and depend on the same layer",
        ),
        ([node("Identity", "w", "flux")], CONV, [1, 8], "output 'flux': does not depend on the window of cell values"),
        (
            [node("Gemm", "u w", "flux", "g")],
            {"w": np.array(["text"], object)},
            [1, 8],
            "initializer 'w': has the type STRING; use FLOAT, DOUBLE, FLOAT16, INT8, UINT8, INT16, UINT16, INT4, "
            "UINT4, INT2, UINT2, INT32, INT64",
        ),
        (
            [node("Identity", "u", "flux")] * (LARGEST_NODES + 1),
            {},
            [1, 8],
            f"has {LARGEST_NODES + 1} nodes, more than {LARGEST_NODES}",
        ),
        (
            [node("Conv", "u w", "flux")],
            CONV,
            [8],
            "node 0 (Conv): a kernel of shape (1, 1, 8) does not fit a tensor of shape (8,)",
        ),
        (
            [node("Conv", "u w", "h"), node("Conv", "h v", "flux")],
            {**CONV, "v": np.ones((1, 1, 2, 2), np.float32)},
            LINE,
            "input 'u': is followed by kernels that do not fit it",
        ),
        (
            [node("Conv", "u w", "flux", dilations=[1 << 40])],
            CONV,
            LINE,
            "input 'u': needs 59237365161132222723391489 weights between two layers, more than 16777216",
        ),
    ],
)
def test_what_is_no_flux_network_is_named(
    nodes: list[onnx.NodeProto], constants: dict[str, Any], shape: list[int | str], message: str
) -> None:
    with pytest.raises(FileError) as caught:
        read(nodes, constants, shape)
    assert str(caught.value) == f"flux.onnx: {message}"


def test_nothing_is_read_from_other_files(tmp_path: Path) -> None:
    model = onnx.load_model_from_string(conv_onnx())
    (tmp_path / "weights").write_bytes(KERNEL.astype(np.float32).tobytes())
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "weights"
    with pytest.raises(FileError) as caught:
        read_onnx(written(tmp_path / "flux.onnx", b""), model.SerializeToString())
    assert str(caught.value).endswith(
        "initializer 'w': is stored in another file, which is not supported; save the model with its weights"
    )


def test_shapes_that_the_file_does_not_fill_allocate_nothing() -> None:
    for dims, problem in (
        ([1, 1, 9], "does not have as many numbers as its shape"),
        ([1 << 40], "has more than 16777216 numbers"),
        ([-1, 8], "has an invalid shape"),
    ):
        model = onnx.load_model_from_string(conv_onnx())
        model.graph.initializer[0].dims[:] = dims
        with pytest.raises(FileError) as caught:
            read_onnx(PATH, model.SerializeToString())
        assert str(caught.value) == f"flux.onnx: initializer 'w': {problem}"


def test_metadata_must_be_fields_of_a_spec() -> None:
    for text, message in (
        ("[1]", f"{SPEC}: must be a JSON object with fields of a spec; see docs/reference/formats.md"),
        ("[" * 5000, f"{SPEC}: must be a JSON object with fields of a spec; see docs/reference/formats.md"),
        ('{"colour": 1}', f"{SPEC}: has the unknown field 'colour'"),
    ):
        with pytest.raises(FileError) as caught:
            read_onnx(PATH, conv_onnx(metadata={SPEC: text}))
        assert str(caught.value) == f"flux.onnx: {message}"


def test_a_file_without_a_graph_is_no_model() -> None:
    for data in (b"", b"\x08\x0a", b"\x08"):
        with pytest.raises(FileError, match=r"^flux\.onnx: is damaged, or not an ONNX model"):
            read_onnx(PATH, data)


def test_a_constant_node_holds_weights() -> None:
    tensor = numpy_helper.from_array(COLUMN, "")
    nodes = [node("Constant", "", "w", value=tensor), node("MatMul", "u w", "flux")]
    assert np.array_equal(read(nodes, {}, ["n", 8]).layers[0].weight[0], KERNEL)

"""Operators of ONNX that are no part of drawn models: read as onnxruntime answers them, or named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from fuzz.flux_files import KERNEL
from pisnn_deploy.core.errors import FileError
from pisnn_deploy.formats.comparison import compared, fluxes_of
from pisnn_deploy.formats.onnx import call as onnx_call
from pisnn_deploy.formats.onnx import evaluation as onnx_evaluation
from pisnn_deploy.formats.onnx import replica as onnx_replica
from pisnn_deploy.formats.onnx.reader import read_onnx
from pisnn_deploy.formats.reading import Network, Request
from pisnn_deploy.formats.windows import Limits

PATH = Path("flux.onnx")
LIMITS = Limits(-1.0, 1.0)
COLUMN = KERNEL.astype(np.float32)[:, None]
Nodes = list[tuple[Any, ...]]


@pytest.fixture(autouse=True)
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the process of onnxruntime."""
    monkeypatch.setattr(onnx_replica, "evaluated", lambda path, model, fields: onnx_evaluation.run(model, fields))


def model(nodes: Nodes, constants: dict[str, Any], shape: list[Any], **types: int) -> bytes:
    """A model of nodes (operator, inputs, output, attributes)."""
    made = [
        helper.make_node(
            name.rpartition(".")[2], inputs.split(), [output], domain=name.rpartition(".")[0], **attributes
        )
        for name, inputs, output, attributes in nodes
    ]
    kinds = (types.get("before", TensorProto.FLOAT), types.get("behind", TensorProto.FLOAT))
    given, answer = (
        helper.make_tensor_value_info(name, kind, size)
        for name, kind, size in zip(("u", "flux"), kinds, (shape, None), strict=True)
    )
    tensors = [numpy_helper.from_array(np.asarray(values), name) for name, values in constants.items()]
    imported = [helper.make_opsetid(name, version) for name, version in (("", 21), ("com.microsoft", 1))]
    graph = helper.make_graph(made, "flux", [given], [answer], tensors)
    return bytes(helper.make_model(graph, opset_imports=imported, ir_version=10).SerializeToString())


def read(data: bytes) -> Network:
    return read_onnx(PATH, data, Request("heat1d", limits=(-1.0, 1.0)))


QUANTISED = {"s": np.float32(0.02), "z": np.uint8(128), "t": np.float32(0.01), "y": np.uint8(120)}
INTEGERS = np.rint(100 * COLUMN).astype(np.int8)
CHANNELS = np.concatenate([INTEGERS, 2 * INTEGERS], axis=1)


@pytest.mark.parametrize(
    ("nodes", "constants", "shape"),
    [
        (
            [
                ("Conv", "u w", "c", {}),
                ("BatchNormalization", "c a b m v", "n", {"epsilon": 0.01}),
                ("Relu", "n", "r", {}),
                ("Conv", "r k", "flux", {}),
            ],
            {
                "w": np.stack([KERNEL, -KERNEL])[:, None].astype(np.float32),
                **{
                    name: np.array(ends, np.float32)
                    for name, ends in (("a", [2, 0.5]), ("b", [0.1, 0]), ("m", [0.2, -0.1]), ("v", [0.5, 2]))
                },
                "k": np.array([[[1], [-1]]], np.float32),
            },
            ["n", 1, "cells"],
        ),
        (
            [
                ("QuantizeLinear", "u s z", "q", {}),
                ("QLinearConv", "q s z w e x t y b", "p", {"pads": [1, 0]}),
                ("DequantizeLinear", "p t y", "flux", {}),
            ],
            {
                **QUANTISED,
                "w": INTEGERS.reshape(1, 1, 8),
                "e": np.array([0.01], np.float32),
                "x": np.array([0], np.int8),
                "b": np.array([40], np.int32),
            },
            [1, 1, "cells"],
        ),
        (
            [
                ("QuantizeLinear", "u s z", "q", {}),
                ("com.microsoft.QGemm", "q s z w e x b", "h", {"transB": 1, "alpha": 0.5}),
                ("MatMul", "h k", "flux", {}),
            ],
            {
                **QUANTISED,
                "w": CHANNELS.T.copy(),
                "e": np.array([0.01, 0.02], np.float32),
                "x": np.array([1, -2], np.int8),
                "b": np.array([40, -30], np.int32),
                "k": np.array([[1], [0.5]], np.float32),
            },
            ["n", 8],
        ),
        (
            [
                ("Pad", "u p k", "d", {}),
                ("Conv", "d w", "c", {}),
                ("Flatten", "c", "f", {}),
                ("MatMul", "f m", "flux", {}),
            ],
            {
                "p": np.array([0, 0, 1, 0, 0, 1]),
                "k": np.float32(0.25),
                "w": np.array([[[0.25, 0.5, 0.25]]], np.float32),
                "m": COLUMN,
            },
            [1, 1, 8],
        ),
        (
            [
                ("Cast", "u", "d", {"to": TensorProto.DOUBLE}),
                ("MatMul", "d w", "p", {}),
                ("Cast", "p", "flux", {"to": 1}),
            ],
            {"w": KERNEL[:, None]},
            [1, 8],
        ),
        ([("Sum", "u a u", "h", {}), ("MatMul", "h w", "flux", {})], {"a": np.float32(0.5), "w": COLUMN}, [1, 8]),
        (
            [("Clip", "u a", "h", {}), ("MatMul", "h w", "flux", {})],
            {"a": np.float32(-0.25), "w": COLUMN},
            [1, 8],
        ),
        (
            [
                ("QuantizeLinear", "u e x", "q", {"axis": 1}),
                ("DequantizeLinear", "q e x", "d", {"axis": 1}),
                ("MatMul", "d w", "flux", {}),
            ],
            {"w": COLUMN, "e": np.linspace(0.01, 0.02, 8, dtype=np.float32), "x": np.arange(8).astype(np.int8)},
            [1, 8],
        ),
    ],
    ids=["normalised", "QLinearConv", "QGemm", "Pad", "Cast", "Sum", "Clip", "per axis"],
)
def test_operators_are_read_as_onnxruntime_answers_them(nodes: Nodes, constants: dict[str, Any], shape: Any) -> None:
    network = read(model(nodes, constants, shape))
    assert compared(PATH, network, LIMITS) == [] or "rounding" in " ".join(network.notes)


@pytest.mark.parametrize("kind", [TensorProto.DOUBLE, TensorProto.FLOAT16])
def test_floats_of_other_widths(kind: int) -> None:
    weight = KERNEL[:, None].astype(helper.tensor_dtype_to_np_dtype(kind))
    network = read(model([("MatMul", "u w", "flux", {})], {"w": weight}, [1, 8], before=kind, behind=kind))
    compared(PATH, network, LIMITS)
    assert np.array_equal(network.layers[0].weight[0], KERNEL)


def quant(values: NDArray[Any], step: float, zero: float, ends: tuple[float, float]) -> NDArray[Any]:
    """QONNX's definition."""
    return np.asarray((np.clip(np.rint(values / step + zero), *ends) - zero) * step)


@pytest.mark.parametrize(
    ("bits", "signed", "narrow", "ends"),
    [(4, 1, 0, (-8, 7)), (4, 1, 1, (-7, 7)), (3, 0, 0, (0, 7)), (3, 0, 1, (0, 6))],
)
def test_quant_of_qonnx(bits: int, signed: int, narrow: int, ends: tuple[float, float]) -> None:
    attributes = {"signed": signed, "narrow": narrow, "rounding_mode": "ROUND"}
    nodes: Nodes = [
        ("qonnx.custom_op.general.Quant", "w s z b", "v", attributes),
        ("Gemm", "u v", "h", {}),
        ("qonnx.custom_op.general.Quant", "h t z b", "flux", attributes),
    ]
    zero = 0.0 if signed else 3.0
    constants = {
        "w": COLUMN,
        "s": np.float32(0.06),
        "t": np.float32(0.02),
        "z": np.float32(zero),
        "b": np.float32(bits),
    }
    network = read(model(nodes, constants, [1, 8]))
    (note,) = compared(PATH, network, LIMITS)
    assert note.startswith("fluxes of onnxruntime for 64 windows differ by up to 0.0")
    windows = np.random.default_rng(1).uniform(-1, 1, (200, 8))
    expected = quant(windows @ quant(COLUMN, 0.06, zero, ends), 0.02, zero, ends)
    assert np.abs(fluxes_of(network.layers, windows) - expected[:, 0]).max() <= 0.0101


@pytest.mark.parametrize(
    ("nodes", "constants", "message"),
    [
        (
            [("Mul", "u u", "flux", {})],
            {},
            "node 0 (Mul): must not multiply two tensors of the network, which is not affine",
        ),
        (
            [("Div", "w u", "flux", {})],
            {"w": COLUMN},
            "node 0 (Div): must not divide by a tensor of the network, which is not affine",
        ),
        (
            [("QuantizeLinear", "u s", "q", {}), ("MatMul", "q w", "flux", {})],
            {"s": np.float32(0.1), "w": COLUMN},
            "node 1 (MatMul): uses integer arithmetic, which is not supported; put DequantizeLinear before it",
        ),
        (
            [("QuantizeLinear", "u s", "q", {"output_dtype": TensorProto.FLOAT8E4M3FN})],
            {"s": np.float32(0.1)},
            "node 0 (QuantizeLinear): quantises to the type FLOAT8E4M3FN; use INT8, UINT8, INT16, UINT16, INT4, "
            "UINT4, INT2, UINT2",
        ),
        (
            [("QuantizeLinear", "u s z", "q", {"output_dtype": TensorProto.UINT8})],
            {"s": np.float32(0.1), "z": np.int8(0)},
            "node 0 (QuantizeLinear): has output_dtype UINT8, but a zero point of type INT8",
        ),
        (
            [("QuantizeLinear", "u s", "q", {})],
            {"s": np.float32(-0.1)},
            "node 0 (QuantizeLinear): has a scale that is not a positive real number",
        ),
        (
            [("QuantizeLinear", "u s z", "q", {})],
            {"s": np.float32(0.1), "z": np.uint8(0)},
            "output 'flux': does not depend on the window of cell values",
        ),
        (
            [("QuantizeLinear", "u s z", "q", {}), ("DequantizeLinear", "q s z", "flux", {})],
            {"s": np.float32(0.1), "z": np.int8(-128)},
            "output 'flux': the network has 8 outputs per window, but a face has one flux",
        ),
        (
            [("DequantizeLinear", "u s", "flux", {})],
            {"s": np.float32(0.1)},
            "node 0 (DequantizeLinear): needs integers, but its input has real numbers",
        ),
        (
            [("Cast", "u", "flux", {"to": TensorProto.INT32})],
            {},
            "node 0 (Cast): must not convert a tensor of the network to INT32, which is not affine",
        ),
        (
            [("QuantizeLinear", "u s z", "q", {}), ("DequantizeLinear", "q s z", "flux", {})],
            {"s": np.float32(0.001), "z": np.int8(127)},
            "output 'flux': the network has 8 outputs per window, but a face has one flux",
        ),
        (
            [("com.acme.Flux", "u", "flux", {})],
            {},
            "node 0 (com.acme.Flux): is not a supported operator of the domain com.acme; use ",
        ),
    ],
)
def test_what_is_not_affine_is_named(nodes: Nodes, constants: dict[str, Any], message: str) -> None:
    with pytest.raises(FileError) as caught:
        read(model(nodes, constants, [1, 8]))
    found = str(caught.value)
    assert found == f"flux.onnx: {message}" or (message.endswith("use ") and found.startswith(f"flux.onnx: {message}"))


@pytest.mark.parametrize(
    ("nodes", "constants"),
    [
        (
            [("DequantizeLinear", "w e", "d", {"axis": 0, "block_size": 1 << 40}), ("MatMul", "u d", "flux", {})],
            {"w": np.ones((8, 1), np.int8), "e": np.ones((1, 1), np.float32)},
        ),
        ([("Add", "a b", "c", {}), ("Mul", "u c", "flux", {})], {"a": np.ones((1 << 13, 1)), "b": np.ones(1 << 13)}),
        ([("Mul", "a b", "c", {}), ("Mul", "u c", "flux", {})], {"a": np.ones((1 << 13, 1)), "b": np.ones(1 << 13)}),
        (
            [("Unsqueeze", "u x", "r", {}), ("Pad", "r p", "flux", {})],
            {"x": np.array([2, 3]), "p": np.array([4096] * 8)},
        ),
    ],
    ids=["block", "Add", "Mul", "Pad"],
)
def test_what_is_large_is_not_made(nodes: Nodes, constants: dict[str, Any]) -> None:
    try:
        read(model(nodes, constants, [1, 8]))
    except FileError as error:
        assert "more than 16777216" in str(error)


def test_many_nodes_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_call, "LARGEST_WORK", 1000)
    nodes: Nodes = [("Neg", "u" if not at else f"t{at - 1}", f"t{at}", {}) for at in range(20)]
    with pytest.raises(FileError) as caught:
        read(model([*nodes, ("MatMul", "t19 w", "flux", {})], {"w": COLUMN}, [1, 8]))
    assert str(caught.value) == ("flux.onnx: node 15 (Neg): exceeds 1000 values, together with the nodes before it")


def test_cell_values_that_no_integer_holds_are_refused() -> None:
    nodes: Nodes = [
        ("QuantizeLinear", "u s z", "q", {}),
        ("DequantizeLinear", "q s z", "d", {}),
        ("MatMul", "d w", "flux", {}),
    ]
    constants = {"s": np.float32(0.01), "z": np.int8(-128), "w": COLUMN}
    with pytest.raises(FileError) as caught:
        read_onnx(PATH, model(nodes, constants, [1, 8]), Request("heat1d", limits=(-3.0, -1.0)))
    assert str(caught.value) == (
        "flux.onnx: node 0 (QuantizeLinear): clips cell values to 0 to 2.55, but the operating range is -3 to -1"
    )


def test_integers_in_and_out_are_refused() -> None:
    identity: Nodes = [("Identity", "u", "flux", {})]
    known = "but cell values and fluxes must be real: use FLOAT, DOUBLE, FLOAT16"
    remedy = "quantise inside the network, between real inputs and outputs"
    for types, where in (
        ({"before": TensorProto.UINT8}, "input 'u'"),
        ({"behind": TensorProto.UINT8}, "output 'flux'"),
    ):
        with pytest.raises(FileError) as caught:
            read(model(identity, {}, [1, 1], **types))
        assert str(caught.value) == f"flux.onnx: {where}: has the type UINT8, {known}; {remedy}"


def test_a_network_of_a_newer_language_is_refused() -> None:
    newer = onnx.load_model_from_string(model([("MatMul", "u w", "flux", {})], {"w": COLUMN}, [1, 8]))
    newer.opset_import[0].version = 999
    network = read(newer.SerializeToString())
    with pytest.raises(Exception, match="opset"):
        compared(PATH, network, LIMITS)

"""What was read is compared with onnxruntime; a difference that rounding does not explain is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fuzz.flux_files import KERNEL, conv_onnx, onnx_bytes, written
from pisnn_deploy.core.errors import FileError, UsageError
from pisnn_deploy.formats.affine import Floats, Layer
from pisnn_deploy.formats.comparison import compared
from pisnn_deploy.formats.onnx import evaluation as onnx_evaluation
from pisnn_deploy.formats.onnx import replica as onnx_replica
from pisnn_deploy.formats.onnx.evaluation import evaluated
from pisnn_deploy.formats.onnx.reader import read_onnx
from pisnn_deploy.formats.reading import Network, Request, import_model
from pisnn_deploy.formats.windows import Limits

PATH = Path("flux.onnx")
LIMITS = Limits(0.0, 1.0)
QUANTISED = [
    helper.make_node("QuantizeLinear", ["u", "s", "z"], ["q"], "grid"),
    helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
    helper.make_node("MatMul", ["d", "w"], ["flux"]),
]


def quantised(step: float = 0.01) -> bytes:
    constants: dict[str, Any] = {"s": np.float32(step), "z": np.int8(0), "w": KERNEL.astype(np.float32)[:, None]}
    return onnx_bytes(QUANTISED, constants, ["n", 8])


def changed(network: Network, factor: float) -> Network:
    layers = (Layer(factor * network.layers[0].weight, network.layers[0].bias), *network.layers[1:])
    return replace(network, layers=layers)


@pytest.fixture()
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the process of onnxruntime."""
    monkeypatch.setattr(onnx_replica, "evaluated", lambda path, model, fields: onnx_evaluation.run(model, fields))


@pytest.mark.usefixtures("in_process")
def test_a_network_that_was_read_wrongly_is_refused() -> None:
    for data, error, unseen in ((conv_onnx(), 1e-5, 1e-8), (quantised(), 0.02, 1e-3)):
        network = read_onnx(PATH, data, Request("heat1d", limits=(0.0, 1.0)))
        compared(PATH, network, LIMITS)
        compared(PATH, changed(network, 1 + unseen), LIMITS)
        with pytest.raises(FileError) as caught:
            compared(PATH, changed(network, 1 + error), LIMITS)
        assert str(caught.value).startswith("flux.onnx: was read as a network with the flux ")
        assert ", but onnxruntime gives " in str(caught.value)
        assert str(caught.value).endswith("; please report this file")


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize("narrow", [1, 2])
def test_casts_to_narrow_floats_explain_their_rounding(narrow: int) -> None:
    """Of the cells alone, and of the weights and the product too."""
    weight = KERNEL.astype(np.float16 if narrow == 2 else np.float32)[:, None]
    nodes = [
        helper.make_node("Cast", ["u"], ["half"], to=TensorProto.FLOAT16),
        helper.make_node("Cast", ["half"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["half" if narrow == 2 else "wide", "w"], ["product"]),
        helper.make_node("Cast", ["product"], ["flux"], to=TensorProto.FLOAT),
    ]
    network = read_onnx(PATH, onnx_bytes(nodes, {"w": weight}, ["n", 8]), Request("heat1d", limits=(0.0, 2.0)))
    limits = Limits(0.0, 2.0)
    (note,) = compared(PATH, network, limits)
    assert note.startswith("fluxes of onnxruntime for 64 windows differ by up to ")
    with pytest.raises(FileError, match="was read as a network"):
        compared(PATH, changed(network, 1.2), limits)


@pytest.mark.usefixtures("in_process")
def test_the_size_of_the_rounding_is_told() -> None:
    network = read_onnx(PATH, quantised(), Request("heat1d", limits=(0.0, 1.0)))
    (note,) = compared(PATH, network, LIMITS)
    bound = 0.005 * np.abs(KERNEL).sum()
    assert network.oracle is not None and network.oracle.rounding == pytest.approx(bound, rel=1e-3)
    assert note.startswith("fluxes of onnxruntime for 64 windows differ by up to 0.00")
    assert note.endswith(f"omitted rounding explains up to {bound:.2g}")
    assert compared(PATH, read_onnx(PATH, conv_onnx(), Request("heat1d")), LIMITS) == []


def test_a_model_that_onnxruntime_does_not_run_is_refused(tmp_path: Path) -> None:
    model = onnx.load_model_from_string(quantised())
    # Numbers of 64 bits and of 32 do not add up to a model.
    model.graph.initializer[2].CopyFrom(numpy_helper.from_array(KERNEL[:, None], "w"))
    with pytest.raises(FileError) as caught:
        import_model(written(tmp_path / "flux.onnx", model.SerializeToString()), Request("heat1d"))
    assert ": could not be compared: onnxruntime cannot run it (" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_onnxruntime_that_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing(path: Path, model: bytes, fields: Floats) -> list[Floats]:
        raise UsageError("onnxruntime is not installed")

    monkeypatch.setattr(onnx_replica, "evaluated", missing)
    imported = import_model(written(tmp_path / "flux.onnx", conv_onnx()), Request("heat1d"))
    assert imported.notes == ("not compared with onnxruntime: onnxruntime is not installed",)


@pytest.mark.usefixtures("in_process")
def test_nothing_but_what_was_read_reaches_onnxruntime() -> None:
    model = onnx.load_model_from_string(conv_onnx(metadata={"secret": "value"}))
    model.doc_string = model.graph.doc_string = model.producer_name = "secret"
    model.graph.value_info.append(helper.make_tensor_value_info("secret", TensorProto.FLOAT, [1]))
    model.graph.node[0].attribute.append(helper.make_attribute("body", model.graph))
    model.functions.append(helper.make_function("secret", "f", [], [], [], [helper.make_opsetid("", 18)]))
    model.opset_import.append(helper.make_opsetid("secret", 1))
    network = read_onnx(PATH, model.SerializeToString(), Request("heat1d"))
    assert network.oracle is not None
    replica = getattr(network.oracle, "model")  # noqa: B009
    assert (
        isinstance(replica, bytes) and b"secret" not in replica and b"slide" not in replica and b"body" not in replica
    )
    assert compared(PATH, network, LIMITS) == []


def test_a_model_that_does_not_end_is_refused() -> None:
    with pytest.raises(FileError, match=r"^x: could not be compared: onnxruntime took longer than 0.001 seconds$"):
        evaluated(Path("x"), b"", np.zeros((1, 1)), seconds=0.001)
    with pytest.raises(FileError, match=r"^x: could not be compared: onnxruntime cannot run it \(.*\)$"):
        evaluated(Path("x"), b"rubbish", np.zeros((1, 1)))

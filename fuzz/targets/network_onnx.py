"""Flux networks as ONNX, and whether onnxruntime answers as they were read."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fuzz.networks import KERNEL, import_file, require_model
from fuzz.target import Target


def _seeds(folder: Path) -> list[bytes]:
    line = KERNEL.reshape(1, 1, -1).astype(np.float32)
    wide = np.stack([KERNEL, -KERNEL]).astype(np.float32)
    return [
        _model([helper.make_node("Conv", ["u", "w"], ["flux"], "slide")], {"w": line}, ["batch", 1, "cells"]),
        _model(
            [helper.make_node("Gemm", ["u", "w", "b"], ["flux"], transB=1)],
            {"w": wide[:1], "b": np.zeros(1, np.float32)},
            [1, 8],
        ),
        _model(
            [
                helper.make_node("Reshape", ["u", "shape"], ["v"]),
                helper.make_node("MatMul", ["v", "w"], ["h"]),
                helper.make_node("Relu", ["h"], ["r"]),
                helper.make_node("MatMul", ["r", "x"], ["s"]),
                helper.make_node("Mul", ["s", "half"], ["flux"]),
            ],
            {
                "w": wide.T.copy(),
                "x": np.array([[1], [-1]], np.float32),
                "shape": np.array([-1, 8]),
                "half": np.array([0.5], np.float32),
            },
            [1, 8],
        ),
    ]


def _model(nodes: list[onnx.NodeProto], constants: dict[str, Any], shape: list[int | str]) -> bytes:
    given = helper.make_tensor_value_info("u", TensorProto.FLOAT, shape)
    answer = helper.make_tensor_value_info("flux", TensorProto.FLOAT, None)
    tensors = [numpy_helper.from_array(values, name) for name, values in constants.items()]
    graph = helper.make_graph(nodes, "flux", [given], [answer], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return bytes(model.SerializeToString())


def _read(path: Path) -> None:
    require_model(import_file(path).model)


TARGET = Target("input.onnx", _read, _seeds)

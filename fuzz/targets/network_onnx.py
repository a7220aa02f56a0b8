"""Flux networks as ONNX, compared with onnxruntime."""

from pathlib import Path

import numpy as np
from onnx import helper

from fuzz.flux_files import KERNEL, conv_onnx, onnx_bytes
from fuzz.networks import import_file, require_model
from fuzz.target import Target


def _seeds(folder: Path) -> list[bytes]:
    wide = np.stack([KERNEL, -KERNEL]).astype(np.float32)
    return [
        conv_onnx(),
        onnx_bytes(
            [helper.make_node("Gemm", ["u", "w", "b"], ["flux"], transB=1)],
            {"w": wide[:1], "b": np.zeros(1, np.float32)},
            [1, 8],
        ),
        onnx_bytes(
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


def _read(path: Path) -> None:
    require_model(import_file(path).model)


TARGET = Target("input.onnx", _read, _seeds)

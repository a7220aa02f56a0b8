"""Flux networks in the formats of other libraries, made without torch and lava-dl; tests use them too."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from pisnn_deploy.formats.netx.hdf5_reader import Tree, _Reader

KERNEL = np.array([1.0, 5.0, 18.0, 46.0, -46.0, -18.0, -5.0, -1.0]) / 128
"""An antisymmetric flux kernel whose integers at 2^7 are small."""

Arrays = Mapping[str, NDArray[Any]]


def onnx_bytes(
    nodes: Sequence[onnx.NodeProto],
    constants: Arrays,
    shape: Sequence[int | str],
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """ONNX model from input ``u`` to output ``flux``."""
    source = helper.make_tensor_value_info("u", TensorProto.FLOAT, list(shape))
    answer = helper.make_tensor_value_info("flux", TensorProto.FLOAT, None)
    tensors = [numpy_helper.from_array(np.asarray(values), name) for name, values in constants.items()]
    graph = helper.make_graph(list(nodes), "flux", [source], [answer], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    if metadata:
        helper.set_model_props(model, dict(metadata))
    return bytes(model.SerializeToString())


def conv_onnx(kernel: NDArray[np.float64] = KERNEL, metadata: Mapping[str, str] | None = None) -> bytes:
    """ONNX model of one convolution over lines of any length."""
    node = helper.make_node("Conv", ["u", "w"], ["flux"], "slide")
    weight = kernel.reshape(1, 1, -1).astype(np.float32)
    return onnx_bytes([node], {"w": weight}, ["batch", 1, "cells"], metadata)


def lava_dl_bytes(layers: Sequence[Mapping[str, Any]]) -> bytes:
    """Layers as lava-dl's blocks export them; nested mappings are groups."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for number, layer in enumerate(layers):
            _fill(file.create_group(f"layer/{number}"), layer)
    return buffer.getvalue()


def _fill(group: Any, content: Mapping[str, Any]) -> None:
    for name, value in content.items():
        if isinstance(value, Mapping):
            _fill(group.create_group(name), value)
        elif name == "type" and value in ("input", "dense", "conv", "flatten", "pool"):
            group.create_dataset("type", (1,), "S10", [value.encode()])
        else:
            group[name] = value


SIGMA = {"type": "SDNN", "activation": "relu", "vThMant": 0, "sigma_output": True}


def dense_layer(kernel: NDArray[np.float64] = KERNEL, **changes: Any) -> dict[str, Any]:
    """A dense layer into sigma neurons; its weights are mantissas."""
    weight = np.atleast_2d(64 * kernel).astype(np.float32)
    plain = {"type": "dense", "inFeatures": weight.shape[1], "outFeatures": weight.shape[0], "weight": weight}
    return {**plain, "neuron": SIGMA, **changes}


CUBA = {"type": "CUBA", "iDecay": 4096, "vDecay": 0, "vThMant": 64}
CONV = {
    "type": "conv",
    "weight": KERNEL.reshape(1, 1, 8, 1) * 64,
    "neuron": SIGMA,
    "stride": np.ones(2),
    "dilation": np.ones(2),
    "padding": np.zeros(2),
    "groups": 1,
}
SPIKING = (
    {"type": "input", "shape": np.array([8]), "weight": 64, "bias": np.zeros(1)},
    dense_layer(np.eye(8), neuron=CUBA, delay=np.zeros(8)),
    dense_layer(neuron=CUBA),
)
"""Layers of spiking neurons between an input and the flux."""


def written(path: Path, content: bytes) -> Path:
    """Write a file with the given content."""
    path.write_bytes(content)
    return path


def tree_of(data: bytes) -> Tree:
    """Content of an HDF5 file, read without the process that `read_tree` starts."""
    with h5py.File(io.BytesIO(data), "r") as file:
        return _Reader(h5py).group(file, "", 0)


def nir_file(graph: Any) -> bytes:
    """A NIR graph as nir writes it."""
    buffer = io.BytesIO()
    nir.write(buffer, graph)
    return buffer.getvalue()


def nir_bytes(*nodes: Any, size: int | tuple[int, ...] = 8, metadata: dict[str, Any] | None = None) -> bytes:
    """NIR chain from an input of the given shape to an output."""
    names = {
        "u": nir.Input(np.atleast_1d(size)),
        **{f"n{at}": node for at, node in enumerate(nodes)},
        "out": nir.Output(np.array([1])),
    }
    order = list(names)
    edges = list(zip(order, order[1:], strict=False))
    return nir_file(nir.NIRGraph(nodes=names, edges=edges, metadata=metadata or {}, type_check=False))

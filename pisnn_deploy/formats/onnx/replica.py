"""Rewrite ONNX models from their parsed content, so that onnxruntime only gets what was checked.

The file's bytes never reach onnxruntime. A replica has the nodes, plain attributes and tensors that the reader has
followed, with new names, and no metadata, functions, subgraphs, shapes or external data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from pisnn_deploy.formats.affine import AffineForm, Floats
from pisnn_deploy.formats.onnx.call import Findings
from pisnn_deploy.formats.onnx.evaluation import evaluated
from pisnn_deploy.formats.onnx.operators import MICROSOFT, QONNX, STANDARD
from pisnn_deploy.formats.onnx.tensors import attributes_of, tensor_values

NEWEST_IR = 10
OLDEST = 7
"""Default version of the standard operators."""
LARGEST_SLOTS = 1 << 16
"""Maximum number of elements of the input; if the declared sizes exceed it, a single window is used."""


@dataclass(frozen=True)
class Replica:
    """A model for onnxruntime, with the positions of windows in its input and of fluxes in its output.

    Attributes
    ----------
    dtype : str
        Numpy name of the input's dtype.
    shape : tuple of int
        Shape of the input.
    window : tuple of int
        Shape of a window, which is at the start of the input; the rest repeats its last cells.
    answer : tuple of int
        Shape of the output for a single window.
    before : tuple of int
        Index of the window's flux along each axis with several fluxes.
    """

    model: bytes
    dtype: str
    shape: tuple[int, ...]
    window: tuple[int, ...]
    answer: tuple[int, ...]
    before: tuple[int, ...]
    covered: tuple[float, float]
    rounding: float
    name: str = "onnxruntime"

    def fluxes(self, path: Path, windows: Floats) -> Floats:
        """Fluxes from onnxruntime; see `pisnn_deploy.formats.network.Oracle`."""
        fields = np.stack([self._placed(window) for window in windows.reshape(-1, *self.window)])
        answers = evaluated(path, self.model, fields.astype(self.dtype))
        return np.stack([self._taken(answer) for answer in answers])

    def _placed(self, window: Floats) -> Floats:
        around = [(0, max(size - seen, 0)) for size, seen in zip(self.shape, window.shape, strict=True)]
        return np.pad(window, around, mode="edge")

    def _taken(self, answer: Floats) -> Floats:
        """Extract the window's fluxes from an output."""
        places = iter(self.before)
        if answer.ndim == len(self.answer):
            for axis, (size, alone) in enumerate(zip(answer.shape, self.answer, strict=True)):
                if size > alone and self.before:
                    answer = answer.take([next(places, 0)], axis=axis)
        two = [axis for axis, size in enumerate(self.answer) if size == 2]
        if two and answer.ndim == len(self.answer):
            ends = answer.take([0], axis=two[-1]) - answer.take([1], axis=two[-1])
            return np.asarray(ends.reshape(-1), np.float64)
        return np.asarray(answer.reshape(-1), np.float64)


def replica_of(
    model: onnx.ModelProto,
    graph_input: onnx.ValueInfoProto,
    shape: tuple[int, ...],
    result: AffineForm,
    findings: Findings,
) -> Replica:
    """Rewrite a model that was read.

    Parameters
    ----------
    graph_input : onnx.ValueInfoProto
        Input of the model.
    shape : tuple of int
        Shape of a single window.
    result : AffineForm
        Output of the model for a single window.
    """
    kind = graph_input.type.tensor_type.elem_type
    full = tuple(
        size.dim_value if size.HasField("dim_value") and size.dim_value > 0 else seen
        for size, seen in zip(graph_input.type.tensor_type.shape.dim, shape, strict=True)
    )
    if np.prod([float(size) for size in full]) > LARGEST_SLOTS:
        full = shape
    rounding = 0.0 if result.rounding is None else float(result.rounding.sum())
    before = _places(shape, full, findings) if findings.slides else ()
    dtype = str(np.dtype(helper.tensor_dtype_to_np_dtype(kind)))
    data = _written(model, graph_input, full)
    return Replica(data, dtype, full, shape, result.shape, before, findings.covered, rounding)


def _places(shape: tuple[int, ...], full: tuple[int, ...], findings: Findings) -> tuple[int, ...]:
    """Index of the flux of a window at the start of a line, on axes with more than one flux."""
    axes = len(shape) - 2
    before, behind = (total or [0] * axes for total in (findings.before, findings.behind))
    fluxes = [full[at + 2] + before[at] + behind[at] - shape[at + 2] + 1 for at in range(axes)]
    return tuple(place for place, count in zip(before, fluxes, strict=True) if count > 1)


def _written(model: onnx.ModelProto, graph_input: onnx.ValueInfoProto, shape: tuple[int, ...]) -> bytes:
    names: dict[str, str] = {"": ""}

    def renamed(name: str) -> str:
        return names.setdefault(name, f"t{len(names)}")

    tensors = [_tensor(tensor_values(None, tensor), renamed(tensor.name)) for tensor in model.graph.initializer]
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        inputs = [renamed(name) for name in node.input]
        output = renamed(node.output[0])
        if node.domain in QONNX:
            nodes += _fake_quantiser(node, inputs, output, tensors)
            continue
        copy = helper.make_node(node.op_type, inputs, [output], domain="" if node.domain in STANDARD else node.domain)
        copy.attribute.extend(_attributes(node))
        nodes.append(copy)
    kind = graph_input.type.tensor_type.elem_type
    source = helper.make_tensor_value_info(renamed(graph_input.name), kind, list(shape))
    last = model.graph.output[0]
    target = helper.make_tensor_value_info(renamed(last.name), last.type.tensor_type.elem_type, None)
    graph = helper.make_graph(nodes, "replica", [source], [target], tensors)
    versions = [entry.version for entry in model.opset_import if entry.domain in STANDARD]
    imported = [helper.make_opsetid("", versions[0] if versions else OLDEST), helper.make_opsetid(MICROSOFT, 1)]
    written = helper.make_model(graph, opset_imports=imported, ir_version=min(max(model.ir_version, 4), NEWEST_IR))
    return bytes(written.SerializeToString())


def _tensor(values: NDArray[Any], name: str) -> TensorProto:
    return numpy_helper.from_array(np.ascontiguousarray(values).reshape(values.shape), name)


def _attributes(node: onnx.NodeProto) -> list[onnx.AttributeProto]:
    """Copy attributes that are numbers, lists of numbers, short words or tensors."""
    copies = []
    for name, value in attributes_of(node).items():
        if isinstance(value, TensorProto):
            copies.append(helper.make_attribute(name, _tensor(tensor_values(None, value), "")))
        elif isinstance(value, int | float | bytes) or (isinstance(value, list) and value and len(value) <= 64):
            copies.append(helper.make_attribute(name, value))
    return copies


def _fake_quantiser(
    node: onnx.NodeProto, inputs: list[str], output: str, tensors: list[TensorProto]
) -> list[onnx.NodeProto]:
    """Express QONNX's `Quant` with standard operators, which onnxruntime supports."""
    attributes: Mapping[str, Any] = attributes_of(node)
    value, scale, zero, bits = inputs[:4]
    by_name = {tensor.name: numpy_helper.to_array(tensor) for tensor in tensors if tensor.name == bits}
    count = 2.0 ** float(np.asarray(by_name[bits]).reshape(-1)[0])
    narrow = bool(attributes.get("narrow", 0))
    signed = bool(attributes.get("signed", 1))
    lower, upper = (-count / 2 + narrow, count / 2 - 1) if signed else (0.0, count - 1 - narrow)
    words = {b"ROUND": "Round", b"FLOOR": "Floor", b"CEIL": "Ceil"}
    word = words[bytes(attributes.get("rounding_mode", b"ROUND")).upper()]
    own = [f"{output}_{at}" for at in range(7)]
    tensors += [_tensor(np.asarray(end, np.float32), name) for end, name in ((lower, own[5]), (upper, own[6]))]
    return [
        helper.make_node("Div", [value, scale], [own[0]]),
        helper.make_node("Add", [own[0], zero], [own[1]]),
        helper.make_node(word, [own[1]], [own[2]]),
        helper.make_node("Clip", [own[2], own[5], own[6]], [own[3]]),
        helper.make_node("Sub", [own[3], zero], [own[4]]),
        helper.make_node("Mul", [own[4], scale], [output]),
    ]

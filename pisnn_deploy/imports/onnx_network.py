"""Flux networks from ONNX models.

The graph is not run: it is followed through one window (`pisnn_deploy.imports.affine`). External data is never read,
and nothing is allocated that the file does not hold or `AffineForm` does not bound.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError

from pisnn_deploy.errors import FileError
from pisnn_deploy.imports.affine import AffineForm, FormError, form_of
from pisnn_deploy.imports.network import Network, ended
from pisnn_deploy.imports.onnx_operators import FOLDED, Course, Value
from pisnn_deploy.imports.onnx_tensors import attributes_of, tensor_values
from pisnn_deploy.imports.said import said_of

LARGEST_FILE = 1 << 26
"""Bytes."""
LARGEST_NODES = 512
"""Nodes of the graph; a flux network of 8 hidden layers has about 60 with quantisation."""
SPEC = "pisnn_spec"
"""Key of the model's metadata that holds fields of the spec as JSON."""


def read_onnx(path: Path, data: bytes) -> Network:
    """Read a flux network.

    Parameters
    ----------
    path : Path
        For messages.
    data : bytes
        The file.

    Returns
    -------
    Network

    Raises
    ------
    FileError
        Not an ONNX model, or an operator that a flux network does not have; the message names the node.
    """
    model = _parsed(path, data)
    graph = model.graph
    if len(graph.node) > LARGEST_NODES:
        raise FileError(path, f"has {len(graph.node)} nodes, more than the {LARGEST_NODES} of a flux network")
    if graph.sparse_initializer or len(graph.output) != 1:
        raise FileError(path, "must have dense initializers and one output, the flux")
    values: dict[str, Value] = {tensor.name: tensor_values(path, tensor) for tensor in graph.initializer}
    inputs = [given for given in graph.input if given.name not in values]
    if len(inputs) != 1:
        raise FileError(path, f"has {len(inputs)} inputs, a flux network has one: the window of cell values")
    said: dict[str, Any] = {}
    for entry in model.metadata_props:
        if entry.key == SPEC:
            said = said_of(path, entry.value, SPEC)
    course = Course(path)
    rest = []
    for number, node in enumerate(graph.node):
        # Weights first: how far convolutions reach says what a window is.
        is_constant = node.op_type in FOLDED and all(name in values for name in node.input if name)
        if is_constant:
            course.run(node, number, values)
        else:
            rest.append((number, node))
    where = f"input {inputs[0].name!r}"
    try:
        window, shape = _window(path, graph, inputs[0], values)
        values[inputs[0].name] = course.window = form_of(shape)
    except FormError as error:
        raise FileError(path, str(error), field=where) from error
    except (ValueError, TypeError, IndexError, OverflowError) as error:
        raise FileError(path, "is followed by kernels that do not fit it", field=where) from error
    for number, node in rest:
        course.run(node, number, values)
    result = values.get(graph.output[0].name)
    if not isinstance(result, AffineForm):
        raise FileError(path, "does not depend on the window of cell values", field=f"output {graph.output[0].name!r}")
    try:
        layers = ended(result)
    except FormError as error:
        raise FileError(path, str(error), field=f"output {graph.output[0].name!r}") from error
    return Network("onnx", layers, window, said, tuple(course.notes))


def _parsed(path: Path, data: bytes) -> onnx.ModelProto:
    try:
        model = onnx.load_model_from_string(data)
    except (DecodeError, ValueError, RuntimeError) as error:
        raise FileError(path, "is damaged, or not an ONNX model") from error
    if not model.HasField("graph") or not model.graph.node:
        raise FileError(path, "is damaged, or not an ONNX model: it holds no graph")
    return model


def _window(
    path: Path, graph: onnx.GraphProto, given: onnx.ValueInfoProto, values: Mapping[str, Value]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Window of the network, and the shape in which its input takes one.

    A convolution slides over lines of any length, so its window is what its kernels see: it grows with each by one cell
    less than the kernel spans.
    """
    dims = given.type.tensor_type.shape.dim
    declared = [size.dim_value if size.HasField("dim_value") else 0 for size in dims]
    where = f"input {given.name!r}"
    if not declared:
        raise FileError(path, "has no declared shape", field=where)
    kernels = [
        (node, values[node.input[1]]) for node in graph.node if node.op_type == "Conv" and _second(node) in values
    ]
    if not kernels:
        if declared[-1] < 1:
            raise FileError(path, "must say how many cells the window has: its last size is open", field=where)
        return (declared[-1],), (*(1,) * (len(declared) - 1), declared[-1])
    axes = len(kernels[0][1].shape) - 2
    if axes not in (1, 2, 3) or len(declared) not in (axes + 1, axes + 2):
        raise FileError(
            path, f"has {len(declared)} axes, its convolutions want batch, channel and 1 to 3 axes", field=where
        )
    reach = [1] * axes
    for node, kernel in kernels:
        attributes = attributes_of(node)
        steps = attributes.get("dilations") or [1] * axes
        for axis, size in enumerate(kernel.shape[2:]):
            reach[axis] += (size - 1) * (int(steps[axis]) if axis < len(steps) and axis < axes else 1)
    channels = kernels[0][1].shape[1]
    window = tuple(reach) if channels == 1 else (channels * math.prod(reach),)
    return window, (*(1,) * (len(declared) - axes - 1), channels, *reach)


def _second(node: onnx.NodeProto) -> str:
    return node.input[1] if len(node.input) > 1 else ""

"""Read flux networks from ONNX models.

The graph is followed through one window (`pisnn_deploy.formats.affine`), and the result compared with onnxruntime
(`pisnn_deploy.formats.comparison`). External data is never read, and memory is limited by the size of the file and by
`AffineForm`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.formats.affine import AffineForm, FormError, form_of
from pisnn_deploy.formats.defaults import limits_of
from pisnn_deploy.formats.network import Network, Request, ended
from pisnn_deploy.formats.onnx.call import Findings, Value
from pisnn_deploy.formats.onnx.operators import is_folded, run_node
from pisnn_deploy.formats.onnx.replica import Replica, replica_of
from pisnn_deploy.formats.onnx.tensors import FLOATS, attributes_of, tensor_values, type_name
from pisnn_deploy.formats.spec_text import spec_fields_of
from pisnn_deploy.formats.windows import Limits

LARGEST_FILE = 1 << 26
"""Maximum size of a file in bytes."""
LARGEST_NODES = 512
"""Maximum number of nodes; a quantised flux network with 8 hidden layers has about 60."""
LARGEST_LINE = 512
"""Maximum size of an input that is tried as a single window even if convolutions slide over it."""
SPEC = "pisnn_spec"
"""Metadata key of the model for fields of the spec as JSON."""
WEIGHTS = {"Conv": 1, "QLinearConv": 3}
"""Index of the kernel among the inputs of each operator."""


def read_onnx(path: Path, data: bytes, request: Request | None = None) -> Network:
    """Read a flux network.

    Parameters
    ----------
    path : Path
        File for error messages.
    data : bytes
        Content of the file.
    request : Request, optional
        Information that the file lacks.

    Raises
    ------
    FileError
        The file is not an ONNX model, or has an unsupported operator; the message names the node.
    """
    model = _parsed(path, data)
    spec_fields: dict[str, Any] = {}
    for entry in model.metadata_props:
        if entry.key == SPEC:
            spec_fields = spec_fields_of(path, entry.value, SPEC)
    graph = _Graph.of(path, model)
    limits = limits_of(request or Request(), spec_fields)
    errors: list[FileError] = []
    for shape, slides in graph.windows():
        try:
            return graph.followed(shape, slides, limits, spec_fields)
        except FileError as error:
            errors.append(error)
    raise errors[0]


@dataclass(frozen=True)
class _Graph:
    """A model with its constants evaluated.

    Attributes
    ----------
    graph_input : onnx.ValueInfoProto
        Input of the network.
    constants : dict
        Constant arrays by name.
    nodes : tuple of (int, onnx.NodeProto)
        Nodes that depend on the input, with their indices in the file.
    """

    path: Path
    model: onnx.ModelProto
    graph_input: onnx.ValueInfoProto
    constants: Mapping[str, Value]
    nodes: tuple[tuple[int, onnx.NodeProto], ...]

    @staticmethod
    def of(path: Path, model: onnx.ModelProto) -> _Graph:
        graph = model.graph
        if len(graph.node) > LARGEST_NODES:
            raise FileError(path, f"has {len(graph.node)} nodes, more than {LARGEST_NODES}")
        if graph.sparse_initializer or len(graph.output) != 1:
            raise FileError(path, "must have dense initializers and a single output, the flux")
        values: dict[str, Value] = {tensor.name: tensor_values(path, tensor) for tensor in graph.initializer}
        inputs = [value for value in graph.input if value.name not in values]
        if len(inputs) != 1:
            raise FileError(path, f"has {len(inputs)} inputs, expected one: the window of cell values")
        for what, tensor in (("input", inputs[0]), ("output", graph.output[0])):
            kind = tensor.type.tensor_type.elem_type
            if kind not in FLOATS:
                raise FileError(
                    path,
                    f"has the type {type_name(kind)}, but cell values and fluxes must be real: use "
                    f"{', '.join(map(type_name, FLOATS))}",
                    field=f"{what} {tensor.name!r}",
                    remedy="quantise inside the network, between real inputs and outputs",
                )
        rest, findings = [], Findings()
        for number, node in enumerate(graph.node):
            if is_folded(node, values):
                run_node(path, node, number, values, findings)
            else:
                rest.append((number, node))
        return _Graph(path, model, inputs[0], values, tuple(rest))

    def declared(self) -> list[int]:
        """Declared sizes of the input, 0 if open."""
        dims = self.graph_input.type.tensor_type.shape.dim
        return [size.dim_value if size.HasField("dim_value") else 0 for size in dims]

    def windows(self) -> Iterator[tuple[tuple[int, ...], bool]]:
        """Yield possible shapes of the window, most likely ones first, and whether convolutions slide over a line.

        A network with a single flux has the declared window. For a network with a line of fluxes it is the receptive
        field of its kernels.
        """
        where, declared, kernels = f"input {self.graph_input.name!r}", self.declared(), self._kernels()
        if not declared:
            raise FileError(self.path, "has no declared shape", field=where)
        axes = len(kernels[0][1].shape) - 2 if kernels else 0
        shapes: list[tuple[tuple[int, ...], bool]] = []
        if all(size > 0 for size in declared[1:]) and (len(declared) > 1 or declared[0] > 0):
            whole = tuple(declared) if len(declared) == 1 else (1, *declared[1:])
            if not axes or math.prod(whole) <= LARGEST_LINE:
                shapes.append((whole, False))
        if axes in (1, 2, 3) and len(declared) == axes + 2:
            shapes.append((self._seen(axes, kernels), True))
        elif not kernels and declared[-1] > 0:
            shapes.append(((*(1,) * (len(declared) - 1), declared[-1]), False))
        if not shapes:
            raise FileError(self.path, "must declare the size of the window, but its last size is open", field=where)
        yield from dict.fromkeys(shapes)

    def _kernels(self) -> list[tuple[onnx.NodeProto, Any]]:
        kernels = []
        for _, node in self.nodes:
            at = WEIGHTS.get(node.op_type, 0)
            if at and len(node.input) > at and node.input[at] in self.constants:
                kernels.append((node, self.constants[node.input[at]]))
        return kernels

    def _seen(self, axes: int, kernels: list[tuple[onnx.NodeProto, Any]]) -> tuple[int, ...]:
        reach = [1] * axes
        for node, kernel in kernels:
            steps = attributes_of(node).get("dilations") or [1] * axes
            for axis, size in enumerate(kernel.shape[2:]):
                if axis >= axes or axis >= len(steps):
                    raise FileError(
                        self.path, "is followed by kernels that do not fit it", field=f"input {self.graph_input.name!r}"
                    )
                reach[axis] += (size - 1) * int(steps[axis])
        return (1, int(kernels[0][1].shape[1]), *reach)

    def _precision(self) -> float:
        """Largest relative error of one rounding, for the coarsest floats in the network."""
        casts = (attributes_of(node).get("to") for _, node in self.nodes if node.op_type == "Cast")
        kinds = (self.graph_input.type.tensor_type.elem_type, *casts)
        return max(FLOATS[kind] for kind in kinds if kind in FLOATS)

    def followed(
        self, shape: tuple[int, ...], slides: bool, limits: Limits | None, spec_fields: dict[str, Any]
    ) -> Network:
        """Follow the graph for a window of this shape.

        Raises
        ------
        FileError
            The graph is not a flux network of such a window.
        """
        where = f"input {self.graph_input.name!r}"
        precision = self._precision()
        channels = shape[1] if slides else 1
        cells = shape[2:] if slides and channels == 1 else (math.prod(shape),)
        findings = Findings(slides=slides)
        try:
            form = form_of(shape, limits and limits.of_window(cells, precision))
        except FormError as error:
            raise FileError(self.path, str(error), field=where) from error
        values: dict[str, Value] = {**self.constants, self.graph_input.name: form}
        for number, node in self.nodes:
            run_node(self.path, node, number, values, findings)
        where = f"output {self.model.graph.output[0].name!r}"
        result = values.get(self.model.graph.output[0].name)
        if not isinstance(result, AffineForm):
            raise FileError(self.path, "does not depend on the window of cell values", field=where)
        try:
            layers = ended(result)
        except FormError as error:
            raise FileError(self.path, str(error), field=where) from error
        replica: Replica = replica_of(self.model, self.graph_input, shape, result, findings)
        return Network(
            "onnx", layers, cells, spec_fields, tuple(findings.notes), clips=tuple(findings.clips), oracle=replica
        )


def _parsed(path: Path, data: bytes) -> onnx.ModelProto:
    try:
        model = onnx.load_model_from_string(data)
    except (DecodeError, ValueError, RuntimeError) as error:
        raise FileError(path, "is damaged, or not an ONNX model") from error
    if not model.HasField("graph") or not model.graph.node:
        raise FileError(path, "is damaged, or not an ONNX model: it has no graph")
    return model

"""Write an integer graph as an ONNX model of one PDE step, or of the number of PDE steps in an input.

All operators are of the default domain and use int64; there are no floats. Sums over synapses are gathers over padded
rows, so the size of a model grows linearly with the mesh.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from pisnn_deploy import __version__
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.core.rows import Rows
from pisnn_deploy.formats.onnx.program import OnnxNodes
from pisnn_deploy.graph.artifact import certificate_bytes
from pisnn_deploy.graph.contract import SOURCE_MASS, TARGET_MASS
from pisnn_deploy.graph.integer import FLUX, MEMBRANE, IntegerGraph, Integers
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.programs import Result, run

OPSET = 18
IR_VERSION = 10
"""Supported by onnxruntime since 1.18."""
LARGEST_MODEL = 2_000_000_000
"""Maximum size of a model in bytes; the limit of protobuf messages is 2^31."""

STATE = ("mass", "current", "residue")
"""Inputs of a model, and with the suffix ``_next`` its first outputs."""


def step_model(graph: IntegerGraph, artifact_sha256: str = "") -> onnx.ModelProto:
    """Build a model of one PDE step.

    Parameters
    ----------
    artifact_sha256 : str
        Hash for the metadata.

    Returns
    -------
    onnx.ModelProto
        Inputs ``mass`` [cells + reservoirs], ``current`` [faces], ``residue`` [faces]; outputs ``mass_next``,
        ``current_next``, ``residue_next`` and ``packets`` [faces]; all int64.

    Raises
    ------
    UsageError
        The model would be larger than a protobuf message can be.
    """
    builder = _Builder(graph)
    builder.step({name: name for name in STATE})
    inputs = [builder.described(name, name) for name in STATE]
    outputs = [builder.described(f"{name}_next", name) for name in STATE] + [builder.described("packets", "packets")]
    body = helper.make_graph(builder.nodes, "pisnn_step", inputs, outputs, builder.initializers)
    return _model(body, graph, artifact_sha256)


def run_model(graph: IntegerGraph, artifact_sha256: str = "") -> onnx.ModelProto:
    """Build a model that runs a number of PDE steps from an input, in a loop.

    Parameters
    ----------
    artifact_sha256 : str
        Hash for the metadata.

    Returns
    -------
    onnx.ModelProto
        Like `step_model`, with a scalar input ``steps``; its last output is ``transported`` [faces], the packets
        through each face summed over the steps.

    Raises
    ------
    UsageError
        The model would be larger than a protobuf message can be.
    """
    builder = _Builder(graph)
    builder.step({name: f"{name}_held" for name in STATE})
    builder.node("Add", ("transported_held", "packets"), "transported_next")
    builder.node("Identity", ("go_on",), "go_on_next")
    carried = (*STATE, "transported")
    body = helper.make_graph(
        builder.nodes,
        "pisnn_step",
        [
            helper.make_tensor_value_info("number", TensorProto.INT64, []),
            _flag("go_on"),
            *(builder.described(f"{name}_held", name) for name in carried),
        ],
        [_flag("go_on_next"), *(builder.described(f"{name}_next", name) for name in carried)],
    )
    always = numpy_helper.from_array(np.array(True), "always")
    nothing = numpy_helper.from_array(np.zeros(graph.sole_channels.size, np.int64), "nothing_transported")
    results = [f"{name}_next" if name in STATE else name for name in carried]
    loop = helper.make_node(
        "Loop", ["steps", "always", *STATE, "nothing_transported"], [f"{name}_out" for name in carried], body=body
    )
    ends = [helper.make_node("Identity", [f"{n}_out"], [r]) for n, r in zip(carried, results, strict=True)]
    inputs = [helper.make_tensor_value_info("steps", TensorProto.INT64, [])]
    inputs += [builder.described(name, name) for name in STATE]
    outputs = [builder.described(result, name) for name, result in zip(carried, results, strict=True)]
    # The body must not use names of the outer model.
    outer = helper.make_graph([loop, *ends], "pisnn_run", inputs, outputs, [*builder.initializers, always, nothing])
    return _model(_renamed_body(outer), graph, artifact_sha256)


def _flag(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.BOOL, [])


def _renamed_body(outer: onnx.GraphProto) -> onnx.GraphProto:
    """Prefix the names in the loop's body, because names must be unique across all graphs of a model."""
    (body,) = (attribute.g for attribute in outer.node[0].attribute)
    made = {name for node in body.node for name in node.output} | {value.name for value in body.input}
    rename = {name: f"step_{name}" for name in made}
    for node in body.node:
        node.input[:] = [rename.get(name, name) for name in node.input]
        node.output[:] = [rename[name] for name in node.output]
    for value in (*body.input, *body.output):
        value.name = rename[value.name]
    return outer


@dataclass
class _Builder:
    """Nodes and constants of one PDE step."""

    graph: IntegerGraph
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: list[onnx.TensorProto] = field(default_factory=list)

    def node(self, operator: str, inputs: Sequence[str], output: str) -> str:
        attributes: Any = _ATTRIBUTES.get(operator, {})
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def constant(self, name: str, values: NDArray[np.integer[Any]]) -> str:
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def described(self, name: str, quantity: str) -> onnx.ValueInfoProto:
        size = self.graph.sole_field.size if quantity == "mass" else self.graph.sole_channels.size
        return helper.make_tensor_value_info(name, TensorProto.INT64, [size], doc_string=_UNITS[quantity])

    def weighted(self, values: str, matrix: Rows, name: str) -> str:
        """``matrix @ values``, as gathers over rows padded to the longest one."""
        column, weight = _padded(matrix)
        gathered = self.node("Gather", (values, self.constant(f"{name}_from", column)), f"{name}_inputs")
        products = self.node("Mul", (gathered, self.constant(f"{name}_weight", weight)), f"{name}_products")
        return self.node("ReduceSum", (products, self.constant(f"{name}_axis", np.array([1]))), f"{name}_sum")

    def neurons(self, population: Population, inputs: Mapping[str, str], names: dict[str, str]) -> Result[str]:
        """Add the nodes of a population, given the names of its ports and states."""
        prefix = f"{population.name}_"
        parameters = {
            name: self.constant(f"{prefix}{name}", np.asarray(values, np.int64))
            for name, values in population.parameters.items()
        }
        return run(population.program, OnnxNodes(self, prefix, names), {**inputs, **parameters})

    def at_ends(self, mass: str, population: Population) -> dict[str, str]:
        """Masses at both ends of each face, for the ports that ask for them."""
        mesh = self.graph.mesh
        holders = {SOURCE_MASS: mesh.source, TARGET_MASS: mesh.target}
        return {
            port: self.node("Gather", (mass, self.constant(f"{port}_of_face", holders[port].astype(np.int32))), port)
            for port in population.program.ports
            if port in holders
        }

    def step(self, state: Mapping[str, str]) -> None:
        """Nodes from `state` to its successor."""
        graph = self.graph
        size = sum(matrix.shape[0] * _longest(matrix) * 12 for matrix in _matrices(graph)) + 64 * graph.neurons
        if size > LARGEST_MODEL:
            raise UsageError(
                f"onnx: a model of {graph.mesh.cells} cells would take {size} bytes, and a protobuf message holds "
                f"{LARGEST_MODEL}; choose a coarser mesh"
            )
        activation = state["mass"]
        *hidden, drive_matrix, route = _matrices(graph)
        for layer, matrix in zip(graph.between_fields, hidden, strict=True):
            arrival = self.weighted(activation, matrix, layer.name)
            (activation,) = self.neurons(layer, {"arrival": arrival}, {}).sends
        population = graph.sole_channels
        states = dict(zip(reversed(population.program.states), (state["residue"], state["current"]), strict=False))
        inputs = {"arrival": self.weighted(activation, drive_matrix, FLUX), **states}
        inputs |= self.at_ends(state["mass"], population)
        result = self.neurons(population, inputs, {"packet": "packets"})
        *kept, residue = result.states.values()
        self.node("Identity", (kept[0] if kept else result.values["current"],), "current_next")
        self.node("Identity", (residue,), "residue_next")
        self.node("Add", (state["mass"], self.weighted("packets", route, "arrival")), "mass_next")


_UNITS = {
    "mass": "Masses of the cells in quanta, then what the ledger of each reservoir took less what it gave.",
    "current": "Leaky current of each face, in 1/theta of a quantum.",
    "residue": "What each face has not fired yet, in 1/theta of a quantum.",
    "packets": "Quanta that crossed each face in the step.",
    "transported": "Quanta that crossed each face in all steps.",
}


_ATTRIBUTES = {"ReduceSum": {"keepdims": 0}, "Gather": {"axis": 0}}


def _matrices(graph: IntegerGraph) -> list[Rows]:
    """Effective weights of each layer, and of the route."""
    chain = graph.chain
    links = [*zip(chain, chain[1:], strict=False), (FLUX, MEMBRANE)]
    return [graph.matrix(source, target) for source, target in links]


def _longest(matrix: Rows) -> int:
    return max(1, int(matrix.lengths.max(initial=0)))


def _padded(matrix: Rows) -> tuple[NDArray[np.int32], Integers]:
    """Columns and weights of each row, padded with weights of 0."""
    shape = matrix.shape[0], _longest(matrix)
    column, weight = np.zeros(shape, np.int32), np.zeros(shape, np.int64)
    at = np.arange(matrix.entries) - np.repeat(matrix.starts[:-1], matrix.lengths)
    column[matrix.row_of, at], weight[matrix.row_of, at] = matrix.columns, matrix.values
    return column, weight


def _model(body: onnx.GraphProto, graph: IntegerGraph, artifact_sha256: str) -> onnx.ModelProto:
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    model.producer_name, model.producer_version = "pisnn-deploy", __version__
    model.doc_string = "A physics-informed spiking neural network in integers: the sum of all masses never changes."
    facts = {
        "model": graph.spec.name,
        "quantum": repr(graph.quantum),
        "value_per_quantum": repr(graph.value_per_quantum),
        "time_step": repr(graph.time_step),
        "programs": "\n\n".join(str(population.program) for population in graph.populations),
        "period": str(graph.period),
        "mesh": json.dumps(graph.mesh.described(), sort_keys=True),
        "lowest_mass": str(graph.window.lower),
        "highest_mass": str(graph.window.upper),
        "artifact_sha256": artifact_sha256,
        "certificate_sha256": hashlib.sha256(certificate_bytes(graph)).hexdigest(),
    }
    helper.set_model_props(model, facts)
    return model

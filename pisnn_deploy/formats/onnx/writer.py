"""Write an integer graph as an ONNX model of one PDE step, or of the number of PDE steps in an input.

All operators are of the default domain and use int64; there are no floats.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from pisnn_deploy import __version__
from pisnn_deploy.formats.onnx.step import OnnxStep
from pisnn_deploy.graph.artifact import certificate_bytes
from pisnn_deploy.graph.integer import IntegerGraph

OPSET = 18
IR_VERSION = 10
"""Supported by onnxruntime since 1.18."""


def step_model(graph: IntegerGraph, artifact_sha256: str = "") -> onnx.ModelProto:
    """Build a model of one PDE step.

    Parameters
    ----------
    artifact_sha256 : str
        Hash for the metadata.

    Returns
    -------
    onnx.ModelProto
        Inputs ``mass`` [holders], ``current`` [channels], ``residue`` [channels]; outputs ``mass_next``,
        ``current_next``, ``residue_next`` and ``packets`` [channels]; all int64. Holders are the cells and then the
        reservoirs of one field after the other, channels those of one population after the other. A graph with clocks
        has one more input and output before ``packets``: ``step`` [1], the number of the PDE step from 0 on.

    Raises
    ------
    UsageError
        The model would be larger than a protobuf message can be.
    """
    builder = OnnxStep(graph)
    states = builder.states
    builder.step({name: name for name in states})
    inputs = [builder.described(name, name) for name in states]
    outputs = [builder.described(f"{name}_next", name) for name in states] + [builder.described("packets", "packets")]
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
        Like `step_model`, with a scalar input ``steps``; its last output is ``transported`` [channels], the packets
        through each channel summed over the steps.

    Raises
    ------
    UsageError
        The model would be larger than a protobuf message can be.
    """
    builder = OnnxStep(graph)
    states = builder.states
    builder.step({name: f"{name}_held" for name in states})
    builder.node("Add", ("transported_held", "packets"), "transported_next")
    builder.node("Identity", ("go_on",), "go_on_next")
    carried = (*states, "transported")
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
    nothing = numpy_helper.from_array(np.zeros(builder.columns.size, np.int64), "nothing_transported")
    results = [f"{name}_next" if name in states else name for name in carried]
    loop = helper.make_node(
        "Loop", ["steps", "always", *states, "nothing_transported"], [f"{name}_out" for name in carried], body=body
    )
    ends = [helper.make_node("Identity", [f"{n}_out"], [r]) for n, r in zip(carried, results, strict=True)]
    inputs = [helper.make_tensor_value_info("steps", TensorProto.INT64, [])]
    inputs += [builder.described(name, name) for name in states]
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


def _model(body: onnx.GraphProto, graph: IntegerGraph, artifact_sha256: str) -> onnx.ModelProto:
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    model.producer_name, model.producer_version = "pisnn-deploy", __version__
    model.doc_string = "A physics-informed spiking neural network in integers: the sum of all masses never changes."
    facts = {
        "model": graph.spec.name,
        **_of_fields(graph),
        "time_step": repr(graph.time_step),
        "programs": "\n\n".join(str(population.program) for population in graph.populations),
        "period": str(graph.period),
        "mesh": json.dumps(graph.mesh.described(), sort_keys=True),
        "artifact_sha256": artifact_sha256,
        "certificate_sha256": hashlib.sha256(certificate_bytes(graph)).hexdigest(),
    }
    helper.set_model_props(model, facts)
    return model


def _of_fields(graph: IntegerGraph) -> dict[str, str]:
    """Metadata on the quanta and operating ranges of the fields."""
    figures = [
        {
            "quantum": repr(field.quantum),
            "value_per_quantum": repr(field.value_per_quantum),
            "lowest_mass": str(field.window.lower),
            "highest_mass": str(field.window.upper),
        }
        for field in graph.fields
    ]
    if len(graph.fields) == 1:
        return figures[0]
    named = [{"name": field.name, **figure} for field, figure in zip(graph.fields, figures, strict=True)]
    return {"fields": json.dumps(named)}

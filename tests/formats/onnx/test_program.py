"""Programs as ONNX nodes agree with Python's integers."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper
from random_programs import random_program
from whole_values import NEURONS, in_whole

from pisnn_deploy.formats.onnx.program import OnnxNodes
from pisnn_deploy.programs import run

Integers = NDArray[np.int64]


@dataclass
class Graph:
    nodes: list[NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)

    def node(self, operator: str, inputs: tuple[str, ...], output: str) -> str:
        self.nodes.append(helper.make_node(operator, list(inputs), [output]))
        return output

    def constant(self, name: str, values: Integers) -> str:
        self.constants.append(numpy_helper.from_array(values, name))
        return name


def test_onnxruntime_agrees_with_python_integers() -> None:
    for seed in range(60):
        drawn = random_program(seed)
        program, graph = drawn.program, Graph()
        values = run(program, OnnxNodes(graph, "n_", {}), {name: name for name in program.inputs}).values
        results = program.names[len(program.inputs) :]
        if not results:
            continue
        inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, [NEURONS]) for name in program.inputs]
        outputs = [helper.make_tensor_value_info(values[name], TensorProto.INT64, None) for name in results]
        body = helper.make_graph(graph.nodes, "program", inputs, outputs, graph.constants)
        model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        given = drawn.inputs(np.random.default_rng(seed), NEURONS)
        expected = in_whole(program, given)
        for name, value in zip(results, session.run(None, given), strict=True):
            assert np.broadcast_to(value, NEURONS).tolist() == expected[name], f"{name} of\n{program}"

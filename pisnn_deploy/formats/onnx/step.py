"""Nodes of one PDE step of an integer graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.formats.onnx.program import OnnxNodes
from pisnn_deploy.formats.step import StepBuilder
from pisnn_deploy.graph.integer import Integers

LARGEST_MODEL = 2_000_000_000
"""Maximum size of a model in bytes; the limit of protobuf messages is 2^31."""


@dataclass
class OnnxStep(StepBuilder):
    """Nodes and constants of one PDE step."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: list[onnx.TensorProto] = field(default_factory=list)

    def node(self, operator: str, inputs: Sequence[str], output: str) -> str:
        """Add a node."""
        attributes: Any = _ATTRIBUTES.get(operator, {})
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def constant(self, name: str, values: NDArray[np.integer[Any]]) -> str:
        """Add an initializer."""
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def reader(self, prefix: str, names: dict[str, str]) -> OnnxNodes:
        """Reader of programs that adds nodes."""
        return OnnxNodes(self, prefix, names)

    def weighted(self, values: str, columns: NDArray[np.int32], weights: Integers, name: str) -> str:
        """Add the gather, the products and their sums."""
        gathered = self.node("Gather", (values, self.constant(f"{name}/from", columns)), f"{name}/inputs")
        products = self.node("Mul", (gathered, self.constant(f"{name}/weight", weights)), f"{name}/products")
        return self.node("ReduceSum", (products, self.constant(f"{name}/axis", np.array([1]))), f"{name}/sum")

    def described(self, name: str, quantity: str) -> onnx.ValueInfoProto:
        """Describe an input or output of the model."""
        sizes = {"mass": self.columns.holders, "step": 1}
        size = sizes.get(quantity, self.columns.size)
        return helper.make_tensor_value_info(name, TensorProto.INT64, [size], doc_string=_UNITS[quantity])

    def step(self, state: Mapping[str, str]) -> None:
        """Add the nodes from a state to its successor; see `StepBuilder.step`.

        Raises
        ------
        UsageError
            The model would be larger than a protobuf message can be.
        """
        if self.size > LARGEST_MODEL:
            raise UsageError(
                f"onnx: a model of {self.graph.mesh.cells} cells would take {self.size} bytes, and a protobuf message "
                f"holds {LARGEST_MODEL}; choose a coarser mesh"
            )
        super().step(state)


_UNITS = {
    "mass": "Masses of the cells in quanta, then what the ledger of each reservoir took less what it gave.",
    "current": "Leaky current of each face, in 1/theta of a quantum.",
    "residue": "What each face has not fired yet, in 1/theta of a quantum.",
    "packets": "Quanta that crossed each face in the step.",
    "transported": "Quanta that crossed each face in all steps.",
    "step": "Number of the PDE step, counted from 0.",
}
_ATTRIBUTES = {"ReduceSum": {"keepdims": 0}, "Gather": {"axis": 0}, "Concat": {"axis": 0}}

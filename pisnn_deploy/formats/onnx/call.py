"""A node of an ONNX graph with its inputs and attributes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from pisnn_deploy.formats.affine import AffineForm
from pisnn_deploy.formats.onnx.tensors import Constant, NodeError, attributes_of

LARGEST_WORK = 1 << 28
"""Maximum number of values that all nodes compute, in a few seconds."""
Value = AffineForm | Constant
"""Value of a name in a graph."""


@dataclass
class Findings:
    """Findings from following a graph.

    Attributes
    ----------
    slides : bool
        Whether convolutions slide over a line, so that their padding is omitted.
    notes : list of str
        Sentences on what was omitted.
    clips : list of str
        Operations that may clip values within the operating range and became units of a hidden layer.
    covered : tuple of float
        Range of cell values that the graph's input encoding does not clip.
    before, behind : list of int
        Cells along each axis that omitted paddings would add before and after a line.
    numbers : int
        Number of weights and constants of all results so far.
    """

    slides: bool = False
    notes: list[str] = field(default_factory=list)
    clips: list[str] = field(default_factory=list)
    covered: tuple[float, float] = (-math.inf, math.inf)
    before: list[int] = field(default_factory=list)
    behind: list[int] = field(default_factory=list)
    numbers: int = 0

    def count(self, value: Value) -> None:
        """Limit the total size of all results.

        Raises
        ------
        NodeError
            There are more than `LARGEST_WORK` values.
        """
        self.numbers += value.weight.size if isinstance(value, AffineForm) else value.size
        if self.numbers > LARGEST_WORK:
            raise NodeError(f"exceeds {LARGEST_WORK} values, together with the nodes before it")

    def note_padding(self, before: list[int], behind: list[int], text: str) -> None:
        """Omit a padding of the line."""
        self.notes.append(f"{text} was omitted: --boundary sets the boundary conditions")
        for total, more in ((self.before, before), (self.behind, behind)):
            total += [0] * (len(more) - len(total))
            total[:] = [size + addition for size, addition in zip(total, more, strict=True)]


@dataclass(frozen=True)
class Call:
    """A node and its inputs.

    Attributes
    ----------
    inputs : list of (AffineForm, array or None)
        Values of the inputs; None for an omitted input.
    """

    node: onnx.NodeProto
    inputs: list[Value | None]
    attributes: dict[str, Any]
    findings: Findings

    @property
    def name(self) -> str:
        """Name of the node, or of its operator."""
        return repr(self.node.name or self.node.op_type)

    def has(self, at: int) -> bool:
        """Whether an input exists."""
        return at < len(self.inputs) and self.inputs[at] is not None

    def value(self, at: int) -> Value:
        """Get a required input."""
        value = self.inputs[at] if at < len(self.inputs) else None
        if value is None:
            raise NodeError(f"has no input {at}")
        return value

    def form(self, at: int) -> AffineForm:
        """Get an input that must be a real tensor of the network."""
        form = self.any_form(at)
        if form.step is not None:
            raise NodeError("uses integer arithmetic, which is not supported; put DequantizeLinear before it")
        return form

    def any_form(self, at: int) -> AffineForm:
        """Get an input that must be a tensor of the network."""
        value = self.value(at)
        if not isinstance(value, AffineForm):
            raise NodeError("has only constant inputs, expected a tensor of the network")
        return value

    def constant(self, at: int) -> Constant:
        """Get an input that must be constant."""
        value = self.inputs[at] if at < len(self.inputs) else None
        if value is None or isinstance(value, AffineForm):
            raise NodeError("must have constant weights")
        return np.asarray(value)

    def floats(self, at: int) -> NDArray[np.float64]:
        """Get a constant input as float64."""
        with np.errstate(invalid="ignore"):
            return self.constant(at).astype(np.float64)

    def integers(self, at: int) -> list[int]:
        """Get a constant input that is a list of sizes or axes."""
        return [int(size) for size in self.constant(at).reshape(-1)]

    def attribute(self, name: str, default: Any) -> Any:
        """Get an attribute, or its default."""
        return self.attributes.get(name, default)


def call_of(node: onnx.NodeProto, inputs: list[Value | None], findings: Findings) -> Call:
    """Unpack the attributes of a node."""
    return Call(node, inputs, attributes_of(node), findings)

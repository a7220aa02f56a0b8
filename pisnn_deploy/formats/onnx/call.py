"""One node of an ONNX graph with what its inputs stand for."""

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
"""Numbers that all nodes together may make: some seconds."""
Value = AffineForm | Constant
"""What a name of a graph stands for."""


@dataclass
class Findings:
    """What is found on the way through a graph.

    Attributes
    ----------
    slides : bool
        Whether convolutions slide over a line, so that their padding is left out.
    notes : list of str
        What was left out.
    clips : list of str
        What clips numbers of the operating range, and became units of a hidden layer.
    covered : tuple of float
        Cell values that are not clipped by how the graph encodes them.
    before : list of int
        Cells along each axis that paddings which were left out put before a line.
    behind : list of int
        Likewise behind it.
    numbers : int
        Weights and constants of all results so far.
    """

    slides: bool = False
    notes: list[str] = field(default_factory=list)
    clips: list[str] = field(default_factory=list)
    covered: tuple[float, float] = (-math.inf, math.inf)
    before: list[int] = field(default_factory=list)
    behind: list[int] = field(default_factory=list)
    numbers: int = 0

    def count(self, value: Value) -> None:
        """Bound the work: many nodes that are not too large by themselves are, together.

        Raises
        ------
        NodeError
            More than `LARGEST_WORK` numbers.
        """
        self.numbers += value.weight.size if isinstance(value, AffineForm) else value.size
        if self.numbers > LARGEST_WORK:
            raise NodeError(f"makes more than {LARGEST_WORK} numbers, together with the nodes before it")

    def note_padding(self, before: list[int], behind: list[int], text: str) -> None:
        """Leave out a padding of the line."""
        self.notes.append(f"{text} was left out: --boundary says what is beyond a side")
        for total, more in ((self.before, before), (self.behind, behind)):
            total += [0] * (len(more) - len(total))
            total[:] = [one + other for one, other in zip(total, more, strict=True)]


@dataclass(frozen=True)
class Call:
    """A node and its inputs.

    Attributes
    ----------
    given : list of (AffineForm, array or None)
        None for an input that was left out.
    """

    node: onnx.NodeProto
    given: list[Value | None]
    attributes: dict[str, Any]
    findings: Findings

    @property
    def name(self) -> str:
        """The node's name, or what it does."""
        return repr(self.node.name or self.node.op_type)

    def has(self, at: int) -> bool:
        """Whether an input is given."""
        return at < len(self.given) and self.given[at] is not None

    def value(self, at: int) -> Value:
        """An input that must be given."""
        value = self.given[at] if at < len(self.given) else None
        if value is None:
            raise NodeError(f"has no input {at}")
        return value

    def form(self, at: int) -> AffineForm:
        """An input that must depend on the window, in real numbers."""
        form = self.any_form(at)
        if form.step is not None:
            raise NodeError("computes in integers, whose overflow is not followed; put DequantizeLinear before it")
        return form

    def any_form(self, at: int) -> AffineForm:
        """An input that must depend on the window."""
        value = self.value(at)
        if not isinstance(value, AffineForm):
            raise NodeError("works on constants alone where a tensor of the network is expected")
        return value

    def constant(self, at: int) -> Constant:
        """An input that must be constant."""
        value = self.given[at] if at < len(self.given) else None
        if value is None or isinstance(value, AffineForm):
            raise NodeError("must have constant weights")
        return np.asarray(value)

    def floats(self, at: int) -> NDArray[np.float64]:
        """A constant input as float64."""
        with np.errstate(invalid="ignore"):
            return self.constant(at).astype(np.float64)

    def integers(self, at: int) -> list[int]:
        """A constant input that is a list of sizes or axes."""
        return [int(size) for size in self.constant(at).reshape(-1)]

    def attribute(self, name: str, default: Any) -> Any:
        """An attribute, or its default."""
        return self.attributes.get(name, default)


def call_of(node: onnx.NodeProto, given: list[Value | None], findings: Findings) -> Call:
    """A node with its attributes unpacked."""
    return Call(node, given, attributes_of(node), findings)

"""Random valid ONNX models of flux networks, as exporters and quantisers write them and as they might."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

TYPES = {
    "int8": (TensorProto.INT8, -128, 127),
    "uint8": (TensorProto.UINT8, 0, 255),
    "int16": (TensorProto.INT16, -32768, 32767),
    "uint16": (TensorProto.UINT16, 0, 65535),
    "int4": (TensorProto.INT4, -8, 7),
    "uint4": (TensorProto.UINT4, 0, 15),
}
MICROSOFT = "com.microsoft"


@dataclass
class Drawn:
    """A graph that grows from its input; `size` elements of shape `shape` are its newest tensor."""

    rng: np.random.Generator
    shape: list[int]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    tensors: list[TensorProto] = field(default_factory=list)
    name: str = "u"
    spread: float = 2.5
    before: int = 0

    def constant(self, values: Any, kind: int | None = None) -> str:
        name = f"c{len(self.tensors)}"
        array = np.asarray(values)
        if kind is not None:
            array = array.astype(np.int64).astype(helper.tensor_dtype_to_np_dtype(kind))
        self.tensors.append(numpy_helper.from_array(array, name))
        return name

    def node(self, operator: str, inputs: list[str], domain: str = "", **attributes: Any) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], domain=domain, **attributes))
        return name

    def chance(self, odds: float) -> bool:
        return bool(self.rng.random() < odds)

    def pick(self, *values: Any) -> Any:
        return values[int(self.rng.integers(len(values)))]

    # Weights

    def weight(self, shape: tuple[int, ...], scale: float = 1.0) -> str:
        """Real weights, or weights in integers of some kind."""
        values = (scale * self.rng.normal(size=shape)).astype(np.float32)
        kind = self.pick("plain", "plain", "quantised", "integers", "node", "axis", "blocks", "qcdq")
        if kind == "plain":
            return self.constant(values)
        step = np.float32(np.abs(values).max() / self.pick(7, 100, 127, 90))
        if kind == "node":
            return self.node("Constant", [], value=numpy_helper.from_array(values))
        if kind == "quantised":
            zero = self.pick([], [self.constant(np.int8(0))], [self.constant(np.int8(5))])
            kinds = {"output_dtype": int(self.pick(TensorProto.INT8, TensorProto.INT16))}
            options: dict[str, Any] = {} if zero else kinds
            names = [self.constant(step), *zero]
            integers = self.node("QuantizeLinear", [self.constant(values), *names], **options)
            return self.node("DequantizeLinear", [integers, *names])
        if kind == "qcdq":
            names = [self.constant(step), self.constant(np.int8(0))]
            integers = self.node("QuantizeLinear", [self.constant(values), *names])
            clipped = self.node("Clip", [integers, self.constant(np.int8(-60)), self.constant(np.int8(70))])
            return self.node("DequantizeLinear", [clipped, *names])
        return self.integer_weight(values, step, kind)

    def integer_weight(self, values: NDArray[np.float32], step: np.float32, kind: str) -> str:
        number, low, high = TYPES[self.pick("int8", "int4", "uint8", "int16", "uint4")]
        axis = int(self.rng.integers(values.ndim))
        zero = int(self.rng.integers(low, high + 1)) // 4
        drawn = self.rng.integers(low, high + 1, values.shape)
        if kind == "integers":
            inputs = [self.constant(drawn, number), self.constant(step)]
            return self.node(
                "DequantizeLinear", [*inputs, *([self.constant(zero, number)] if self.chance(0.5) else [])]
            )
        count = values.shape[axis]
        if kind == "axis":
            steps = (step * self.rng.uniform(0.5, 2, count)).astype(np.float32)
            zeros = self.rng.integers(low // 2, high // 2 + 1, count)
            inputs = [self.constant(drawn, number), self.constant(steps), self.constant(zeros, number)]
            return self.node("DequantizeLinear", inputs, axis=self.pick(axis, axis - values.ndim))
        block = self.pick(*(size for size in range(1, count + 1) if count % size == 0))
        shape = [count // block if at == axis else size for at, size in enumerate(values.shape)]
        steps = (step * self.rng.uniform(0.5, 2, shape)).astype(np.float32)
        inputs = [self.constant(drawn, number), self.constant(steps)]
        return self.node("DequantizeLinear", inputs, axis=axis, block_size=block)

    # Activations

    def quantise_line(self) -> None:
        """A grid for activations that stay in their order."""
        self.quantise(arranges=False)

    def quantise(self, *, arranges: bool = True) -> None:
        """A grid for activations, with limits that may be near."""
        number, low, high = TYPES[self.pick("int8", "uint8", "int16", "uint16", "int8", "uint8", "int4")]
        reach = self.spread * self.pick(0.2, 0.5, 1.0, 3.0)
        step = np.float32(2 * reach / (high - low))
        zero = self.pick(0, (low + high + 1) // 2, (low + high + 1) // 2, low, high // 3)
        domain = self.pick("", "", MICROSOFT) if number not in (TensorProto.INT4, TensorProto.UINT4) else ""
        names = [self.constant(step), self.constant(zero, number)]
        options: dict[str, Any] = {}
        if domain == "" and self.chance(0.3):
            zero, names, options = 0, names[:1], {"output_dtype": int(number)}
        self.name = self.node("QuantizeLinear", [self.name, *names], domain, **options)
        if number == TensorProto.INT8 and self.chance(0.2):
            self.name = self.node("Clip", [self.name, self.constant(np.int8(-100)), self.constant(np.int8(90))])
        if arranges and self.chance(0.2):
            self.arrange()
        if self.chance(0.25):
            step = np.float32(step * self.pick(0.5, 2.0, 0.9))
            names = [self.constant(step), self.constant(int(np.clip(zero + 3, low, high)), number)]
        self.name = self.node("DequantizeLinear", [self.name, *names], domain)
        self.spread = max(float(reach) * 2, self.spread)

    def arrange(self) -> None:
        """The same numbers in another shape or order."""
        kind = self.pick("Reshape", "Flatten", "Transpose", "Identity", "Unsqueeze", "Squeeze")
        if kind == "Reshape" and self.shape[0] == 1:
            self.name = self.node("Reshape", [self.name, self.constant(np.array([1, -1]))])
            self.shape = [1, int(np.prod(self.shape))]
        elif kind == "Flatten" and self.shape[0] == 1:
            self.name = self.node("Flatten", [self.name])
            self.shape = [1, int(np.prod(self.shape[1:]))]
        elif kind == "Transpose" and len(self.shape) == 3:
            self.name = self.node("Transpose", [self.name], perm=[0, 2, 1])
            self.shape = [self.shape[0], self.shape[2], self.shape[1]]
        elif kind == "Unsqueeze" and len(self.shape) == 2:
            self.name = self.node("Unsqueeze", [self.name, self.constant(np.array([1]))])
            self.shape.insert(1, 1)
        elif kind == "Squeeze" and len(self.shape) == 3 and self.shape[1] == 1:
            self.name = self.node("Squeeze", [self.name, self.constant(np.array([1]))])
            self.shape.pop(1)
        else:
            self.name = self.node("Identity", [self.name])

    def affine(self) -> None:
        """Something elementwise."""
        number = np.float32(self.rng.normal())
        kind = self.pick("Mul", "Div", "Add", "Sub", "Neg", "Sum", "each", "Clip")
        if kind in ("Mul", "Div"):
            number = np.float32(self.pick(0.5, 2.0, -1.5, 0.3))
        other = self.constant(number)
        if kind == "each":
            factors = self.rng.uniform(0.5, 1.5, self.shape[-1]).astype(np.float32)
            self.name = self.node("Mul", [self.name, self.constant(factors)])
        elif kind == "Clip":
            ends = np.sort(self.rng.normal(size=2) * self.spread).astype(np.float32)
            self.name = self.node("Clip", [self.name, *(self.constant(end) for end in ends)])
        elif kind == "Neg":
            self.name = self.node("Neg", [self.name])
        else:
            names = [self.name, other] if kind == "Div" or self.chance(0.7) else [other, self.name]
            self.name = self.node(kind, names)

    def dense(self, outputs: int) -> None:
        """Weighted sums over the last axis."""
        inputs = self.shape[-1]
        scale = 1 / np.sqrt(inputs)
        if len(self.shape) == 2 and self.chance(0.5):
            flip, more = self.chance(0.5), self.chance(0.5)
            weight = self.weight((outputs, inputs) if flip else (inputs, outputs), scale)
            bias = [self.constant((0.3 * self.rng.normal(size=outputs)).astype(np.float32))] if more else []
            options = {"transB": int(flip), "alpha": self.pick(1.0, 0.5), "beta": self.pick(1.0, 2.0)}
            self.name = self.node("Gemm", [self.name, weight, *bias], **options)
        elif len(self.shape) == 2 and self.chance(0.3):
            self.integer_dense(outputs)
        else:
            self.name = self.node("MatMul", [self.name, self.weight((inputs, outputs), scale)])
        self.shape[-1] = outputs
        self.spread = max(self.spread * 1.5, 0.5)

    def integer_dense(self, outputs: int) -> None:
        """`QLinearMatMul` or `QGemm` between two quantisers."""
        low, high = 0, 255
        steps = [
            np.float32(2 * self.spread / (high - low)),
            np.float32(0.01),
            np.float32(4 * self.spread / (high - low)),
        ]
        scales = [self.constant(step) for step in steps]
        zeros = [self.constant(np.uint8(128)), self.constant(np.uint8(120)), self.constant(np.uint8(self.pick(100, 0)))]
        weight = self.constant(self.rng.integers(60, 180, (self.shape[-1], outputs)).astype(np.uint8))
        first = self.node("QuantizeLinear", [self.name, scales[0], zeros[0]])
        given = [first, scales[0], zeros[0], weight, scales[1], zeros[1]]
        if self.chance(0.5):
            bias = self.constant(self.rng.integers(-500, 500, outputs).astype(np.int32))
            product = self.node("QGemm", [*given, bias, scales[2], zeros[2]], MICROSOFT)
        else:
            product = self.node("QLinearMatMul", [*given, scales[2], zeros[2]])
        self.name = self.node("DequantizeLinear", [product, scales[2], zeros[2]])

    def conv(self, channels: int) -> None:
        """A convolution along the last axis of [1, channels, cells]."""
        cells = self.shape[2]
        width = int(self.rng.integers(1, min(cells, 4) + 1))
        weight = self.weight((channels, self.shape[1], width), 1 / np.sqrt(self.shape[1] * width))
        bias = [self.constant((0.3 * self.rng.normal(size=channels)).astype(np.float32))] if self.chance(0.4) else []
        padding: dict[str, Any] = self.pick(
            {}, {}, {"pads": [1, 0]}, {"auto_pad": "SAME_LOWER"}, {"auto_pad": "SAME_UPPER"}
        )
        self.name = self.node("Conv", [self.name, weight, *bias], **padding)
        more = width - 1 if "auto_pad" in padding else 1 if padding else 0
        self.before += {"SAME_LOWER": width - 1 - (width - 1) // 2, "SAME_UPPER": (width - 1) // 2}.get(
            padding.get("auto_pad", ""), 1 if padding else 0
        )
        self.shape = [1, channels, cells + more - width + 1]

    def pad(self) -> None:
        mode = self.pick("constant", "wrap", "edge", "reflect")
        most = self.shape[2] - 1 if mode == "reflect" else self.shape[2]
        sizes = [int(self.rng.integers(0, min(most, 2) + 1)) for _ in range(2)]
        pads = self.constant(np.array([0, 0, sizes[0], 0, 0, sizes[1]]))
        self.name = self.node("Pad", [self.name, pads], mode=mode)
        self.shape[2] += sum(sizes)
        self.before += sizes[0]

    def model(self, window: list[int | str]) -> onnx.ModelProto:
        self.nodes[-1].output[0] = "flux"
        given = helper.make_tensor_value_info("u", TensorProto.FLOAT, window)
        answer = helper.make_tensor_value_info("flux", TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "drawn", [given], [answer], self.tensors)
        imported = [helper.make_opsetid("", 21), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=imported, ir_version=10)


def drawn_model(seed: int) -> tuple[onnx.ModelProto, tuple[int, ...]]:
    """A model and the shape of its input with one window."""
    rng = np.random.default_rng(seed)
    cells = int(rng.choice([2, 4, 6]))
    lines = bool(rng.random() < 0.3)
    graph = Drawn(rng, [1, 1, cells] if lines else [1, cells])
    if graph.chance(0.35):
        graph.quantise()
    if not lines and graph.chance(0.3):
        graph.arrange()
    if len(graph.shape) == 3 and lines and graph.chance(0.4):
        graph.pad()
    for _ in range(int(rng.integers(0, 3))):
        if lines and len(graph.shape) == 3 and graph.chance(0.7):
            graph.conv(int(rng.integers(1, 4)))
        else:
            graph.dense(int(rng.integers(1, 5)))
        for step in (graph.quantise, graph.affine, graph.arrange):
            if graph.chance(0.3):
                step()
        if graph.chance(0.5):
            graph.name = graph.node("Relu", [graph.name])
            if graph.chance(0.4):
                graph.quantise()
    if len(graph.shape) == 3:
        graph.name = graph.node("Flatten", [graph.name])
        graph.shape = [1, graph.shape[1] * graph.shape[2]]
    graph.dense(1)
    for step in (graph.affine, graph.quantise):
        if graph.chance(0.25):
            step()
    graph.name = graph.node("Identity", [graph.name])
    window: list[int | str] = [1, 1, cells] if lines else [graph.pick(1, "batch"), cells]
    return graph.model(window), (1, 1, cells) if lines else (1, cells)


def drawn_line(seed: int) -> tuple[onnx.ModelProto, int]:
    """A model of convolutions over lines of any length, and the place of the first whole window's flux."""
    rng = np.random.default_rng([seed, 2])
    graph = Drawn(rng, [1, 1, 20])
    if graph.chance(0.3):
        graph.quantise_line()
    if graph.chance(0.3):
        graph.pad()
    for _ in range(int(rng.integers(0, 3))):
        graph.conv(int(rng.integers(1, 4)))
        if graph.chance(0.3):
            graph.quantise_line()
        if graph.chance(0.5):
            graph.name = graph.node("Relu", [graph.name])
    graph.conv(1)
    graph.name = graph.node("Mul", [graph.name, graph.constant(np.float32(0.5))])
    return graph.model(["batch", 1, "cells"]), graph.before

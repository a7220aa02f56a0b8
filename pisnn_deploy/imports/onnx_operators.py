"""Operators of ONNX on tensors that are affine functions of a layer, and on constants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from pisnn_deploy.errors import FileError
from pisnn_deploy.imports.affine import AffineForm, FormError
from pisnn_deploy.imports.onnx_tensors import Constant, NodeError, attributes_of, tensor_values

Value = AffineForm | Constant
"""What a name of a graph stands for."""


@dataclass
class Course:
    """Operators, and what is noted on the way.

    Attributes
    ----------
    path : Path
        For messages.
    notes : list of str
    window : AffineForm or None
        The input.
    """

    path: Path
    notes: list[str] = field(default_factory=list)
    window: AffineForm | None = None

    def run(self, node: onnx.NodeProto, number: int, values: dict[str, Value]) -> None:
        """Add the result of a node to the values.

        Raises
        ------
        FileError
            What is wrong with it; the message names the node.
        """
        where = f"node {(node.name or number)!r} ({node.op_type})"
        try:
            found = self.value(node, values)
        except (FormError, NodeError) as error:
            raise FileError(self.path, str(error), field=where) from error
        except (ValueError, TypeError, IndexError, OverflowError, ZeroDivisionError) as error:
            raise FileError(self.path, "has inputs or attributes that do not fit", field=where) from error
        for name in node.output[:1]:
            values[name] = found

    def value(self, node: onnx.NodeProto, values: Mapping[str, Value]) -> Value:
        """Result of a node."""
        operator = _OPERATORS.get(node.op_type) if node.domain in ("", "ai.onnx") else None
        if operator is None:
            raise NodeError(f"is no operator of a flux network; known are {', '.join(sorted(_OPERATORS))}")
        missing = [name for name in node.input if name and name not in values]
        if missing:
            raise NodeError(f"its input {missing[0]!r} comes from nowhere before it")
        given = [values[name] if name else None for name in node.input]
        return operator(self, given, attributes_of(node), node)


def _form(value: Value | None) -> AffineForm:
    if not isinstance(value, AffineForm):
        raise NodeError("works on constants alone where a tensor of the network is expected")
    return value


def _constant(value: Value | None) -> Constant:
    if value is None or isinstance(value, AffineForm):
        raise NodeError("must have constant weights")
    return np.asarray(value)


def _floats(value: Value | None) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):
        return _constant(value).astype(np.float64)


def _conv(course: Course, given: list[Value | None], attributes: dict[str, Any], node: onnx.NodeProto) -> Value:
    if attributes.get("group", 1) != 1:
        raise NodeError(f"has {attributes['group']} groups, one is allowed")
    if any(step != 1 for step in attributes.get("strides", [])):
        raise NodeError(f"moves by {attributes['strides']} cells, a flux is wanted at every face")
    if any(attributes.get("pads", [])) or attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        course.notes.append(
            f"the padding of node {(node.name or node.op_type)!r} was left out: --boundary says what is beyond a side"
        )
    bias = _floats(given[2]) if len(given) > 2 and given[2] is not None else 0.0
    return _form(given[0]).convolved(_floats(given[1]), bias, attributes.get("dilations", ()))


def _gemm(course: Course, given: list[Value | None], attributes: dict[str, Any], node: onnx.NodeProto) -> Value:
    if attributes.get("transA", 0):
        raise NodeError("transposes the tensor of the network")
    weight = _floats(given[1]) * attributes.get("alpha", 1.0)
    bias = _floats(given[2]) * attributes.get("beta", 1.0) if len(given) > 2 and given[2] is not None else 0.0
    form = _form(given[0]).dense(weight if attributes.get("transB", 0) else weight.T)
    return form.shifted(np.asarray(bias))


def _matmul(course: Course, given: list[Value | None], attributes: dict[str, Any], node: onnx.NodeProto) -> Value:
    left, right = given[0], given[1]
    if isinstance(left, AffineForm):
        weight = _floats(right)
        if weight.ndim == 1:
            form = left.dense(weight[None, :])
            return form.reshaped(form.shape[:-1])
        return left.dense(weight.T)
    form, weight = _form(right), _floats(left)
    if len(form.shape) < 2:
        return form.dense(weight)
    order = (*range(len(form.shape) - 2), len(form.shape) - 1, len(form.shape) - 2)
    return form.transposed(order).dense(weight).transposed(order)


def _add(course: Course, given: list[Value | None], attributes: dict[str, Any], node: onnx.NodeProto) -> Value:
    left, right = given[0], given[1]
    sign = 1.0 if node.op_type == "Add" else -1.0
    if isinstance(left, AffineForm):
        return left.plus(right.scaled(sign)) if isinstance(right, AffineForm) else left.shifted(sign * _floats(right))
    return _form(right).scaled(sign).shifted(_floats(left))


def _relu(course: Course, given: list[Value | None], attributes: dict[str, Any], node: onnx.NodeProto) -> Value:
    return _form(given[0]).rectified()


def _same(course: Course, given: list[Value | None], attributes: dict[str, Any], node: onnx.NodeProto) -> Value:
    if given[0] is None:
        raise NodeError("has no input")
    return given[0]


def _constant_node(
    course: Course, given: list[Value | None], attributes: dict[str, Any], node: onnx.NodeProto
) -> Value:
    if isinstance(attributes.get("value"), TensorProto):
        return tensor_values(None, attributes["value"])
    for name in ("value_float", "value_int", "value_floats", "value_ints"):
        if name in attributes:
            return np.asarray(attributes[name])
    raise NodeError("has no value that is a number")


def _flatten(course: Course, given: list[Value | None], attributes: dict[str, Any], node: onnx.NodeProto) -> Value:
    form = _form(given[0])
    axis = attributes.get("axis", 1)
    axis += len(form.shape) if axis < 0 else 0
    first = int(np.prod(form.shape[:axis]))
    return form.reshaped((first, form.bias.size // max(first, 1)))


def _reshape(course: Course, given: list[Value | None], attributes: dict[str, Any], node: onnx.NodeProto) -> Value:
    sizes = [int(size) for size in _constant(given[1]).reshape(-1)]
    value = given[0]
    if not isinstance(value, AffineForm):
        return _constant(value).reshape(sizes)
    kept = [value.shape[at] if size == 0 else size for at, size in enumerate(sizes)]
    return value.reshaped(kept)


def _transpose(course: Course, given: list[Value | None], attributes: dict[str, Any], node: onnx.NodeProto) -> Value:
    value = given[0]
    if not isinstance(value, AffineForm):
        constant = _constant(value)
        return constant.transpose(attributes.get("perm", range(constant.ndim)[::-1]))
    return value.transposed(attributes.get("perm", range(len(value.shape))[::-1]))


def _squeeze(course: Course, given: list[Value | None], attributes: dict[str, Any], node: onnx.NodeProto) -> Value:
    form = _form(given[0])
    axes = attributes.get("axes")
    if axes is None and len(given) > 1:
        axes = [int(axis) for axis in _constant(given[1]).reshape(-1)]
    count = len(form.shape)
    if node.op_type == "Squeeze":
        gone = {a % count for a in axes} if axes is not None else {a for a in range(count) if form.shape[a] == 1}
        return form.reshaped([size for a, size in enumerate(form.shape) if a not in gone])
    if axes is None:
        raise NodeError("has no axes")
    shape = list(form.shape)
    for axis in sorted(a % (count + len(axes)) for a in axes):
        shape.insert(axis, 1)
    return form.reshaped(shape)


def _quantise(course: Course, given: list[Value | None], attributes: dict[str, Any], node: onnx.NodeProto) -> Value:
    """Weights are rounded, activations are not; a type that holds nothing below 0 is a rectifier."""
    value, zero = given[0], given[2] if len(given) > 2 else None
    point = _constant(zero) if zero is not None else np.zeros((), np.uint8)
    limits = np.iinfo(point.dtype)
    if not isinstance(value, AffineForm):
        numbers = _floats(value)
        scale, offset = _grid(numbers, _floats(given[1]), point.astype(np.float64), attributes)
        rounded: Constant = np.clip(np.rint(numbers / scale) + offset, limits.min, limits.max)
        return rounded
    if point.size != 1:
        raise NodeError("rounds channels on different grids, one for all is allowed")
    note = f"the rounding of activations by node {(node.name or node.op_type)!r} was left out: the compiler rounds them"
    course.notes.append(note)
    # Cell values themselves may be negative, whatever calibration saw of them.
    if int(point.reshape(-1)[0]) == limits.min and value is not course.window:
        return value.rectified()
    return value


def _dequantise(course: Course, given: list[Value | None], attributes: dict[str, Any], node: onnx.NodeProto) -> Value:
    if isinstance(given[0], AffineForm):
        return given[0]
    numbers = _floats(given[0])
    zero = _floats(given[2]) if len(given) > 2 and given[2] is not None else np.zeros(())
    scale, point = _grid(numbers, _floats(given[1]), zero, attributes)
    return (numbers - point) * scale


def _grid(
    numbers: NDArray[np.float64], scale: NDArray[np.float64], point: NDArray[np.float64], attributes: dict[str, Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scale and zero point, shaped to broadcast over the numbers."""
    if scale.size <= 1:
        return scale.reshape(()), point.reshape(())
    axis = attributes.get("axis", 1) % max(numbers.ndim, 1)
    if scale.ndim != 1 or scale.size != numbers.shape[axis] or point.size not in (1, scale.size):
        raise NodeError("has another number of scales than its axis has entries")
    along = [1] * numbers.ndim
    along[axis] = -1
    return scale.reshape(along), point.reshape(along if point.size > 1 else ())


FOLDED = ("Constant", "DequantizeLinear", "Identity", "QuantizeLinear", "Reshape", "Transpose")
"""Operators that also work on constants alone."""
_OPERATORS: dict[str, Callable[[Course, list[Value | None], dict[str, Any], onnx.NodeProto], Value]] = {
    "Add": _add,
    "Constant": _constant_node,
    "Conv": _conv,
    "DequantizeLinear": _dequantise,
    "Flatten": _flatten,
    "Gemm": _gemm,
    "Identity": _same,
    "MatMul": _matmul,
    "QuantizeLinear": _quantise,
    "Relu": _relu,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Sub": _add,
    "Transpose": _transpose,
    "Unsqueeze": _squeeze,
}

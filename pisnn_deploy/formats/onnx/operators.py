"""ONNX operators on affine forms and on constants."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.formats.affine import AffineForm, Floats, FormError, require_size
from pisnn_deploy.formats.onnx.arranging import flatten, pad, reshape, same, squeeze, transpose
from pisnn_deploy.formats.onnx.call import Call, Findings, Value, call_of
from pisnn_deploy.formats.onnx.quantisers import Grid, clip, dequantise, dequantised, quant, quantise, quantised
from pisnn_deploy.formats.onnx.tensors import FLOATS, INTEGERS, NodeError, tensor_values, type_name, type_of
from pisnn_deploy.formats.padding import padded

STANDARD = ("", "ai.onnx")
MICROSOFT = "com.microsoft"
QONNX = ("qonnx.custom_op.general", "onnx.brevitas")


def run_node(path: Path, node: onnx.NodeProto, number: int, values: dict[str, Value], findings: Findings) -> None:
    """Add the result of a node to the values.

    Raises
    ------
    FileError
        The node is invalid or not supported; the message names it.
    """
    domain = "" if node.domain in STANDARD else f"{node.domain}."
    where = f"node {(node.name or number)!r} ({domain}{node.op_type})"
    try:
        result = _result(node, values, findings)
        findings.count(result)
    except (FormError, NodeError) as error:
        raise FileError(path, str(error), field=where) from error
    except (ValueError, TypeError, IndexError, OverflowError, ZeroDivisionError, AttributeError) as error:
        raise FileError(path, "has invalid inputs or attributes", field=where) from error
    for name in node.output[:1]:
        values[name] = result


def is_folded(node: onnx.NodeProto, values: Mapping[str, Value]) -> bool:
    """Whether a node computes a constant from constants."""
    known = all(name in values for name in node.input if name)
    return known and node.op_type in FOLDED and _operator(node) is not None


def _operator(node: onnx.NodeProto) -> Callable[[Call], Value] | None:
    domain = "" if node.domain in STANDARD else "qonnx" if node.domain in QONNX else node.domain
    return OPERATORS.get((domain, node.op_type))


def _result(node: onnx.NodeProto, values: Mapping[str, Value], findings: Findings) -> Value:
    operator = _operator(node)
    if operator is None:
        domain = "" if node.domain in STANDARD else f" of the domain {node.domain}"
        raise NodeError(f"is not a supported operator{domain}; use {KNOWN}")
    missing = [name for name in node.input if name and name not in values]
    if missing:
        raise NodeError(f"has the undefined input {missing[0]!r}")
    return operator(call_of(node, [values[name] if name else None for name in node.input], findings))


def _conv(call: Call) -> Value:
    return _convolved(call, call.form(0), call.floats(1), call.floats(2) if call.has(2) else 0.0)


def _convolved(call: Call, form: AffineForm, weight: Floats, bias: Floats | float) -> AffineForm:
    if call.attribute("group", 1) != 1:
        raise NodeError(f"must have one group, not {call.attributes['group']}")
    if any(step != 1 for step in call.attribute("strides", [])):
        raise NodeError(f"must have strides of 1, not {call.attributes['strides']}, because each face needs a flux")
    dilation = call.attribute("dilations", ())
    before, behind = _pads(call, weight.shape[2:], dilation)
    if any(before) or any(behind):
        if call.findings.slides:
            call.findings.note_padding(before, behind, f"the padding of node {call.name}")
        else:
            around = [(0, 0)] * (len(form.shape) - len(before))
            form = padded(form, [*around, *zip(before, behind, strict=True)])
    return form.convolved(weight, bias, dilation)


def _pads(call: Call, kernel: tuple[int, ...], dilation: Any) -> tuple[list[int], list[int]]:
    """Number of zeros before and after the cells along each axis."""
    axes, auto = len(kernel), bytes(call.attribute("auto_pad", b"NOTSET"))
    if auto in (b"SAME_UPPER", b"SAME_LOWER"):
        steps = list(dilation) or [1] * axes
        totals = [(size - 1) * step for size, step in zip(kernel, steps, strict=True)]
        small, large = [total // 2 for total in totals], [total - total // 2 for total in totals]
        return (small, large) if auto == b"SAME_UPPER" else (large, small)
    pads = (
        [0] * (2 * axes) if auto == b"VALID" else [int(size) for size in call.attribute("pads", [])] or [0] * 2 * axes
    )
    if auto not in (b"NOTSET", b"VALID") or len(pads) != 2 * axes or min(pads) < 0:
        raise NodeError(f"has the pads {pads} for {axes} axes")
    return pads[:axes], pads[axes:]


def _gemm(call: Call) -> Value:
    bias = call.floats(2) * call.attribute("beta", 1.0) if call.has(2) else np.zeros(())
    return _multiplied(call, call.form(0), call.floats(1)).shifted(bias)


def _multiplied(call: Call, form: AffineForm, weight: Floats) -> AffineForm:
    """The product of `Gemm`."""
    if call.attribute("transA", 0):
        raise NodeError("must not transpose a tensor of the network")
    weight = weight * call.attribute("alpha", 1.0)
    return form.dense(weight if call.attribute("transB", 0) else weight.T)


def _matmul(call: Call) -> Value:
    if isinstance(call.value(0), AffineForm):
        return _product(call.form(0), call.floats(1))
    form, weight = call.form(1), call.floats(0)
    if len(form.shape) < 2:
        return form.dense(weight)
    order = (*range(len(form.shape) - 2), len(form.shape) - 1, len(form.shape) - 2)
    return form.transposed(order).dense(weight).transposed(order)


def _product(form: AffineForm, weight: Floats) -> AffineForm:
    if weight.ndim == 1:
        dense = form.dense(weight[None, :])
        return dense.reshaped(dense.shape[:-1])
    return form.dense(weight.T)


def _add(call: Call) -> Value:
    """`Add`, `Sub` and `Sum`."""
    total = call.value(0)
    sign = -1.0 if call.node.op_type == "Sub" else 1.0
    for at in range(1, len(call.inputs)):
        other = call.value(at)
        if isinstance(total, AffineForm):
            call.form(0)
            is_form = isinstance(other, AffineForm)
            total = total.plus(call.form(at).scaled(sign)) if is_form else _shifted(total, sign * call.floats(at))
        elif isinstance(other, AffineForm):
            total = _shifted(call.form(at).scaled(sign), np.asarray(total).astype(np.float64))
        else:
            require_size(math.prod(np.broadcast_shapes(np.shape(total), np.shape(other))))
            total = np.asarray(total + other if sign > 0 else total - other)
    return total


def _shifted(form: AffineForm, constant: Floats) -> AffineForm:
    """Add a constant, which may have additional axes of length 1."""
    shape = np.broadcast_shapes(form.shape, constant.shape)
    return form.reshaped(shape).shifted(constant) if np.prod(shape) == form.bias.size else form.shifted(constant)


def _scaled(form: AffineForm, factor: Floats) -> AffineForm:
    shape = np.broadcast_shapes(form.shape, factor.shape)
    return form.reshaped(shape).scaled(factor) if np.prod(shape) == form.bias.size else form.scaled(factor)


def _multiply(call: Call) -> Value:
    """`Mul` and `Div` by constants."""
    first, second = call.value(0), call.value(1)
    divides = call.node.op_type == "Div"
    if isinstance(first, AffineForm) and isinstance(second, AffineForm):
        raise NodeError("must not multiply two tensors of the network, which is not affine")
    if isinstance(first, AffineForm):
        factor = call.floats(1)
        if divides and not factor.all():
            raise NodeError("divides by 0")
        return _scaled(call.form(0), 1 / factor if divides else factor)
    if isinstance(second, AffineForm):
        if divides:
            raise NodeError("must not divide by a tensor of the network, which is not affine")
        return _scaled(call.form(1), call.floats(0))
    require_size(math.prod(np.broadcast_shapes(np.shape(first), np.shape(second))))
    if not divides:
        return np.asarray(first * second)
    if type_of(np.asarray(first)) not in FLOATS or not np.asarray(second).all():
        raise NodeError("divides integers, or by 0")
    return np.asarray(first / second)


def _negative(call: Call) -> Value:
    value = call.value(0)
    return call.form(0).scaled(-1.0) if isinstance(value, AffineForm) else np.asarray(-value)


def _relu(call: Call) -> Value:
    form = call.any_form(0)
    if form.step is None:
        return form.rectified()
    # Hidden layers are in units of the cell value.
    return form.scaled(form.step).rectified().scaled(1 / form.step)


def _cast(call: Call) -> Value:
    """`Cast` to real numbers."""
    kind = int(call.attribute("to", 0))
    value = call.value(0)
    if isinstance(value, AffineForm):
        if kind not in FLOATS:
            raise NodeError(f"must not convert a tensor of the network to {type_name(kind)}, which is not affine")
        # Rounded to the coarsest floats of the file, like the result of any operation.
        return replace(value, step=None).scaled(1.0)
    if kind not in FLOATS and not (kind in (TensorProto.INT32, TensorProto.INT64) and value.dtype.kind == "i"):
        raise NodeError(f"converts to the type {type_name(kind)}; use {', '.join(map(type_name, FLOATS))}")
    dtype: Any = onnx.helper.tensor_dtype_to_np_dtype(kind)
    return np.asarray(value.astype(dtype))


def _normalised(call: Call) -> Value:
    """`BatchNormalization` for inference."""
    if call.attribute("training_mode", 0):
        raise NodeError("must not be in training mode, where it uses the statistics of a batch")
    form = call.form(0)
    scale, shift, mean, variance = (call.floats(at).reshape(-1) for at in range(1, 5))
    factor = scale / np.sqrt(variance + call.attribute("epsilon", 1e-5))
    along = (-1, *(1,) * (len(form.shape) - 2))
    return form.scaled(factor.reshape(along)).shifted((shift - mean * factor).reshape(along))


def _constant_node(call: Call) -> Value:
    if isinstance(call.attribute("value", None), TensorProto):
        return tensor_values(None, call.attributes["value"])
    for name, kind in (
        ("value_float", np.float32),
        ("value_int", np.int64),
        ("value_floats", np.float32),
        ("value_ints", np.int64),
    ):
        if name in call.attributes:
            return np.asarray(call.attributes[name], kind)
    raise NodeError("has no numeric value")


def _one_number(call: Call, at: int, what: str) -> Floats:
    values = call.floats(at) if call.has(at) else np.zeros(())
    if values.size != 1:
        raise NodeError(f"has {values.size} numbers as {what}, expected one")
    return values.reshape(())


def _real(call: Call, at: int) -> Any:
    """Dequantise an integer input, whose scale and zero point are the next inputs."""
    value, zero = call.value(at), call.floats(at + 2) if call.has(at + 2) else np.zeros(())
    scale = call.floats(at + 1)
    if isinstance(value, AffineForm):
        return dequantised(value, _one_number(call, at + 1, "scale"), _one_number(call, at + 2, "zero point"))
    numbers = np.asarray(value).astype(np.float64)
    if zero.size not in (1, scale.size):
        raise NodeError(f"has {scale.size} scales and {zero.size} zero points")
    if scale.size <= 1:
        scale, zero = scale.reshape(()), zero.reshape(())
    else:
        # One per output, along the first axis of kernels and transposed weights, else along the last.
        is_first = "Conv" in call.node.op_type or call.attribute("transB", 0)
        along = (-1, *(1,) * (numbers.ndim - 1)) if is_first else (-1,)
        scale, zero = scale.reshape(along), zero.reshape(along) if zero.size > 1 else zero
    return (numbers - zero) * scale


def _integer_bias(call: Call, at: int) -> Floats:
    """Dequantise a bias, whose scale is the product of both scales."""
    bias, scale = call.floats(at).reshape(-1), call.floats(4).reshape(-1)
    if scale.size not in (1, bias.size):
        raise NodeError(f"has {scale.size} scales and {bias.size} biases")
    return bias * _one_number(call, 1, "scale") * scale


def _answered(call: Call, form: AffineForm, at: int) -> AffineForm:
    """Quantise a result, with scale and zero point from input `at` and the next."""
    if type_of(call.constant(at + 1)) not in INTEGERS:
        raise NodeError(f"has the unsupported output type {type_name(type_of(call.constant(at + 1)))}")
    lower, upper = INTEGERS[type_of(call.constant(at + 1))]
    step, zero = _one_number(call, at, "scale"), _one_number(call, at + 1, "zero point")
    if not step > 0:
        raise NodeError("has a scale that is not a positive real number")
    return quantised(call, form, Grid(step, zero, lower, upper))


def _quantised_matmul(call: Call) -> Value:
    """`QLinearMatMul`."""
    form, weight = _real(call, 0), _real(call, 3)
    if not isinstance(form, AffineForm) or isinstance(weight, AffineForm):
        raise NodeError("must multiply a tensor of the network by constant weights")
    return _answered(call, _product(form, weight), 6)


def _quantised_conv(call: Call) -> Value:
    """`QLinearConv`; the scale of its bias is the product of both scales."""
    form, weight = _real(call, 0), _real(call, 3)
    if not isinstance(form, AffineForm) or isinstance(weight, AffineForm):
        raise NodeError("must have a tensor of the network and constant weights")
    bias = _integer_bias(call, 8) if call.has(8) else 0.0
    return _answered(call, _convolved(call, form, weight, bias), 6)


def _quantised_gemm(call: Call) -> Value:
    """``com.microsoft.QGemm``; the scale of its bias is the product of both, and without an output scale it is real."""
    form, weight = _real(call, 0), _real(call, 3)
    if not isinstance(form, AffineForm) or isinstance(weight, AffineForm):
        raise NodeError("must multiply a tensor of the network by constant weights")
    bias = _integer_bias(call, 6) * call.attribute("alpha", 1.0) if call.has(6) else np.zeros(())
    result = _multiplied(call, form, weight).shifted(bias)
    return _answered(call, result, 7) if call.has(7) else result


FOLDED = (
    *("Add", "Cast", "Clip", "Constant", "DequantizeLinear", "Div", "Identity", "Mul", "Neg", "Quant"),
    *("QuantizeLinear", "Reshape", "Sub", "Sum", "Transpose"),
)
"""Operators that are also supported on constants."""
OPERATORS: dict[tuple[str, str], Callable[[Call], Value]] = {
    ("", "Add"): _add,
    ("", "BatchNormalization"): _normalised,
    ("", "Cast"): _cast,
    ("", "Clip"): clip,
    ("", "Constant"): _constant_node,
    ("", "Conv"): _conv,
    ("", "DequantizeLinear"): dequantise,
    ("", "Div"): _multiply,
    ("", "Flatten"): flatten,
    ("", "Gemm"): _gemm,
    ("", "Identity"): same,
    ("", "MatMul"): _matmul,
    ("", "Mul"): _multiply,
    ("", "Neg"): _negative,
    ("", "Pad"): pad,
    ("", "QLinearConv"): _quantised_conv,
    ("", "QLinearMatMul"): _quantised_matmul,
    ("", "QuantizeLinear"): quantise,
    ("", "Relu"): _relu,
    ("", "Reshape"): reshape,
    ("", "Squeeze"): squeeze,
    ("", "Sub"): _add,
    ("", "Sum"): _add,
    ("", "Transpose"): transpose,
    ("", "Unsqueeze"): squeeze,
    (MICROSOFT, "DequantizeLinear"): dequantise,
    (MICROSOFT, "QGemm"): _quantised_gemm,
    (MICROSOFT, "QuantizeLinear"): quantise,
    ("qonnx", "Quant"): quant,
}
KNOWN = ", ".join(f"{domain}.{name}" if domain else name for domain, name in sorted(OPERATORS))

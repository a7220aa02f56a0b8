"""Quantisation in ONNX, according to the operators' specifications.

A quantiser rounds to a grid and clips to the limits of its type. Constants are rounded as in the file. The rounding of
activations is omitted, because the compiler rounds them, but its size is recorded for comparisons; limits are kept
exactly if values can reach them. The grid of cell values is an encoding: its limits are only reported.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.formats.affine import AffineForm, Floats
from pisnn_deploy.formats.onnx.call import Call, Value
from pisnn_deploy.formats.onnx.tensors import FLOATS, INTEGERS, Constant, NodeError, array_of, type_name, type_of
from pisnn_deploy.formats.saturation import clipped

LARGEST_BITS = 32
"""Maximum bit width of a `Quant` of QONNX."""
ROUNDINGS: dict[bytes, Any] = {b"ROUND": np.rint, b"FLOOR": np.floor, b"CEIL": np.ceil, b"ROUND_TO_ZERO": np.trunc}
"""Supported rounding modes of QONNX; for activations only the first, because others would shift them."""


@dataclass(frozen=True)
class Grid:
    """Real numbers as integers: ``number = step * (integer - zero)``.

    Attributes
    ----------
    step, zero : float64 arrays that broadcast to the tensor
        Scale in real units per integer step, and zero point.
    lower, upper : float
        Limits of the integers.
    """

    step: Floats
    zero: Floats
    lower: float
    upper: float


def quantise(call: Call) -> Value:
    """`QuantizeLinear`: quantise to integers."""
    value = call.value(0)
    kind = _kind(call)
    lower, upper = INTEGERS[kind]
    step, zero = _scale_and_zero(call, value)
    if isinstance(value, AffineForm):
        return quantised(call, call.form(0), Grid(step, zero, lower, upper))
    if type_of(value) not in FLOATS:
        raise NodeError(f"must not quantise numbers of type {type_name(type_of(value))}")
    numbers = np.asarray(value)
    # In the file's own floats, which decide ties.
    rounded = np.rint(numbers / step.astype(numbers.dtype)).astype(np.float64) + zero
    if not np.isfinite(rounded).all():
        raise NodeError("rounds NaN or infinity")
    return array_of(np.clip(rounded, lower, upper), kind)


def dequantise(call: Call) -> Value:
    """`DequantizeLinear`: back to real numbers, with its own scale and zero point."""
    value = call.value(0)
    step, zero = _scale_and_zero(call, value)
    if isinstance(value, AffineForm):
        return dequantised(value, step, zero)
    if type_of(value) in FLOATS:
        raise NodeError("needs integers, but its input has real numbers")
    if type_of(value) in INTEGERS and call.has(2) and type_of(call.constant(2)) != type_of(value):
        raise NodeError(
            f"has a zero point of type {type_name(type_of(call.constant(2)))} for numbers of type "
            f"{type_name(type_of(value))}"
        )
    scale = call.constant(1)
    numbers = np.asarray(value).astype(np.float64) - zero
    return np.asarray(numbers.astype(scale.dtype) * step.astype(scale.dtype))


def quantised(call: Call, form: AffineForm, grid: Grid) -> AffineForm:
    """Quantise a tensor of the network without rounding it."""
    step = grid.step
    sizes = " to ".join(f"{size:.4g}" for size in sorted({float(step.min()), float(step.max())}))
    call.findings.notes.append(
        f"the rounding of activations to multiples of {sizes} by node {call.name} was omitted: the compiler rounds them"
    )
    ends = tuple(np.broadcast_to((end - grid.zero) * step, form.shape) for end in (grid.lower, grid.upper))
    half = np.broadcast_to(step / 2, form.shape)
    result = limited(call, form, ends[0], ends[1], half, encodes=True).rounded(half)
    shifted = result.scaled(1 / step).shifted(np.broadcast_to(grid.zero, form.shape))
    return replace(shifted, step=float(step.max()))


def dequantised(form: AffineForm, step: Floats, zero: Floats) -> AffineForm:
    """Dequantise a tensor of the network."""
    if form.step is None:
        raise NodeError("needs integers, but its input has real numbers")
    return replace(form.shifted(np.broadcast_to(-zero, form.shape)).scaled(step), step=None)


def limited(
    call: Call, form: AffineForm, lower: Floats, upper: Floats, tolerance: Floats | float = 0.0, *, encodes: bool
) -> AffineForm:
    """Clip a tensor, exactly if the operating range reaches the limits.

    Parameters
    ----------
    form : AffineForm
        Tensor in units of the cell value.
    lower, upper : float64 arrays [*shape]
        Limits in units of the cell value.
    tolerance : float64 array that broadcasts to [*shape]
        Excess beyond the limits that is ignored.
    encodes : bool
        Whether these are limits of integers, which are only reported if the tensor is the cell values.
    """
    if encodes and _are_cells(form):
        return _covered(call, form, lower, upper)
    result = clipped(form, lower, upper, tolerance)
    if result.below is not form.below:
        least, largest = form.bounds()
        reached = [f"below {_shown(lower)}"] if not (least >= lower - tolerance).all() else []
        reached += [f"above {_shown(upper)}"] if not (largest <= upper + tolerance).all() else []
        call.findings.clips.append(
            f"node {call.name} ({call.node.op_type}) clips values {' and '.join(reached)}, "
            "which the operating range may reach"
        )
    return result


def _shown(limit: Floats) -> str:
    ends = sorted({float(limit.min()), float(limit.max())})
    return " to ".join(f"{end:.4g}" for end in ends)


def _are_cells(form: AffineForm) -> bool:
    """Whether each element is a scaled and shifted cell value."""
    rows = form.layer().weight
    return not form.below and bool(((rows != 0).sum(axis=1) == 1).all() and (rows >= 0).all())


def _covered(call: Call, form: AffineForm, lower: Floats, upper: Floats) -> AffineForm:
    """Record the limits of the cell values' encoding, which calibration chose."""
    rows = form.layer()
    factor = rows.weight.max(axis=1).reshape(form.shape)
    ends = [float(end) for end in (((lower - form.bias) / factor).max(), ((upper - form.bias) / factor).min())]
    if not ends[0] < ends[1]:
        raise NodeError("has limits that exclude all cell values")
    findings, limits = call.findings, form.limits
    if limits is None or limits.lower < ends[0] or limits.upper > ends[1]:
        if limits is not None and not (limits.lower < ends[1] and ends[0] < limits.upper):
            raise NodeError(
                f"clips cell values to {ends[0]:.4g} to {ends[1]:.4g}, but the operating range is {limits.lower:g} to "
                f"{limits.upper:g}"
            )
        text = f"the clipping of cell values to {ends[0]:.4g} to {ends[1]:.4g} by node {call.name} was omitted"
        findings.notes.append(
            text + (f": the operating range is {limits.lower:g} to {limits.upper:g}" if limits is not None else "")
        )
    findings.covered = (max(findings.covered[0], ends[0]), min(findings.covered[1], ends[1]))
    return form


def _kind(call: Call) -> int:
    """Type of the integers: from the zero point, else from the attribute, else uint8."""
    declared = int(call.attribute("output_dtype", 0))
    kind = type_of(call.constant(2)) if call.has(2) else declared or type_of(np.zeros(0, np.uint8))
    if declared and declared != kind:
        raise NodeError(f"has output_dtype {type_name(declared)}, but a zero point of type {type_name(kind)}")
    if kind not in INTEGERS:
        raise NodeError(f"quantises to the type {type_name(kind)}; use {', '.join(map(type_name, INTEGERS))}")
    return kind


def _scale_and_zero(call: Call, value: Value) -> tuple[Floats, Floats]:
    """Scale and zero point, shaped to broadcast over the tensor."""
    scale = call.floats(1)
    zero = call.floats(2) if call.has(2) else np.zeros(())
    if not (scale > 0).all() or not np.isfinite(scale).all() or type_of(call.constant(1)) not in FLOATS:
        raise NodeError("has a scale that is not a positive real number")
    if zero.size not in (1, scale.size):
        raise NodeError(f"has {scale.size} scales and {zero.size} zero points")
    if scale.size <= 1:
        return scale.reshape(()), zero.reshape(())
    shape = value.shape
    axis = int(call.attribute("axis", 1))
    if not -len(shape) <= axis < len(shape):
        raise NodeError(f"has axis {axis} for a tensor of {len(shape)} axes")
    axis %= len(shape)
    block = int(call.attribute("block_size", 0))
    if block:
        return tuple(_blocked(values, shape, axis, block) for values in (scale, zero))  # type: ignore[return-value]
    if scale.ndim != 1 or scale.size != shape[axis]:
        raise NodeError("does not have one scale per entry of its axis")
    along = [1] * len(shape)
    along[axis] = -1
    return scale.reshape(along), zero.reshape(along) if zero.size > 1 else zero.reshape(())


def _blocked(values: Floats, shape: tuple[int, ...], axis: int, block: int) -> Floats:
    """Expand one number per block along an axis."""
    if values.size == 1:
        return values.reshape(())
    expected = tuple(-(-size // block) if at == axis else size for at, size in enumerate(shape))
    if block < 1 or values.shape != expected:
        raise NodeError(f"has scales of shape {values.shape}, expected {expected} for blocks of {block}")
    return values.take(np.arange(shape[axis]) // block, axis=axis)


def quant(call: Call) -> Value:
    """QONNX's `Quant`: quantise and dequantise."""
    value, step, zero = call.value(0), call.floats(1), call.floats(2)
    bits = call.floats(3).reshape(-1)
    if bits.size != 1 or not bits[0].is_integer() or not 1 <= bits[0] <= LARGEST_BITS:
        raise NodeError(f"has a bit width that is not an integer from 1 to {LARGEST_BITS}")
    if not (step > 0).all() or not np.isfinite(step).all():
        raise NodeError("has a scale that is not a positive real number")
    signed, narrow = bool(call.attribute("signed", 1)), bool(call.attribute("narrow", 0))
    count = 2.0 ** bits[0]
    lower, upper = (-count / 2 + narrow, count / 2 - 1) if signed else (0.0, count - 1 - narrow)
    mode = bytes(call.attribute("rounding_mode", b"ROUND")).upper()
    if mode not in ROUNDINGS:
        raise NodeError(f"rounds by {mode.decode('ascii', 'replace')}; use ROUND, FLOOR, CEIL or ROUND_TO_ZERO")
    if not isinstance(value, AffineForm):
        numbers = np.asarray(value)
        step, zero = (np.broadcast_to(values, numbers.shape) for values in (step, zero))
        rounded = ROUNDINGS[mode](numbers / step.astype(numbers.dtype) + zero.astype(numbers.dtype))
        if not np.isfinite(rounded).all():
            raise NodeError("rounds NaN or infinity")
        return np.asarray((np.clip(rounded, lower, upper) - zero) * step, numbers.dtype)
    if mode != b"ROUND":
        raise NodeError(f"rounds activations by {mode.decode()}, which shifts them; use ROUND")
    form = call.form(0)
    step, zero = (np.broadcast_to(values, form.shape) for values in (step, zero))
    return dequantised(quantised(call, form, Grid(step, zero, lower, upper)), step, zero)


def clip(call: Call) -> Value:
    """`Clip` of constants or of tensors of the network."""
    value = call.value(0)
    limits: list[Floats] = []
    for at, name, default in ((1, "min", -np.inf), (2, "max", np.inf)):
        limit = call.floats(at) if call.has(at) else np.asarray(float(call.attribute(name, default)))
        if limit.size != 1 or np.isnan(limit).any():
            raise NodeError(f"has a {name} that is not a number")
        limits.append(limit.reshape(()))
    if isinstance(value, AffineForm):
        unit = 1.0 if value.step is None else value.step
        ends = [np.broadcast_to(unit * limit, value.shape) for limit in limits]
        result = limited(call, value.scaled(unit), ends[0], ends[1], encodes=value.step is not None)
        return result.scaled(1 / unit)
    return _clipped_constant(np.asarray(value), *limits)


def _clipped_constant(values: Constant, lower: Floats, upper: Floats) -> Constant:
    numbers: NDArray[np.float64] = np.minimum(np.maximum(values.astype(np.float64), lower), upper)
    return np.asarray(numbers.astype(values.dtype)) if type_of(values) in FLOATS else array_of(numbers, type_of(values))

"""ONNX operators that rearrange elements: shapes, orders and paddings."""

from __future__ import annotations

import numpy as np

from pisnn_deploy.formats.affine import AffineForm
from pisnn_deploy.formats.onnx.call import Call, Value
from pisnn_deploy.formats.onnx.tensors import NodeError
from pisnn_deploy.formats.padding import padded

_MODES = {b"constant": "constant", b"reflect": "reflect", b"edge": "edge", b"wrap": "wrap"}


def same(call: Call) -> Value:
    """`Identity`."""
    if not call.has(0):
        raise NodeError("has no input")
    return call.value(0)


def flatten(call: Call) -> Value:
    """`Flatten`."""
    form = call.any_form(0)
    axis = call.attribute("axis", 1)
    axis += len(form.shape) if axis < 0 else 0
    first = int(np.prod(form.shape[:axis]))
    return form.reshaped((first, form.bias.size // max(first, 1)))


def reshape(call: Call) -> Value:
    """`Reshape`."""
    sizes, value = call.integers(1), call.value(0)
    if not isinstance(value, AffineForm):
        return np.asarray(value).reshape(sizes)
    if call.attribute("allowzero", 0) and 0 in sizes:
        raise NodeError("makes an empty tensor")
    return value.reshaped([value.shape[at] if size == 0 else size for at, size in enumerate(sizes)])


def transpose(call: Call) -> Value:
    """`Transpose`."""
    value = call.value(0)
    order = call.attribute("perm", range(value.ndim if not isinstance(value, AffineForm) else len(value.shape))[::-1])
    return value.transposed(order) if isinstance(value, AffineForm) else np.asarray(value).transpose(order)


def squeeze(call: Call) -> Value:
    """`Squeeze` and `Unsqueeze`."""
    form = call.any_form(0)
    axes = call.attribute("axes", None)
    if axes is None and call.has(1):
        axes = call.integers(1)
    count = len(form.shape)
    if call.node.op_type == "Squeeze":
        gone = {a % count for a in axes} if axes is not None else {a for a in range(count) if form.shape[a] == 1}
        return form.reshaped([size for a, size in enumerate(form.shape) if a not in gone])
    if axes is None:
        raise NodeError("has no axes")
    shape = list(form.shape)
    for axis in sorted(a % (count + len(axes)) for a in axes):
        shape.insert(axis, 1)
    return form.reshaped(shape)


def pad(call: Call) -> Value:
    """`Pad`: omitted around a line that convolutions slide over, otherwise part of the network."""
    form = call.any_form(0)
    pads = call.integers(1) if call.has(1) else [int(size) for size in call.attribute("pads", [])]
    count = len(form.shape)
    axes = [axis % count for axis in call.integers(3)] if call.has(3) else list(range(count))
    if len(pads) != 2 * len(axes) or len(set(axes)) != len(axes):
        raise NodeError(f"has {len(pads)} pads for {len(axes)} axes")
    around = [(0, 0)] * count
    for at, axis in enumerate(axes):
        around[axis] = (pads[at], pads[at + len(axes)])
    if any(size < 0 for pair in around for size in pair):
        raise NodeError("has negative pads, which would remove cells")
    mode = bytes(call.attribute("mode", b"constant"))
    if mode not in _MODES:
        raise NodeError(f"has the unknown mode {mode.decode('ascii', 'replace')!r}")
    constant = float(call.floats(2).reshape(-1)[0]) if call.has(2) else float(call.attribute("value", 0.0))
    return _around(call, form, around, _MODES[mode], constant)


def _around(call: Call, form: AffineForm, around: list[tuple[int, int]], mode: str, constant: float) -> AffineForm:
    if call.findings.slides and any(any(pair) for pair in around):
        if any(any(pair) for pair in around[:2]):
            raise NodeError("pads batch or channels")
        before, behind = ([pair[side] for pair in around[2:]] for side in range(2))
        call.findings.note_padding(before, behind, f"the padding by node {call.name} ({mode})")
        return form
    return padded(form, around, mode, constant)

"""Clip tensors: with rectified units if the operating range reaches the limits, else unchanged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.formats.affine import AffineForm, Floats, FormError, Layer


def clipped(
    form: AffineForm, lower: Floats | float, upper: Floats | float, tolerance: Floats | float = 0.0
) -> AffineForm:
    """``min(max(x, lower), upper)``, exactly within the operating range.

    Parameters
    ----------
    lower, upper : float64 arrays that broadcast to [*shape]
        Limits, in the units of the tensor.
    tolerance : float64 array that broadcasts to [*shape]
        Excess beyond the limits that is ignored and added to the rounding.

    Returns
    -------
    AffineForm
        Has the same layers as `form` if no limit is reached.

    Raises
    ------
    FormError
        There are too many layers, or the limits do not fit the shape.
    """
    try:
        low, high = (np.broadcast_to(np.asarray(limit, np.float64), form.shape) for limit in (lower, upper))
    except ValueError:
        raise FormError(f"has limits that do not fit a tensor of shape {form.shape}") from None
    least, largest = form.bounds()
    # Negated so that NaN counts as reaching the limit.
    sinks, rises = ~(least >= low - tolerance), ~(largest <= high + tolerance)
    span = (np.clip(least, low, high), np.clip(largest, low, high))
    if not sinks.any() and not rises.any():
        excess = np.maximum(np.maximum(low - least, largest - high), 0)
        return replace(form.rounded(excess), span=span)
    result = None if sinks.any() else _shortened(form, high, rises)
    return replace(result or _units(form, np.where(sinks, low, least), high, rises), span=span, rounding=form.rounding)


def _units(form: AffineForm, base: Floats, upper: Floats, rises: NDArray[np.bool_]) -> AffineForm:
    """One unit per element from its smallest value on, and another one per element that reaches its upper limit."""
    layer, over = form.layer(), np.flatnonzero(rises)
    starts = np.concatenate([base.reshape(-1), upper.reshape(-1)[over]])
    every = np.concatenate([np.arange(layer.bias.size), over])
    least, largest = (end.reshape(-1)[every] - starts for end in form.bounds())
    span = None if form.span is None else (least, largest)
    result = form.ended(Layer(layer.weight[every], layer.bias[every] - starts, span))
    identity = np.eye(layer.bias.size)
    weight = np.concatenate([identity, -identity[:, over]], axis=1)
    return replace(result, weight=weight.reshape(*form.shape, -1), bias=base)


def _shortened(form: AffineForm, upper: Floats, rises: NDArray[np.bool_]) -> AffineForm | None:
    """Clip elements that are single activations with units in the existing layer; None if they are not."""
    rows = form.layer()
    if not form.below or not ((rows.weight != 0).sum(axis=1) == 1).all() or (rows.weight < 0).any():
        return None
    unit, factor, over = rows.weight.argmax(axis=1), rows.weight.max(axis=1), np.flatnonzero(rises)
    start = (upper.reshape(-1) - rows.bias)[over] / factor[over]
    if not (start > 0).all():
        return None
    last, ended = form.below[-1], unit[over]
    span = last.span and (
        np.concatenate([last.span[0], last.span[0][ended] - start]),
        np.concatenate([last.span[1], last.span[1][ended] - start]),
    )
    layer = Layer(
        np.concatenate([last.weight, last.weight[ended]]), np.concatenate([last.bias, last.bias[ended] - start]), span
    )
    more = np.zeros((rows.bias.size, over.size))
    more[over, np.arange(over.size)] = -factor[over]
    weight = np.concatenate([rows.weight, more], axis=1)
    return replace(form, weight=weight.reshape(*form.shape, -1), below=(*form.below[:-1], layer))

"""Networks followed through one window: every tensor is an affine function of the layer before it.

Convolutions and dense layers on windows are two spellings of the same flux network. Followed through a single window,
whatever is between two rectifiers is one dense layer: its weights are what this module computes, exactly as far as
products of the weights are exact in float64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LARGEST_ELEMENTS = 1 << 24
"""Weights of one form, or products on the way to it: 128 MiB."""
LARGEST_DEPTH = 8
"""Hidden layers, as `pisnn_deploy.model.ModelSpec` has it."""


class FormError(ValueError):
    """An operation that the tensor does not allow; the reader adds the file and the node."""


@dataclass(frozen=True)
class Layer:
    """``weight @ activation + bias``.

    Attributes
    ----------
    weight : float64 array [outputs, inputs]
    bias : float64 array [outputs]
    """

    weight: Floats
    bias: Floats


@dataclass(frozen=True)
class AffineForm:
    """A tensor as an affine function of the activations of the layer before it.

    Attributes
    ----------
    weight : float64 array [*shape, inputs]
    bias : float64 array [*shape]
    below : tuple of Layer
        The rectified layers before.
    is_rectified : bool
        Whether no element is negative.
    """

    weight: Floats
    bias: Floats
    below: tuple[Layer, ...] = ()
    is_rectified: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor."""
        return self.bias.shape

    def layer(self) -> Layer:
        """The tensor as one dense layer, its elements in C order."""
        return Layer(self.weight.reshape(self.bias.size, self.weight.shape[-1]), self.bias.reshape(-1))

    def reshaped(self, shape: Sequence[int]) -> AffineForm:
        """The same elements in another shape; one entry may be -1.

        Raises
        ------
        FormError
            Another number of elements.
        """
        known = math.prod(size for size in shape if size != -1)
        wanted = [self.bias.size // max(known, 1) if size == -1 else size for size in shape]
        if list(shape).count(-1) > 1 or any(size < 1 for size in wanted) or math.prod(wanted) != self.bias.size:
            raise FormError(f"a tensor of shape {self.shape} cannot be given the shape {tuple(shape)}")
        return replace(
            self, weight=self.weight.reshape(*wanted, self.weight.shape[-1]), bias=self.bias.reshape(*wanted)
        )

    def transposed(self, axes: Sequence[int]) -> AffineForm:
        """Axes in another order.

        Raises
        ------
        FormError
            Not an order of the axes.
        """
        if sorted(axes) != list(range(len(self.shape))):
            raise FormError(f"{tuple(axes)} is no order of the axes of a tensor of shape {self.shape}")
        return replace(self, weight=self.weight.transpose(*axes, len(axes)), bias=self.bias.transpose(*axes))

    def dense(self, weight: Floats, bias: Floats | float = 0.0) -> AffineForm:
        """``weight @ x + bias`` over the last axis.

        Parameters
        ----------
        weight : float64 array [outputs, inputs]
        bias : float64 array that broadcasts to [outputs]

        Raises
        ------
        FormError
            The numbers of inputs differ.
        """
        if weight.ndim != 2 or not self.shape or weight.shape[1] != self.shape[-1]:
            raise FormError(f"weights of shape {weight.shape} do not fit a tensor of shape {self.shape}")
        _require_size(self.bias.size // self.shape[-1] * weight.shape[0] * self.weight.shape[-1])
        product = np.einsum("oi,...in->...on", weight, self.weight)
        return replace(self, weight=product, bias=_broadcast(self.bias @ weight.T, bias), is_rectified=False)

    def convolved(self, weight: Floats, bias: Floats | float = 0.0, dilation: Sequence[int] = ()) -> AffineForm:
        """Cross-correlation without padding, in steps of one cell.

        Parameters
        ----------
        weight : float64 array [outputs, channels, *kernel]
        bias : float64 array that broadcasts to [outputs]
        dilation : sequence of int, optional
            Of each axis of the kernel.

        Raises
        ------
        FormError
            Another number of channels or axes, or a kernel larger than the tensor.
        """
        axes = weight.ndim - 2
        if axes < 1 or len(self.shape) < axes + 1 or self.shape[-axes - 1] != weight.shape[1]:
            raise FormError(f"a kernel of shape {weight.shape} does not fit a tensor of shape {self.shape}")
        dilation = tuple(dilation) or (1,) * axes
        spans = tuple((size - 1) * step + 1 for size, step in zip(weight.shape[2:], dilation, strict=True))
        lead = len(self.shape) - axes
        if any(span > size for span, size in zip(spans, self.shape[lead:], strict=True)):
            raise FormError(f"a kernel that spans {spans} cells is larger than a tensor of shape {self.shape}")
        left = [size - span + 1 for size, span in zip(self.shape[lead:], spans, strict=True)]
        outer = math.prod(self.shape[: lead - 1])
        _require_size(outer * math.prod(left) * weight.size * self.weight.shape[-1])
        weights, biases = (_seen(values, lead, spans, dilation) for values in (self.weight, self.bias))
        kernel = weight.reshape(weight.shape[0], -1)
        offset = np.moveaxis(biases @ kernel.T, -1, lead - 1)
        product = np.einsum("ok,...kn->...on", kernel, np.moveaxis(weights, -1, -2))
        shift = np.broadcast_to(np.asarray(bias, np.float64), kernel.shape[:1]).reshape(-1, *(1,) * axes)
        return replace(self, weight=np.moveaxis(product, -2, lead - 1), bias=offset + shift, is_rectified=False)

    def shifted(self, constant: Floats) -> AffineForm:
        """A constant added.

        Raises
        ------
        FormError
            It would change the shape.
        """
        return replace(self, bias=_broadcast(self.bias, constant), is_rectified=False)

    def scaled(self, factor: float) -> AffineForm:
        """The tensor times a number."""
        return replace(self, weight=factor * self.weight, bias=factor * self.bias, is_rectified=False)

    def plus(self, other: AffineForm) -> AffineForm:
        """Sum of two tensors.

        Raises
        ------
        FormError
            They come from different layers or differ in shape.
        """
        if self.below is not other.below or self.shape != other.shape:
            raise FormError("two tensors can be added where they have one shape and come from the same layer")
        return replace(self, weight=self.weight + other.weight, bias=self.bias + other.bias, is_rectified=False)

    def rectified(self) -> AffineForm:
        """``max(x, 0)``: the end of a layer.

        Raises
        ------
        FormError
            More layers than a model has.
        """
        if self.is_rectified:
            return self
        if len(self.below) == LARGEST_DEPTH:
            raise FormError(f"more than {LARGEST_DEPTH} hidden layers")
        form = form_of(self.shape)
        return replace(form, below=(*self.below, self.layer()), is_rectified=True)


def form_of(shape: Sequence[int]) -> AffineForm:
    """A tensor as itself: its own elements are the activations.

    Parameters
    ----------
    shape : sequence of int

    Raises
    ------
    FormError
        It is too large.
    """
    size = math.prod(shape)
    _require_size(size * size)
    return AffineForm(np.eye(size).reshape(*shape, size), np.zeros(tuple(shape)), ())


def _seen(values: Floats, lead: int, spans: Sequence[int], dilation: Sequence[int]) -> Floats:
    """What each position of a kernel sees.

    Parameters
    ----------
    values : float64 array [*outer, channels, *cells, ...]
    lead : int
        Axis of the first cells.
    spans, dilation : sequence of int
        Of the kernel along each axis.

    Returns
    -------
    float64 array [*outer, *positions, ..., channels * kernel]
    """
    axes = tuple(range(lead, lead + len(spans)))
    view: Any = sliding_window_view
    picked = (..., *(slice(None, None, step) for step in dilation))
    windows: Floats = view(values, tuple(spans), axes)[picked]
    last = np.moveaxis(windows, lead - 1, -1 - len(spans))
    return last.reshape(*last.shape[: -1 - len(spans)], -1)


def _broadcast(values: Floats, constant: Floats | float) -> Floats:
    try:
        kept = np.broadcast_shapes(values.shape, np.shape(constant)) == values.shape
    except ValueError:
        kept = False
    if not kept:
        raise FormError(f"a constant of shape {np.shape(constant)} does not fit a tensor of shape {values.shape}")
    return np.asarray(values + constant, np.float64)


def _require_size(elements: int) -> None:
    if elements > LARGEST_ELEMENTS:
        raise FormError(f"{elements} weights between two layers are more than the {LARGEST_ELEMENTS} that are allowed")

"""Follow a network through one window: each tensor is an affine function of the previous layer's activations.

Convolutions and dense layers on windows are two forms of the same flux network. For a single window, everything between
two rectifiers is one dense layer. This module computes its weights, exactly as long as products of the weights are
exact in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.formats.places import seen_at_places
from pisnn_deploy.formats.relaxation import relaxed
from pisnn_deploy.formats.windows import Limits

Floats = NDArray[np.float64]

LARGEST_ELEMENTS = 1 << 24
"""Maximum number of weights of a form, or of products to compute it: 128 MiB."""
LARGEST_DEPTH = 8
"""Maximum number of hidden layers, as in `pisnn_deploy.physics.model.ModelSpec`."""
EXTRA_TERMS = 8
"""Roundings of a weighted sum in addition to one per term, for weights that were scaled and shifted before."""


class FormError(ValueError):
    """An operation that is invalid for the tensor; the reader adds the file and the node."""


@dataclass(frozen=True)
class Layer:
    """``weight @ activation + bias``.

    Attributes
    ----------
    weight : float64 array [outputs, inputs]
        Weights in units of the cell value per input.
    bias : float64 array [outputs]
        Biases in units of the cell value.
    span : tuple of float64 arrays [outputs], or None
        Smallest and largest values over the operating range; None if unknown.
    """

    weight: Floats
    bias: Floats
    span: tuple[Floats, Floats] | None = None


@dataclass(frozen=True)
class AffineForm:
    """A tensor as an affine function of the previous layer's activations.

    Attributes
    ----------
    weight : float64 array [*shape, inputs]
        Factor of each activation.
    bias : float64 array [*shape]
        Constant part.
    below : tuple of Layer
        The previous, rectified layers.
    span : tuple of float64 arrays [*shape], or None
        Smallest and largest values over the operating range; None if unknown.
    rounding : float64 array [*shape], or None
        Bound on the difference to the file's own arithmetic, from omitted quantisers and less precise floats; None
        means 0.
    limits : Limits or None
        Windows of cell values for which `span` and `rounding` hold.
    step : float or None
        If the tensor is in integers in the file, approximate value of 1 in units of the cell value. Integer arithmetic,
        which may overflow, is not followed.
    """

    weight: Floats
    bias: Floats
    below: tuple[Layer, ...] = ()
    span: tuple[Floats, Floats] | None = None
    rounding: Floats | None = None
    limits: Limits | None = None
    step: float | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor."""
        return self.bias.shape

    @property
    def is_rectified(self) -> bool:
        """Whether a rectifier ensures that no element is negative."""
        if not self.below:
            return False
        if self.span is not None and (self.span[0] >= 0).all():
            return True
        return bool((self.weight >= 0).all() and (self.bias >= 0).all())

    def layer(self) -> Layer:
        """Convert the tensor to one dense layer, with its elements in C order."""
        return Layer(self.weight.reshape(self.bias.size, self.weight.shape[-1]), self.bias.reshape(-1))

    def picked(self, index: NDArray[np.int64], constant: float = 0.0) -> AffineForm:
        """Rearrange elements.

        Parameters
        ----------
        index : int64 array
            Indices of elements in C order; -1 for the constant.

        Raises
        ------
        FormError
            The result is too large.
        """
        require_size(index.size * self.weight.shape[-1])
        constants = index < 0

        def arranged(values: Floats, fill: float) -> Floats:
            selected = values.reshape(-1)[index]
            return np.where(constants, fill, selected) if constants.any() else selected

        weight = self.weight.reshape(self.bias.size, -1)[index]
        if constants.any():
            weight = np.where(constants[..., None], 0.0, weight)
        span = None if self.span is None else (arranged(self.span[0], constant), arranged(self.span[1], constant))
        rounding = None if self.rounding is None else arranged(self.rounding, 0.0)
        return replace(self, weight=weight, bias=arranged(self.bias, constant), span=span, rounding=rounding)

    def numbered(self) -> NDArray[np.int64]:
        """Indices of the elements in C order, for `picked`; int64 array [*shape]."""
        return np.arange(self.bias.size, dtype=np.int64).reshape(self.shape)

    def reshaped(self, shape: Sequence[int]) -> AffineForm:
        """Change the shape; one entry may be -1.

        Raises
        ------
        FormError
            The number of elements differs.
        """
        known = math.prod(size for size in shape if size != -1)
        sizes = [self.bias.size // max(known, 1) if size == -1 else size for size in shape]
        if list(shape).count(-1) > 1 or any(size < 1 for size in sizes) or math.prod(sizes) != self.bias.size:
            raise FormError(f"cannot reshape a tensor of shape {self.shape} to {tuple(shape)}")
        return self.picked(self.numbered().reshape(sizes))

    def transposed(self, axes: Sequence[int]) -> AffineForm:
        """Permute the axes.

        Raises
        ------
        FormError
            `axes` is not a permutation.
        """
        if sorted(axes) != list(range(len(self.shape))):
            raise FormError(f"{tuple(axes)} is not a permutation of the axes of a tensor of shape {self.shape}")
        return self.picked(self.numbered().transpose(*axes))

    def dense(self, weight: Floats, bias: Floats | float = 0.0) -> AffineForm:
        """``weight @ x + bias`` over the last axis.

        Parameters
        ----------
        weight : float64 array [outputs, inputs]
            Weights of the layer.
        bias : float64 array that broadcasts to [outputs]
            Biases of the layer.

        Raises
        ------
        FormError
            The number of inputs differs.
        """
        if weight.ndim != 2 or not self.shape or weight.shape[1] != self.shape[-1]:
            raise FormError(f"weights of shape {weight.shape} do not fit a tensor of shape {self.shape}")
        require_size(self.bias.size // self.shape[-1] * weight.shape[0] * self.weight.shape[-1])
        product = np.einsum("oi,...in->...on", weight, self.weight)

        def answer(values: Floats, kernel: Floats) -> Floats:
            return values @ kernel.T

        return self._summed(answer, weight, product, bias)

    def convolved(self, weight: Floats, bias: Floats | float = 0.0, dilation: Sequence[int] = ()) -> AffineForm:
        """Cross-correlation without padding, with a stride of 1.

        Parameters
        ----------
        weight : float64 array [outputs, channels, *kernel]
            Kernels.
        bias : float64 array that broadcasts to [outputs]
            Biases of the layer.
        dilation : sequence of int, optional
            Dilation along each axis of the kernel.

        Raises
        ------
        FormError
            The number of channels or axes differs, or the kernel is larger than the tensor.
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
        require_size(outer * math.prod(left) * weight.size * self.weight.shape[-1])
        kernel = weight.reshape(weight.shape[0], -1)
        seen = np.moveaxis(seen_at_places(self.weight, lead, spans, dilation), -1, -2)
        product = np.moveaxis(np.einsum("ok,...kn->...on", kernel, seen), -2, lead - 1)

        def answer(values: Floats, flat: Floats) -> Floats:
            return np.moveaxis(seen_at_places(values, lead, spans, dilation) @ flat.T, -1, lead - 1)

        shift = np.broadcast_to(np.asarray(bias, np.float64), kernel.shape[:1]).reshape(-1, *(1,) * axes)
        return self._summed(answer, kernel, product, shift)

    def _summed(
        self, answer: Callable[[Floats, Floats], Floats], kernel: Floats, weight: Floats, bias: Floats | float
    ) -> AffineForm:
        """Form of weighted sums, which `answer` computes from values and a kernel."""
        shifted = _broadcast(answer(self.bias, kernel), bias)
        rounding = None if self.rounding is None else answer(self.rounding, np.abs(kernel))
        span = None
        if self.span is not None:
            falling, rising = np.minimum(kernel, 0), np.maximum(kernel, 0)
            least, largest = (
                _broadcast(answer(end, rising) + answer(opposite, falling), bias)
                for end, opposite in (self.span, self.span[::-1])
            )
            span = (least, largest)
            if self.limits is not None:
                size = answer(np.maximum(np.abs(self.span[0]), np.abs(self.span[1])), np.abs(kernel))
                terms = (kernel.shape[1] + EXTRA_TERMS) * self.limits.epsilon
                error = terms * _broadcast(size, np.abs(np.asarray(bias)))
                rounding = error if rounding is None else rounding + error
        return replace(self, weight=weight, bias=shifted, span=span, rounding=rounding)

    def shifted(self, constant: Floats) -> AffineForm:
        """Add a constant.

        Raises
        ------
        FormError
            The shape would change.
        """
        bias = _broadcast(self.bias, constant)
        span = None if self.span is None else (self.span[0] + constant, self.span[1] + constant)
        return replace(self, bias=bias, span=span)._of_floats(constant)

    def scaled(self, factor: Floats | float) -> AffineForm:
        """Multiply by a factor, or by one per element.

        Parameters
        ----------
        factor : float or float64 array that broadcasts to [*shape]
            Factors.

        Raises
        ------
        FormError
            The shape would change.
        """
        factors = _broadcast(np.zeros(self.shape), factor)
        span = None
        if self.span is not None:
            ends = (self.span[0] * factors, self.span[1] * factors)
            span = (np.minimum(*ends), np.maximum(*ends))
        rounding = None if self.rounding is None else self.rounding * np.abs(factors)
        weight = self.weight * factors[..., None]
        return replace(self, weight=weight, bias=self.bias * factors, span=span, rounding=rounding)._of_floats()

    def plus(self, other: AffineForm) -> AffineForm:
        """Add another tensor.

        Raises
        ------
        FormError
            The tensors depend on different layers or differ in shape.
        """
        if self.below is not other.below or self.shape != other.shape:
            raise FormError("tensors can only be added if they have the same shape and depend on the same layer")
        span = None
        if self.span is not None and other.span is not None:
            span = (self.span[0] + other.span[0], self.span[1] + other.span[1])
        rounding = self.rounding if other.rounding is None else other.rounding
        if self.rounding is not None and other.rounding is not None:
            rounding = self.rounding + other.rounding
        weight, bias = self.weight + other.weight, self.bias + other.bias
        return replace(self, weight=weight, bias=bias, span=span, rounding=rounding)._of_floats(other.bias)

    def _of_floats(self, operand: Floats | float = 0.0) -> AffineForm:
        """Account for the file's float precision: the result of an operation is rounded, and so was its operand."""
        if self.span is None or self.limits is None:
            return self
        size = np.maximum(np.abs(self.span[0]), np.abs(self.span[1])) + np.abs(operand)
        return self.rounded(2 * self.limits.epsilon * size)

    def rounded(self, step: Floats | float) -> AffineForm:
        """Account for omitted rounding by up to `step`."""
        before = 0.0 if self.rounding is None else self.rounding
        return replace(self, rounding=np.broadcast_to(before + step, self.shape).astype(np.float64))

    def bounds(self) -> tuple[Floats, Floats]:
        """Smallest and largest values over the operating range; float64 arrays [*shape], infinite if unknown."""
        if self.span is None:
            return np.full(self.shape, 0.0 if self.is_rectified else -np.inf), np.full(self.shape, np.inf)
        lower, upper = self.span
        if self.limits is None:
            return lower, upper
        layer = self.layer()
        relaxed_bounds = relaxed(layer.weight, layer.bias, self.below, self.limits)
        if relaxed_bounds is None:
            return lower, upper
        least, largest = (values.reshape(self.shape) for values in relaxed_bounds)
        # `fmax` and `fmin` ignore NaN, which results from overflow.
        return np.fmax(lower, least), np.fmin(upper, largest)

    def rectified(self) -> AffineForm:
        """Apply ``max(x, 0)``, which ends a layer.

        Raises
        ------
        FormError
            There are too many layers.
        """
        if self.is_rectified:
            return self
        lower, upper = self.bounds()
        if self.span is None:
            return self.ended(self.layer())
        form = self.ended(replace(self.layer(), span=(lower.reshape(-1), upper.reshape(-1))))
        return replace(form, span=(np.maximum(lower, 0), np.maximum(upper, 0)))

    def ended(self, layer: Layer) -> AffineForm:
        """Activations of a new layer on top of those below, in the shape of this form if the sizes agree.

        Raises
        ------
        FormError
            There are too many layers, or the layer is too large.
        """
        if len(self.below) == LARGEST_DEPTH:
            raise FormError(f"more than {LARGEST_DEPTH} hidden layers")
        size = layer.bias.size
        shape = self.shape if size == self.bias.size else (size,)
        require_size(size * size)
        weight, bias = np.eye(size).reshape(*shape, size), np.zeros(shape)
        return replace(self, weight=weight, bias=bias, below=(*self.below, layer), span=None)


def form_of(shape: Sequence[int], limits: Limits | None = None) -> AffineForm:
    """Form of the window itself, whose cell values are the activations.

    Parameters
    ----------
    limits : Limits, optional
        Range of the cell values.

    Raises
    ------
    FormError
        The window is too large.
    """
    size = math.prod(shape)
    require_size(size * size)
    form = AffineForm(np.eye(size).reshape(*shape, size), np.zeros(tuple(shape)), limits=limits)
    if limits is None:
        return form
    return replace(form, span=(np.full(form.shape, limits.lower), np.full(form.shape, limits.upper)))


def _broadcast(values: Floats, constant: Floats | float) -> Floats:
    try:
        fits = np.broadcast_shapes(values.shape, np.shape(constant)) == values.shape
    except ValueError:
        fits = False
    if not fits:
        raise FormError(f"a constant of shape {np.shape(constant)} does not fit a tensor of shape {values.shape}")
    return np.asarray(values + constant, np.float64)


def require_size(elements: int) -> None:
    """Refuse a form that would be too large, before computing it.

    Raises
    ------
    FormError
        There would be more than `LARGEST_ELEMENTS` weights.
    """
    if elements > LARGEST_ELEMENTS:
        raise FormError(f"needs {elements} weights between two layers, more than {LARGEST_ELEMENTS}")

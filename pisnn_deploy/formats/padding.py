"""Padding of tensors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pisnn_deploy.formats.affine import AffineForm, FormError, require_size

LARGEST_PADDING = 4096
"""Maximum number of elements on either side."""


def padded(
    form: AffineForm, around: list[tuple[int, int]], mode: str = "constant", constant: float = 0.0
) -> AffineForm:
    """Pad a tensor.

    Parameters
    ----------
    around : list of (int, int)
        Number of elements before and after, along each axis.
    mode : str
        Mode of `numpy.pad`: ``constant``, ``reflect``, ``edge`` or ``wrap``.

    Raises
    ------
    FormError
        A number is negative or above `LARGEST_PADDING`.
    """
    if any(not 0 <= size <= LARGEST_PADDING for pair in around for size in pair):
        raise FormError(f"pads by {around}, expected 0 to {LARGEST_PADDING} elements")
    if not any(any(pair) for pair in around):
        return form
    require_size(math.prod(size + sum(pair) for size, pair in zip(form.shape, around, strict=True)))
    options: dict[str, Any] = {"constant_values": -1} if mode == "constant" else {}
    index: Any = np.pad(form.numbered(), around, mode=mode, **options)  # type: ignore[call-overload]
    return form.picked(index, constant)

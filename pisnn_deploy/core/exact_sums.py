"""Sums of int64 arrays that never wrap: in Python's integers where 64 bits may not hold them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import SumTooLarge

Integers = NDArray[np.int64]
Values = NDArray[Any]
"""int64, float64, or Python's integers."""

LARGEST = (1 << 63) - 1
"""Largest integer of 64 bits."""


def largest(values: Values) -> int:
    """Largest absolute value."""
    return max(-int(values.min()), int(values.max())) if values.size else 0


def require_negatives(values: Values, starts: Integers) -> None:
    """Refuse the one integer of 64 bits whose negative does not fit.

    Parameters
    ----------
    values : array [entries]
        Values, row after row.
    starts : int64 array [rows + 1]
        Where rows begin, for the message.

    Raises
    ------
    SumTooLarge
        It is among the values.
    """
    if values.dtype.kind == "i" and values.size and int(values.min()) < -LARGEST:
        row = int(np.searchsorted(starts, int(np.argmin(values)), side="right")) - 1
        raise SumTooLarge(row, -int(values.min()))


def added_from(values: Values, first: Integers) -> Values:
    """Sums of values from each `first` up to the next one."""
    if values.dtype.kind == "i":
        most = int(np.diff(np.append(first, values.size)).max())
        if largest(values) * most > LARGEST:
            values = values.astype(np.object_)
    return np.asarray(np.add.reduceat(values, first))


def summed_rows(products: NDArray[np.object_], starts: Integers, empty: NDArray[np.object_]) -> Integers:
    """Sum the rows of products in Python's integers."""
    sums = [sum(products[a:b], empty) for a, b in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)]
    total = np.array(sums, np.object_).reshape(starts.size - 1, *empty.shape)
    flat = narrowed(total.reshape(-1), np.arange(total.size) // max(1, empty.size))
    return flat.reshape(total.shape)


def narrowed(values: NDArray[np.object_], row: Integers) -> Integers:
    """Convert Python's integers to int64.

    Raises
    ------
    SumTooLarge
        One does not fit.
    """
    beyond = np.flatnonzero((values > LARGEST) | (values < -LARGEST - 1))
    if beyond.size:
        raise SumTooLarge(int(row[beyond[0]]), int(values[beyond[0]]))
    return values.astype(np.int64)

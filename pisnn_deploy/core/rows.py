"""Sparse matrices as compressed sparse rows, in plain numpy; those of integers are exact or refuse.

Sums of products of int64 matrices are computed in 64 bits where no sum can be too large, else with Python's integers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import SumTooLarge
from pisnn_deploy.core.exact_sums import (
    LARGEST,
    added_from,
    largest,
    narrowed,
    require_negatives,
    summed_rows,
)

Integers = NDArray[np.int64]
Values = NDArray[Any]
"""Values of a matrix or vector: int64, or float64."""

_MOST_PADDING = 2
"""Rows are padded to the longest one if this makes at most as many times the entries."""
_PRODUCTS_AT_ONCE = 1 << 18
"""Approximate number of products of entries that a product of matrices holds at a time."""


@dataclass(frozen=True)
class Rows:
    """A sparse matrix as compressed sparse rows.

    Attributes
    ----------
    starts : int64 array [rows + 1]
        Where each row's entries begin.
    columns : int64 array [entries]
        Strictly ascending within each row.
    values : int64 or float64 array [entries]
        Values of the entries, row after row.
    width : int
        Number of columns.
    """

    starts: Integers
    columns: Integers
    values: Values
    width: int

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and columns."""
        return int(self.starts.size - 1), self.width

    @property
    def entries(self) -> int:
        """Number of stored entries."""
        return int(self.values.size)

    @cached_property
    def lengths(self) -> Integers:
        """Number of entries of each row, int64 [rows]."""
        return np.asarray(np.diff(self.starts), np.int64)

    @cached_property
    def row_of(self) -> Integers:
        """Row of each entry, int64 [entries]."""
        return np.repeat(np.arange(self.shape[0], dtype=np.int64), self.lengths)

    @property
    def transposed(self) -> Rows:
        """The matrix with rows and columns exchanged."""
        order = np.argsort(self.columns, kind="stable")
        starts = starts_of(np.bincount(self.columns, minlength=self.width))
        return Rows(starts, self.row_of[order], self.values[order], self.shape[0])

    def valued(self, change: Callable[[Values], Values]) -> Rows:
        """Replace the values; zeros are kept.

        Parameters
        ----------
        change : callable
            Returns an array of the same size.
        """
        return Rows(self.starts, self.columns, change(self.values), self.width)

    def shifted(self, bits: int) -> Rows:
        """Multiply integer values by ``2^bits``."""
        return self.valued(lambda values: values << bits)

    def with_values(self, values: Values) -> Rows:
        """Entries at the same places with other values, [entries], row after row; zeros are kept."""
        return Rows(self.starts, self.columns, values, self.width)

    def without_zeros(self) -> Rows:
        """Drop the entries that are 0."""
        return self._kept(self.values != 0)

    def rows(self, numbers: Integers) -> Rows:
        """Select rows.

        Parameters
        ----------
        numbers : int64 array
            Rows to take, in this order; a row may be taken more than once.
        """
        lengths = self.lengths[numbers]
        starts = starts_of(lengths)
        at = np.arange(starts[-1]) + np.repeat(self.starts[numbers] - starts[:-1], lengths)
        return Rows(starts, self.columns[at], self.values[at], self.width)

    def first_rows(self, count: int) -> Rows:
        """Select the first rows.

        Parameters
        ----------
        count : int
            Number of rows to take.
        """
        return self._between_rows(0, count)

    def between(self, first: int, last: int) -> Rows:
        """Select columns from `first` up to, but not including, `last`.

        Parameters
        ----------
        first, last : int
            Numbers of columns.
        """
        kept = self._kept((self.columns >= first) & (self.columns < last))
        return Rows(kept.starts, kept.columns - first if first else kept.columns, kept.values, last - first)

    def sums(self) -> Values:
        """Sum of each row, int64 or float64 [rows]."""
        return self @ np.ones(self.width, self.values.dtype)

    def toarray(self) -> Values:
        """As a dense array [rows, columns]."""
        dense = np.zeros(self.shape, self.values.dtype)
        dense[self.row_of, self.columns] = self.values
        return dense

    def __neg__(self) -> Rows:
        require_negatives(self.values, self.starts)
        return self.valued(np.negative)

    def __abs__(self) -> Rows:
        require_negatives(self.values, self.starts)
        return self.valued(np.abs)

    def __add__(self, other: Rows) -> Rows:
        if self.shape != other.shape:
            raise ValueError(f"matrices of {self.shape} and {other.shape} cannot be added")
        alike = np.array_equal(self.starts, other.starts) and np.array_equal(self.columns, other.columns)
        if alike and (self._is_float or largest(self.values) + largest(other.values) <= LARGEST):
            return self.valued(lambda values: values + other.values).without_zeros()
        return from_triplets(
            np.concatenate([self.row_of, other.row_of]),
            np.concatenate([self.columns, other.columns]),
            np.concatenate([self.values, other.values]),
            self.shape,
        )

    def __sub__(self, other: Rows) -> Rows:
        return self + -other

    @overload
    def __matmul__(self, other: Rows) -> Rows: ...
    @overload
    def __matmul__(self, other: Values) -> Values: ...
    def __matmul__(self, other: Rows | Values) -> Rows | Values:
        """Product with a matrix, a vector [columns] or a dense array [columns, n].

        Raises
        ------
        SumTooLarge
            An integer of the product does not fit 64 bits.
        """
        if isinstance(other, Rows):
            return self._product(other)
        if other.shape[0] != self.width:
            raise ValueError(f"a matrix of {self.width} columns cannot be multiplied by {other.shape[0]} values")
        if self._is_float or other.dtype.kind == "f":
            return self._product_of_floats(other)
        other = other.astype(np.int64, copy=False)
        if self._largest_sum * largest(other) <= LARGEST:
            return self._sums_of_products(other, np.int64)
        products = self._products(other, np.object_)
        return summed_rows(products, self.starts, np.zeros(other.shape[1:], np.object_))

    def _product(self, other: Rows) -> Rows:
        """Product, block of rows by block, so that memory holds few products at a time."""
        if self.width != other.shape[0]:
            raise ValueError(f"matrices of {self.shape} and {other.shape} cannot be multiplied")
        before = starts_of(other.lengths[self.columns])[self.starts]
        firsts = np.unique(np.searchsorted(before[:-1], np.arange(0, max(1, before[-1]), _PRODUCTS_AT_ONCE))).tolist()
        blocks = []
        for first, end in pairwise([*firsts, self.shape[0]]):
            try:
                blocks.append(self._between_rows(first, end)._product_at_once(other))
            except SumTooLarge as error:
                raise SumTooLarge(first + error.row, error.value) from None
        return _stacked(blocks)

    def _product_at_once(self, other: Rows) -> Rows:
        """Each entry brings a row of the other matrix, times its value."""
        brought = other.rows(self.columns)
        factors = np.repeat(self.values, brought.lengths)
        if not self._is_float and largest(self.values) * largest(other.values) > LARGEST:
            factors = factors.astype(np.object_)
        return from_triplets(
            np.repeat(self.row_of, brought.lengths),
            brought.columns,
            factors * brought.values,
            (self.shape[0], other.width),
        )

    def _between_rows(self, first: int, end: int) -> Rows:
        starts = self.starts[first : end + 1]
        part = slice(int(starts[0]), int(starts[-1]))
        return Rows(starts - starts[0], self.columns[part], self.values[part], self.width)

    def _product_of_floats(self, other: Values) -> Values:
        """Product with floats; those of a vector are added in the order of the entries."""
        if other.ndim == 1 and (self._padded is None or not np.isfinite(other).all()):
            return np.bincount(self.row_of, self._products(other, np.float64), minlength=self.shape[0])
        return self._sums_of_products(other, np.float64)

    def _products(self, other: Values, kind: type[np.generic]) -> Values:
        """Value of each entry, times what it is multiplied by, [entries] or [entries, n]."""
        values = self.values.astype(kind, copy=False)
        return np.asarray(values.reshape(-1, *(1,) * (other.ndim - 1)) * other[self.columns])

    @property
    def _is_float(self) -> bool:
        return self.values.dtype.kind == "f"

    @cached_property
    def _largest_sum(self) -> int:
        """Largest sum of the absolute values of a row, or something larger."""
        return largest(self.values) * int(self.lengths.max(initial=0))

    @cached_property
    def _padded(self) -> tuple[Integers, Values] | None:
        """Columns and values [entries of the longest row, rows], padded by zeros; None if that is wasteful."""
        rows, longest = self.shape[0], int(self.lengths.max(initial=0))
        if rows * longest > _MOST_PADDING * self.entries:
            return None
        if rows * longest == self.entries:
            return (
                np.ascontiguousarray(self.columns.reshape(rows, longest).T),
                np.ascontiguousarray(self.values.reshape(rows, longest).T),
            )
        at = np.arange(self.entries, dtype=np.int64) - np.repeat(self.starts[:-1], self.lengths)
        columns, values = np.zeros((longest, rows), np.int64), np.zeros((longest, rows), self.values.dtype)
        columns[at, self.row_of], values[at, self.row_of] = self.columns, self.values
        return columns, values

    def _sums_of_products(self, other: Values, kind: type[np.generic]) -> Values:
        """Product whose sums fit its type."""
        total: Values = np.zeros((self.shape[0], *other.shape[1:]), kind)
        if not self.entries:
            return total
        if self._padded is None or (other.ndim > 1 and kind is np.float64):
            occupied = np.flatnonzero(self.lengths)
            total[occupied] = np.add.reduceat(self._products(other, kind), self.starts[occupied], axis=0)
            return total
        other, part = other.astype(kind, copy=False), np.empty_like(total)
        for number, (columns, values) in enumerate(zip(*self._padded, strict=True)):
            into = part if number else total
            # Any mode but "raise" writes straight into the output.
            np.take(other, columns, axis=0, out=into, mode="clip")
            into *= values.reshape(-1, *(1,) * (other.ndim - 1))
            if number:
                total += part
        return total

    def _kept(self, is_kept: NDArray[np.bool_]) -> Rows:
        if is_kept.all():
            return self
        starts = np.asarray(np.concatenate([[0], np.cumsum(is_kept)])[self.starts], np.int64)
        return Rows(starts, self.columns[is_kept], self.values[is_kept], self.width)


def from_triplets(rows: Integers, columns: Integers, values: Values, shape: tuple[int, int]) -> Rows:
    """Build a matrix; entries at the same place are added, and zeros dropped.

    Parameters
    ----------
    rows, columns : int64 array [entries]
        Place of each entry, in any order.
    values : array [entries]
        int64, float64, or Python integers.
    shape : tuple of int
        Numbers of rows and columns.

    Raises
    ------
    SumTooLarge
        An integer does not fit 64 bits.
    ValueError
        The matrix has more than 2^63 places.
    """
    if shape[0] * shape[1] > LARGEST:
        raise ValueError(f"a matrix of {shape} has more places than 64 bits can number")
    place = rows.astype(np.int64) * shape[1] + columns
    if (place[1:] <= place[:-1]).any():
        order = np.argsort(place, kind="stable")
        place, values = place[order], values[order]
        is_first = np.concatenate([[True], place[1:] != place[:-1]])
        if not is_first.all():
            first = np.flatnonzero(is_first)
            order, values = order[first], added_from(values, first)
        rows, columns = rows[order], columns[order]
    if values.dtype.kind == "O":
        values = narrowed(values, rows)
    starts = starts_of(np.bincount(rows, minlength=shape[0]))
    return Rows(starts, columns.astype(np.int64, copy=False), values, shape[1]).without_zeros()


def nothing(shape: tuple[int, int]) -> Rows:
    """Build an int64 matrix without entries.

    Parameters
    ----------
    shape : tuple of int
        Numbers of rows and columns.
    """
    none = np.zeros(0, np.int64)
    return Rows(np.zeros(shape[0] + 1, np.int64), none, none, shape[1])


def added(matrices: Iterable[Rows], shape: tuple[int, int]) -> Rows:
    """Sum of int64 matrices; a single one is returned as it is, with its zeros.

    Parameters
    ----------
    matrices : iterable of Rows
        All of the same shape.
    shape : tuple of int
        Their numbers of rows and columns.
    """
    parts = [*matrices]
    return sum(parts[1:], parts[0]) if parts else nothing(shape)


def diagonal(values: Values, width: int | None = None) -> Rows:
    """Build a matrix with values on its diagonal.

    Parameters
    ----------
    values : array [rows]
        Value of each row.
    width : int, optional
        Number of columns, at least that of the rows, which is the default.
    """
    number = np.arange(values.size, dtype=np.int64)
    return Rows(np.arange(values.size + 1, dtype=np.int64), number, values, values.size if width is None else width)


def starts_of(lengths: Integers) -> Integers:
    """Where rows of given lengths begin, int64 [rows + 1].

    Parameters
    ----------
    lengths : int array [rows]
        Number of entries of each row.
    """
    starts = np.zeros(lengths.size + 1, np.int64)
    np.cumsum(lengths, out=starts[1:])
    return starts


def _stacked(blocks: Sequence[Rows]) -> Rows:
    """Matrices of the same width below each other."""
    if len(blocks) == 1:
        return blocks[0]
    return Rows(
        starts_of(np.concatenate([block.lengths for block in blocks])),
        np.concatenate([block.columns for block in blocks]),
        np.concatenate([block.values for block in blocks]),
        blocks[0].width,
    )

"""Sparse matrices: the same numbers as scipy's, exact where scipy's integers wrap."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from pisnn_deploy.core import rows
from pisnn_deploy.core.connected import connected_sets
from pisnn_deploy.core.errors import CheckError, SumTooLarge
from pisnn_deploy.core.rows import Rows, added, diagonal, from_triplets, nothing, starts_of

LARGEST = (1 << 63) - 1
SEEDS = st.integers(0, 1 << 32)
SIZES = st.integers(1, 9)
ENTRIES = st.integers(0, 40)


def drawn(seed: int, shape: tuple[int, int], entries: int, kind: type = np.int64) -> tuple[Rows, sparse.csr_matrix]:
    """A random matrix with entries at the same place and zeros, and scipy's of the same triplets."""
    rng = np.random.default_rng(seed)
    row, column = rng.integers(0, shape[0], entries), rng.integers(0, shape[1], entries)
    values = rng.integers(-3, 4, entries) * kind(rng.integers(1, 1000))
    theirs = sparse.csr_matrix(sparse.coo_matrix((values, (row, column)), shape, dtype=kind))
    return from_triplets(row, column, values, shape), theirs


def require_same(ours: Rows, theirs: sparse.csr_matrix) -> None:
    """The same numbers, in canonical form."""
    expected = sparse.csr_matrix(theirs, copy=True)
    expected.sum_duplicates()
    expected.eliminate_zeros()
    assert ours.shape == expected.shape and ours.entries == expected.nnz
    assert ours.values.dtype == expected.dtype
    assert np.array_equal(ours.starts, expected.indptr) and np.array_equal(ours.columns, expected.indices)
    assert np.array_equal(ours.values, expected.data)


@given(SEEDS, SIZES, SIZES, SIZES, ENTRIES, st.sampled_from([np.int64, np.float64]))
def test_operations_give_what_scipy_gives(
    seed: int, height: int, columns: int, others: int, entries: int, kind: type
) -> None:
    (ours, theirs), (right, its) = (
        drawn(seed, (height, columns), entries, kind),
        drawn(seed, (columns, others), 20, kind),
    )
    more, theirs_more = drawn(seed + 1, (height, columns), 10, kind)
    require_same(ours, theirs)
    require_same(ours @ right, theirs @ its)
    require_same(ours.transposed, theirs.T)
    require_same(ours + more, theirs + theirs_more)
    require_same(ours - more, theirs - theirs_more)
    require_same(ours - ours, theirs - theirs)
    require_same(-ours, -theirs)
    require_same(abs(ours), abs(theirs))
    require_same(ours.valued(lambda values: values * 0).without_zeros(), theirs * 0)
    some = np.random.default_rng(seed).integers(0, height, 5)
    require_same(ours.rows(some), theirs[some.tolist()])
    require_same(ours.first_rows(height // 2), theirs[: height // 2])
    require_same(ours.between(columns // 3, columns), theirs[:, columns // 3 :])
    assert np.array_equal(ours.toarray(), theirs.toarray())
    assert np.array_equal(ours.sums(), np.asarray(theirs.sum(axis=1)).reshape(-1))
    assert np.array_equal(ours.lengths, np.diff(ours.starts)) and np.array_equal(
        ours.row_of, np.nonzero(ours.toarray())[0]
    )


@given(SEEDS, SIZES, SIZES, ENTRIES, st.booleans())
def test_products_with_vectors_and_arrays_give_what_scipy_gives(
    seed: int, height: int, columns: int, entries: int, some_are_empty: bool
) -> None:
    ours, theirs = drawn(seed, (height * 7 if some_are_empty else height, columns), entries)
    rng = np.random.default_rng(seed)
    vector, array = rng.integers(-(1 << 31), 1 << 31, columns), rng.integers(-(1 << 31), 1 << 31, (columns, 3))
    assert np.array_equal(ours @ vector, theirs @ vector)
    assert np.array_equal(ours @ array, theirs @ array)
    assert np.array_equal(ours @ vector.astype(np.int32), theirs @ vector)
    floats = rng.standard_normal(columns)
    weights = rng.standard_normal(ours.entries)
    product = ours.valued(lambda _: weights) @ floats
    expected = sparse.csr_matrix((weights, ours.columns, ours.starts), ours.shape) @ floats
    assert np.array_equal(product, expected), "floats are added in the same order"


@given(SEEDS, SIZES, SIZES, ENTRIES)
def test_integers_of_any_size_are_exact_or_refused(seed: int, height: int, columns: int, entries: int) -> None:
    rng = np.random.default_rng(seed)
    row, column = rng.integers(0, height, entries), rng.integers(0, columns, entries)
    values, vector = (
        rng.integers(-LARGEST - 1, LARGEST, size) >> int(rng.integers(0, 64)) for size in (entries, columns)
    )
    dense: NDArray[np.object_] = np.zeros((height, columns), np.object_)
    for place in zip(row.tolist(), column.tolist(), values.tolist(), strict=True):
        dense[place[:2]] += place[2]
    require_exact(dense, lambda: from_triplets(row, column, values, (height, columns)).toarray())
    try:
        ours = from_triplets(row, column, values, (height, columns))
    except SumTooLarge:
        return
    require_exact(dense.dot(vector.astype(np.object_)), lambda: ours @ vector)
    array = np.stack([vector, vector >> 1], axis=1)
    require_exact(dense.dot(array.astype(np.object_)), lambda: ours @ array)
    require_exact(dense.dot(dense.T), lambda: (ours @ ours.transposed).toarray())
    require_exact(-dense, lambda: (-ours).toarray())
    require_exact(abs(dense), lambda: abs(ours).toarray())


def require_exact(expected: NDArray[np.object_], compute: object) -> None:
    """Equal to Python's integers, or refused because one of these does not fit."""
    assert callable(compute)
    fits = all(-LARGEST - 1 <= int(value) <= LARGEST for value in expected.reshape(-1))
    if fits:
        assert compute().tolist() == expected.tolist()
    else:
        with pytest.raises(SumTooLarge):
            compute()


def test_a_sum_that_wraps_in_scipy_is_refused_with_its_row_and_value() -> None:
    values = np.array([1 << 61, 1 << 61, 3])
    matrix = Rows(np.array([0, 1, 3]), np.array([0, 0, 1]), values, 2)
    vector = np.array([4, 0])
    assert (sparse.csr_matrix((values, matrix.columns, matrix.starts)) @ vector).tolist() == [-LARGEST - 1] * 2
    with pytest.raises(CheckError) as refused:
        matrix @ vector
    assert str(refused.value) == f"overflow: the weighted sum of row 0 is {1 << 63}, outside 64 signed bits"
    assert str(pickle.loads(pickle.dumps(refused.value))) == str(refused.value)
    with pytest.raises(
        SumTooLarge, match=rf"^overflow: the weighted sum of row 1 is {1 << 63}, outside 64 signed bits$"
    ):
        abs(Rows(np.array([0, 1, 2]), np.array([0, 0]), np.array([-3, -LARGEST - 1]), 1))
    assert (matrix @ np.array([-4, 0])).tolist() == [-LARGEST - 1] * 2
    assert (matrix @ np.array([2, -3])).tolist() == [1 << 62, (1 << 62) - 9]


@given(SEEDS, st.integers(1, 30))
def test_a_product_in_blocks_is_the_same(seed: int, at_once: int) -> None:
    (ours, theirs), (right, its) = drawn(seed, (9, 7), 30), drawn(seed + 1, (7, 5), 20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "_PRODUCTS_AT_ONCE", at_once)
        require_same(ours @ right, theirs @ its)
        large = diagonal(np.array([1, 1, 1 << 62, 1]))
        with pytest.raises(
            SumTooLarge, match=rf"^overflow: the weighted sum of row 2 is {1 << 124}, outside 64 signed bits$"
        ):
            large @ large


def test_floats_that_are_not_finite_stay_in_their_rows() -> None:
    matrix = from_triplets(np.array([0, 1, 1]), np.array([0, 1, 2]), np.array([1.0, 2.0, 3.0]), (3, 3))
    assert (matrix @ np.array([np.inf, 1.0, 1.0])).tolist() == [np.inf, 5.0, 0.0]


def test_matrices_without_entries_rows_or_columns() -> None:
    for shape in ((0, 0), (0, 3), (3, 0), (2, 2)):
        empty = nothing(shape)
        require_same(empty, sparse.csr_matrix(shape, dtype=np.int64))
        assert (empty @ np.ones(shape[1], np.int64)).tolist() == [0] * shape[0]
        require_same(empty + empty, sparse.csr_matrix(shape, dtype=np.int64))
        require_same(empty.transposed @ empty, sparse.csr_matrix((shape[1], shape[1]), dtype=np.int64))
    assert starts_of(np.zeros(0, np.int64)).tolist() == [0]


def test_sums_of_several_matrices_and_diagonals() -> None:
    one, other = diagonal(np.array([1, 2]), 3), diagonal(np.array([4, -2]), 3)
    assert added([], (2, 3)).toarray().tolist() == [[0] * 3] * 2
    assert added([one], (2, 3)) is one
    assert added([one, other], (2, 3)).toarray().tolist() == [[5, 0, 0], [0, 0, 0]]
    assert diagonal(np.array([7])).shape == (1, 1)


def test_sizes_that_do_not_match_are_refused() -> None:
    matrix = nothing((2, 3))
    with pytest.raises(ValueError, match=r"^matrices of \(2, 3\) and \(2, 2\) cannot be added$"):
        matrix + nothing((2, 2))
    with pytest.raises(ValueError, match=r"^matrices of \(2, 3\) and \(2, 2\) cannot be multiplied$"):
        matrix @ nothing((2, 2))
    none = np.zeros(0, np.int64)
    with pytest.raises(
        ValueError, match=r"^a matrix of \(4294967296, 4294967296\) has more places than 64 bits can number$"
    ):
        from_triplets(none, none, none, (1 << 32, 1 << 32))
    with pytest.raises(ValueError, match=r"^a matrix of 3 columns cannot be multiplied by 2 values$"):
        matrix @ np.zeros(2, np.int64)


@given(SEEDS, st.integers(0, 40), st.integers(0, 50))
def test_connected_sets_are_scipys(seed: int, count: int, edges: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, max(1, count), (2, edges if count else 0))
    graph = sparse.csr_matrix((np.ones(first.size), (first, second)), (count, count))
    expected = connected_components(graph, directed=False)[1] if count else np.zeros(0)
    assert connected_sets(count, first, second).tolist() == expected.tolist()


def test_a_long_path_is_one_set() -> None:
    order = np.random.default_rng(0).permutation(20_000)
    assert not connected_sets(order.size, order[:-1], order[1:]).any()

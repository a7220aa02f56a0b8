"""Exact bounds of the eigenvalues of an integer matrix ``A``: floats suggest its eigenvectors, integers prove the rest.

Let ``V`` be a matrix of integers close to multiples of the eigenvectors, ``W`` one close to a multiple of its inverse,
``N = W V`` and ``M = W A V``. If ``N`` has a diagonal that dominates its rows, ``V`` and ``W`` have inverses, and the
eigenvalues of ``A`` are those ``l`` for which ``l N - M`` has none. For such an ``l``, some row ``i`` has::

    |l N_ii - M_ii| <= sum over j != i of |l| |N_ij| + |M_ij|

which is a disc around ``M_ii / N_ii`` (Gershgorin). The discs grow from points if the other entries grow from 0, while
eigenvalues move continuously, so discs that touch no others hold one eigenvalue each. Complex eigenvalues come in
pairs, and discs are symmetric about the real axis, so the only eigenvalue of a disc is real.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

BITS = 45
"""Bits of the entries of suggested matrices."""
LIMB = 24
"""Bits of parts of numbers; sums of 2^14 products of parts fit 64 bits."""
Integers = NDArray[np.int64]
Numbers = NDArray[np.object_]
"""Integers of any size."""


def real_span(matrix: Integers) -> tuple[Fraction, Fraction] | None:
    """Bounds of all eigenvalues of a matrix that are proved to be real.

    A matrix that is its own mirror image has even and odd eigenvectors, which two smaller matrices tell apart: modes at
    both ends of a line have almost the same eigenvalue.

    Parameters
    ----------
    matrix : int64 array [n, n]
        With entries below ``2^48``, and ``n`` at most ``2^14``.

    Returns
    -------
    (Fraction, Fraction) or None
        A lower and an upper bound; 0 is exact where it is the eigenvalue of constants. None without a proof.
    """
    count = len(matrix)
    if count < 2 or not np.array_equal(matrix, matrix[::-1, ::-1]):
        return _span(matrix)
    half, mirrored = count // 2, matrix[:, ::-1]
    even = matrix[: count - half, : count - half].copy()
    even[:, :half] += mirrored[: count - half, :half]
    spans = _span(even), _span(matrix[:half, :half] - mirrored[:half, :half])
    if spans[0] is None or spans[1] is None:
        return None
    return min(spans[0][0], spans[1][0]), max(spans[0][1], spans[1][1])


def _span(matrix: Integers) -> tuple[Fraction, Fraction] | None:
    is_symmetric = np.array_equal(matrix, matrix.T)
    discs = _discs(matrix, is_symmetric=is_symmetric)
    if discs is None:
        return None
    discs.sort()
    touching = [first[1] >= second[0] for first, second in pairwise(discs)]
    if not is_symmetric and any(touching):
        return None
    if not matrix.sum(axis=1).any():
        for number, (low, high) in enumerate(discs):
            if low <= 0 <= high and not any(touching[max(0, number - 1) : number + 1]):
                discs[number] = Fraction(0), Fraction(0)  # the eigenvalue of constants
    return min(low for low, _ in discs), max(high for _, high in discs)


def _discs(matrix: Integers, *, is_symmetric: bool) -> list[tuple[Fraction, Fraction]] | None:
    """Where the discs of a matrix cut the real axis."""
    try:
        values, vectors = (np.linalg.eigh if is_symmetric else np.linalg.eig)(matrix.astype(np.float64))
        if np.iscomplexobj(values):
            return None
        basis = _rounded(vectors)
        inverse = _rounded(np.linalg.inv(basis / (1 << BITS)))
    except (np.linalg.LinAlgError, OverflowError):
        return None
    moved = _product(matrix, basis)
    if np.abs(moved).max(initial=0) >> 62:
        return None
    unit, image = _product(inverse, basis), _product(inverse, moved.astype(np.int64))
    discs = []
    for number, (ones, row) in enumerate(zip(unit.tolist(), image.tolist(), strict=True)):
        one, centre = ones[number], row[number]
        off = sum(map(abs, ones)) - abs(one)
        if one <= off:
            return None
        others = sum(map(abs, row)) - abs(centre)
        largest = Fraction(abs(centre) + others, one - off)
        radius = (largest * off + others) / one
        discs.append((Fraction(centre, one) - radius, Fraction(centre, one) + radius))
    return discs


def _rounded(values: NDArray[np.float64]) -> Integers:
    """Values times ``2^BITS`` as integers."""
    scaled = np.rint(values * (1 << BITS))
    if not (np.abs(scaled) < 2.0**62).all():
        raise OverflowError
    return np.asarray(scaled, np.int64)


def _product(left: Integers, right: Integers) -> Numbers:
    """Exact product of two matrices of 64 bits."""
    total: Numbers = np.zeros((left.shape[0], right.shape[1]), np.object_)
    for place, part in enumerate(_parts(left)):
        for other_place, other in enumerate(_parts(right)):
            total = total + ((part @ other).astype(np.object_) << LIMB * (place + other_place))
    return total


def _parts(values: Integers) -> list[Integers]:
    """Parts of ``LIMB`` bits, lowest first; the highest has the sign."""
    parts = []
    while (np.abs(values) >> LIMB).any():
        parts.append(values & ((1 << LIMB) - 1))
        values = values >> LIMB
    return [*parts, values]

"""Exact proofs that no wave grows: trigonometric polynomials with rational coefficients, without floating point.

A PDE step of a linear network multiplies a wave by a root of a polynomial whose coefficients depend on the gain ``g``
of the wave, a trigonometric polynomial with integer weights over theta (Schur and Cohn)::

    plain   z - (1 + g)                     |1 + g|^2 <= 1
    leak    z^2 - (1 + k + g) z + k         |u - k conj(u)|^2 <= (1 - k^2)^2 with u = 1 + k + g
    late    z^2 - z - g                     |g|^2 <= 1 and |1 + g|^2 <= (1 - |g|^2)^2

On a line these are inequalities of polynomials in ``x = cos(wave)``, which Sturm sequences decide. On several axes they
are proved for gains that are real, ``-most <= g <= 0``, by Bernstein coefficients of one sign on parts of the box; the
gain of the faces along an axis is ``(1 - x_a)`` times a polynomial, which decides near constant fields.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from math import comb

import numpy as np
from numpy.typing import NDArray

Series = dict[int, Fraction]
"""Laurent polynomial: coefficient of ``exp(i k wave)`` by k."""
Weights = dict[tuple[int, ...], int]
"""Weight of each cell in the change of a cell, by its offset."""
Polynomial = list[Fraction]
"""Coefficients, lowest first, without zeros at the end."""
Tensor = NDArray[np.object_]
"""Coefficients of a polynomial in several variables, an axis for each."""
DEEPEST = 14
"""Most halvings of a box before a sign is left open."""


def no_wave_grows(gains: list[Weights], theta: int, keep: Fraction = Fraction(0), *, late: bool = False) -> bool:
    """Whether it is proved that all amplification factors lie in the unit disc.

    Parameters
    ----------
    gains : list of dict
        For each axis, what its faces add to a cell.
    theta : int
        Weight of 1.
    keep : Fraction, optional
        Part of the current that is kept from step to step.
    late : bool, optional
        Whether fluxes are one step late.
    """
    if len(gains) == 1:
        g = {offset: Fraction(weight, theta) for (offset,), weight in gains[0].items() if weight}
        return all(is_nonnegative(_cosines(series)) for series in _inequalities(g, keep, late))
    most = Fraction(1) if late else 2 * (1 + keep)
    return _is_between(gains, theta, most)


def _inequalities(g: Series, keep: Fraction, late: bool) -> Iterator[Series]:
    """Yield series that must be nowhere negative."""
    one: Series = {0: Fraction(1)}
    if late:
        room = _sum(one, _times(g, _conjugate(g)), -1)
        yield room
        yield _sum(_times(room, room), _squared(_sum(one, g)), -1)
    elif keep:
        u = _sum({0: 1 + keep}, g)
        yield _sum({0: (1 - keep**2) ** 2}, _squared(_sum(u, _conjugate(u), -keep)), -1)
    else:
        yield _sum(one, _squared(_sum(one, g)), -1)


def _sum(a: Series, b: Series, factor: Fraction | int = 1) -> Series:
    return {k: a.get(k, Fraction(0)) + factor * b.get(k, Fraction(0)) for k in {*a, *b}}


def _times(a: Series, b: Series) -> Series:
    product: Series = {}
    for (j, x), (k, y) in itertools.product(a.items(), b.items()):
        product[j + k] = product.get(j + k, Fraction(0)) + x * y
    return product


def _conjugate(a: Series) -> Series:
    return {-k: x for k, x in a.items()}


def _squared(a: Series) -> Series:
    return _times(a, _conjugate(a))


def _cosines(series: Series) -> Polynomial:
    """Write a symmetric series as a polynomial in the cosine."""
    total = [Fraction(0)] * (1 + max(map(abs, series), default=0))
    for k, x in series.items():
        for power, value in enumerate(_chebyshev(abs(k))):
            total[power] += x * value
    return _trimmed(total)


def _chebyshev(k: int) -> list[int]:
    """Coefficients of ``cos(k wave)`` in ``cos(wave)``."""
    before, this = [1], [0, 1]
    for _ in range(k):
        padded = [*before, *[0] * (len(this) + 1 - len(before))]
        before, this = this, [2 * a - b for a, b in zip([0, *this], padded, strict=True)]
    return before


def is_nonnegative(p: Polynomial) -> bool:
    """Whether a polynomial is nowhere negative from -1 to 1."""
    if not p:
        return True
    odd = _odd_part(p)
    points = (Fraction(2 * n + 1, 2 * len(p) + 3) for n in range(len(p)))  # some is no root
    sign = next(value for value in (_value(p, x) for x in points) if value)
    return sign > 0 and _roots_inside(odd) == 0


def _odd_part(p: Polynomial) -> Polynomial:
    """Product of the simple factors of odd multiplicity (Yun): its roots are where the sign changes."""
    common = _common(p, _derivative(p))
    factor, rest, odd, multiplicity = _divided(p, common)[0], common, [Fraction(1)], 1
    while len(factor) > 1:
        following = _common(factor, rest)
        if multiplicity % 2:
            odd = _product(odd, _divided(factor, following)[0])
        factor, rest, multiplicity = following, _divided(rest, following)[0], multiplicity + 1
    return odd


def _roots_inside(p: Polynomial) -> int:
    """Number of roots of a polynomial without double roots between -1 and 1, both excluded (Sturm)."""
    chain = [p, _derivative(p)]
    while chain[-1]:
        chain.append([-x for x in _divided(chain[-2], chain[-1])[1]])
    changes = []
    for x in (Fraction(-1), Fraction(1)):
        signs = [value > 0 for value in (_value(q, x) for q in chain) if value]
        changes.append(sum(a != b for a, b in zip(signs, signs[1:], strict=False)))
    return changes[0] - changes[1] - (_value(p, Fraction(1)) == 0)


def _trimmed(p: Polynomial) -> Polynomial:
    while p and not p[-1]:
        p = p[:-1]
    return p


def _value(p: Polynomial, x: Fraction) -> Fraction:
    total = Fraction(0)
    for coefficient in reversed(p):
        total = total * x + coefficient
    return total


def _derivative(p: Polynomial) -> Polynomial:
    return [n * x for n, x in enumerate(p)][1:]


def _product(a: Polynomial, b: Polynomial) -> Polynomial:
    total = [Fraction(0)] * (len(a) + len(b) - 1)
    for (j, x), (k, y) in itertools.product(enumerate(a), enumerate(b)):
        total[j + k] += x * y
    return total


def _divided(a: Polynomial, b: Polynomial) -> tuple[Polynomial, Polynomial]:
    """Quotient and remainder."""
    quotient, rest = [Fraction(0)] * max(0, len(a) - len(b) + 1), list(a)
    for power in range(len(quotient) - 1, -1, -1):
        quotient[power] = rest[power + len(b) - 1] / b[-1]
        for n, x in enumerate(b):
            rest[power + n] -= quotient[power] * x
    return quotient, _trimmed(rest[: len(b) - 1])


def _common(a: Polynomial, b: Polynomial) -> Polynomial:
    """Greatest common divisor with leading coefficient 1."""
    while b:
        a, b = b, _divided(a, b)[1]
    return [x / a[-1] for x in a]


def _is_between(gains: list[Weights], theta: int, most: Fraction) -> bool:
    """Whether the sum of gains over axes is real, at most 0 and at least ``-most``."""
    if not all(_is_even(weights) for weights in gains):
        return False
    # In t = (1 - cos) / 2, gains along an axis have the factor t, for they vanish where the wave is constant on it.
    parts, total = [_in_halves(weights) for weights in gains], _in_halves(_added(gains))
    split = [np.split(part, [1], axis=axis) for axis, part in enumerate(parts)]
    if any(constant.any() for constant, _ in split):
        return False
    lowest = total.copy()
    lowest[(0,) * lowest.ndim] += most * theta
    # Near a constant field each part has its sign, elsewhere their sum.
    highest = [_bernstein(-total)], [_bernstein(-rest) for _, rest in split]
    return _is_anywhere_signed(highest) and _is_anywhere_signed([[_bernstein(lowest)]])


def _added(gains: list[Weights]) -> Weights:
    total: Weights = {}
    for offset, weight in itertools.chain.from_iterable(gain.items() for gain in gains):
        total[offset] = total.get(offset, 0) + weight
    return total


def _is_even(weights: Mapping[tuple[int, ...], int]) -> bool:
    """Whether a mirror image along any axis has the same weights."""
    return all(
        weights.get((*offset[:axis], -offset[axis], *offset[axis + 1 :]), 0) == weight
        for offset, weight in weights.items()
        for axis in range(len(offset))
    )


def _in_halves(weights: Weights) -> Tensor:
    """Polynomial of an even gain in ``t_a = (1 - cos(wave_a)) / 2``, from 0 to 1 on each axis."""
    shape = [2 + max(abs(offset[axis]) for offset in weights) for axis in range(len(next(iter(weights))))]
    total = np.full(shape, Fraction(0), np.object_)
    for offset, weight in weights.items():
        part: Tensor = np.array(weight, np.object_)
        for k, size in zip(offset, shape, strict=True):
            line = [Fraction(0)] * size
            for power, value in enumerate(_chebyshev(abs(k))):  # cos = 1 - 2 t
                for n in range(power + 1):
                    line[n] += value * comb(power, n) * (-2) ** n
            part = np.multiply.outer(part, np.array(line, np.object_))
        total = total + part
    return total


def _bernstein(polynomial: Tensor) -> Tensor:
    """Bernstein coefficients of a polynomial on the unit box; their least is a lower bound of its values."""
    for axis, size in enumerate(polynomial.shape):
        change = [[Fraction(comb(i, k), comb(size - 1, k)) for k in range(size)] for i in range(size)]
        moved = np.tensordot(np.array(change, np.object_), np.moveaxis(polynomial, axis, 0), 1)
        polynomial = np.moveaxis(moved, 0, axis)
    return polynomial


def _is_anywhere_signed(choices: Sequence[list[Tensor]], depth: int = 0) -> bool:
    """Whether everywhere on the unit box one of some lists of polynomials is proved nowhere negative.

    The box is halved until the Bernstein coefficients of one list are.
    """
    if any(all(coefficients.min() >= 0 for coefficients in choice) for choice in choices):
        return True
    corner = (0,) * choices[0][0].ndim
    if depth == DEEPEST or all(any(coefficients[corner] < 0 for coefficients in choice) for choice in choices):
        return False
    axis = depth % len(corner)
    halves = [[_halved(coefficients, axis) for coefficients in choice] for choice in choices]
    return all(
        _is_anywhere_signed([[pair[side] for pair in choice] for choice in halves], depth + 1) for side in (0, 1)
    )


def _halved(coefficients: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Bernstein coefficients on both halves of a box (de Casteljau)."""
    lower, upper, line = [], [], np.moveaxis(coefficients, axis, 0)
    for _ in range(len(line)):
        lower.append(line[0])
        upper.append(line[-1])
        line = (line[:-1] + line[1:]) / 2
    below, above = (np.moveaxis(np.array(part, np.object_), 0, axis) for part in (lower, upper[::-1]))
    return below, above

"""Expressions as sums of monomials, in which equal terms cancel exactly."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from functools import reduce
from math import isfinite

from pisnn_deploy.laws.calculus import ONE, ZERO, add, div, mul, neg, power
from pisnn_deploy.laws.nodes import LARGEST_EXPONENT, Call, Expression, Number, postorder

_MOST_TERMS = 64
Monomial = frozenset[tuple[Expression, int]]
"""Factors, names or calls of functions, with their exponents, none of which is 0."""
Sum = dict[Monomial, Fraction]
"""Monomials with their factors, none of which is 0."""


def collected(expression: Expression) -> Expression:
    """Multiply out and collect equal terms, as real numbers: ``(q/h)**2 + g*h - q**2/h**2`` is ``g*h``.

    Returns
    -------
    Expression
        Equal wherever the given one is finite. The given one itself if it has many terms, or one whose factor is no
        float64 number.
    """
    sums: dict[int, Sum] = {}
    for node in postorder(expression):
        terms = _terms(node, sums)
        if len(terms) > _MOST_TERMS:
            return expression
        sums[id(node)] = terms
    terms = sums[id(expression)]
    if any(not _is_float(factor) for factor in terms.values()):
        return expression
    shown = sorted(terms.items(), key=lambda term: repr(sorted(map(repr, term[0]))))
    total: Expression = ZERO
    for monomial, factor in shown:
        total = add(total, _product(monomial, float(factor)))
    return total


def _terms(node: Expression, sums: dict[int, Sum]) -> Sum:
    if isinstance(node, Number):
        return {frozenset(): Fraction(node.value)} if isfinite(node.value) and node.value else _atom(node)
    if not isinstance(node, Call):
        return _atom(node)
    parts = [sums[id(argument)] for argument in node.arguments]
    if node.function == "add":
        return _added(parts[0], parts[1], 1)
    if node.function == "sub":
        return _added(parts[0], parts[1], -1)
    if node.function == "neg":
        return _added({}, parts[0], -1)
    if node.function == "mul":
        return _multiplied(parts[0], parts[1])
    if node.function == "div" and len(parts[1]) == 1:
        return _multiplied(parts[0], _reciprocal(parts[1]))
    if node.function == "pow" and isinstance(node.arguments[1], Number):
        exponent = node.arguments[1].value
        if exponent.is_integer() and abs(exponent) <= LARGEST_EXPONENT and (exponent >= 0 or len(parts[0]) == 1):
            return _raised(parts[0] if exponent >= 0 else _reciprocal(parts[0]), abs(int(exponent)), node)
    return _atom(node)


def _atom(node: Expression) -> Sum:
    return {} if node == ZERO else {frozenset({(node, 1)}): Fraction(1)}


def _added(first: Sum, second: Sum, sign: int) -> Sum:
    total: defaultdict[Monomial, Fraction] = defaultdict(Fraction, first)
    for monomial, factor in second.items():
        total[monomial] += sign * factor
    return {monomial: factor for monomial, factor in total.items() if factor}


def _multiplied(first: Sum, second: Sum) -> Sum:
    total: defaultdict[Monomial, Fraction] = defaultdict(Fraction)
    for one, factor in first.items():
        for other, by in second.items():
            exponents: defaultdict[Expression, int] = defaultdict(int, dict(one))
            for atom, exponent in other:
                exponents[atom] += exponent
            total[frozenset((atom, exponent) for atom, exponent in exponents.items() if exponent)] += factor * by
    return {monomial: factor for monomial, factor in total.items() if factor}


def _raised(base: Sum, exponent: int, node: Expression) -> Sum:
    if len(base) ** exponent > _MOST_TERMS:
        return _atom(node)
    return reduce(_multiplied, [base] * exponent, {frozenset(): Fraction(1)})


def _reciprocal(single: Sum) -> Sum:
    ((monomial, factor),) = single.items()
    return {frozenset((atom, -exponent) for atom, exponent in monomial): 1 / factor}


def _is_float(factor: Fraction) -> bool:
    try:
        return Fraction(float(factor)) == factor
    except OverflowError:
        return False


def _product(monomial: Monomial, factor: float) -> Expression:
    above: Expression = ONE
    below: Expression = ONE
    for atom, exponent in sorted(monomial, key=repr):
        if exponent > 0:
            above = mul(above, power(atom, Number(float(exponent))))
        else:
            below = mul(below, power(atom, Number(float(-exponent))))
    product = mul(Number(abs(factor)), div(above, below))
    return neg(product) if factor < 0 else product

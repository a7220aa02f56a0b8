"""Bounds of the value at a face that keep what is monotone, and let smooth extrema pass.

A. Suresh and H. T. Huynh, J. Comput. Phys. 136 (1997), 83-99, equations 2.12 and 2.24 to 2.30; for the face above the
second of four cells ``u``, from below::

    d       second difference of a cell
    bend    minmod(4 d_i - d_(i+1), 4 d_(i+1) - d_i, d_i, d_(i+1)) at the face above cell i
    upper   u_i + 2 (u_i - u_(i-1))
    median  (u_i + u_(i+1) - bend) / 2
    large   u_i + (u_i - u_(i-1) + 3 bend of the face below) / 2

The value is at least ``max(min(u_i, u_(i+1), median), min(u_i, upper, large))``, and at most the same with both
exchanged. From above, everything is mirrored.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial, reduce

from pisnn_deploy.compiler.construct.fixed_point import Fixed, FixedPoint
from pisnn_deploy.programs.language import Operand


def bounds_of_face(fixed: FixedPoint, cells: Sequence[Fixed]) -> tuple[tuple[Fixed, Fixed], tuple[Fixed, Fixed]]:
    """Least and largest value at the face in the middle of six cells, from below and from above.

    Parameters
    ----------
    cells : sequence of Fixed
        Cell averages in order, with the same number of fraction bits.
    """
    apply, fraction = fixed.circuit.apply, cells[0].fraction
    values = [cell.operand for cell in cells]
    steps = [apply("sub", values[n + 1], values[n]) for n in range(5)]
    bends = [apply("sub", steps[n + 1], steps[n]) for n in range(4)]
    at_faces = [_least_bend(fixed, bends[n], bends[n + 1]) for n in range(3)]
    median = apply("sub", apply("add", values[2], values[3]), at_faces[1])
    sides = []
    for own, other, step, bend in (
        (values[2], values[3], steps[1], at_faces[0]),
        (values[3], values[2], apply("neg", steps[3]), at_faces[2]),
    ):
        # In halves.
        twice = apply("shl", own, 1)
        upper = apply("add", twice, apply("shl", step, 2))
        thrice = apply("add", bend, apply("shl", bend, 1))
        large = apply("add", apply("add", twice, step), thrice)
        first, second = (twice, apply("shl", other, 1), median), (twice, upper, large)
        lower, higher = (
            apply(outer, *(reduce(partial(apply, inner), group) for group in (first, second)))
            for outer, inner in (("max", "min"), ("min", "max"))
        )
        sides.append((Fixed(lower, fraction + 1), Fixed(higher, fraction + 1)))
    return sides[0], sides[1]


def _least_bend(fixed: FixedPoint, first: Operand, second: Operand) -> Operand:
    """The smallest of ``4 a - b``, ``4 b - a``, ``a`` and ``b`` in magnitude if all have the same sign, else 0."""
    apply = fixed.circuit.apply
    all_four = (
        first,
        second,
        apply("sub", apply("shl", first, 2), second),
        apply("sub", apply("shl", second, 2), first),
    )
    smallest, largest = (reduce(partial(apply, name), all_four) for name in ("min", "max"))
    return apply("add", apply("max", smallest, 0), apply("min", largest, 0))

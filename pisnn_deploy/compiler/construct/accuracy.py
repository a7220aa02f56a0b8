"""How far expressions in fixed point are from float64, measured on a lattice of their range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.compiler.construct.circuit import Circuit, Stage
from pisnn_deploy.compiler.construct.fixed_point import Fixed, FixedPoint
from pisnn_deploy.laws.expression import Expression, evaluate
from pisnn_deploy.programs import run
from pisnn_deploy.programs.arrays import Arrays
from pisnn_deploy.programs.interval import Interval

Integers = NDArray[np.int64]
MOST_POINTS = 1 << 16
"""Points of the lattice, about."""


@dataclass(frozen=True)
class Computed:
    """An expression in fixed point, and its error.

    Attributes
    ----------
    circuit : Circuit
        Its operations.
    value : Fixed
        Its result.
    stages : tuple of Stage
        Its programs.
    error : float
        Largest error on the lattice, relative to the largest value there.
    """

    circuit: Circuit
    value: Fixed
    stages: tuple[Stage, ...]
    error: float


def computed(
    expression: Expression,
    ranges: Mapping[str, tuple[float, float]],
    bits: int,
    *,
    where: str = "law",
    multiplies: bool = True,
) -> Computed:
    """Compute an expression in fixed point, and compare it with float64 on a lattice with the corners of the range.

    Parameters
    ----------
    ranges : mapping of str to (float, float)
        Range of each name.
    bits : int
        Fraction bits of the names' values.
    where : str
        Place of the expression in the law, for messages.
    multiplies : bool
        Whether products of two values are possible.

    Raises
    ------
    UsageError
        The expression is constant, or no program computes it.
    """
    circuit = Circuit("expression")
    fixed = FixedPoint(circuit, where, multiplies)
    for name, (low, high) in ranges.items():
        circuit.port(name, Interval(round(low * 2.0**bits), round(high * 2.0**bits)))
        fixed.name(name, Fixed(name, bits))
    value = fixed.at_least_one_operation(fixed.lower(expression))
    stages = tuple(circuit.stages([str(value.operand)]))
    known = lattice(circuit, ranges)
    expected = evaluate(expression, {name: known[name] * 2.0**-bits for name in ranges})
    for stage in stages:
        result = run(stage.program, Arrays(), {name: known[name] for name in stage.program.inputs})
        known |= dict(zip(stage.program.sends, result.sends, strict=True))
    off = np.abs(known[str(value.operand)] * 2.0**-value.fraction - expected)
    return Computed(circuit, value, stages, float(off.max() / (np.abs(expected).max() or 1.0)))


def lattice(circuit: Circuit, ranges: Mapping[str, tuple[float, float]]) -> dict[str, Integers]:
    """Lattice of the ports of a circuit, with all corners: int64 [points] by name."""
    count = max(2, int(MOST_POINTS ** (1 / len(ranges))))
    intervals = [circuit.interval(name) for name in ranges]
    axes = [np.unique(np.linspace(i.lower, i.upper, count).astype(np.int64)) for i in intervals]
    grids = np.meshgrid(*axes, indexing="ij")
    return {name: grid.reshape(-1) for name, grid in zip(ranges, grids, strict=True)}

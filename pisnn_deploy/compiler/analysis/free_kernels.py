"""Integer kernels of an equation, whatever the trained weights are: moments in integers first.

A flux is consistent if two sums over its weights ``w`` at offsets ``x`` from the face are right::

    sum w = theta C        sum w x = -theta (C^2 / 2 + r)        C = velocity dt / h        r = diffusivity dt / h^2

Each kernel here has both exactly for its own ``C`` and ``r``, which are fractions with the denominator ``theta`` or
twice its square. Further moments follow from cell averages of monomials: what passes a face in a time step of the
equation is the same combination of them up to the number of weights. Integers meet these as far as they can; those
closest to the equation over well-resolved waves come first.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.compiler.analysis.kernels import WELL_RESOLVED, symbol_error
from pisnn_deploy.physics.model import ModelSpec, flux_moments

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

LARGEST_WEIGHT = 127
"""One synapse of mixed signs holds it."""
SHORTEST_STEP = {"any": 0.9, "long": 4 / 3}
LONGEST_STEP = 2.0
"""Time steps of candidates, in units of the trained kernel's: the shortest by the choice of kernels."""
OUTERMOST = 12
"""Largest weight at the outermost offset of a diffusive kernel; the next one may be three times as large."""
MOST_CANDIDATES = 1 << 19
CHUNK = 1 << 12
KEPT = 5
"""Kernels that are returned for each range of waves."""
WAVES = (WELL_RESOLVED, WELL_RESOLVED / 2)
"""Shortest waves, in radians per cell, for which kernels are compared; smooth starts have only longer ones."""
PAIRS = 6
"""Pairs of moments of an advective kernel."""
NEAREST_DIFFUSIVITY = 0.01
"""Largest relative error of the diffusivity of an advective kernel; without one, its cell Peclet number is larger than
the inverse of `NO_DIFFUSION`."""
NO_DIFFUSION = 1e-4


def free_kernels(
    spec: ModelSpec, trained: Floats, exponent: int, spacing: float, shortest: float = SHORTEST_STEP["any"]
) -> Integers:
    """Integer kernels with the symmetry and the moments of an equation, the most accurate first.

    Parameters
    ----------
    spec : ModelSpec
        Of a linear flux network.
    trained : float64 array [positions]
        Trained kernel, whose moments say how long a time step may be.
    exponent : int
        Kernels are in units of ``2^-exponent``.
    spacing : float
        Cell width.
    shortest : float
        Shortest time step of a kernel, in units of the trained one's.

    Returns
    -------
    int64 array [n, positions]
        Stable kernels; none for windows that also reach across, and for diffusion with a leak.
    """
    if spec.transverse:
        return np.zeros((0, trained.size), np.int64)
    if spec.equation == "advection-diffusion":
        kernels = _advective(spec, flux_moments(trained, spec.positions)[0], exponent, spacing, shortest)
    else:
        kernels = _diffusive(spec, flux_moments(trained, spec.positions)[1], exponent, shortest)
    best: dict[tuple[int, ...], None] = {}
    for shortest_wave in WAVES:
        errors = [
            symbol_error(part / 2.0**exponent, spec, spacing, shortest=shortest_wave, may_persist=True)
            for part in np.array_split(kernels, max(1, len(kernels) // CHUNK))
        ]
        error = np.concatenate(errors) if len(kernels) else np.zeros(0)
        order = np.argsort(error, kind="stable")[:KEPT]
        best |= {tuple(kernels[at].tolist()): None for at in order if math.isfinite(error[at])}
    return np.array(list(best), np.int64).reshape(-1, trained.size)


def _averaged(offset: Floats, power: int) -> Floats:
    """Average of ``x^power`` over cells of width 1 around some offsets."""
    upper, lower = offset + 0.5, offset - 0.5
    return np.asarray((upper ** (power + 1) - lower ** (power + 1)) / (power + 1))


def _passed(courant: float, number: float, power: int) -> float:
    """What passes a face at 0 in a time step of the equation, from a field ``x^power``: its gain in antiderivative.

    The antiderivative ``x^(power + 1) / (power + 1)`` moves by ``-C`` and spreads with the variance ``2 r``.
    """
    count = power + 1
    spread = sum(
        math.comb(count, even) * (-courant) ** (count - even) * (2 * number) ** (even // 2) * _odd_product(even - 1)
        for even in range(0, count + 1, 2)
    )
    return -spread / count


def _odd_product(odd: int) -> int:
    return math.prod(range(odd, 0, -2))


def _diffusive(spec: ModelSpec, trained: float, exponent: int, shortest: float) -> Integers:
    """Odd kernels: the first weight follows from the first moment, the second one from the third."""
    half, one, unit = spec.half_width, 1 << exponent, spec.weight_unit
    offsets = np.arange(half) + 0.5
    power = 2 if spec.equation == "laplace" else 1  # of the time step in the first moment
    least, most = (max(1, round(part**power * trained * one)) for part in (shortest, LONGEST_STEP))
    outer = [range(-OUTERMOST, 3 * OUTERMOST + 1), *(range(-(OUTERMOST // 3), OUTERMOST + 1),) * (half - 3)]
    ranges = [range(least, most + 1), *outer[: max(0, half - 2)], range(-1, 2)]
    axes = [np.array(values, np.int64) for values in ranges]
    if math.prod(len(axis) for axis in axes) > MOST_CANDIDATES or most < least:
        return np.zeros((0, 2 * half), np.int64)
    total, *fixed, change = (grid.reshape(-1) for grid in np.meshgrid(*axes, indexing="ij"))
    weights = {place + 2: unit * values for place, values in enumerate(fixed)}
    if half > 1:
        # sum w x^3 over both sides is that of the equation; laplace counts gains, in which time has no second power.
        cubes = 2 * _averaged(offsets, 3)
        number = total / one
        right = -_passed(0.0, 1.0, 3) * number**2 * (spec.equation != "laplace") * one
        right = right - sum(cubes[place] * values for place, values in weights.items())
        left = total - sum(2 * offsets[place] * values for place, values in weights.items())
        second = (right - cubes[0] * left) / (cubes[1] - 3 * cubes[0])
        weights[1] = unit * (np.rint(second / unit).astype(np.int64) + change)
    weights[0] = total - sum(round(2 * offsets[place]) * values for place, values in weights.items())
    right_side = np.stack([weights[place] for place in range(half)], axis=1).astype(np.int64)
    usable = (np.abs(right_side) <= LARGEST_WEIGHT).all(axis=1) & (right_side % unit == 0).all(axis=1)
    right_side = np.unique(right_side[usable & (right_side[:, 0] > 0)], axis=0)
    return np.concatenate([right_side[:, ::-1], -right_side], axis=1)


def _advective(spec: ModelSpec, trained: float, exponent: int, spacing: float, shortest: float) -> Integers:
    """Kernels whose two moments are exact; the two weights beside the face follow from the others."""
    positions, unit = spec.positions[0], 1 << exponent
    doubled = np.rint(2 * positions).astype(np.int64)
    middle = spec.half_width - 1
    others = np.array([place for place in range(positions.size) if place not in (middle, middle + 1)], np.int64)
    changes = np.array([*itertools.product((-2, -1, 0, 1, 2), repeat=others.size)], np.int64)
    if len(changes) > MOST_CANDIDATES:
        changes = np.zeros((1, others.size), np.int64)
    kernels = [np.zeros((0, positions.size), np.int64)]
    for zeroth, first in moments_of_advection(spec, trained, exponent, spacing, shortest):
        courant = zeroth / unit
        number = -first / (2 * unit) - courant**2 / 2
        powers = range(positions.size)
        system = np.stack([_averaged(positions, power) for power in powers])
        ideal = np.linalg.solve(system, [_passed(courant, number, power) for power in powers]) * unit
        candidates = np.zeros((len(changes), positions.size), np.int64)
        candidates[:, others] = np.rint(ideal[others]).astype(np.int64) + changes
        total, turned = zeroth - candidates.sum(axis=1), first - candidates @ doubled
        # The weights a and b at -1/2 and 1/2: a + b = total, b - a = turned.
        candidates[:, middle], candidates[:, middle + 1] = (total - turned) // 2, (total + turned) // 2
        kernels.append(candidates[((total + turned) % 2 == 0) & (np.abs(candidates) <= LARGEST_WEIGHT).all(axis=1)])
    return np.unique(np.concatenate(kernels), axis=0)


def moments_of_advection(
    spec: ModelSpec, trained: float, exponent: int, spacing: float, shortest: float = SHORTEST_STEP["any"]
) -> list[tuple[int, int]]:
    """Integer sums ``sum w`` and ``sum 2 w x`` with which an advective kernel has the model's diffusivity.

    Parameters
    ----------
    trained : float
        Courant number of the trained kernel; the pairs with the nearest ones are returned.
    shortest : float
        Least Courant number, in units of the trained one.

    Returns
    -------
    list of (int, int)
        At most `PAIRS`. Offsets from a face are odd halves, so both sums are even or both are odd.
    """
    one, wanted = 1 << exponent, Fraction(spec.diffusivity) / (Fraction(spec.velocity) * Fraction(spacing))
    pairs = []
    for zeroth in range(max(1, math.ceil(shortest * trained * one)), one + 1):
        courant = Fraction(zeroth, one)
        exact = -2 * one * (courant**2 / 2 + wanted * courant)
        first = 2 * round((exact - zeroth) / 2) + zeroth
        ratio = (-Fraction(first, 2 * one) - courant**2 / 2) / courant
        if abs(ratio - wanted) <= (NEAREST_DIFFUSIVITY * wanted or NO_DIFFUSION) and ratio >= 0:
            pairs.append((zeroth, first))
    return sorted(pairs, key=lambda pair: abs(math.log(pair[0] / one / trained)))[:PAIRS]

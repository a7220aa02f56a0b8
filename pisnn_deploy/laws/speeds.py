"""How fast a law moves its fields: characteristic speeds, diffusivities and stiffness over the operating range."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.laws.calculus import ZERO, derivative, mul, neg
from pisnn_deploy.laws.law import Law, mobility, split_level
from pisnn_deploy.laws.nodes import Array, Expression, evaluate
from pisnn_deploy.laws.states import MOST_STATES, States, first_largest


@dataclass(frozen=True)
class Extremes:
    """Smallest and largest value over a lattice of states.

    Attributes
    ----------
    lower, upper : float
        The values.
    state : str
        State of the value of largest magnitude, such as ``h = 2.2, q = 1.5``; empty for a constant.
    """

    lower: float
    upper: float
    state: str

    @property
    def largest(self) -> float:
        """Largest magnitude."""
        return max(abs(self.lower), abs(self.upper))


@dataclass(frozen=True)
class Speeds:
    """Rates of a law over its operating range.

    Attributes
    ----------
    waves : tuple of tuple of Extremes
        For each axis, the characteristic speeds in ascending order, one per field; none without a flux.
    diffusivities : dict of str to Extremes
        Diffusivity of each field that has one, or the slope of its level times its mobility.
    fourth : dict of str to float
        Largest factor of ``laplacian(laplacian(u))`` of each field whose level has a Laplacian of itself.
    stiffness : dict of str to float
        Largest sum of magnitudes of a field's slopes of sources and exchanges, per time.
    states : int
        Size of the largest lattice.
    """

    waves: tuple[tuple[Extremes, ...], ...]
    diffusivities: dict[str, Extremes]
    fourth: dict[str, float]
    stiffness: dict[str, float]
    states: int

    @property
    def fastest(self) -> tuple[float, ...]:
        """Largest speed along each axis."""
        return tuple(max((family.largest for family in families), default=0.0) for families in self.waves)

    @property
    def diffusivity(self) -> float:
        """Largest diffusivity of all fields."""
        return max((extremes.largest for extremes in self.diffusivities.values()), default=0.0)


def jacobian(flux: dict[str, Expression], fields: Sequence[str]) -> list[list[Expression]]:
    """Derivative of the flux of each field by each field."""
    return [[derivative(flux.get(name, ZERO), other) for other in fields] for name in fields]


def diffusivity(law: Law, name: str) -> Expression:
    """Effective diffusivity of a field: of the gradient of the field itself."""
    if name not in law.level:
        return mobility(law, name)
    local, _ = split_level(law.level[name])
    return mul(mobility(law, name), derivative(local, name))


def fourth_order(law: Law, name: str) -> Expression:
    """Factor of the bilaplacian of a field: positive where it damps."""
    if name not in law.level:
        return ZERO
    _, factors = split_level(law.level[name])
    return neg(mul(mobility(law, name), factors.get(name, ZERO)))


def slopes_of_rates(law: Law, name: str) -> list[tuple[str, Expression]]:
    """Derivatives of the sources and exchanges of a field by each field, with their places in a recipe."""
    rates = [
        (f"law.sources.{source.field}.{source.name}", source.rate) for source in law.sources if source.field == name
    ]
    rates += [
        (f"law.exchange.{entry.name}", entry.rate)
        for entry in law.exchange
        if name in (entry.source_field, entry.target_field)
    ]
    slopes = [(place, derivative(rate, other)) for place, rate in rates for other in law.fields]
    return [(place, slope) for place, slope in slopes if slope != ZERO]


def characteristic_speeds(states: States) -> Speeds:
    """Sample the speeds of a law over its operating range.

    The law must be well-posed there, see `pisnn_deploy.laws.wellposed.judge`.

    Raises
    ------
    UsageError
        A speed has no finite value in a state.
    """
    law = states.law
    sizes = [1]
    diffusivities, fourth, stiffness = {}, {}, {}
    for name in law.fields:
        effective, bending = diffusivity(law, name), fourth_order(law, name)
        if effective != ZERO:
            diffusivities[name] = _extremes(states, effective, sizes)
        if bending != ZERO:
            fourth[name] = _extremes(states, bending, sizes).largest
        slopes = slopes_of_rates(law, name)
        if slopes:
            stiffness[name] = sum(_extremes(states, slope, sizes).largest for _, slope in slopes)
    waves = tuple(_waves(states, flux, sizes) for flux in law.flux)
    return Speeds(waves, diffusivities, fourth, stiffness, max(sizes))


def eigenvalues(
    states: States, matrix: Sequence[Sequence[Expression]]
) -> tuple[dict[str, Array], NDArray[np.complex128]]:
    """Eigenvalues of a matrix of expressions at a lattice of states.

    Returns
    -------
    dict of str to float64 array [states]
        The lattice.
    complex128 array [states, rows]
        Sorted by their real parts; NaN where the matrix has no finite value.
    """
    entries = [entry for row in matrix for entry in row]
    # The time for eigenvalues grows with the cube of the rows.
    values = states.lattice(entries, MOST_STATES // max(1, len(matrix) - 3) ** 2)
    count = max((array.size for array in values.values()), default=1)
    numbers = np.empty((count, len(matrix), len(matrix)))
    for row, expressions in enumerate(matrix):
        for column, entry in enumerate(expressions):
            numbers[:, row, column] = evaluate(entry, values)
    if len(matrix) == 1:
        return values, numbers[:, 0].astype(np.complex128)
    speeds = np.full((count, len(matrix)), np.nan, np.complex128)
    is_finite = np.isfinite(numbers).all(axis=(1, 2))
    with contextlib.suppress(np.linalg.LinAlgError):  # overflow inside leaves NaN
        speeds[is_finite] = np.sort(np.linalg.eigvals(numbers[is_finite]).astype(np.complex128))
    return values, speeds


def _waves(states: States, flux: dict[str, Expression], sizes: list[int]) -> tuple[Extremes, ...]:
    if all(expression == ZERO for expression in flux.values()):
        return ()
    values, complex_speeds = eigenvalues(states, jacobian(flux, states.law.fields))
    sizes.append(len(complex_speeds))
    return tuple(_extremes_of(states, values, family.real) for family in complex_speeds.T)


def _extremes(states: States, expression: Expression, sizes: list[int]) -> Extremes:
    values = states.lattice([expression])
    numbers = np.atleast_1d(evaluate(expression, values))
    sizes.append(numbers.size)
    return _extremes_of(states, values, numbers)


def _extremes_of(states: States, values: dict[str, Array], numbers: Array) -> Extremes:
    bad = np.flatnonzero(~np.isfinite(numbers))
    if bad.size:
        raise UsageError(f"law: its speeds have no finite value where {states.place(values, int(bad[0]))}")
    place = states.place(values, first_largest(np.abs(numbers))) if numbers.size > 1 else ""
    return Extremes(float(numbers.min()), float(numbers.max()), place)

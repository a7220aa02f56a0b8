"""Derivatives of a scalar law in time from those in space, as polynomials of both (the procedure of Cauchy-Kowalewski).

For ``u_t + sum of f_a(u)_a = D laplacian(u)``, in units of cells and PDE steps::

    p = u_t  = - sum of f_a'(u) u_a + sum of r_a u_aa       f_a times dt / h_a, r_a = D dt / h_a^2
    q = u_tt, and all derivatives of p and q in space       by the rules of product and chain
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Orders = tuple[int, ...]
"""Order of a derivative along each axis."""
Factor = tuple[str, Orders]
"""A derivative in space of ``u``, ``p`` or ``q``; or the name of an axis, such as ``x``, and the order of a derivative
of the flux along that axis by ``u``."""
Polynomial = dict[tuple[Factor, ...], float]
"""Coefficient of each product of factors in ascending order."""
AXES = "xyz"
STATE, RATE, SECOND = "u", "p", "q"


@dataclass(frozen=True)
class Jets:
    """Rules of a law.

    Attributes
    ----------
    dimensions : int
        Number of axes.
    slopes : mapping of Factor to float
        Derivatives of fluxes that are constant; fluxes have no others beyond.
    diffusion : tuple of float
        ``D dt / h^2`` along each axis.
    known : frozenset of Orders
        Derivatives of the state that are computed; others count as 0.
    """

    dimensions: int
    slopes: Mapping[Factor, float]
    diffusion: tuple[float, ...]
    known: frozenset[Orders]

    @property
    def nothing(self) -> Orders:
        """Orders of the function itself."""
        return (0,) * self.dimensions

    def unit(self, axis: int, order: int = 1) -> Orders:
        """Orders of a derivative along one axis."""
        return tuple(order * (a == axis) for a in range(self.dimensions))

    def polynomial(self, kind: str, orders: Orders) -> Polynomial:
        """Derivative of ``p`` or ``q``, from those of lower kinds."""
        total = self._rate()
        if kind == SECOND:
            total = self._derivative(total, None)
        for axis, order in enumerate(orders):
            for _ in range(order):
                total = self._derivative(total, axis)
        return total

    def _rate(self) -> Polynomial:
        total: Polynomial = {}
        for axis in range(self.dimensions):
            for coefficient, factors in self._of_flux(AXES[axis], 1, (STATE, self.unit(axis))):
                _add(total, factors, -coefficient)
            if self.diffusion[axis] and self.unit(axis, 2) in self.known:
                _add(total, ((STATE, self.unit(axis, 2)),), self.diffusion[axis])
        return total

    def _derivative(self, polynomial: Polynomial, axis: int | None) -> Polynomial:
        """Derivative along an axis, or in time for None."""
        total: Polynomial = {}
        for factors, coefficient in polynomial.items():
            for number, factor in enumerate(factors):
                others = factors[:number] + factors[number + 1 :]
                for part, new in self._of_factor(factor, axis):
                    _add(total, (*others, *new), coefficient * part)
        return total

    def _of_factor(self, factor: Factor, axis: int | None) -> list[tuple[float, tuple[Factor, ...]]]:
        kind, orders = factor
        if kind in (STATE, RATE, SECOND):
            moved = self._moved(kind, orders, axis)
            return [(1.0, (moved,))] if moved else []
        inner = self._moved(STATE, self.nothing, axis)
        return self._of_flux(kind, orders[0] + 1, inner) if inner else []

    def _moved(self, kind: str, orders: Orders, axis: int | None) -> Factor | None:
        """The factor's own derivative; None where it counts as 0."""
        if axis is None:
            return {STATE: RATE, RATE: SECOND}[kind], orders
        further = tuple(order + (a == axis) for a, order in enumerate(orders))
        return (kind, further) if kind != STATE or further in self.known else None

    def _of_flux(self, axis: str, order: int, inner: Factor) -> list[tuple[float, tuple[Factor, ...]]]:
        """Derivative of a flux times a factor."""
        slope: Factor = (axis, (order,))
        if any(name == axis and lower[0] < order for name, lower in self.slopes):
            return []
        if slope in self.slopes:
            return [(self.slopes[slope], (inner,))] if self.slopes[slope] else []
        return [(1.0, (slope, inner))]


def _add(total: Polynomial, factors: tuple[Factor, ...], coefficient: float) -> None:
    key = tuple(sorted(factors))
    total[key] = total.get(key, 0.0) + coefficient

"""Taylor series in time for one field with smooth fluxes, third order, with bounds that keep fronts monotone.

The value at a face over a time step, and its slope, come from derivatives at the face (fifth order from six cells) and
from the law, see `jets`::

    v = u + p / 2 + q / 6                       mean over the time step
    s = u_x + p_x / 2 + q_x / 6                 mean slope
    c = f''(u) (p^2 + sum of u_a^2 across) / 24

``v`` is brought within the bounds of `monotone` from both sides. Where both agree, the flux is
``f(v) + c - D s / h``; elsewhere Rusanov's flux of both, and ``- D s / h``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from pisnn_deploy.compiler.construct.assembly import Block
from pisnn_deploy.compiler.construct.fixed_point import Fixed, FixedPoint, Real
from pisnn_deploy.compiler.construct.grid import Faces
from pisnn_deploy.compiler.construct.jets import AXES, RATE, SECOND, STATE, Factor, Jets, Orders
from pisnn_deploy.compiler.construct.monotone import bounds_of_face
from pisnn_deploy.compiler.construct.plan import Plan, Term
from pisnn_deploy.compiler.construct.stencils import ACROSS, across, weighted_cells
from pisnn_deploy.compiler.construct.waves import ZERO, wave_speed
from pisnn_deploy.laws.expression import Expression, Number, derivative, evaluate
from pisnn_deploy.laws.law import factor_along

HALF = 3
"""Cells on either side of a face that its value needs."""
MOST_ACROSS = 2
"""Highest derivative across the axis of a face."""
HIGHEST_MIXED = 3
"""Highest derivative with several axes, where what lies across limits the order anyway."""
WEIGHTS = ((1, -1 / 6, 1 / 30), (1, -1 / 12, 1 / 90), (1, -1 / 4), (1, -1 / 6), (1,), (1,))
"""Of differences over a face in its derivative of each order: differences of that order, and of each second one beyond.
They are exact for averages of polynomials."""
LIMITS = (1.0, 1.5, 2.0, 4.0, 4.0, 8.0)
"""Largest derivative of each order, in ranges of the field: more than a jump has."""


def taylor_fluxes(plan: Plan) -> dict[tuple[str, int], Term | float]:
    """Build the populations of the fluxes through all faces, diffusion included.

    Returns
    -------
    dict of (str, int) to Term
        By field and axis.
    """
    (name,) = plan.law.fields
    terms: dict[tuple[str, int], Term | float] = {}
    for faces in plan.grid.faces:
        block = plan.block(f"face-{AXES[faces.axis]}", faces.size, f"law.flux along {AXES[faces.axis]}")
        total = _Face(plan, block, faces).flux()
        each = np.arange(faces.size, dtype=np.int64)
        if total != 0.0:
            ones = np.ones(faces.size, np.int64)
            terms[name, faces.axis] = total if isinstance(total, float) else Term(block, total, each, each, ones)
    return terms


class _Face:
    """What the faces normal to an axis compute."""

    def __init__(self, plan: Plan, block: Block, faces: Faces) -> None:
        self.plan, self.block, self.fixed, self.faces = plan, block, block.fixed, faces
        (self.name,) = plan.law.fields
        self.known: dict[Factor, Real] = {}
        self.slopes = {AXES[axis]: self._slopes(axis) for axis in range(plan.law.dimensions)}
        self.cells = {others: self._cells(others) for others in self._others()}
        step, spacing = plan.clock.time_step, plan.grid.spacing
        constant: dict[Factor, float] = {}
        for axis, slopes in enumerate(self.slopes.values()):
            if isinstance(slopes[-1], Number):
                constant[AXES[axis], (len(slopes) - 1,)] = float(slopes[-1].value) * step / spacing[axis]
        fastest = float(evaluate(plan.law.diffusion.get(self.name, ZERO), {}))
        along = [fastest * factor_along(plan.law, self.name, axis) for axis in range(plan.law.dimensions)]
        self.diffusivity = along[faces.axis]
        diffusion = tuple(each * step / width**2 for each, width in zip(along, spacing, strict=True))
        self.jets = Jets(plan.law.dimensions, constant, diffusion, frozenset(self._computed()))

    def _slopes(self, axis: int) -> list[Expression]:
        """The flux along an axis and its derivatives by the field, until one is a number."""
        slopes: list[Expression] = [self.plan.law.flux[axis].get(self.name, ZERO)]
        while not isinstance(slopes[-1], Number) and len(slopes) < 2 * HALF:
            slopes.append(derivative(slopes[-1], self.name))
        return slopes

    # Derivatives in space

    def _computed(self) -> Iterator[Orders]:
        """Orders of the derivatives that the cells give."""
        axis = self.faces.axis
        for others, cells in self.cells.items():
            for order in range(len(cells)):
                if not others or order + sum(others) <= HIGHEST_MIXED:
                    yield (*others[:axis], order, *others[axis:])

    def _others(self) -> Iterator[Orders]:
        """Orders of derivatives across the axis, of the state itself first."""
        for others in itertools.product(range(MOST_ACROSS + 1), repeat=self.plan.law.dimensions - 1):
            if sum(others) <= MOST_ACROSS:
                yield others

    def _cells(self, others: Orders) -> list[Fixed]:
        """Derivatives across in the cells on both sides of the faces."""
        axis, half = self.faces.axis, HALF - sum(others)
        orders = (*others[:axis], 0, *others[axis:])
        divisor = int(np.prod([ACROSS[order][1] for order in others]))
        values = []
        for place in range(-half, half):
            weights = {a: across(order) for a, order in enumerate(orders)} | {axis: {place: 1}}
            value = self.block.sum(*weighted_cells(self.plan, self.name, self.faces, weights))
            # Divisors are powers of two.
            values.append(Fixed(value.operand, value.fraction + divisor.bit_length() - 1))
        return values

    def _state(self, orders: Orders) -> Fixed:
        """A derivative of the state at the faces, limited to what jumps have."""
        fixed, axis, order = self.fixed, self.faces.axis, orders[self.faces.axis]
        others = orders[:axis] + orders[axis + 1 :]
        total: Real = 0.0
        for higher, weight in zip(itertools.count(order, 2), WEIGHTS[order], strict=False):
            middle = self._differences(self.cells[others], higher)
            total = fixed.add(total, fixed.scaled(middle, weight)) if middle is not None else total
        assert isinstance(total, Fixed)
        low, high = self.plan.ranges[self.name]
        if not sum(orders):
            return fixed.clamped(total, low, high)
        most = LIMITS[sum(orders)] * (high - low)
        return fixed.clamped(total, -most, most)

    def _differences(self, cells: Sequence[Fixed], order: int) -> Real | None:
        """Difference of some order over the middle of 2, 4 or 6 cells, of an even order as a mean; None for too few."""
        fixed, middle, reach = self.fixed, len(cells) // 2, order // 2 + 1
        if reach > middle:
            return None
        differences: list[Real] = [*cells[middle - reach : middle + reach]]
        for _ in range(order):
            differences = [fixed.add(b, a, "sub") for a, b in itertools.pairwise(differences)]
        return differences[0] if order % 2 else fixed.scaled(fixed.add(differences[0], differences[1]), 0.5)

    # Derivatives in time

    def value(self, kind: str, orders: Orders) -> Real:
        """A factor, or a polynomial of factors that has its name."""
        factor: Factor = (kind, orders)
        if factor not in self.known:
            if kind == STATE:
                self.known[factor] = self._state(orders)
            elif kind in AXES:
                self.known[factor] = self._slope(kind, orders[0])
            else:
                self.known[factor] = self._sum(kind, orders)
        return self.known[factor]

    def _slope(self, axis: str, order: int) -> Real:
        """Derivative of a flux by the state at the faces, times ``dt / h``."""
        slopes = self.slopes[axis]
        if order >= len(slopes) and isinstance(slopes[-1], Number):
            return 0.0
        self.fixed.name(self.name, self.value(STATE, self.jets.nothing))
        factor = self.plan.clock.time_step / self.plan.grid.spacing[AXES.index(axis)]
        return self.fixed.scaled(self.fixed.lower(slopes[order]), factor)

    def _sum(self, kind: str, orders: Orders) -> Real:
        total: Real = 0.0
        for factors, coefficient in sorted(self.jets.polynomial(kind, orders).items()):
            product: Real = 1.0
            for factor in factors:
                product = self.fixed.multiplied(product, self.value(*factor))
            total = self.fixed.add(total, self.fixed.scaled(product, coefficient))
        return total

    def _in_order(self) -> None:
        """Compute slopes of fluxes and derivatives in time from the lowest on: with diffusion, programs need less."""
        along = self.jets.unit(self.faces.axis)
        needed: list[Factor] = [(kind, orders) for kind in (RATE, SECOND) for orders in (self.jets.nothing, along)]
        for factor in needed:
            parts = itertools.chain.from_iterable(self.jets.polynomial(*factor))
            needed += sorted({part for part in parts if part[0] in (RATE, SECOND)} - {*needed})
        for axis in range(self.jets.dimensions):
            self.value(AXES[axis], (1,))
        for kind, orders in sorted(needed, key=lambda factor: (factor[0], sum(factor[1]), factor[1])):
            self.value(kind, orders)

    def _mean(self, orders: Orders) -> Real:
        """Mean of a derivative over the time step."""
        fixed = self.fixed
        later = fixed.add(fixed.scaled(self.value(RATE, orders), 0.5), fixed.scaled(self.value(SECOND, orders), 1 / 6))
        return fixed.add(self.value(STATE, orders), later)

    # Fluxes

    def flux(self) -> Real:
        """Flux times ``scale / h`` of the clock."""
        axis, fixed, clock = self.faces.axis, self.fixed, self.plan.clock
        per_cell = clock.flow / self.plan.grid.spacing[axis]
        total: Real = 0.0
        if self.diffusivity:
            self._in_order()
        if self.name in self.plan.law.flux[axis]:
            low, high = self.plan.ranges[self.name]
            bounds = [
                [fixed.clamped(bound, low, high) for bound in side]
                for side in bounds_of_face(fixed, self.cells[self.jets.nothing[1:]])
            ]
            mean = self._mean(self.jets.nothing)
            assert isinstance(mean, Fixed)
            states = [self._within(mean, *sides) for sides in bounds]
            total = fixed.scaled(self._rusanov(*states), per_cell)
            same = fixed.circuit.apply("eq", states[0].operand, states[1].operand)
            bend = self._bend()
            if isinstance(bend, Fixed):
                chosen = Fixed(fixed.circuit.apply("select", same, bend.operand, 0), bend.fraction)
                total = fixed.add(total, fixed.scaled(chosen, 2.0**clock.exponent))
        if self.diffusivity:
            spread = fixed.scaled(
                self._mean(self.jets.unit(axis)), self.diffusivity * per_cell / self.plan.grid.spacing[axis]
            )
            total = fixed.add(total, spread, "sub")
        return total

    def _within(self, value: Fixed, lower: Fixed, higher: Fixed) -> Fixed:
        """The value within bounds."""
        apply = self.fixed.circuit.apply
        low, high = (self.fixed.at(bound, value.fraction, rounded=False).operand for bound in (lower, higher))
        return Fixed(apply("min", apply("max", value.operand, low), high), value.fraction)

    def _rusanov(self, lower: Fixed, upper: Fixed) -> Real:
        fixed, fluxes = self.fixed, self.plan.law.flux[self.faces.axis]
        speed = wave_speed(fluxes, self.plan.law.fields)
        assert speed is not None
        values, speeds = [], []
        for state in (lower, upper):
            side = FixedPoint(self.block.circuit, fixed.where, self.plan.multiplies)
            side.name(self.name, state)
            values.append(side.lower(fluxes[self.name]))
            speeds.append(side.lower(speed))
        mean = fixed.scaled(fixed.add(values[0], values[1]), 0.5)
        jump = fixed.add(upper, lower, "sub")
        return fixed.add(mean, fixed.scaled(fixed.multiplied(fixed.larger(*speeds), jump), 0.5), "sub")

    def _bend(self) -> Real:
        """What the mean of a flux over the face and the time step is beside the flux of the mean, times ``dt / h``."""
        fixed, axis = self.fixed, self.faces.axis
        squares = [self.value(RATE, self.jets.nothing)]
        squares += [self.value(STATE, self.jets.unit(a)) for a in range(self.plan.law.dimensions) if a != axis]
        total: Real = 0.0
        for value in squares:
            total = fixed.add(total, fixed.multiplied(value, value))
        return fixed.scaled(fixed.multiplied(total, self.value(AXES[axis], (2,))), 1 / 24)

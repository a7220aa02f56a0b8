"""Linear laws by Taylor series in time, as stencils: fourth order along each axis, third across.

With ``u_t = L u`` and ``L = - sum of A d/dx + D sum of d^2/dx^2``, the flux through a face over a time step is::

    (A - D d/dx) (1 + dt/2 L + dt^2/6 L^2 + dt^3/24 L^3) u        with derivatives up to the third order

Each derivative at a face is a stencil of small integers on cell averages, which arrives at a port of its own.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.compiler.construct.assembly import Tap
from pisnn_deploy.compiler.construct.fixed_point import Fixed, Real
from pisnn_deploy.compiler.construct.grid import Faces
from pisnn_deploy.compiler.construct.plan import Plan, Term
from pisnn_deploy.compiler.construct.stencils import ACROSS, across, weighted_cells
from pisnn_deploy.compiler.construct.waves import ZERO, jacobian
from pisnn_deploy.laws.expression import Number, evaluate, free_names, substitute
from pisnn_deploy.laws.law import Law, factor_along

Floats = NDArray[np.float64]
Orders = tuple[int, ...]
"""Order of a derivative along each axis."""
Operator = dict[Orders, Floats]
"""Matrix [fields, fields] of each derivative, in units of cells."""
AXES = "xyz"
HIGHEST = 3

ALONG = (((-1, 7, 7, -1), 12), ((1, -15, 15, -1), 12), ((1, -1, -1, 1), 2), ((-1, 3, -3, 1), 1))
"""Stencil and denominator of each derivative at a face, from two cells on both sides."""
ALONG_SHORT = (((0, 1, 1, 0), 2), ((0, -1, 1, 0), 1), ((1, -1, -1, 1), 2))
"""The same, second-order, for derivatives that are also taken along another axis."""


def is_linear_law(law: Law) -> bool:
    """Whether fluxes are linear with constant coefficients, and diffusivities constant."""
    constant = all(not free_names(entry) for entry in law.diffusion.values()) and not law.level
    slopes = [entry for flux in law.flux for row in jacobian(flux, law.fields) for entry in row]
    names = {name for flux in law.flux for entry in flux.values() for name in free_names(entry)}
    return constant and names <= {*law.fields} and all(not free_names(entry) for entry in slopes)


def linear_fluxes(plan: Plan) -> dict[tuple[str, int], Term | float]:
    """Build the populations of the fluxes of all fields through all faces, diffusion included.

    Returns
    -------
    dict of (str, int) to Term or float
        By field and axis; a number where the flux is constant.
    """
    terms: dict[tuple[str, int], Term | float] = {}
    zeros = {name: Number(0.0) for name in plan.law.fields}
    for faces in plan.grid.faces:
        operator = _flux_operator(plan, faces.axis)
        block = plan.block(f"face-{AXES[faces.axis]}", faces.size, f"law.flux along {AXES[faces.axis]}")
        each = np.arange(faces.size, dtype=np.int64)
        stencils: dict[tuple[str, Orders], tuple[Fixed, int]] = {}
        for row, name in enumerate(plan.law.fields):
            always = float(evaluate(substitute(plan.law.flux[faces.axis].get(name, ZERO), zeros), {}))
            total: Real = always * plan.clock.flow / plan.grid.spacing[faces.axis]
            for orders, matrix in sorted(operator.items()):
                for column, other in enumerate(plan.law.fields):
                    if not matrix[row, column]:
                        continue
                    if (other, orders) not in stencils:
                        taps, constant, divisor = _stencil(plan, other, faces, orders)
                        stencils[other, orders] = block.sum(taps, constant), divisor
                    value, divisor = stencils[other, orders]
                    total = block.fixed.add(total, block.fixed.scaled(value, float(matrix[row, column]) / divisor))
            ones = np.ones(faces.size, np.int64)
            if total != 0.0:
                terms[name, faces.axis] = total if isinstance(total, float) else Term(block, total, each, each, ones)
    return terms


def _flux_operator(plan: Plan, axis: int) -> Operator:
    """Flux along an axis, times what makes it a change of its cells."""
    law, spacing = plan.law, plan.grid.spacing
    size, dimensions = len(law.fields), law.dimensions
    unit = tuple(int(a == axis) for a in range(dimensions))
    nothing: Orders = (0,) * dimensions
    matrices = [_constant_jacobian(law, a) for a in range(dimensions)]
    fastest = [float(evaluate(law.diffusion.get(name, ZERO), {})) for name in law.fields]
    diffusivity = [
        np.diag([value * factor_along(law, name, a) for name, value in zip(law.fields, fastest, strict=True)])
        for a in range(dimensions)
    ]
    generator: Operator = {}
    for a in range(dimensions):
        one, two = (tuple(order * int(b == a) for b in range(dimensions)) for order in (1, 2))
        generator[one] = -matrices[a] * plan.clock.time_step / spacing[a]
        generator[two] = diffusivity[a] * plan.clock.time_step / spacing[a] ** 2
    power: Operator = {nothing: np.eye(size)}
    mean: Operator = {}
    for count in range(HIGHEST + 1):
        for orders, matrix in power.items():
            mean[orders] = mean.get(orders, np.zeros((size, size))) + matrix / math.factorial(count + 1)
        power = _product(generator, power)
    flux: Operator = {nothing: matrices[axis], unit: -diffusivity[axis] / spacing[axis]}
    factor = plan.clock.flow / spacing[axis]
    return {orders: factor * matrix for orders, matrix in _product(flux, mean).items() if matrix.any()}


def _constant_jacobian(law: Law, axis: int) -> Floats:
    return np.array([[float(evaluate(entry, {})) for entry in row] for row in jacobian(law.flux[axis], law.fields)])


def _product(first: Operator, second: Operator) -> Operator:
    """Product of two operators without derivatives beyond the highest."""
    product: Operator = {}
    for (orders, matrix), (others, factor) in itertools.product(first.items(), second.items()):
        total = tuple(a + b for a, b in zip(orders, others, strict=True))
        if sum(total) <= HIGHEST:
            product[total] = product.get(total, np.zeros_like(matrix)) + matrix @ factor
    return product


def _stencil(plan: Plan, name: str, faces: Faces, orders: Orders) -> tuple[list[Tap], Floats, int]:
    """Connections of a derivative of a field at each face, with what the sides add, and its denominator."""
    crossed = any(order for a, order in enumerate(orders) if a != faces.axis)
    stencil, divisor = (ALONG_SHORT if crossed else ALONG)[orders[faces.axis]]
    weights = {a: across(order) for a, order in enumerate(orders)}
    weights[faces.axis] = {number - len(stencil) // 2: weight for number, weight in enumerate(stencil)}
    taps, constant = weighted_cells(plan, name, faces, weights)
    others = (ACROSS[order][1] for a, order in enumerate(orders) if a != faces.axis)
    return taps, constant, divisor * math.prod(others)

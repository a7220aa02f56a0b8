"""Linear laws by Taylor series in time, as stencils: fourth order along each axis, third across.

With ``u_t = L u`` and ``L = - sum of A d/dx + D sum of d^2/dx^2``, the flux through a face over a time step is::

    (A - D d/dx) (1 + dt/2 L + dt^2/6 L^2 + dt^3/24 L^3) u        with derivatives up to the third order

Each derivative at a face is a stencil of small integers on cell averages, which arrives at a port of its own.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.compiler.construct.assembly import Tap, tap
from pisnn_deploy.compiler.construct.boundary import continuation
from pisnn_deploy.compiler.construct.fixed_point import Fixed, Real
from pisnn_deploy.compiler.construct.grid import Faces
from pisnn_deploy.compiler.construct.plan import Plan, Term
from pisnn_deploy.compiler.construct.waves import ZERO, jacobian
from pisnn_deploy.laws.expression import Number, evaluate, free_names, substitute
from pisnn_deploy.laws.law import Law

Integers = NDArray[np.int64]
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
ACROSS = (((1,), 1), ((-1, 0, 1), 2), ((1, -2, 1), 1), ((-1, 2, 0, -2, 1), 2))
"""Stencil and denominator of each derivative in the middle of a cell."""


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
    diffusivity = np.diag([float(evaluate(law.diffusion.get(name, ZERO), {})) for name in law.fields])
    generator: Operator = {}
    for a in range(dimensions):
        one, two = (tuple(order * int(b == a) for b in range(dimensions)) for order in (1, 2))
        generator[one] = -matrices[a] * plan.clock.time_step / spacing[a]
        generator[two] = diffusivity * plan.clock.time_step / spacing[a] ** 2
    power: Operator = {nothing: np.eye(size)}
    mean: Operator = {}
    for count in range(HIGHEST + 1):
        for orders, matrix in power.items():
            mean[orders] = mean.get(orders, np.zeros((size, size))) + matrix / math.factorial(count + 1)
        power = _product(generator, power)
    flux: Operator = {nothing: matrices[axis], unit: -diffusivity / spacing[axis]}
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


@dataclass(frozen=True)
class Cells:
    """Cells near each face: where they are, and what their values are outside the domain.

    Attributes
    ----------
    places : dict of int to int64 array [faces]
        Coordinate along each axis.
    weight : int64 array [faces]
        Factor of the value there; 0 where it is a constant.
    constant : float64 array [faces]
        What is added to it.
    taps : list of Tap
        Values of sides that depend on time, which are added too.
    """

    places: Mapping[int, Integers]
    weight: Integers
    constant: Floats
    taps: list[Tap]


def _stencil(plan: Plan, name: str, faces: Faces, orders: Orders) -> tuple[list[Tap], Floats, int]:
    """Connections of a derivative of a field at each face, with what the sides add, and its denominator."""
    grid, axis = plan.grid, faces.axis
    crossed = any(order for a, order in enumerate(orders) if a != axis)
    tables = [((ALONG_SHORT if crossed else ALONG) if a == axis else ACROSS)[order] for a, order in enumerate(orders)]
    inside = np.where(faces.right >= 0, faces.right, faces.left)
    corner = dict(enumerate(np.unravel_index(inside, grid.shape)))
    corner[axis] = corner[axis] + (faces.right < 0)
    each = np.arange(faces.size, dtype=np.int64)
    taps: list[Tap] = []
    constant = np.zeros(faces.size)
    for picked in itertools.product(*(range(len(stencil)) for stencil, _ in tables)):
        weight = math.prod(tables[a][0][number] for a, number in enumerate(picked))
        if not weight:
            continue
        # The second of four cells along the axis is the last one below the face.
        steps = [number - (2 if a == axis else len(tables[a][0]) // 2) for a, number in enumerate(picked)]
        places = {a: corner[a] + steps[a] for a in corner}
        cells = folded_cells(plan, name, places)
        column = np.ravel_multi_index([cells.places[a] for a in range(len(grid.shape))], grid.shape).astype(np.int64)
        column[cells.weight == 0] = -1
        taps.append(tap(plan.signals[name], each, column, weight * cells.weight))
        constant += weight * cells.constant
        taps += [entry.scaled_by(weight) for entry in cells.taps]
    return taps, constant, math.prod(divisor for _, divisor in tables)


def folded_cells(plan: Plan, name: str, places: Mapping[int, Integers]) -> Cells:
    """Cells for places that may be outside the domain, one axis after the other.

    Parameters
    ----------
    places : mapping of int to int64 array [faces]
        Coordinate of a cell along each axis.
    """
    grid = plan.grid
    folded = {a: np.asarray(place, np.int64) for a, place in places.items()}
    size = folded[0].size
    weight, constant = np.ones(size, np.int64), np.zeros(size)
    taps: list[Tap] = []
    for a, count in enumerate(grid.shape):
        if grid.periodic[a]:
            folded[a] = folded[a] % count
            continue
        for upper in (0, 1):
            depth = folded[a] - (count - 1) if upper else -folded[a]
            outside = np.flatnonzero(depth > 0)
            if not outside.size:
                continue
            along = {b: np.clip(place[outside], 0, grid.shape[b] - 1) for b, place in folded.items()}
            along[a] = np.full(outside.size, count - 1 if upper else 0, np.int64)
            cells = np.ravel_multi_index([along[b] for b in range(len(grid.shape))], grid.shape).astype(np.int64)
            beyond = continuation(plan, name, a, upper, cells)
            mirrored = np.minimum(depth[outside] - 1, count - 1)
            mirrored = np.where(beyond.is_mirrored, mirrored, 0)
            folded[a] = folded[a].copy()
            folded[a][outside] = count - 1 - mirrored if upper else mirrored
            constant[outside] += weight[outside] * beyond.constant
            taps += beyond.taps(outside, weight[outside])
            weight[outside] *= beyond.weight
    return Cells(folded, weight, constant, taps)

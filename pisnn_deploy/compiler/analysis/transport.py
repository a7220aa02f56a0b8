"""Velocity and diffusivity that the integers of a linear law have: the first two moments of its fluxes.

On a line the flux of ``u = a + s i`` in cell ``i`` through a face at ``x`` cells is, per PDE step and in flux units::

    theta (C (a + s x) - (C^2 / 2 + r) s)        C = velocity dt / h        r = diffusivity dt / h^2

So two constant states say ``C``, and two opposite slopes say ``r``.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.claims import LARGEST_DEVIATION, Figure
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.laws.calculus import ZERO, derivative, simplified
from pisnn_deploy.laws.expression import evaluate, free_names
from pisnn_deploy.laws.spec import LawSpec
from pisnn_deploy.programs.facts import threshold_exponent

Integers = NDArray[np.int64]
NO_DIFFUSION = 1e-3
"""Largest error of a diffusivity for any law, in units of the velocity times the cell width."""


def coefficients_of(law: LawSpec) -> tuple[float, float] | None:
    """Velocity and diffusivity of a linear law of one field on a line; None for any other law."""
    parsed = law.parsed().numeric()
    if len(parsed.fields) != 1 or len(parsed.flux) != 1 or parsed.level:
        return None
    (field,) = parsed.fields
    slope = simplified(derivative(parsed.flux[0].get(field, ZERO), field))
    diffusivity = parsed.diffusion.get(field, ZERO)
    if free_names(slope) or free_names(diffusivity) or slope == ZERO:
        return None
    return float(evaluate(slope, {})), float(evaluate(diffusivity, {}))


def transport_figures(graph: IntegerGraph, law: LawSpec, semantics: Semantics, inside: Integers) -> dict[str, Figure]:
    """Coefficients of the integers beside those of the law; none where the law is not linear, or the line too short.

    Parameters
    ----------
    inside : int64 array
        Channels of the fluxes that no side is near.
    """
    wanted, field = coefficients_of(law), graph.fields[0]
    channels = next((c for c in graph.channels if c.population == f"{field.name}-flux"), None)
    if wanted is None or channels is None:
        return {}
    neighbours = inside[channels.target[inside] == channels.source[inside] + 1]
    far = neighbours[(channels.source[neighbours] >= REACH) & (channels.target[neighbours] < field.cells - REACH)]
    extent = field.window.upper - field.window.lower
    slope = extent // (2 * field.cells)
    if not far.size or not slope:
        return {}
    middle, quarter = (field.window.lower + field.window.upper) // 2, extent // 4
    at = np.arange(field.cells, dtype=np.int64) - field.cells // 2

    def total(masses: Integers) -> int:
        _, results = semantics.advance(semantics.begin({field.holder: masses}))
        current = np.broadcast_to(results[channels.population].values["current"], channels.size)
        return int(current[far].astype(object).sum())

    level = np.full(field.cells, quarter, np.int64)
    theta = (1 << (threshold_exponent(graph.population(channels.population).program) or 0)) * far.size
    courant = Fraction(total(middle + level) - total(middle - level), 2 * quarter * theta)
    # Faces are half a cell above their lower cells.
    lever = Fraction(int(2 * at[channels.source[far]].sum()) + far.size, 2 * far.size)
    number = courant * lever - Fraction(total(middle + slope * at) - total(middle - slope * at), 2 * slope * theta)
    number -= courant**2 / 2
    width, step = Fraction(graph.grid.spacing[0]), Fraction(graph.time_step)
    return {
        "velocity": float(courant * width / step),
        "wanted_velocity": wanted[0],
        "diffusivity": float(number * width**2 / step),
        "wanted_diffusivity": wanted[1],
    }


REACH = 6
"""Cells at either end of the line beside whose faces a slope breaks off."""


def are_right(figures: dict[str, Figure], width: float) -> bool:
    """Whether coefficients are the law's; also where there are none."""
    if "velocity" not in figures:
        return True
    velocity, diffusivity = figures["wanted_velocity"], figures["wanted_diffusivity"]
    room = LARGEST_DEVIATION * abs(diffusivity) + NO_DIFFUSION * abs(velocity) * width
    return (
        abs(figures["velocity"] - velocity) <= LARGEST_DEVIATION * abs(velocity)
        and abs(figures["diffusivity"] - diffusivity) <= room
    )

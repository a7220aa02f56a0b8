"""Check of the velocity and the diffusivity that the integers of a linear law on a line have.

The currents of two constant states differ by the Courant number, those of two opposite slopes by what diffuses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.fields import Channels
from pisnn_deploy.laws.expression import evaluate, free_names
from pisnn_deploy.verify.laws import law_of

Whole = NDArray[np.int64]
Currents = Callable[[Whole], Whole]
CELLS_TO_AN_END = 6
SAME = 1e-9
"""Relative difference of two figures that only rounding of float64 makes."""
LARGEST_ERROR, ROOM = 0.05, 1e-3
"""Largest relative error of both coefficients, and of the diffusivity in units of velocity times cell width."""


def coefficients(graph: IntegerGraph) -> tuple[float, float] | None:
    """Velocity and diffusivity of the law if it is linear, has one field, and is on a line; else None."""
    law = law_of(graph).parsed()
    if len(graph.fields) != 1 or len(graph.grid.shape) != 1 or law.level:
        return None
    name = graph.fields[0].name
    flux, diffusion = law.flux[0].get(name), law.diffusion.get(name)
    if flux is None or free_names(flux) - {name, *law.parameters}:
        return None
    if diffusion is not None and free_names(diffusion) - {*law.parameters}:
        return None
    window, unit = graph.fields[0].window, graph.fields[0].value_per_quantum
    places = [unit * (window.lower + (window.upper - window.lower) * part / 8) for part in (0, 1, 3, 8)]
    values = [float(evaluate(flux, {**law.parameters, name: place})) for place in places]
    slopes = [(b - values[0]) / (at - places[0]) for b, at in zip(values[1:], places[1:], strict=True)]
    largest = max(map(abs, slopes))
    if not largest or max(slopes) - min(slopes) > SAME * largest:
        return None
    return slopes[-1], 0.0 if diffusion is None else float(evaluate(diffusion, {**law.parameters}))


def transport(graph: IntegerGraph, channels: Channels, inner: Whole, currents: Currents) -> dict[str, float]:
    """Figures that a claim must have; none for other laws, and on lines that are too short.

    Parameters
    ----------
    inner : int64 array
        Channels of the fluxes that no side is near.
    currents : callable
        Currents of all of them for masses of the cells.
    """
    law, field = coefficients(graph), graph.fields[0]
    if law is None:
        return {}
    left, right = channels.source[inner], channels.target[inner]
    kept = (right - left == 1) & (left >= CELLS_TO_AN_END) & (right < field.cells - CELLS_TO_AN_END)
    faces, extent = inner[kept], field.window.upper - field.window.lower
    rise, centre = extent // (2 * field.cells), (field.window.lower + field.window.upper) // 2
    if faces.size == 0 or rise == 0:
        return {}
    place = np.arange(field.cells) - field.cells // 2
    flat = np.ones(field.cells, np.int64) * (extent // 4)

    def apart(change: Whole) -> int:
        """Difference of the summed currents of two opposite states."""
        both = [np.broadcast_to(currents(centre + sign * change), channels.source.size) for sign in (1, -1)]
        return int(both[0][faces].astype(object).sum() - both[1][faces].astype(object).sum())

    theta = 1 << exponent_of(graph, channels)
    courant = Fraction(apart(flat), 2 * theta * faces.size * int(flat[0]))
    mean_place = Fraction(sum((2 * place[left[kept]] + 1).tolist()), 2 * faces.size)
    spread = courant * mean_place - Fraction(apart(rise * place), 2 * theta * faces.size * rise) - courant**2 / 2
    cell = Fraction(graph.grid.lengths[0] / field.cells)
    return {
        "velocity": float(courant * cell / Fraction(graph.time_step)),
        "wanted_velocity": law[0],
        "diffusivity": float(spread * cell**2 / Fraction(graph.time_step)),
        "wanted_diffusivity": law[1],
    }


def exponent_of(graph: IntegerGraph, channels: Channels) -> int:
    """Exponent of the `fire` of a channel; 0 without one."""
    operations = graph.population(channels.population).program.operations
    return next((int(o.operands[-1]) for o in operations if o.name == "fire"), 0)


def transport_errors(claimed: Mapping[str, float], expected: Mapping[str, float], width: float) -> Iterator[str]:
    """Yield what is wrong with the coefficients that a claim names."""
    scale = {"velocity": abs(expected.get("velocity", 0.0))}
    scale["diffusivity"] = abs(expected.get("diffusivity", 0.0)) + scale["velocity"] * width
    for name, value in expected.items():
        if abs(claimed[name] - value) > SAME * scale[name.removeprefix("wanted_")]:
            yield f"the {name} of the integers is {value:.6g}, but the claim says {claimed[name]:.6g}"


def is_transport_right(figures: Mapping[str, float], width: float) -> bool:
    """Whether the coefficients of a claim are those of the law; also where it has none."""
    if "velocity" not in figures:
        return True
    velocity, diffusivity = figures["wanted_velocity"], figures["wanted_diffusivity"]
    return (
        abs(figures["velocity"] - velocity) <= LARGEST_ERROR * abs(velocity)
        and abs(figures["diffusivity"] - diffusivity) <= LARGEST_ERROR * abs(diffusivity) + ROOM * abs(velocity) * width
    )

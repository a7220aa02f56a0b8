"""Check of physical units: the operating window and reservoirs in quanta match their values."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.verify.clock import ROUNDINGS, cell_width
from pisnn_deploy.verify.faces import face_of, known_face
from pisnn_deploy.verify.medium import digit_names, face_weights, is_two_point, level_bits, level_names

STEEPENING = 3
"""Quanta that rounding may add to the difference across a face: one at either end, and one for packets."""
LEVELS = 16
"""Margin of the operating window on either side of the operating range, in levels."""

UNDERSHOOT = Fraction(1, 16)
"""Further margin of fluxes of several values, which have no maximum principle, as a part of the range."""


def units(graph: IntegerGraph, stored: NDArray[np.int64] | None) -> Iterator[str]:
    """Yield errors in the operating window and the reservoirs.

    Parameters
    ----------
    graph : IntegerGraph
        A well-formed graph whose value of a quantum is a power of two.
    stored : int64 array [faces] or None
        Integer conductance of each face in a graph of two-point fluxes, else None.
    """
    limits, window = graph.model_spec.operating_range, graph.window
    unit = Fraction(graph.value_per_quantum)
    levels = level_names(graph) if graph.materials is not None else ()
    level = 1 << level_bits(graph) if levels else 1
    lower, upper = Fraction(limits.lower), Fraction(limits.upper)
    if levels and not is_two_point(graph, face_weights(graph)):
        beside = UNDERSHOOT * (upper - lower)
        lower, upper = lower - beside, upper + beside
    low, high = math.floor(lower / unit), math.ceil(upper / unit)
    if levels or (graph.materials is not None and len(digit_names(graph)) > 1):
        low, high = low - LEVELS * level, high + LEVELS * level
    within = LEVELS * level if levels and _is_limited(graph) else 0  # limits may cut the margin
    if not (low <= window.lower <= low + within and high - within <= window.upper <= high):
        yield (
            f"the operating range {limits.lower:g} to {limits.upper:g} is {low} to {high} quanta, but the window is "
            f"{window.lower} to {window.upper}"
        )
    if levels and (limits.slope is not None or limits.flux is not None):
        yield "the operating range has a slope or a flux, which a graph with levels does not support"
    exacts = [("difference", window.difference, None if graph.materials is not None else _steepest(graph))]
    if knows_current(graph):
        exacts.append(("current", window.current, None if levels else _strongest(graph, stored)))
    for name, stored_limit, exact in exacts:
        # The value was rounded a few times before it was rounded up, so two integers are possible.
        ends = (None,) if exact is None else tuple(math.ceil(exact * (1 + side * ROUNDINGS)) for side in (-1, 1))
        if stored_limit not in ends:
            yield f"the largest {name} in the window is {stored_limit}, but the operating range gives {ends[0]}"
    yield from _alike(graph.mesh.group_of_reservoirs, graph.sole_field.held)
    with np.errstate(all="ignore"):  # an overflow never equals a reservoir's quanta
        in_levels = graph.sole_field.held / (graph.value_per_quantum * level)  # a power of two: exact
    wrong = np.flatnonzero(np.rint(in_levels) * level != graph.sole_field.reservoirs)
    if wrong.size:
        number = int(wrong[0])
        yield (
            f"reservoir {number} has the value {graph.sole_field.held[number]:g}, but its quanta are worth "
            f"{graph.sole_field.reservoirs[number] * graph.value_per_quantum:g}"
        )


def knows_current(graph: IntegerGraph) -> bool:
    """Whether the operating range determines the largest current; with a largest flux it needs a known face program."""
    return graph.model_spec.operating_range.flux is None or known_face(graph) is not None


def _is_limited(graph: IntegerGraph) -> bool:
    """Whether a limiter keeps masses within the window."""
    face = known_face(graph)
    return face is not None and face.limiter is not None


def _alike(group: NDArray[np.int64], values: NDArray[np.float64]) -> Iterator[str]:
    """Yield reservoirs whose value differs from others of their group."""
    first = np.zeros(1 + int(group.max(initial=0)))
    first[group[::-1]] = values[::-1]
    for number in np.flatnonzero(values != first[group])[:1].tolist():
        yield f"reservoir {number} differs in value from other reservoirs of its group"


def _steepest(graph: IntegerGraph) -> Fraction | None:
    """Largest difference of masses across a face, before rounding up."""
    slope = graph.model_spec.operating_range.slope
    if slope is None:
        return None
    widest = max(cell_width(graph, axis) for axis in range(len(graph.grid.shape)))
    return Fraction(slope) * widest / Fraction(graph.value_per_quantum) + STEEPENING


def _strongest(graph: IntegerGraph, stored: NDArray[np.int64] | None) -> Fraction | None:
    """Largest current of a face before rounding up: from the flux, and for two-point fluxes also from the slope."""
    limits, unit = graph.model_spec.operating_range, Fraction(graph.value_per_quantum)
    currents = []
    if limits.flux is not None:
        theta = 1 << face_of(graph).packet_exponent
        currents.append(Fraction(limits.flux) / unit * theta + theta)
    if stored is not None and limits.slope is not None:
        mesh, whole = graph.grid, Fraction(limits.upper) - Fraction(limits.lower)
        beside = np.maximum(mesh.source, mesh.target) >= mesh.cells
        steepest = []
        for axis, (length, count) in enumerate(zip(mesh.lengths, mesh.shape, strict=True)):
            for part, faces in ((1, ~beside), (2, beside)):
                drop = min(Fraction(limits.slope) * Fraction(length) / (part * count), whole)
                largest = int(stored[faces & (mesh.axis == axis)].max(initial=0))
                steepest.append(largest * (drop / unit + STEEPENING))
        currents.append(max(steepest))
    return min(currents, default=None)

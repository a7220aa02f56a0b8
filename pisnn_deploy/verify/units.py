"""The checker of physical units: the operating window and the reservoirs are what the artifact says in values."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.verify.clock import ROUNDINGS, cell_width
from pisnn_deploy.verify.faces import face_of, known_face, shifts

STEEPENING = 3
"""Quanta by which rounding may steepen a face: one at either end, and one for packets."""
LEVELS = 16
"""Room on either side of the operating range that windows of levels have, in levels."""


def units(graph: IntegerGraph, stored: NDArray[np.int64] | None) -> Iterator[str]:
    """What is wrong with window and reservoirs; nothing if they are the range and the values held, in quanta.

    Parameters
    ----------
    graph : IntegerGraph
        Well formed, whose value of a quantum is a power of two.
    stored : int64 array [faces] or None
        Integer conductances, of a graph of two-point fluxes.
    """
    limits, window = graph.spec.operating_range, graph.window
    unit = Fraction(graph.value_per_quantum)
    levels = shifts(graph) if graph.materials is not None else []
    level = 1 << sum(shift or 0 for shift in levels)
    low, high = math.floor(Fraction(limits.lower) / unit), math.ceil(Fraction(limits.upper) / unit)
    if levels:
        low, high = low - LEVELS * level, high + LEVELS * level
    if _is_limited(graph):
        low = max(0, low)
    if (window.lower, window.upper) != (low, high):
        yield (
            f"the operating range {limits.lower:g} to {limits.upper:g} is {low} to {high} quanta, the window "
            f"{window.lower} to {window.upper}"
        )
    if levels and (limits.slope is not None or limits.flux is not None):
        yield "the operating range has a slope or a flux, and a window of levels has none"
    exacts = [("difference", window.difference, None if graph.materials is not None else _steepest(graph))]
    if knows_current(graph):
        exacts.append(("current", window.current, None if levels else _strongest(graph, stored)))
    for name, given, exact in exacts:
        # What is rounded up has been rounded a few times before, so that either of two integers may come out.
        ends = (None,) if exact is None else tuple(math.ceil(exact * (1 + side * ROUNDINGS)) for side in (-1, 1))
        if given not in ends:
            yield f"the largest {name} is {given} in the window, the operating range says {ends[0]}"
    yield from _alike(graph.mesh.group_of_reservoirs, graph.sole_field.held)
    with np.errstate(all="ignore"):  # what overflows is not what any reservoir shows
        held = graph.sole_field.held / (graph.value_per_quantum * level)  # a power of two: exact
    wrong = np.flatnonzero(np.rint(held) * level != graph.sole_field.reservoirs)
    if wrong.size:
        number = int(wrong[0])
        yield (
            f"reservoir {number} holds {graph.sole_field.held[number]:g} and shows "
            f"{graph.sole_field.reservoirs[number] * graph.value_per_quantum:g}"
        )


def knows_current(graph: IntegerGraph) -> bool:
    """Whether the largest current follows from the operating range: a largest flux needs faces that are known."""
    return graph.spec.operating_range.flux is None or known_face(graph) is not None


def _is_limited(graph: IntegerGraph) -> bool:
    """Whether the window must begin at 0 at least; may, of faces that are not known and hear what cells have."""
    face = known_face(graph)
    if face is not None:
        return face.share_bits is not None
    return len(graph.sole_channels.program.ports) > 1 and graph.window.lower >= 0


def _alike(group: NDArray[np.int64], held: NDArray[np.float64]) -> Iterator[str]:
    """Reservoirs of a group hold one value."""
    first = np.zeros(1 + int(group.max(initial=0)))
    first[group[::-1]] = held[::-1]
    for number in np.flatnonzero(held != first[group])[:1].tolist():
        yield f"reservoir {number} holds another value than the other reservoirs of its group"


def _steepest(graph: IntegerGraph) -> Fraction | None:
    """Largest difference of the masses on both sides of a face, before it is rounded up."""
    slope = graph.spec.operating_range.slope
    if slope is None:
        return None
    return Fraction(slope) * cell_width(graph) / Fraction(graph.value_per_quantum) + STEEPENING


def _strongest(graph: IntegerGraph, stored: NDArray[np.int64] | None) -> Fraction | None:
    """Largest current of a face, before it is rounded up: by the flux, or, through two points, also by the slope."""
    limits, unit = graph.spec.operating_range, Fraction(graph.value_per_quantum)
    found = []
    if limits.flux is not None:
        theta = 1 << face_of(graph).packet_exponent
        found.append(Fraction(limits.flux) / unit * theta + theta)
    if stored is not None and limits.slope is not None:
        mesh, whole = graph.grid, Fraction(limits.upper) - Fraction(limits.lower)
        beside = np.maximum(mesh.source, mesh.target) >= mesh.cells
        steepest = []
        for axis, (length, count) in enumerate(zip(mesh.lengths, mesh.shape, strict=True)):
            for part, faces in ((1, ~beside), (2, beside)):
                drop = min(Fraction(limits.slope) * Fraction(length) / (part * count), whole)
                largest = int(stored[faces & (mesh.axis == axis)].max(initial=0))
                steepest.append(largest * (drop / unit + STEEPENING))
        found.append(max(steepest))
    return min(found, default=None)

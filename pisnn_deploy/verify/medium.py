"""Check of graphs with materials: levels, digits of weights, two-point fluxes and their maximum principle."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.arithmetic import MEMORYLESS
from pisnn_deploy.core.rows import Rows, diagonal, from_triplets
from pisnn_deploy.graph import Claim, IntegerGraph
from pisnn_deploy.graph.integer import FLUX, FLUX_DIGITS, LEVEL, LEVEL_DIGITS, MEMBRANE
from pisnn_deploy.graph.synapse import ARRIVAL
from pisnn_deploy.verify.energy import energy_points
from pisnn_deploy.verify.faces import biases, face_of, known_face, shifts
from pisnn_deploy.verify.stored import stored

MOST_BITS = 58
"""Of levels, lower digits and threshold together, so that sums of their weights fit 64 bits."""
Integers = NDArray[np.int64]


def medium_layout(graph: IntegerGraph) -> Iterator[str]:
    """Yield errors in the layout of a graph of fluxes between cells that differ.

    Parameters
    ----------
    graph : IntegerGraph
        A well-formed graph.
    """
    face = known_face(graph)
    if (face is not None and (face.leak != MEMORYLESS or face.steps_late)) or graph.operator:
        yield "faces have a leak below 1 or a delay, or the graph has an operator besides its conductances"
    levels, digits = level_names(graph), digit_names(graph)
    lower = levels[:-1]
    if lower and levels != (*LEVEL_DIGITS[len(LEVEL_DIGITS) - len(lower) :], LEVEL):
        yield "the populations before the faces are neither levels nor digits"
        return
    if face is not None and level_bits(graph) + full_exponent(graph) > MOST_BITS:
        yield f"levels and weights have more than {MOST_BITS} bits together"
        return
    yield from _pairs(graph, levels, digits)
    before = next(_before_levels(graph, levels), None)
    if before is not None:
        yield before
        return
    weights, volumes = face_weights(graph), graph.sole_field.inverse_volume
    if not levels:
        if (volumes != 1).any():
            yield "cells have different inverse volumes, but the graph has no levels"
        if (weights.columns >= graph.mesh.cells).any():
            yield "a face has a ledger as input"
    yield from _carries(graph, digits)
    yield from _faces(graph, weights, shown_levels(graph))


def level_names(graph: IntegerGraph) -> tuple[str, ...]:
    """Populations that turn masses into levels; faces see the last one, or masses where there is none."""
    return tuple(population.name for population in graph.between_fields if population.name not in FLUX_DIGITS)


def digit_names(graph: IntegerGraph) -> tuple[str, ...]:
    """Populations with the digits of what faces see, lowest first; the last digit is the faces' own."""
    return (*(population.name for population in graph.between_fields if population.name in FLUX_DIGITS), FLUX)


def level_bits(graph: IntegerGraph) -> int:
    """Bits between inverse volume times mass and level."""
    return sum(_bits(graph, name) for name in level_names(graph))


def _bits(graph: IntegerGraph, name: str) -> int:
    """Bits by which a population shifts its sum; 0 for faces."""
    known = dict(zip((population.name for population in graph.between_fields), shifts(graph), strict=True))
    return known.get(name) or 0


def _together(graph: IntegerGraph, seen: str, names: tuple[str, ...]) -> Rows:
    """Weights of a population in others that carry from one to the next, in units of the first, int64."""
    total, bits = stored(graph, seen, names[0]), _bits(graph, names[0])
    for name in names[1:]:
        total = total + stored(graph, seen, name).shifted(bits)
        bits += _bits(graph, name)
    return total


def _bias(graph: IntegerGraph, names: tuple[str, ...]) -> Integers:
    """Biases of populations that carry from one to the next, in units of the first, int64 [neurons]."""
    known = dict(zip((*(p.name for p in graph.between_fields), FLUX), biases(graph), strict=True))
    total, bits = np.zeros_like(known[names[0]]), 0
    for name in names:
        total, bits = total + (known[name] << bits), bits + _bits(graph, name)
    return total


def full_exponent(graph: IntegerGraph) -> int:
    """Exponent of the threshold in units of the lowest digit of the weights."""
    return face_of(graph).exponent + sum(_bits(graph, name) for name in digit_names(graph)[:-1])


def face_weights(graph: IntegerGraph) -> Rows:
    """Weights of levels, or of masses, at each face, from all digits, int64 [faces, inputs]."""
    return _together(graph, (MEMBRANE, *level_names(graph))[-1], digit_names(graph))


def is_two_point(graph: IntegerGraph, weights: Rows) -> bool:
    """Whether each face sees the two cells beside it alone."""
    ends = np.stack([graph.mesh.source, graph.mesh.target])[:, weights.row_of]
    return bool((ends == weights.columns).any(axis=0).all())


def face_bias(graph: IntegerGraph) -> Integers:
    """What reservoirs add to each face, in units of the lowest digit, int64 [faces]."""
    names = digit_names(graph)
    # A lower digit is raised to be positive, which the next one takes off; half a unit of the last digit rounds.
    return _bias(graph, names) - (1 << sum(_bits(graph, name) for name in names[:-1]) >> 1)


def _pairs(graph: IntegerGraph, levels: tuple[str, ...], digits: tuple[str, ...]) -> Iterator[str]:
    """Yield an error if populations have other inputs than this layout's."""
    seen = (MEMBRANE, *levels)[-1]
    allowed = {(MEMBRANE, name) for name in levels} | {(seen, name) for name in digits} | {(FLUX, MEMBRANE)}
    allowed |= {*zip(levels, levels[1:], strict=False), *zip(digits, digits[1:], strict=False)}
    for synapse in graph.synapses:
        if synapse.port == ARRIVAL and (synapse.source, synapse.target) not in allowed:
            yield f"synapse {synapse.name} leads from {synapse.source} to {synapse.target}, which no flux needs"


def _before_levels(graph: IntegerGraph, levels: tuple[str, ...]) -> Iterator[str]:
    """Yield errors in the populations that turn masses into levels."""
    if not levels:
        return
    known = dict(zip((population.name for population in graph.between_fields), shifts(graph), strict=True))
    uneven = "levels are not values rounded to the nearest, with one lowest level for all cells"
    if any(known[name] is None for name in levels):
        yield uneven
        return
    yield from _carries(graph, levels)
    # The offset ends in half a level, so that values are rounded to the nearest level.
    offset, bits = _bias(graph, levels), level_bits(graph)
    if (offset != offset[0]).any() or int(offset[0]) % (1 << bits) != 1 << bits >> 1:
        yield uneven
    exact = diagonal(graph.sole_field.inverse_volume, graph.mesh.holders)
    if (_together(graph, MEMBRANE, levels) - exact).entries:
        yield "the synapses to the levels differ from the inverse volumes"


def shown_levels(graph: IntegerGraph) -> Integers | None:
    """Level of each reservoir above the lowest one, or its mass without levels; None if it is not a whole one."""
    reservoirs, levels, bits = graph.sole_field.reservoirs, level_names(graph), level_bits(graph)
    if not levels:
        return reservoirs
    lowest = int(_bias(graph, levels)[0])
    return (reservoirs + lowest) >> bits if not (reservoirs % (1 << bits)).any() else None


def _carries(graph: IntegerGraph, names: tuple[str, ...]) -> Iterator[str]:
    """Yield an error if a population of a chain does not bring the next one what its own digit leaves over."""
    one = diagonal(np.ones(graph.size(names[-1]), np.int64))
    for name, following in pairwise(names):
        if not _bits(graph, name) or (stored(graph, name, following) - one).entries:
            yield f"{name} does not carry to {following}"
        if not _is_positive(graph, name):
            yield f"the sum of {name} may be below 0, where it would be cut off"


def _is_positive(graph: IntegerGraph, population: str) -> bool:
    """Whether the declared bounds, which are checked elsewhere, keep the sum of a population at 0 or above."""
    return any((b.population, b.quantity) == (population, "drive") and b.lower >= 0 for b in graph.bounds)


def _faces(graph: IntegerGraph, weights: Rows, shown: Integers | None) -> Iterator[str]:
    mesh, bias = graph.mesh, face_bias(graph)
    what = "levels" if level_names(graph) else "masses"
    of_reservoirs = np.zeros(mesh.holders, np.int64)
    of_reservoirs[mesh.cells :] = 0 if shown is None else shown
    if is_two_point(graph, weights):
        conductance, faces = conductances(graph), np.arange(mesh.faces)
        exact = from_triplets(
            np.tile(faces, 2),
            np.concatenate([mesh.source, mesh.target]),
            np.concatenate([conductance, -conductance]),
            (mesh.faces, mesh.holders),
        )
        if (weights.between(0, mesh.cells) - exact.between(0, mesh.cells)).entries:
            yield f"the input of a face is not the difference of the {what} at its ends"
        if shown is None or (bias != exact @ of_reservoirs).any():
            yield "a bias differs from conductance times reservoir value"
        return
    if shown is None:
        yield "a reservoir does not show a whole level"


def conductances(graph: IntegerGraph) -> Integers:
    """Integer conductances, int64 [faces]; 0 for a face that joins a cell with itself."""
    weights = face_weights(graph)
    largest = np.zeros(graph.mesh.faces, np.int64)
    np.maximum.at(largest, weights.row_of, np.abs(weights.values))
    return largest


def medium_stability(graph: IntegerGraph, claim: Claim) -> Iterator[str]:
    """Yield errors in a claim that modes do not grow.

    Parameters
    ----------
    graph : IntegerGraph
        A graph that passes `medium_layout`.
    """
    if claim.method == "energy":
        weights = face_weights(graph).between(0, graph.mesh.cells)
        points = energy_points(graph, weights, full_exponent(graph) + level_bits(graph))
        if isinstance(points, str):
            yield points
        elif (claim.status, dict(claim.figures)) != ("proved", {"points": points}):
            yield "the claim differs from what the checker proved"
        return
    figures = {"reservoirs": graph.mesh.reservoirs}
    if (claim.status, claim.method, dict(claim.figures)) != ("proved", "maximum-principle", figures):
        yield "the claim differs from what the checker proved"
    yield from medium_averages(graph)


def medium_averages(graph: IntegerGraph) -> Iterator[str]:
    """Yield cells whose new level is not an average of old ones: ``p_i sum_f c_f > 2^(F + s)``.

    Parameters
    ----------
    graph : IntegerGraph
        A graph that passes `medium_layout`.
    """
    if not is_two_point(graph, face_weights(graph)):
        yield "a face sees more than two cells, so that new levels are no averages"
        return
    leaving = [0] * graph.mesh.holders
    for weight, *ends in zip(
        conductances(graph).tolist(), graph.mesh.source.tolist(), graph.mesh.target.tolist(), strict=True
    ):
        for end in ends:
            leaving[end] += weight
    limit = 1 << full_exponent(graph) + level_bits(graph)
    for cell, volume in enumerate(graph.sole_field.inverse_volume.tolist()):
        if volume * leaving[cell] > limit:
            yield f"other cells have a weight of {volume * leaving[cell]} in cell {cell}'s new level, above {limit}"

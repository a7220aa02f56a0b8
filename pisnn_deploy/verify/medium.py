"""Check of graphs with materials: levels, two-point fluxes and their maximum principle."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.arithmetic import MEMORYLESS
from pisnn_deploy.core.rows import diagonal, from_triplets
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.integer import FLUX, MEMBRANE
from pisnn_deploy.verify.faces import biases, face_of, known_face, shifts
from pisnn_deploy.verify.stored import stored


def medium_layout(graph: IntegerGraph) -> Iterator[str]:
    """Yield errors in the layout of a graph of two-point fluxes.

    Parameters
    ----------
    graph : IntegerGraph
        A well-formed graph.
    """
    mesh = graph.mesh
    cells = mesh.cells
    face = known_face(graph)
    if (face is not None and (face.leak != MEMORYLESS or face.steps_late)) or graph.operator:
        yield "faces have a leak below 1 or a delay, or the graph has an operator besides its conductances"
    conductance, volumes = conductances(graph), graph.sole_field.inverse_volume
    *levels, bias = biases(graph)
    faces = np.arange(mesh.faces)
    weights = from_triplets(
        np.tile(faces, 2),
        np.concatenate([mesh.source, mesh.target]),
        np.concatenate([conductance, -conductance]),
        (mesh.faces, mesh.holders),
    )
    reservoirs = graph.sole_field.reservoirs
    if not levels:
        if (volumes != 1).any():
            yield "cells have different inverse volumes, but the graph has no levels"
        if (stored(graph, MEMBRANE, FLUX).between(0, cells) - weights.between(0, cells)).entries:
            yield "the input of a face is not the difference of the masses at its ends"
        if (stored(graph, MEMBRANE, FLUX).columns >= cells).any():
            yield "a face has a ledger as input"
        if (bias != weights @ np.concatenate([np.zeros(cells, np.int64), reservoirs])).any():
            yield "a bias differs from conductance times reservoir value"
        return
    name, shift, lowest = graph.chain[1], shifts(graph)[0], int(levels[0][0])
    # The offset ends in half a level, so that values are rounded to the nearest level.
    if shift is None or (levels[0] != lowest).any() or 2 * (lowest % (1 << shift)) != 1 << shift:
        yield "levels are not values rounded to the nearest, with one lowest level for all cells"
        return
    if (stored(graph, MEMBRANE, name) - diagonal(volumes, mesh.holders)).entries:
        yield "the synapses to the levels differ from the inverse volumes"
    if (stored(graph, name, FLUX) - weights.between(0, cells)).entries:
        yield "the input of a face is not the difference of the levels at its ends"
    shown = np.concatenate([np.zeros(cells, np.int64), (reservoirs + lowest) >> shift])
    if (reservoirs % (1 << shift)).any() or (bias != weights @ shown).any():
        yield "a bias differs from conductance times reservoir value"


def conductances(graph: IntegerGraph) -> NDArray[np.int64]:
    """Integer conductances, int64 [faces]; 0 for a face that joins a cell with itself."""
    weights = stored(graph, graph.chain[-2], FLUX)
    largest = np.zeros(graph.mesh.faces, np.int64)
    np.maximum.at(largest, weights.row_of, np.abs(weights.values))
    return largest


def medium_averages(graph: IntegerGraph) -> Iterator[str]:
    """Yield cells whose new level is not an average of old ones: ``p_i sum_f c_f > 2^(F + s)``.

    Parameters
    ----------
    graph : IntegerGraph
        A graph that passes `medium_layout`.
    """
    leaving = [0] * graph.mesh.holders
    for weight, *ends in zip(
        conductances(graph).tolist(), graph.mesh.source.tolist(), graph.mesh.target.tolist(), strict=True
    ):
        for end in ends:
            leaving[end] += weight
    limit = 1 << face_of(graph).exponent + sum(shift or 0 for shift in shifts(graph))
    for cell, volume in enumerate(graph.sole_field.inverse_volume.tolist()):
        if volume * leaving[cell] > limit:
            yield f"other cells have a weight of {volume * leaving[cell]} in cell {cell}'s new level, above {limit}"

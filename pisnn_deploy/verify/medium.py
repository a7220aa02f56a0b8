"""The checker where cells differ: levels, two-point fluxes and their maximum principle, from the graph alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pisnn_deploy.core.arithmetic import MEMORYLESS
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.integer import FLUX, MEMBRANE
from pisnn_deploy.verify.faces import biases, face_of, known_face, shifts
from pisnn_deploy.verify.stored import stored


def medium_layout(graph: IntegerGraph) -> Iterator[str]:
    """What is wrong with the layout of a graph of two-point fluxes; nothing if it is right.

    Parameters
    ----------
    graph : IntegerGraph
        Well formed.
    """
    mesh = graph.mesh
    cells = mesh.cells
    face = known_face(graph)
    if (face is not None and (face.leak != MEMORYLESS or face.steps_late)) or graph.operator:
        yield "the flux keeps a memory, or there is an operator besides the conductances"
    conductance, volumes = conductances(graph), graph.sole_field.inverse_volume
    *levels, bias = biases(graph)
    faces = np.arange(mesh.faces)
    weights = sparse.coo_matrix(
        (np.concatenate([conductance, -conductance]), (np.tile(faces, 2), np.concatenate([mesh.source, mesh.target]))),
        (mesh.faces, mesh.holders),
    ).tocsr()
    held = graph.sole_field.reservoirs
    if not levels:
        if (volumes != 1).any():
            yield "there are no levels, and cells differ"
        if np.any((stored(graph, MEMBRANE, FLUX)[:, :cells] - weights[:, :cells]).data):
            yield "a face does not take the difference of the masses beside it"
        if stored(graph, MEMBRANE, FLUX)[:, cells:].nnz:
            yield "a face takes what a ledger holds"
        if (bias != weights @ np.concatenate([np.zeros(cells, np.int64), held])).any():
            yield "a bias is not what conductance and reservoir say"
        return
    name, shift, lowest = graph.chain[1], shifts(graph)[0], int(levels[0][0])
    # Half a level more than a whole one: values are rounded to the nearest.
    if shift is None or (levels[0] != lowest).any() or 2 * (lowest % (1 << shift)) != 1 << shift:
        yield "levels are not values rounded to the nearest, from one level on that all cells share"
        return
    diagonal = sparse.csr_matrix((volumes, (np.arange(cells),) * 2), (cells, mesh.holders))
    if np.any((stored(graph, MEMBRANE, name) - diagonal).data):
        yield "the synapses to the levels are not the inverse volumes"
    if np.any((stored(graph, name, FLUX) - weights[:, :cells]).data):
        yield "a face does not take the difference of the levels beside it"
    shown = np.concatenate([np.zeros(cells, np.int64), (held + lowest) >> shift])
    if (held % (1 << shift)).any() or (bias != weights @ shown).any():
        yield "a bias is not what conductance and reservoir say"


def conductances(graph: IntegerGraph) -> NDArray[np.int64]:
    """Integer conductance of each face; 0 of one that joins a cell with itself."""
    weights = stored(graph, graph.chain[-2], FLUX)
    largest = np.zeros(graph.mesh.faces, np.int64)
    np.maximum.at(largest, np.repeat(np.arange(graph.mesh.faces), np.diff(weights.indptr)), np.abs(weights.data))
    return largest


def medium_averages(graph: IntegerGraph) -> Iterator[str]:
    """A cell whose new level is no average of old ones, if there is one: ``p_i sum_f c_f > 2^(F + s)``.

    Parameters
    ----------
    graph : IntegerGraph
        Laid out as `medium_layout` has it.
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
            yield f"the new level of cell {cell} takes {volume * leaving[cell]} of {limit} from others"

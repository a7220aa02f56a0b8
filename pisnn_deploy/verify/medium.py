"""The checker where cells differ: levels, two-point fluxes and their maximum principle, from the graph alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pisnn_deploy.core.arithmetic import MEMORYLESS
from pisnn_deploy.graph import IntegerGraph, Medium
from pisnn_deploy.graph.integer import FLUX, MEMBRANE

Stored = Callable[[IntegerGraph, str, str], sparse.csr_matrix]
Interval = tuple[int, int]


def medium_layout(graph: IntegerGraph, medium: Medium, stored: Stored) -> Iterator[str]:
    """What is wrong with the layout of a graph with a medium; nothing if it is right.

    Parameters
    ----------
    graph : IntegerGraph
        Well formed.
    medium : Medium
    stored : callable
        Effective weights between two populations, as the target stores them.

    Yields
    ------
    str
    """
    mesh = graph.mesh
    cells = mesh.cells
    if graph.flux.leak != MEMORYLESS or graph.operator:
        yield "the flux keeps a memory, or there is an operator besides the conductances"
    conductance = conductances(graph, stored)
    faces = np.arange(mesh.faces)
    weights = sparse.coo_matrix(
        (np.concatenate([conductance, -conductance]), (np.tile(faces, 2), np.concatenate([mesh.source, mesh.target]))),
        (mesh.faces, mesh.holders),
    ).tocsr()
    held = graph.membrane.reservoirs
    if not graph.hidden:
        if (medium.inverse_volume != 1).any():
            yield "there are no levels, and cells differ"
        if np.any((stored(graph, MEMBRANE, FLUX)[:, :cells] - weights[:, :cells]).data):
            yield "a face does not take the difference of the masses beside it"
        if stored(graph, MEMBRANE, FLUX)[:, cells:].nnz:
            yield "a face takes what a ledger holds"
        if (graph.flux.bias != weights @ np.concatenate([np.zeros(cells, np.int64), held])).any():
            yield "a bias is not what conductance and reservoir say"
        return
    level = graph.hidden[0]
    lowest = int(level.bias[0])
    # Half a level more than a whole one: values are rounded to the nearest.
    if (level.bias != lowest).any() or 2 * (lowest % (1 << level.shift)) != 1 << level.shift:
        yield "levels are not values rounded to the nearest, from one level on that all cells share"
    diagonal = sparse.csr_matrix((medium.inverse_volume, (np.arange(cells),) * 2), (cells, mesh.holders))
    if np.any((stored(graph, MEMBRANE, level.name) - diagonal).data):
        yield "the synapses to the levels are not the inverse volumes"
    if np.any((stored(graph, level.name, FLUX) - weights[:, :cells]).data):
        yield "a face does not take the difference of the levels beside it"
    shown = np.concatenate([np.zeros(cells, np.int64), (held + lowest) >> level.shift])
    if (held % (1 << level.shift)).any() or (graph.flux.bias != weights @ shown).any():
        yield "a bias is not what conductance and reservoir say"


def conductances(graph: IntegerGraph, stored: Stored) -> NDArray[np.int64]:
    """Integer conductance of each face; 0 of one that joins a cell with itself."""
    weights = stored(graph, graph.chain[-2], FLUX)
    largest = np.zeros(graph.mesh.faces, np.int64)
    np.maximum.at(largest, np.repeat(np.arange(graph.mesh.faces), np.diff(weights.indptr)), np.abs(weights.data))
    return largest


def medium_averages(graph: IntegerGraph, medium: Medium, stored: Stored) -> Iterator[str]:
    """A cell whose new level is no average of old ones, if there is one: ``p_i sum_f c_f > 2^(F + s)``.

    Parameters
    ----------
    graph : IntegerGraph
    medium : Medium
    stored : callable

    Yields
    ------
    str
    """
    leaving = [0] * graph.mesh.holders
    for weight, *ends in zip(
        conductances(graph, stored).tolist(), graph.mesh.source.tolist(), graph.mesh.target.tolist(), strict=True
    ):
        for end in ends:
            leaving[end] += weight
    limit = 1 << (graph.flux.threshold_exponent + (graph.hidden[0].shift if graph.hidden else 0))
    for cell, volume in enumerate(medium.inverse_volume.tolist()):
        if volume * leaving[cell] > limit:
            yield f"the new level of cell {cell} takes {volume * leaving[cell]} of {limit} from others"


def medium_intervals(graph: IntegerGraph, medium: Medium) -> tuple[dict[tuple[str, str], Interval], Interval, int]:
    """Intervals of masses and levels, of the drive of the faces, and the largest change of a mass.

    The change is what the width of the window allows.
    """
    window, thinnest = graph.window, int(medium.inverse_volume.min())
    mass = (min(0, -(-window.lower // thinnest) - 1), max(0, window.upper // thinnest + 1))
    found = {(MEMBRANE, "mass"): mass}
    value = (window.lower, window.upper)
    for level in graph.hidden:
        lowest = int(level.bias[0])
        drive = (window.lower + lowest, window.upper + lowest)
        value = (max(drive[0], 0) >> level.shift, max(drive[1], 0) >> level.shift)
        found |= {(level.name, "drive"): drive, (level.name, "activation"): value}
    low, high = value
    weights = graph.matrix(graph.chain[-2], FLUX)
    rows = [
        (
            sum(w * (low if w > 0 else high) for w in row) + bias,
            sum(w * (high if w > 0 else low) for w in row) + bias,
        )
        for row, bias in zip(np.split(weights.data, weights.indptr[1:-1]), graph.flux.bias.tolist(), strict=True)
    ]
    flux = (int(min(end for end, _ in rows)), int(max(end for _, end in rows)))
    return found, flux, (window.upper - window.lower) // thinnest + 1

"""The checker where cells differ: levels, two-point fluxes and their maximum principle, from the graph alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pisnn_deploy.arithmetic import MEMORYLESS
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
    mesh, level = graph.mesh, graph.hidden[0]
    cells = mesh.cells
    lowest = int(level.bias[0])
    # Half a level more than a whole one: values are rounded to the nearest.
    if (level.bias != lowest).any() or 2 * (lowest % (1 << level.shift)) != 1 << level.shift:
        yield "levels are not values rounded to the nearest, from one level on that all cells share"
    if graph.flux.leak != MEMORYLESS or graph.operator:
        yield "the flux keeps a memory, or there is an operator besides the conductances"
    diagonal = sparse.csr_matrix((medium.inverse_volume, (np.arange(cells),) * 2), (cells, mesh.holders))
    if np.any((stored(graph, MEMBRANE, level.name) - diagonal).data):
        yield "the synapses to the levels are not the inverse volumes"
    conductance = _conductances(graph, stored)
    difference = sparse.lil_matrix((mesh.faces, mesh.holders), dtype=np.int64)
    faces = np.arange(mesh.faces)
    weights = sparse.coo_matrix(
        (np.concatenate([conductance, -conductance]), (np.tile(faces, 2), np.concatenate([mesh.source, mesh.target]))),
        difference.shape,
    ).tocsr()
    if np.any((stored(graph, level.name, FLUX) - weights[:, :cells]).data):
        yield "a face does not take the difference of the levels beside it"
    held = graph.membrane.reservoirs
    shown = np.concatenate([np.zeros(cells, np.int64), (held + lowest) >> level.shift])
    if (held % (1 << level.shift)).any() or (graph.flux.bias != weights @ shown).any():
        yield "a bias is not what conductance and reservoir say"


def _conductances(graph: IntegerGraph, stored: Stored) -> NDArray[np.int64]:
    weights = stored(graph, graph.hidden[0].name, FLUX)
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
        _conductances(graph, stored).tolist(), graph.mesh.source.tolist(), graph.mesh.target.tolist(), strict=True
    ):
        for end in ends:
            leaving[end] += weight
    limit = 1 << (graph.flux.threshold_exponent + graph.hidden[0].shift)
    for cell, volume in enumerate(medium.inverse_volume.tolist()):
        if volume * leaving[cell] > limit:
            yield f"the new level of cell {cell} takes {volume * leaving[cell]} of {limit} from others"


def medium_drives(graph: IntegerGraph, medium: Medium) -> tuple[Interval, Interval, Interval, int, Interval]:
    """Intervals of mass, of the level's drive and of the level, the largest change of a mass, and the flux's drive.

    The change is what the width of the window allows.
    """
    window, level = graph.window, graph.hidden[0]
    lowest, thinnest = int(level.bias[0]), int(medium.inverse_volume.min())
    mass = (min(0, -(-window.lower // thinnest) - 1), max(0, window.upper // thinnest + 1))
    drive = (window.lower + lowest, window.upper + lowest)
    low, high = (max(end, 0) >> level.shift for end in drive)
    weights = graph.matrix(level.name, FLUX)
    rows = [
        (
            sum(w * (low if w > 0 else high) for w in row) + bias,
            sum(w * (high if w > 0 else low) for w in row) + bias,
        )
        for row, bias in zip(np.split(weights.data, weights.indptr[1:-1]), graph.flux.bias.tolist(), strict=True)
    ]
    flux = (int(min(end for end, _ in rows)), int(max(end for _, end in rows)))
    return mass, drive, (low, high), (window.upper - window.lower) // thinnest + 1, flux

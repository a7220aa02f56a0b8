"""The cell that each neuron of a graph lives with, for placement."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pisnn_deploy.compiler.analysis.faces import level_populations
from pisnn_deploy.core.rows import from_triplets
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.fields import Channels
from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.graph.layout import layers_of
from pisnn_deploy.graph.populations import Population


def home_cells(graph: IntegerGraph) -> dict[str, Integers]:
    """The cell that each neuron lives with.

    1. A cell's holders of all fields live with the cell, and a reservoir with the cell that it is beside.
    2. In a graph of a flux network, a face and its hidden neurons live with the cell that its positive packets leave,
       or with the other one where that is a reservoir, and so do the level and the answers of a cell.
    3. In other graphs, a channel lives with such a cell too, and any other neuron with the cell from which most of its
       inputs come, the first of several.

    Returns
    -------
    dict of str to int64 array
        By population.
    """
    return _of_flux_network(graph) if graph.has_flux_network else _of_any(graph)


def _of_flux_network(graph: IntegerGraph) -> dict[str, Integers]:
    mesh = graph.mesh
    owner = np.where(mesh.source < mesh.cells, mesh.source, mesh.target)
    holders = np.arange(mesh.holders, dtype=np.int64)
    outer = np.maximum(mesh.source, mesh.target)
    beside = outer >= mesh.cells
    holders[outer[beside]] = owner[beside]
    membrane, *others = layers_of(graph)
    homes = {name: np.repeat(owner, graph.size(name) // max(mesh.faces, 1)) for name in others}
    cells = np.arange(mesh.cells, dtype=np.int64)
    homes |= dict.fromkeys((*level_populations(graph), *graph.order.answers), cells)
    return {membrane: holders, **homes}


def _of_any(graph: IntegerGraph) -> dict[str, Integers]:
    homes: dict[str, Integers] = {}
    for field in graph.fields:
        homes[field.holder] = np.zeros(field.size, np.int64)
        homes[field.holder][: field.cells] = np.arange(field.cells)
        for channels in graph.channels:
            for (holder, ends, _), (_, others, _) in (channels.ends, channels.ends[::-1]):
                beside = np.flatnonzero((ends >= field.cells) & (others < graph.mesh.cells))
                if holder == field.holder:
                    homes[holder][ends[beside]] = others[beside]
    carriers = {channels.population: channels for channels in graph.channels}
    # Channels live with their cells, whatever answers they hear; so do the answers.
    answers = dict.fromkeys(graph.order.answers, np.arange(graph.mesh.cells, dtype=np.int64))
    homes |= answers
    for population in graph.populations:
        if population.name in homes:
            continue
        if population.name in carriers:
            homes[population.name] = _of_channels(graph, carriers[population.name], homes)
        else:
            homes[population.name] = _of_inputs(graph, population, homes)
    return homes


def _of_channels(graph: IntegerGraph, channels: Channels, homes: Mapping[str, Integers]) -> Integers:
    leaves_cell = channels.source < graph.mesh.cells
    (source_holder, source, _), (target_holder, target, _) = channels.ends
    return np.where(leaves_cell, homes[source_holder][source], homes[target_holder][target])


def _of_inputs(graph: IntegerGraph, population: Population, homes: Mapping[str, Integers]) -> Integers:
    cells, neurons, origins = graph.mesh.cells, [], []
    for synapse in graph.synapses:
        if synapse.target == population.name:
            rows = synapse.connections.rows
            neurons.append(rows.row_of)
            origins.append(homes[synapse.source][rows.columns])
    if not neurons:
        return np.zeros(population.size, np.int64)
    neuron, origin = np.concatenate(neurons), np.concatenate(origins)
    votes = from_triplets(neuron, origin, np.ones(neuron.size, np.int64), (population.size, cells))
    # In each row, the largest number of votes comes first, then the lowest cell.
    order = np.lexsort((votes.columns, -votes.values, votes.row_of))
    home = np.zeros(population.size, np.int64)
    has_votes = votes.lengths > 0
    home[has_votes] = votes.columns[order[votes.starts[:-1][has_votes]]]
    return home

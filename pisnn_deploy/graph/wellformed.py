"""What every integer graph must satisfy, checked after each pass and when an artifact is read."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pisnn_deploy.arithmetic import MEMORYLESS
from pisnn_deploy.graph.integer import FLUX, MEMBRANE, UTILISATION, IntegerGraph, Placement, Synapse
from pisnn_deploy.mesh import structured_mesh


def defects(graph: IntegerGraph) -> list[str]:
    """Sentences that say what is wrong with a graph; empty if it is well formed.

    Parameters
    ----------
    graph : IntegerGraph

    Returns
    -------
    list of str
    """
    return [*_mesh(graph), *_populations(graph), *_synapses(graph), *_annotations(graph)]


def _mesh(graph: IntegerGraph) -> Iterator[str]:
    mesh = graph.mesh
    ideal = structured_mesh(mesh.shape, mesh.lengths, mesh.boundary)
    for name in ("source", "target", "axis"):
        if not np.array_equal(getattr(mesh, name), getattr(ideal, name)):
            yield f"mesh {name} does not match shape {mesh.shape} with boundary {mesh.boundary}"
    if not (np.isfinite(graph.quantum) and graph.quantum > 0):
        yield f"quantum is {graph.quantum}, it must be positive"
    if not (np.isfinite(graph.time_step) and graph.time_step > 0):
        yield f"time_step is {graph.time_step}, it must be positive"


def _populations(graph: IntegerGraph) -> Iterator[str]:
    if graph.membrane.initial.size != graph.mesh.cells:
        yield f"membrane has {graph.membrane.initial.size} neurons for {graph.mesh.cells} cells"
    if graph.membrane.reservoirs.size != graph.mesh.reservoirs:
        yield f"membrane has {graph.membrane.reservoirs.size} reservoir values for {graph.mesh.reservoirs} reservoirs"
    if graph.flux.size != graph.mesh.faces:
        yield f"flux has {graph.flux.size} compartments for {graph.mesh.faces} faces"
    if not 1 <= graph.flux.threshold_exponent <= 30:
        yield f"flux threshold_exponent is {graph.flux.threshold_exponent}, it must be 1 to 30"
    if not 1 <= graph.flux.leak <= MEMORYLESS:
        yield f"flux leak is {graph.flux.leak}, it must be 1 to {MEMORYLESS}"
    for number, population in enumerate(graph.hidden, 1):
        if population.name != f"hidden{number}":
            yield f"hidden population {number} is called {population.name!r}"
        if not 0 <= population.shift <= 30:
            yield f"{population.name} shift is {population.shift}, it must be 0 to 30"
    if graph.window.lower > graph.window.upper:
        yield f"operating window is empty: {graph.window.lower} to {graph.window.upper}"


def _synapses(graph: IntegerGraph) -> Iterator[str]:
    chain = graph.chain
    links = {*zip(chain, chain[1:], strict=False), (FLUX, MEMBRANE)}
    names = [synapse.name for synapse in graph.synapses]
    if len(set(names)) != len(names):
        yield "two synapses have the same name"
    for synapse in graph.synapses:
        if (synapse.source, synapse.target) not in links:
            yield f"synapse {synapse.name} joins {synapse.source} and {synapse.target}, which the chain does not"
        else:
            yield from _one_synapse(graph, synapse)
    joined = {(synapse.source, synapse.target) for synapse in graph.synapses}
    for source, target in sorted(links - joined):
        yield f"no synapse joins {source} and {target}"


def _one_synapse(graph: IntegerGraph, synapse: Synapse) -> Iterator[str]:
    inputs, outputs = graph.size(synapse.source), graph.size(synapse.target)
    where = f"synapse {synapse.name}"
    starts = synapse.row_starts
    if synapse.inputs != inputs or synapse.outputs != outputs:
        yield f"{where} is {synapse.outputs} x {synapse.inputs} between populations of {outputs} and {inputs}"
        return
    if starts[0] != 0 or (np.diff(starts) < 0).any() or starts[-1] != synapse.entries:
        yield f"{where}: row_starts is not an ascending list from 0 to {synapse.entries}"
        return
    if synapse.columns.size != synapse.entries:
        yield f"{where} has {synapse.columns.size} columns for {synapse.entries} mantissas"
        return
    if synapse.entries and (synapse.columns.min() < 0 or synapse.columns.max() >= inputs):
        yield f"{where} has a column outside 0 to {inputs - 1}"
        return
    rows = np.repeat(np.arange(outputs), np.diff(starts))
    if ((np.diff(synapse.columns) <= 0) & (np.diff(rows) == 0)).any():
        yield f"{where}: columns are not strictly ascending within each row"
    if not -8 <= synapse.exponent <= 0:
        yield f"{where}: exponent is {synapse.exponent}, it must be -8 to 0"
    elif (synapse.mantissas % (1 << -synapse.exponent)).any():
        yield f"{where}: a mantissa is not a multiple of {1 << -synapse.exponent}, so its weight is no integer"


def _annotations(graph: IntegerGraph) -> Iterator[str]:
    if graph.period is not None and graph.period != len(graph.hidden) + 2:
        yield f"period is {graph.period}, {len(graph.hidden)} hidden layers need {len(graph.hidden) + 2}"
    for bound in graph.bounds:
        if bound.lower > bound.upper:
            yield f"bound of {bound.population} {bound.quantity} is empty"
        elif not 1 <= bound.bits <= 63:
            yield f"bound of {bound.population} {bound.quantity} declares {bound.bits} bits, it must be 1 to 63"
    if graph.placement is not None:
        yield from _placement(graph, graph.placement)


def _placement(graph: IntegerGraph, placement: Placement) -> Iterator[str]:
    for name in graph.chain:
        cores = placement.core.get(name)
        if cores is None or cores.size != graph.size(name):
            yield f"placement does not cover population {name}"
            return
        if cores.size and (cores.min() < 0 or cores.max() >= placement.cores):
            yield f"placement of {name} names a core outside 0 to {placement.cores - 1}"
    chip = placement.chip
    if chip.shape != (placement.cores,):
        yield f"placement has {placement.cores} cores and {chip.size} chip numbers"
    elif chip.min() < 0 or chip.max() >= placement.chips:
        yield f"placement names a chip outside 0 to {placement.chips - 1}"
    for use in UTILISATION:
        uses = placement.utilisation.get(use)
        if uses is None or uses.shape != (placement.cores,):
            yield f"placement does not say the {use} of each core"
    for synapse in graph.synapses:
        yield from _axons(placement, synapse.name, synapse.inputs)


def _axons(placement: Placement, name: str, inputs: int) -> Iterator[str]:
    runs = placement.axons.get(name)
    if runs is None or runs.ndim != 2 or runs.shape[1] != 3:
        yield f"placement has no axon table of synapse {name}"
        return
    first, length, core = runs.T
    if (first < 0).any() or (length < 1).any() or (first > inputs - length).any():
        yield f"axon table of {name} names a neuron outside 0 to {inputs - 1}"
    elif (core < 0).any() or (core >= placement.cores).any():
        yield f"axon table of {name} names a core outside 0 to {placement.cores - 1}"
    elif ((np.diff(core) < 0) | ((np.diff(core) == 0) & (first[1:] < first[:-1] + length[:-1]))).any():
        yield f"axon table of {name} is not sorted by core and neuron, or names a neuron twice"

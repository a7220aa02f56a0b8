"""Requirements on what runs and audits look up by name, which every graph must meet.

Backends, kernels and the audit find a channel's current, packet and residue by name, and a limiter reads the masses at
both ends of a channel. Channels may send their residues to the port `LOW` of their own population. If these names meant
something else, backends and the reference would disagree. Between holders and channels no population keeps a state but
a clock, whose count is known for every PDE step. A graph of a flux network has one field and one population of
channels, whose names are `MEMBRANE` and `FLUX`, and whose channels are the faces of the mesh.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pisnn_deploy.core.rows import from_triplets
from pisnn_deploy.graph.connections import Ends
from pisnn_deploy.graph.fields import Channels
from pisnn_deploy.graph.integer import FLUX, MEMBRANE, IntegerGraph, Integers
from pisnn_deploy.graph.synapse import ARRIVAL, Synapse, effective
from pisnn_deploy.programs import Program
from pisnn_deploy.programs.neurons import LOW

CURRENT, PACKET, RESIDUE = "current", "packet", "residue"
"""Values of a channel's program that runs and audits look up by name."""
SOURCE_MASS, TARGET_MASS = "source_mass", "target_mass"
"""Ports of a channel that bring the masses at its ends."""


def is_of_one_field(graph: IntegerGraph) -> bool:
    """Whether a graph has one field and one population of channels, under the names of graphs of a flux network."""
    return graph.holders == (MEMBRANE,) and [channels.population for channels in graph.channels] == [FLUX]


def contract_defects(graph: IntegerGraph) -> Iterator[str]:
    """Violations of this contract, a sentence each.

    Parameters
    ----------
    graph : IntegerGraph
        Graph whose populations and synapses fit together.
    """
    if is_of_one_field(graph):
        yield from _ends(graph)
    elif graph.has_flux_network:
        yield f"a flux network needs one field with holders {MEMBRANE}, and channels {FLUX}"
    if not graph.channels:
        yield "no channel carries mass"
    for channels in graph.channels:
        yield from _channels(graph, channels)
    for field in graph.fields:
        if not field.ledgers and field.reservoirs.size not in (0, graph.mesh.reservoirs):
            yield f"field {field.name}: {field.reservoirs.size} reservoirs have no ledger with a name"
    for population in graph.between_fields:
        if population.program.states and population.clock is None:
            yield f"{population.name} is neither holder nor channel, but its program has states and is no clock"
        if not any(synapse.source == population.name for synapse in graph.synapses):
            yield f"{population.name} sends to no other population"
    for population in graph.populations:
        started = [state for state, values in population.start.items() if values.any()]
        if population.name not in graph.holders and started:
            yield f"{population.name}: {started[0]} does not start at 0, where runs start it"


def _ends(graph: IntegerGraph) -> Iterator[str]:
    """Channels must be the faces of the mesh, because kernels assume so."""
    (channels,), mesh, (field,) = graph.channels, graph.mesh, graph.fields
    if field.size != mesh.holders:
        yield f"field {field.name} has {field.size - field.cells} reservoirs, the mesh {mesh.holders - mesh.cells}"
    elif not (_same(channels.source, mesh.source) and _same(channels.target, mesh.target)):
        yield f"channels of {FLUX} do not join the holders on both sides of each mesh face"


def _same(ours: Integers, theirs: Integers) -> bool:
    return ours is theirs or np.array_equal(ours, theirs)


def _channels(graph: IntegerGraph, channels: Channels) -> Iterator[str]:
    name, program = channels.population, graph.population(channels.population).program
    yield from (f"{name}: {defect}" for defect in _names(program))
    for port in program.ports:
        if port in (SOURCE_MASS, TARGET_MASS):
            yield from _masses(graph, channels, port)
        elif port == LOW:
            if any((synapse.source, synapse.output) != (name, 1) for synapse in graph.into(name, LOW)):
                yield f"{name}: port {LOW} must receive the residues of {name}, and nothing else"
        elif port != ARRIVAL:
            yield f"{name}: the program of channels has a port {port}; runs know {ARRIVAL} and the masses at both ends"
    holders = {channels.source_holder, channels.target_holder}
    ends = ((synapse.target, synapse.port) for synapse in graph.synapses if synapse.source == name)
    if any(target not in holders and (target, port) != (name, LOW) for target, port in ends):
        yield f"{name} sends to populations other than {' and '.join(sorted(holders))}"
    if graph.population(name).is_late and not is_of_one_field(graph):
        yield f"{name}: what arrives takes effect one step late, which only a flux network of stock processes may do"


def _names(program: Program) -> Iterator[str]:
    """Each name must belong to the value that the channel really uses, not to a decoy."""
    results = {result: operation for operation in program.operations for result in operation.results}
    if LOW in program.ports and program.sends != (PACKET, RESIDUE):
        yield f"the program of channels that see residues must send its {PACKET} and its {RESIDUE}"
    elif (LOW not in program.ports and program.sends != (PACKET,)) or PACKET not in results:
        yield f"the program of channels must send one value that it computes, named {PACKET}"
    if not 1 <= len(program.states) <= 2:
        yield f"the program of channels has {len(program.states)} states; 1 or 2 are supported"
        return
    if program.after[-1] != RESIDUE or RESIDUE not in results:
        yield f"the last state of channels must become a value that the program computes, named {RESIDUE}"
        return
    kept = program.states[:-1]
    if CURRENT not in (*results, *kept):
        yield f"the program of channels computes no value named {CURRENT}"
    elif kept and CURRENT not in (kept[0], program.after[0]):
        yield f"the first of two states of channels must be, or become, the value named {CURRENT}"
    elif not any(
        operation.name == "add"
        and sorted(map(str, operation.values)) == sorted((CURRENT, program.states[-1]))
        and _made_of(program, RESIDUE).issuperset(operation.results)
        for operation in program.operations
    ):
        yield f"the value named {CURRENT} is not what the program of channels adds to {program.states[-1]}"


def _made_of(program: Program, value: str) -> set[str]:
    """Names of all values that a value depends on."""
    needed = {value}
    for operation in reversed(program.operations):
        if needed.intersection(operation.results):
            needed.update(operand for operand in operation.values if isinstance(operand, str))
    return needed


def _masses(graph: IntegerGraph, channels: Channels, port: str) -> Iterator[str]:
    holder, number = (
        (channels.source_holder, channels.source) if port == SOURCE_MASS else (channels.target_holder, channels.target)
    )
    synapses = [*graph.into(channels.population, port)]
    if len(synapses) != 1 or not _brings(graph, synapses[0], holder, number):
        yield f"port {port} of {channels.population} must receive the mass at that end of each face, and nothing else"


def _brings(graph: IntegerGraph, synapse: Synapse, population: str, holder: Integers) -> bool:
    """Whether a synapse brings each channel the mass of the cell at one end, and nothing from reservoirs."""
    cells, connections = graph.mesh.cells, synapse.connections
    if (synapse.source, synapse.output) != (population, 0):
        return False
    if isinstance(connections, Ends):
        weights = effective(np.array([connections.value], np.int64), synapse.exponent)
        return connections.cells == cells and _same(connections.holder, holder) and weights.tolist() == [1]
    cell = np.flatnonzero(holder < cells)
    expected = from_triplets(cell, holder[cell], np.ones(cell.size, np.int64), (synapse.outputs, synapse.inputs))
    return not (synapse.matrix() - expected).entries

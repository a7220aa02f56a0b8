"""Extra requirements for graphs with one field, on which runs and audits rely.

Backends, kernels and the audit find a channel's current, packet and residue by name, and a limiter reads the masses at
the ends of the mesh's faces. If these names meant something else, backends and the reference would disagree.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pisnn_deploy.core.rows import from_triplets
from pisnn_deploy.graph.connections import Ends
from pisnn_deploy.graph.integer import FLUX, MEMBRANE, IntegerGraph, Integers
from pisnn_deploy.graph.synapse import ARRIVAL, Synapse, effective
from pisnn_deploy.programs import Program

CURRENT, PACKET, RESIDUE = "current", "packet", "residue"
"""Values of a channel's program that runs and audits look up by name."""
SOURCE_MASS, TARGET_MASS = "source_mass", "target_mass"
"""Ports of a channel that bring the masses at its ends."""


def is_of_one_field(graph: IntegerGraph) -> bool:
    """Whether a graph has one field and one population of channels, under the names that runs expect."""
    return graph.holders == (MEMBRANE,) and [channels.population for channels in graph.channels] == [FLUX]


def contract_defects(graph: IntegerGraph) -> Iterator[str]:
    """Violations of this contract, a sentence each; none for graphs with several fields.

    Parameters
    ----------
    graph : IntegerGraph
        Graph whose populations and synapses fit together.
    """
    if not is_of_one_field(graph):
        return
    yield from _ends(graph)
    program = graph.sole_channels.program
    yield from (f"{FLUX}: {defect}" for defect in _names(program))
    for port in program.ports:
        if port in (SOURCE_MASS, TARGET_MASS):
            yield from _masses(graph, port)
        elif port != ARRIVAL:
            yield f"{FLUX}: the program of channels has a port {port}; runs know {ARRIVAL} and the masses at both ends"
    for population in graph.between_fields:
        if population.program.states:
            yield f"{population.name} is neither holder nor channel, but its program has states"
        if not any(synapse.source == population.name for synapse in graph.synapses):
            yield f"{population.name} sends to no other population"
    for population in graph.populations:
        started = [state for state, values in population.start.items() if values.any()]
        if population.name != MEMBRANE and started:
            yield f"{population.name}: {started[0]} does not start at 0, where runs start it"


def _ends(graph: IntegerGraph) -> Iterator[str]:
    """Channels must be the faces of the mesh, because runs assume so."""
    (channels,), mesh, (field,) = graph.channels, graph.mesh, graph.fields
    if field.size != mesh.holders:
        yield f"field {field.name} has {field.size - field.cells} reservoirs, the mesh {mesh.holders - mesh.cells}"
    elif not (_same(channels.source, mesh.source) and _same(channels.target, mesh.target)):
        yield f"channels of {FLUX} do not join the holders on both sides of each mesh face"
    if any(synapse.source == FLUX and synapse.target != MEMBRANE for synapse in graph.synapses):
        yield f"{FLUX} sends to populations other than {MEMBRANE}"


def _same(ours: Integers, theirs: Integers) -> bool:
    return ours is theirs or np.array_equal(ours, theirs)


def _names(program: Program) -> Iterator[str]:
    """Each name must belong to the value that the channel really uses, not to a decoy."""
    results = {result: operation for operation in program.operations for result in operation.results}
    if program.sends != (PACKET,) or PACKET not in results:
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


def _masses(graph: IntegerGraph, port: str) -> Iterator[str]:
    holder = graph.mesh.source if port == SOURCE_MASS else graph.mesh.target
    synapses = [*graph.into(FLUX, port)]
    if len(synapses) != 1 or not _brings(graph, synapses[0], holder):
        yield f"port {port} of {FLUX} must receive the mass at that end of each face, and nothing else"


def _brings(graph: IntegerGraph, synapse: Synapse, holder: Integers) -> bool:
    """Whether a synapse brings each channel the mass of the cell at one end, and nothing from reservoirs."""
    cells, connections = graph.mesh.cells, synapse.connections
    if (synapse.source, synapse.output) != (MEMBRANE, 0):
        return False
    if isinstance(connections, Ends):
        weights = effective(np.array([connections.value], np.int64), synapse.exponent)
        return connections.cells == cells and _same(connections.holder, holder) and weights.tolist() == [1]
    cell = np.flatnonzero(holder < cells)
    expected = from_triplets(cell, holder[cell], np.ones(cell.size, np.int64), (synapse.outputs, synapse.inputs))
    return not (synapse.matrix() - expected).entries

"""Requirements on what runs and audits look up by name, which every graph must meet.

Backends, kernels and the audit find a channel's current, packet and residue by name, know what the channels of a
limiter ask and hear, and the ports at which any channel may hear the masses at its ends. Channels may send their
residues to the port `LOW` of their own population. If these names meant something else, backends and the reference
would disagree. Between holders and channels no population keeps a state but a clock, whose count is known for every
PDE step. A graph of a flux network has one field and one population of channels, whose names are `MEMBRANE` and `FLUX`,
and whose channels are the faces of the mesh.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pisnn_deploy.graph.connections import Ends
from pisnn_deploy.graph.fields import Channels
from pisnn_deploy.graph.integer import FLUX, MEMBRANE, IntegerGraph, Integers
from pisnn_deploy.graph.limiter import (
    ASKS,
    EXPONENT,
    FULL_PORTS,
    LIMITER_PORTS,
    SHORT_PORTS,
    SOURCE_MASS,
    TARGET_MASS,
    UNIT,
    ChannelEnds,
    Joined,
    answer_to,
    limiter_synapses,
)
from pisnn_deploy.graph.synapse import ARRIVAL, Synapse
from pisnn_deploy.programs import Program
from pisnn_deploy.programs.neurons import LOW

CURRENT, PACKET, RESIDUE = "current", "packet", "residue"
"""Values of a channel's program that runs and audits look up by name."""


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
    for population in (*graph.between_fields, *map(graph.population, graph.order.answers)):
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
    unknown = [port for port in program.ports if port not in (ARRIVAL, LOW, *LIMITER_PORTS)]
    for port in unknown:
        yield f"{name}: the program of channels has a port {port}; runs know {ARRIVAL} and the masses at both ends"
    if any((synapse.source, synapse.output) != (name, 1) for synapse in graph.into(name, LOW)):
        yield f"{name}: port {LOW} must receive the residues of {name}, and nothing else"
    if not unknown and set(program.ports) & set(LIMITER_PORTS):
        yield from _limiter(graph, channels)
    others = {channels.source_holder, channels.target_holder, *graph.order.answers}
    ends = ((synapse.target, synapse.port) for synapse in graph.synapses if synapse.source == name)
    if any(target not in others and (target, port) != (name, LOW) for target, port in ends):
        yield f"{name} sends to populations other than {' and '.join(sorted(others))}"
    if graph.population(name).is_late and not is_of_one_field(graph):
        yield f"{name}: what arrives takes effect one step late, which only a flux network of stock processes may do"


def _names(program: Program) -> Iterator[str]:
    """Each name must belong to the value that the channel really uses, not to a decoy."""
    results = {result: operation for operation in program.operations for result in operation.results}
    sees = LOW in program.ports
    if sees and program.sends != (PACKET, RESIDUE):
        yield f"the program of channels that see residues must send its {PACKET} and its {RESIDUE}"
    elif program.sends[:1] != (PACKET,) or PACKET not in results or not (sees or set(program.sends[1:]) <= {*ASKS}):
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


def _limiter(graph: IntegerGraph, channels: Channels) -> Iterator[str]:
    """What channels with a limiter hear and send must be what their ends say, and cells must answer as expected."""
    population = graph.population(channels.population)
    name, program = population.name, population.program
    heard = {port: [*graph.into(name, port)] for port in program.ports if port in LIMITER_PORTS}
    wrong = [port for port in (SOURCE_MASS, TARGET_MASS) if port in heard and not _brings(graph, channels, port)]
    for port in wrong:
        yield f"port {port} of {name} must receive the mass at that end of each face, and nothing else"
    if wrong or {*heard} <= {SOURCE_MASS, TARGET_MASS}:
        return
    answers = {synapse.source for port in (*SHORT_PORTS, *FULL_PORTS) for synapse in heard.get(port, ())}
    if channels.source_holder != channels.target_holder:
        yield f"{name} has a limiter, but joins {channels.source_holder} and {channels.target_holder}"
    elif len(answers) != 1 or not answers <= {*graph.order.answers}:
        yield f"{name} must hear the answers of one population, which it asks"
    elif graph.population(*answers).program != answer_to(program):
        yield f"{min(answers)} does not run the program that answers {name}"
    elif name not in graph.order.asking or set(program.ports) & set(FULL_PORTS) not in (set(), set(FULL_PORTS)):
        yield f"{name} has the ports of a limiter, but does not ask"
    else:
        yield from _limiter_synapses(graph, channels, *answers)


def _brings(graph: IntegerGraph, channels: Channels, port: str) -> bool:
    """Whether a port brings each channel the mass of the cell at one end, and nothing else."""
    synapses, is_source = [*graph.into(channels.population, port)], port == SOURCE_MASS
    holder = channels.source_holder if is_source else channels.target_holder
    field, ends = graph.field_of(holder), channels.source if is_source else channels.target
    expected = Synapse("", holder, channels.population, Ends(ends, field.cells, field.size, UNIT), EXPONENT, port)
    if len(synapses) != 1 or (synapses[0].source, synapses[0].output) != (holder, 0):
        return False
    return _alike(synapses[0], expected)


def _limiter_synapses(graph: IntegerGraph, channels: Channels, answers: str) -> Iterator[str]:
    name, field = channels.population, graph.field_of(channels.source_holder)
    ends = ChannelEnds(channels.source, channels.target, field.cells, field.size)
    joined = Joined(channels.source_holder, name, answers)
    expected = limiter_synapses(ends, graph.population(name).program, joined)
    ours = [s for s in graph.synapses if s.target == answers or (s.target == name and s.port in LIMITER_PORTS)]
    if len(ours) != len(expected) or any(s.source == answers and s.target != name for s in graph.synapses):
        yield f"{len(ours)} synapses join {name} and {answers}; a limiter has {len(expected)}"
        return
    by_place = {(s.source, s.output, s.target, s.port): s for s in ours}
    for synapse in expected:
        stored = by_place.get((synapse.source, synapse.output, synapse.target, synapse.port))
        if stored is None or not _alike(stored, synapse):
            yield (
                f"port {synapse.port} of {synapse.target} must receive value {synapse.output} of {synapse.source} from "
                "the ends of the channels, and nothing else"
            )


def _alike(stored: Synapse, expected: Synapse) -> bool:
    """Whether two synapses have the same weights."""
    ours, theirs = stored.connections, expected.connections
    if stored.exponent == expected.exponent and type(ours) is type(theirs):
        pairs = [(value, getattr(theirs, name)) for name, value in vars(ours).items() if name in vars(theirs)]
        if all(_same(*pair) if isinstance(pair[0], np.ndarray) else pair[0] == pair[1] for pair in pairs):
            return True
    return not (stored.matrix() - expected.matrix()).entries

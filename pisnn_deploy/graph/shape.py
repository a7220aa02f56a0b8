"""Requirements on the populations, fields, channels and synapses of every integer graph, whatever their programs.

Conservation rests on the shape of a graph alone: a holder's program only adds what arrives, nothing but packets
arrives at it, and a channel's packet goes to both of its ends with -1 and +1 (`route_defects`). So no other program,
however wrong, can lose mass.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.connected import connected_sets
from pisnn_deploy.core.rows import Rows, added, from_triplets
from pisnn_deploy.graph.connections import Incidence
from pisnn_deploy.graph.fields import Channels, Field
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.populations import CycleError, Population
from pisnn_deploy.graph.synapse import Synapse, effective, truncated

Integers = NDArray[np.int64]

MOST_POPULATIONS = 64
MOST_LINES = 32
LARGEST_NUMBER = 2**53
"""Largest mass, reservoir value or parameter, so that sums over a window cannot wrap."""
LARGEST_SHIFT = 30
"""Largest shift of a program in bits; exact products with more would not fit 64 bits."""


def shape_defects(graph: IntegerGraph) -> Iterator[str]:
    """Defects of populations, fields, channels and their connections, a sentence each."""
    names = [population.name for population in graph.populations]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice or len(names) > MOST_POPULATIONS:
        yield f"{len(names)} populations, {len(twice)} duplicate names; at most {MOST_POPULATIONS} are supported"
        return
    for population in graph.populations:
        yield from _population(population)
    unknown = [
        *(
            f"field {field.name}: there is no population {field.holder}"
            for field in graph.fields
            if field.holder not in names
        ),
        *(defect for channels in graph.channels for defect in _unknown(graph, channels)),
        *(defect for synapse in graph.synapses for defect in _unknown_ends(graph, synapse)),
    ]
    yield from unknown
    if unknown:
        return
    if len(set(graph.holders)) != len(graph.fields) or len({field.name for field in graph.fields}) != len(graph.fields):
        yield "two fields have the same name or the same holders"
    for field in graph.fields:
        yield from _field(graph, field)
    for channels in graph.channels:
        yield from _channels(graph, channels)
    yield from _wiring(graph)
    yield from _order(graph)


def _population(population: Population) -> Iterator[str]:
    name, program = population.name, population.program
    if set(population.parameters) != set(program.parameters):
        expected = ", ".join(program.parameters) or "none"
        yield f"{name} has the parameters {', '.join(population.parameters) or 'none'}, its program expects {expected}"
    if not set(population.start) <= set(program.states):
        states = ", ".join(program.states) or "no state"
        yield f"{name} has start values for {', '.join(population.start)}, its program has {states}"
    for what, arrays in (("start of", population.start), ("parameter", population.parameters)):
        for value, array in arrays.items():
            if array.shape != (population.size,):
                yield f"{name} has {array.size} numbers as {value} for {population.size} neurons"
            elif array.size and not -LARGEST_NUMBER <= array.min() <= array.max() <= LARGEST_NUMBER:
                neuron = int(np.argmax((array < -LARGEST_NUMBER) | (array > LARGEST_NUMBER)))
                yield f"{name}: the {what} {value} of neuron {neuron} is {int(array[neuron])}, beyond 2^53"
    for operation in program.operations:
        if operation.signature.has_shift and int(operation.operands[-1]) > LARGEST_SHIFT:
            yield f"{name}: {operation} shifts by {operation.operands[-1]} bits; at most {LARGEST_SHIFT} are supported"
    if not 0 <= population.lines <= MOST_LINES:
        yield f"{name} has {population.lines} lines; 0 to {MOST_LINES} are supported"


def _unknown(graph: IntegerGraph, channels: Channels) -> Iterator[str]:
    where = f"channels of {channels.population}"
    if channels.population not in graph.chain:
        yield f"{where}: there is no such population"
    elif not 0 <= channels.output < len(graph.population(channels.population).program.sends):
        yield f"{where}: its program sends no value number {channels.output}"
    for holder in {channels.source_holder, channels.target_holder}:
        if holder not in graph.holders:
            yield f"{where}: {holder} holds no field"


def _unknown_ends(graph: IntegerGraph, synapse: Synapse) -> Iterator[str]:
    where = f"synapse {synapse.name}"
    for end in (synapse.source, synapse.target):
        if end not in graph.chain:
            yield f"{where}: there is no population {end}"
            return
    source, target = graph.population(synapse.source), graph.population(synapse.target)
    if not 0 <= synapse.output < len(source.program.sends):
        yield f"{where}: the program of {source.name} sends no value number {synapse.output}"
    if synapse.port not in target.program.ports:
        yield f"{where}: the program of {target.name} has no port {synapse.port}"
    if (
        source is target
        and 0 <= synapse.output < len(source.program.sends)
        and source.state_sent(synapse.output) is None
    ):
        yield f"{where}: a population hears of itself only what becomes a state"
    if synapse.inputs != source.size or synapse.outputs != target.size:
        yield f"{where} is {synapse.outputs} x {synapse.inputs} between populations of {target.size} and {source.size}"


def _field(graph: IntegerGraph, field: Field) -> Iterator[str]:
    holders, where = graph.population(field.holder), f"field {field.name}"
    if not holders.only_adds:
        yield f"{where}: the program of {holders.name} must only add what arrives to one state"
    if field.cells != graph.mesh.cells:
        yield f"{where} has {field.cells} cells, the mesh {graph.mesh.cells}"
    if holders.size != field.size:
        parts = f"{field.cells} cells and {field.reservoirs.size} reservoirs"
        yield f"{holders.name} has {holders.size} neurons for {parts}"
    if field.held.shape != field.reservoirs.shape or not np.isfinite(field.held).all():
        yield f"{where}: held is not a finite number for each reservoir"
    if (
        field.reservoirs.size
        and not -LARGEST_NUMBER <= field.reservoirs.min() <= field.reservoirs.max() <= LARGEST_NUMBER
    ):
        yield f"{where}: reservoirs holds a number beyond 2^53"
    volumes = field.inverse_volume
    if not 1 <= volumes.min(initial=1) <= volumes.max(initial=1) < 1 << 31:
        yield f"{where}: inverse_volume is not a positive number of at most 31 bits for each cell"
    named = sum(ledger.reservoirs for ledger in field.ledgers)
    if field.ledgers and named != field.reservoirs.size:
        yield f"{where}: its ledgers name {named} reservoirs, it has {field.reservoirs.size}"
    if len({ledger.name for ledger in field.ledgers}) != len(field.ledgers):
        yield f"{where}: two ledgers have the same name"
    for name, size in (("quantum", field.quantum), ("unit_volume", field.unit_volume)):
        if not 0 < size < math.inf:
            yield f"{where}: {name} is {size}, it must be positive"
    if field.window.lower > field.window.upper:
        yield f"operating window is empty: {field.window.lower} to {field.window.upper}"
    for start in holders.start.values():
        if start.size == field.size and not field.holds_alike:
            # In float64, where a product of two numbers cannot wrap.
            levels = start[: field.cells].astype(np.float64) * volumes.astype(np.float64)
            if levels.size and not -LARGEST_NUMBER <= levels.min() <= levels.max() <= LARGEST_NUMBER:
                yield f"{holders.name} start times inverse_volume goes beyond 2^53"
        if start[field.cells :].any():
            yield f"{holders.name}: a ledger does not start at 0"


def _channels(graph: IntegerGraph, channels: Channels) -> Iterator[str]:
    where, size = f"channels of {channels.population}", graph.population(channels.population).size
    if channels.population in graph.holders:
        yield f"{where}: it holds mass itself"
    for holder, numbers, _ in channels.ends:
        if numbers.shape != (size,):
            yield f"{where}: {numbers.size} of {size} neurons have an end at {holder}"
        elif numbers.size and not 0 <= numbers.min() <= numbers.max() < graph.population(holder).size:
            yield f"{where}: an end is not a neuron of {holder}"


def _wiring(graph: IntegerGraph) -> Iterator[str]:
    """Holders must receive packets and nothing else, and every port must receive something."""
    ends = {(c.population, c.output, holder) for c in graph.channels for holder, _, _ in c.ends}
    if len({(c.population, c.output) for c in graph.channels}) != len(graph.channels):
        yield "two sets of channels have the same packets"
    routes = {(s.source, s.output, s.target) for s in graph.synapses if s.target in graph.holders}
    for source, output, target in sorted(routes - ends):
        yield f"value {output} of {source} is sent to {target}, but is not a packet of a channel that ends there"
    for source, _, target in sorted(ends - routes):
        yield f"no synapse joins {source} and {target}"
    heard = {(synapse.target, synapse.port) for synapse in graph.synapses}
    for population in graph.populations:
        for port in population.program.ports:
            if (population.name, port) not in heard and population.name not in graph.holders:
                yield f"no synapse leads to port {port} of {population.name}"


def _order(graph: IntegerGraph) -> Iterator[str]:
    try:
        depths = graph.depths
    except CycleError as error:
        yield f"{error} depends on its own output: populations form a cycle"
        return
    if list(depths) != list(graph.chain):
        yield f"populations are listed as {', '.join(graph.chain)}; the order of their synapses is {', '.join(depths)}"


def incidence(graph: IntegerGraph, channels: Channels, holder: str) -> Rows:
    """Incidence of channels: -1 at the holder that a packet leaves, +1 at the one that it enters.

    Parameters
    ----------
    holder : str
        Population of holders.

    Returns
    -------
    Rows, int64 [holders, channels]
        -1 where a channel takes mass, 1 where it brings mass.
    """
    number = np.arange(channels.size, dtype=np.int64)
    shape = graph.population(holder).size, channels.size
    return added(
        (
            from_triplets(ends, number, np.full(channels.size, sign, np.int64), shape)
            for name, ends, sign in channels.ends
            if name == holder
        ),
        shape,
    )


def route_defects(graph: IntegerGraph) -> Iterator[str]:
    """Channels whose packets miss one of their ends, by the effective weights of the stored synapses.

    Parameters
    ----------
    graph : IntegerGraph
        Well formed.
    """
    for channels in graph.channels:
        for holder in sorted({channels.source_holder, channels.target_holder}):
            off = -incidence(graph, channels, holder)
            for synapse in graph.into(holder):
                if (synapse.source, synapse.output) == (channels.population, channels.output):
                    off = off + synapse.matrix()
            wrong = off.without_zeros().columns
            if wrong.size:
                packet = f"a packet of {channels.population} [{wrong.min()}]"
                yield f"{packet} does not reach each of its ends in {holder} exactly once"


def is_incidence(graph: IntegerGraph, *, with_loops: bool = False) -> bool:
    """Whether the route of a graph of one field is one rule for all faces, which carries a quantum as a quantum.

    Checks the route as targets store it. Then its ends are those of the mesh, and no weights need to be expanded.

    Parameters
    ----------
    graph : IntegerGraph
        At least quantised.
    with_loops : bool
        Whether faces from a cell to itself, which carry nothing, are taken.
    """
    routes = [s for s in graph.into(graph.sole_field.holder) if s.source == graph.sole_channels.name]
    if len(routes) != 1 or not isinstance(routes[0].connections, Incidence):
        return False
    route, mesh = routes[0].connections, graph.mesh
    ends = ((route.source, mesh.source), (route.target, mesh.target))
    if route.holders != mesh.holders or not all(
        ours is theirs or np.array_equal(ours, theirs) for ours, theirs in ends
    ):
        return False
    if not with_loops and (mesh.source == mesh.target).any():
        return False
    mantissas = truncated(np.array([route.value, -route.value], np.int64))
    return np.array_equal(effective(mantissas, routes[0].exponent), [1, -1])


def joined(graph: IntegerGraph) -> dict[str, Integers]:
    """Connected sets of holders; the total mass of each set never changes (I1).

    Returns
    -------
    dict of str to int64 array [holders]
        For each population of holders the number of the set that each of its neurons belongs to, from 0 on.
    """
    firsts, total = {}, 0
    for field in graph.fields:
        firsts[field.holder] = total
        total += field.size
    nothing: list[Integers] = [np.zeros(0, np.int64)]
    source = np.concatenate(nothing + [firsts[c.source_holder] + c.source for c in graph.channels])
    target = np.concatenate(nothing + [firsts[c.target_holder] + c.target for c in graph.channels])
    labels = connected_sets(total, source, target)
    return {f.holder: labels[firsts[f.holder] : firsts[f.holder] + f.size] for f in graph.fields}

"""Check of conservation. It depends only on the shape of the graph, not on the programs of the other neurons.

The program of a holder adds its input to one state and does nothing else, its only input are packets of channels, and
each packet leaves one holder and enters another with the weights that the target stores.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pisnn_deploy.core.rows import from_triplets
from pisnn_deploy.graph import Claim, IntegerGraph
from pisnn_deploy.graph.fields import Channels, Field
from pisnn_deploy.verify.programs import Node, Reading, read
from pisnn_deploy.verify.ranges import declared_bits
from pisnn_deploy.verify.stored import summed


def conservation(graph: IntegerGraph, claim: Claim) -> Iterator[str]:
    """Yield errors in the claim that no quantum of mass is lost.

    Parameters
    ----------
    graph : IntegerGraph
        A well-formed graph.
    """
    for field in graph.fields:
        if not only_adds(read(str(graph.population(field.holder).program))):
            yield f"{field.holder} does more than add its input to one state, so it may lose mass"
    packets = {(c.population, c.output, holder) for c in graph.channels for holder, _, _ in c.ends}
    for synapse in graph.synapses:
        if synapse.target in graph.holders and (synapse.source, synapse.output, synapse.target) not in packets:
            yield f"synapse {synapse.name} sends {synapse.target} something other than packets of its channels"
    for channels in graph.channels:
        yield from _route(graph, channels)
    yield from _sets(graph, claim) if graph.spec.equation == "law" else _ledgers(graph, claim)


def only_adds(reading: Reading) -> bool:
    """Whether a program adds its input to its only state, sends the sum, and does nothing else."""
    if len(reading.ports) != 1 or len(reading.states) != 1 or len(reading.sends) != 1 or reading.parameters:
        return False
    ends = {reading.names[reading.ports[0]], reading.names[reading.states[0]]}
    (total,) = reading.sends
    node = reading.nodes[total]
    return node == Node("add", node.values) and {*node.values} == ends and reading.after[reading.states[0]] == total


def _route(graph: IntegerGraph, channels: Channels) -> Iterator[str]:
    mesh = graph.mesh
    if graph.operator or graph.materials is not None:
        differ = (channels.source != mesh.source) | (channels.target != mesh.target)
        if differ.any():
            yield f"the ends of face {int(np.argmax(differ))} differ from the mesh"
            return
    number = np.arange(channels.source.size)
    for holder in sorted({name for name, _, _ in channels.ends}):
        into = [s for s in graph.into(holder) if (s.source, s.output) == (channels.population, channels.output)]
        shape = (graph.size(holder), number.size)
        wrong = summed(into, shape)
        for name, ends, sign in channels.ends:
            if name == holder:
                wrong = wrong - from_triplets(ends, number, np.full(number.size, sign, np.int64), shape)
        if wrong.entries and graph.spec.equation == "law":
            yield f"the stored route of {channels.population} [{wrong.columns.min()}] differs from its ends in {holder}"
        elif wrong.entries:
            yield f"the stored route of face {wrong.columns.min()} differs from the mesh"


def _ledgers(graph: IntegerGraph, claim: Claim) -> Iterator[str]:
    """Check the claim on how many PDE steps ledgers last."""
    mesh = graph.mesh
    figures = {"faces": mesh.faces, "reservoirs": mesh.reservoirs}
    if mesh.reservoirs:
        population = graph.sole_channels
        quantity = population.quantity(population.program.sends[graph.channels[0].output])
        packets = [b for b in graph.bounds if (b.population, b.quantity) == (population.name, quantity)]
        packet = max((max(-b.lower, b.upper) for b in packets), default=1 << 62)
        holder = graph.sole_field.holder
        lasts = ((1 << (declared_bits(graph, holder, "ledger") - 1)) - 1) // max(1, packet)
        figures["ledger_steps"] = min(lasts, int(claim.figures.get("ledger_steps", lasts + 1)))
        if claim.figures.get("ledger_steps", lasts + 1) > lasts:
            yield f"a ledger may wrap after {lasts} PDE steps, but the claim says more"
    if (claim.status, claim.method, dict(claim.figures)) != ("proved", "incidence", figures):
        yield "the claim differs from what the checker proved"


def _sets(graph: IntegerGraph, claim: Claim) -> Iterator[str]:
    """Check the claim on joined sets of holders, and on how many PDE steps their ledgers last."""
    figures: dict[str, float] = {
        "channels": sum(int(channels.source.size) for channels in graph.channels),
        "sets": joined_sets(graph),
        "reservoirs": sum(int(field.reservoirs.size) for field in graph.fields),
    }
    lasts = min((_lasting(graph, field) for field in graph.fields if field.reservoirs.size), default=None)
    if lasts is not None:
        claimed = claim.figures.get("ledger_steps", lasts + 1)
        figures["ledger_steps"] = min(lasts, claimed)
        if claimed > lasts:
            yield f"a ledger may wrap after {lasts} PDE steps, but the claim says more"
    if (claim.status, claim.method, dict(claim.figures)) != ("proved", "joined-holders", figures):
        yield "the claim differs from what the checker proved"


def _lasting(graph: IntegerGraph, field: Field) -> int:
    """PDE steps in which no ledger of a field can wrap."""
    packets = {(b.population, b.quantity): max(-b.lower, b.upper) for b in graph.bounds}
    most: dict[int, int] = {}
    for channels in graph.channels:
        packet = packets.get((channels.population, "packet"), 1 << 62)
        for holder, ends, _ in channels.ends:
            if holder == field.holder:
                numbers, counts = np.unique(ends[ends >= field.cells], return_counts=True)
                for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
                    most[number] = most.get(number, 0) + count * packet
    largest = (1 << (declared_bits(graph, field.holder, "ledger") - 1)) - 1
    return largest // max(1, *most.values(), 1)


def joined_sets(graph: IntegerGraph) -> int:
    """Number of sets of holders, of all fields, that channels join directly or through others."""
    first: dict[str, int] = {}
    for field in graph.fields:
        first[field.holder] = sum(graph.size(holder) for holder in first)
    parents = [*range(sum(graph.size(holder) for holder in first))]

    def root(number: int) -> int:
        while parents[number] != number:
            parents[number] = parents[parents[number]]
            number = parents[number]
        return number

    for channels in graph.channels:
        (source_holder, source, _), (target_holder, target, _) = channels.ends
        pairs = zip((first[source_holder] + source).tolist(), (first[target_holder] + target).tolist(), strict=True)
        for one_end, other_end in pairs:
            parents[root(one_end)] = root(other_end)
    return sum(parent == number for number, parent in enumerate(parents))

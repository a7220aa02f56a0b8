"""Interval analysis for the checker: population by population and row by row, in Python's integers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from pisnn_deploy.graph import IntegerGraph, Synapse
from pisnn_deploy.graph.populations import Population, faces, hidden_layers, membranes
from pisnn_deploy.verify.folding import Folding
from pisnn_deploy.verify.lines import distinct_faces, linear_change, most_faces, steepest
from pisnn_deploy.verify.programs import Reading, Span, Spans, Unbounded, read
from pisnn_deploy.verify.stored import Row, stored_rows

Spread = dict[tuple[str, str], Span]
"""Interval of each quantity of each population and synapse."""

UNDECLARED = {
    *("arrival", "mass_before", "current_before", "residue_before"),
    *("size", "kept_size", "kept", "fired", "is_sent", "raised", "next_current", "positive", "least", "lifted"),
    *("source_positive", "target_positive", "source_gives", "target_gives"),
}
"""Values of programs for which a graph declares no width: something else that is declared bounds them."""


def intervals(graph: IntegerGraph) -> Spread:
    """The interval of every quantity while the masses stay in the operating window.

    Parameters
    ----------
    graph : IntegerGraph
        Well formed, and laid out as its operator says.

    Raises
    ------
    Unbounded
        A value that grows without limit, or that no operating window allows.
    """
    holder, channels = membranes(graph), faces(graph)
    known: Spread = {(holder.name, "mass"): mass_interval(graph)}
    payloads: dict[str, Span] = {}
    for population, ranges in _populations(graph).items():
        known |= {(population, name): span for name, span in ranges.declared.items()}
        low, high = payloads[population] = _hull(ranges.sent.values())
        if population != channels.name and graph.coding == "delta":
            payloads[population] = low - high, high - low
    least, most = payloads[channels.name]
    change = _largest_change(graph, max(-least, most))
    payloads[holder.name] = (-change, change) if graph.coding == "delta" else known[holder.name, "mass"]
    known |= {(name, "payload"): payload for name, payload in payloads.items() if name != channels.name}
    if graph.mesh.reservoirs:
        ledger = (1 << (declared_bits(graph, holder.name, "ledger") - 1)) - 1
        known[holder.name, "ledger"] = -ledger, ledger
    for synapse in graph.synapses:
        known |= _synapse_intervals(synapse, payloads[synapse.source], _rounding(graph, synapse))
    return known


def mass_interval(graph: IntegerGraph) -> Span:
    """What a cell may hold: where volumes differ, a quantum more on either side of what the thinnest may."""
    window, volumes = graph.window, graph.sole_field.inverse_volume
    thinnest = int(volumes.min())
    if int(volumes.max()) == 1:
        return window.lower, window.upper
    return min(0, -(-window.lower // thinnest) - 1), max(0, window.upper // thinnest + 1)


@dataclass
class _Ranges:
    """Of a population: intervals of what is declared, and of what each of the neurons looked at sends."""

    declared: dict[str, Span] = field(default_factory=dict)
    sent: dict[int, Span] = field(default_factory=dict)


def _populations(graph: IntegerGraph) -> dict[str, _Ranges]:
    """Ranges of each population but the holders, in the order in which they answer."""
    order = (*hidden_layers(graph), faces(graph))
    known: dict[str, _Ranges] = {}
    folding, alike, volumes = Folding(graph), distinct_faces(graph), graph.sole_field.inverse_volume.tolist()
    for population in order:
        neurons = np.arange(population.size)
        if alike.size < graph.mesh.faces:
            # What repeats over faces is looked at beside those that differ alone.
            neurons = neurons.reshape(graph.mesh.faces, -1)[alike].reshape(-1)
        reading = read(str(population.program))
        inputs: dict[int, dict[str, Span]] = {n: dict.fromkeys(reading.ports, (0, 0)) for n in neurons.tolist()}
        for port, source, synapses in _into(graph, population):
            ranges = known.get(source)
            for (number, spans), row in zip(inputs.items(), stored_rows(synapses, neurons), strict=True):
                face = number * graph.mesh.faces // population.size
                part = _sum(row, ranges.sent) if ranges else _held(graph, folding, volumes, face, row)
                spans[port] = spans[port][0] + part[0], spans[port][1] + part[1]
        for number, spans in inputs.items():
            spans |= {name: (int(values[number]),) * 2 for name, values in population.parameters.items()}
        known[population.name] = _run(graph, population, reading, inputs)
    return known


def _into(graph: IntegerGraph, population: Population) -> Iterator[tuple[str, str, list[Synapse]]]:
    """Ports of a population, the populations that lead to them, and the synapses in between."""
    pairs: dict[tuple[str, str], list[Synapse]] = {}
    for synapse in graph.synapses:
        # What leads to a port that a program has not is heard by nobody.
        if synapse.target == population.name and synapse.port in population.program.ports:
            pairs.setdefault((synapse.port, synapse.source), []).append(synapse)
    yield from ((port, source, synapses) for (port, source), synapses in pairs.items())


def _run(
    graph: IntegerGraph, population: Population, reading: Reading, inputs: Mapping[int, dict[str, Span]]
) -> _Ranges:
    """What the program of a population makes of its inputs, neuron by neuron; those of equal inputs but once.

    Of channels, whose packets are heard by holders alone, those of equal parameters but once.
    """
    alone = population.name == faces(graph).name
    groups: dict[tuple[Span, ...], dict[str, Span]] = {}
    member: dict[int, tuple[Span, ...]] = {}
    for number, spans in inputs.items():
        key = tuple(span for name, span in spans.items() if not alone or name in reading.parameters)
        group = groups.setdefault(key, spans)
        groups[key] = {name: _hull((span, spans[name])) for name, span in group.items()}
        member[number] = key
    found = _Ranges()
    sent = {}
    for key, spans in groups.items():
        values = _spans(graph, reading, spans)
        for name, number in _declared(reading).items():
            quantity = population.quantity(name)
            span = values.of(number)
            found.declared[quantity] = _hull((found.declared.get(quantity, span), span))
        sent[key] = values.of(reading.sends[0])
    found.sent = {number: sent[key] for number, key in member.items()}
    return found


def _declared(reading: Reading) -> dict[str, int]:
    """Values that have a declared width, by name."""
    names = {
        name: number
        for name, number in reading.names.items()
        if name not in UNDECLARED and name not in reading.parameters
    }
    # Of what waits in a state before it counts, the width is declared as it arrives, too.
    if not reading.heard.intersection(reading.sends):
        waiting = [number for number in reading.after.values() if number in reading.heard]
        names |= {"drive": waiting[0]} if waiting else {}
    return names


def _spans(graph: IntegerGraph, reading: Reading, inputs: dict[str, Span]) -> Spans:
    """Intervals of the values of a program, within what the audit stops a run beyond."""
    limits: dict[int, Span] = {}
    if graph.window.current is not None:
        limit = -graph.window.current, graph.window.current
        numbers = {reading.names["current"]} if "current" in reading.names else set()
        states = [state for state, number in reading.after.items() if number in numbers or state == "current"]
        numbers |= {reading.after[state] for state in states}
        at_limit = Spans(reading, inputs | dict.fromkeys(states, limit))
        for number in numbers:
            node = reading.nodes[number]
            # What is added to something is the sum less that.
            for part, other in (node.values, node.values[::-1]) if node.name == "add" else ():
                low, high = at_limit.of(other)
                limits[part] = limit[0] - high, limit[1] - low
        limits |= dict.fromkeys(numbers, limit) | {reading.names[state]: limit for state in states}
    return Spans(reading, inputs, limits)


def _hull(spans: Iterable[Span]) -> Span:
    lows, highs = zip(*spans, strict=True)
    return min(lows), max(highs)


def _sum(row: Row, spans: Mapping[int, Span]) -> Span:
    products = [(weight * spans[column][0], weight * spans[column][1]) for column, weight in row.items()]
    return sum(min(ends) for ends in products), sum(max(ends) for ends in products)


def _held(graph: IntegerGraph, folding: Folding, volumes: list[int], face: int, row: Row) -> Span:
    """Interval of a weighted sum of masses: by the operating window, and by differences of neighbours."""
    window, low, high = graph.window, 0, 0
    for cell, weight in row.items():
        if cell >= len(volumes):
            raise Unbounded(f"ledger {cell - len(volumes)} is sent to a face, and nothing bounds it")
        ends = weight * window.lower, weight * window.upper
        low, high = low + min(ends) // volumes[cell], high - (-max(ends) // volumes[cell])
    if window.difference is None or graph.materials is not None:
        return low, high
    reach = steepest(graph, folding, face, row)
    return (low, high) if reach is None else (max(low, reach[0]), min(high, reach[1]))


def _largest_change(graph: IntegerGraph, packet: int) -> int:
    """Largest change of a cell in one PDE step: by the operating window, by its packets, or by ``D W``."""
    window, volumes = graph.window, graph.sole_field.inverse_volume
    spare = int(int(volumes.max()) > 1)
    change = min((window.upper - window.lower) // int(volumes.min()) + spare, most_faces(graph) * packet)
    linear = linear_change(graph)
    return change if linear is None else min(change, linear)


def _rounding(graph: IntegerGraph, synapse: Synapse) -> int:
    """What the target adds to the sum of a synapse alone before it counts, in units of its mantissas."""
    populations = {population.name: population for population in (*hidden_layers(graph), faces(graph))}
    if synapse.target not in populations:
        return 0
    reading = read(str(populations[synapse.target].program))
    port = reading.names.get(synapse.port)
    for node in reading.nodes:
        others = [reading.nodes[value] for value in node.values if value != port]
        if node.name == "add" and port in node.values and others and isinstance(others[0].extra, int):
            constant = others[0].extra if others[0].name == "constant" else 0
            return constant << -synapse.exponent if synapse.exponent < 0 else constant >> synapse.exponent
    return 0


def _synapse_intervals(synapse: Synapse, payload: Span, rounding: int) -> Spread:
    """Intervals of each product, and of every partial sum of the products of a row, whatever their order."""
    starts, mantissas = synapse.connections.distinct
    totals = [
        np.diff(np.concatenate([[0], np.cumsum(part)])[starts])
        for part in (np.maximum(mantissas, 0), np.maximum(-mantissas, 0))
    ]
    rows = set(zip(*(total.reshape(-1).tolist() for total in totals), strict=True)) or {(0, 0)}
    least, most = min(*payload, 0), max(*payload, 0)
    low = min(up * least - down * most for up, down in rows)
    high = max(up * most - down * least for up, down in rows)
    ends = [m * p for m in (int(mantissas.min(initial=0)), int(mantissas.max(initial=0))) for p in payload]
    return {
        (synapse.name, "product"): (min(ends), max(ends)),
        (synapse.name, "accumulator"): (min(low, 0), max(high, 0) + rounding),
    }


def declared_bits(graph: IntegerGraph, population: str, quantity: str) -> int:
    """Width that the graph declares for a quantity; 1 without any."""
    return next((b.bits for b in graph.bounds if (b.population, b.quantity) == (population, quantity)), 1)

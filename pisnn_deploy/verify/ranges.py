"""Interval analysis for the checker: population by population and row by row, in Python's integers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from pisnn_deploy.graph import IntegerGraph, Synapse
from pisnn_deploy.graph.fields import Field
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.verify.folding import Folding
from pisnn_deploy.verify.lines import distinct_faces, linear_change, steepest
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
    known: Spread = {}
    payloads: dict[tuple[str, int], Span] = {}
    packets = {(channels.population, channels.output) for channels in graph.channels}
    for name, ranges in _populations(graph).items():
        known |= {(name, quantity): span for quantity, span in ranges.declared.items()}
        for output, spans in enumerate(zip(*ranges.sent.values(), strict=True)):
            low, high = _hull(spans)
            is_change = graph.coding == "delta" and (name, output) not in packets
            payloads[name, output] = (low - high, high - low) if is_change else (low, high)
    for held in graph.fields:
        known[held.holder, "mass"] = payloads[held.holder, 0] = mass_interval(held)
        if graph.coding == "delta":
            change = _largest_change(graph, held, payloads)
            payloads[held.holder, 0] = -change, change
        if held.reservoirs.size:
            ledger = (1 << (declared_bits(graph, held.holder, "ledger") - 1)) - 1
            known[held.holder, "ledger"] = -ledger, ledger
    for population in graph.populations:
        heard = {s.output for s in graph.synapses if s.source == population.name and s.target not in graph.holders}
        is_packet = any(name == population.name for name, _ in packets)
        wanted = heard or (set() if is_packet else {0})
        if wanted:
            known[population.name, "payload"] = _hull(payloads[population.name, output] for output in wanted)
    for synapse in graph.synapses:
        known |= _synapse_intervals(synapse, payloads[synapse.source, synapse.output], _rounding(graph, synapse))
    return known


def mass_interval(held: Field) -> Span:
    """What a cell may hold: where volumes differ, a quantum more on either side of what the thinnest may."""
    window, thinnest = held.window, int(held.inverse_volume.min())
    if int(held.inverse_volume.max()) == 1:
        return window.lower, window.upper
    return min(0, -(-window.lower // thinnest) - 1), max(0, window.upper // thinnest + 1)


@dataclass
class _Ranges:
    """Of a population: intervals of what is declared, and of all that each of the neurons looked at sends."""

    declared: dict[str, Span] = field(default_factory=dict)
    sent: dict[int, tuple[Span, ...]] = field(default_factory=dict)


def _populations(graph: IntegerGraph) -> dict[str, _Ranges]:
    """Ranges of each population but the holders, in the order in which they answer."""
    known: dict[str, _Ranges] = {}
    faces, alike = graph.mesh.faces, distinct_faces(graph) if graph.operator else None
    folding = Folding(graph)
    volumes = {held.holder: held.inverse_volume.tolist() for held in graph.fields}
    for population in graph.populations:
        if population.name in volumes:
            continue
        neurons = np.arange(population.size)
        if alike is not None and alike.size < faces:
            # What repeats over faces is looked at beside those that differ alone.
            neurons = neurons.reshape(faces, -1)[alike].reshape(-1)
        reading = read(str(population.program))
        inputs: dict[int, dict[str, Span]] = {n: dict.fromkeys(reading.ports, (0, 0)) for n in neurons.tolist()}
        for (port, source, output), synapses in _into(graph, population).items():
            for (number, spans), row in zip(inputs.items(), stored_rows(synapses, neurons), strict=True):
                if source in volumes:
                    part = _held(graph.field_of(source), volumes[source], row)
                    steep = steepest(graph, folding, number * faces // population.size, row) if graph.operator else None
                    part = part if steep is None else (max(part[0], steep[0]), min(part[1], steep[1]))
                else:
                    part = _sum(row, {column: known[source].sent[column][output] for column in row})
                spans[port] = spans[port][0] + part[0], spans[port][1] + part[1]
        for number, spans in inputs.items():
            spans |= {name: (int(values[number]),) * 2 for name, values in population.parameters.items()}
        known[population.name] = _run(graph, population, reading, inputs)
    return known


def _into(graph: IntegerGraph, population: Population) -> dict[tuple[str, str, int], list[Synapse]]:
    """Synapses that lead to a population, by its port, the population that they come from, and the output there."""
    synapses: dict[tuple[str, str, int], list[Synapse]] = {}
    for synapse in graph.synapses:
        # What leads to a port that a program has not is heard by nobody.
        if synapse.target == population.name and synapse.port in population.program.ports:
            synapses.setdefault((synapse.port, synapse.source, synapse.output), []).append(synapse)
    return synapses


def _run(
    graph: IntegerGraph, population: Population, reading: Reading, inputs: Mapping[int, dict[str, Span]]
) -> _Ranges:
    """What the program of a population makes of its inputs, neuron by neuron; those of equal inputs but once.

    Of channels that holders alone hear, those of equal parameters but once.
    """
    alone = not any(s.source == population.name and s.target not in graph.holders for s in graph.synapses)
    windows = [graph.field_of(c.source_holder).window for c in graph.channels if c.population == population.name]
    current = windows[0].current if windows else None
    # States of those that are late start with what arrives first.
    late = not reading.heard.intersection(reading.sends)
    first = {state for state, number in reading.after.items() if late and number in reading.heard}
    starts = {
        state: (int(values.min()), int(values.max()))
        for state, values in population.started().items()
        if state not in first and values.size
    }
    groups: dict[tuple[Span, ...], dict[str, Span]] = {}
    member: dict[int, tuple[Span, ...]] = {}
    for number, spans in inputs.items():
        key = tuple(span for name, span in spans.items() if not alone or name in reading.parameters)
        member[number] = key
        group = groups.setdefault(key, spans)
        for port in reading.ports if alone else ():
            (low, high), (least, most) = spans[port], group[port]
            if low < least or high > most:
                group[port] = min(low, least), max(high, most)
    found = _Ranges()
    sent = {}
    for key, spans in groups.items():
        values = _spans(reading, spans, starts, current)
        for name, number in _declared(reading).items():
            quantity = population.quantity(name)
            span = values.of(number)
            found.declared[quantity] = _hull((found.declared.get(quantity, span), span))
        sent[key] = tuple(values.of(number) for number in reading.sends)
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


def _spans(reading: Reading, inputs: dict[str, Span], starts: Mapping[str, Span], current: int | None) -> Spans:
    """Intervals of the values of a program, within the largest current that the audit lets a run go on with."""
    limits: dict[int, Span] = {}
    if current is not None:
        limit = -current, current
        numbers = {reading.names["current"]} if "current" in reading.names else set()
        states = [state for state, number in reading.after.items() if number in numbers or state == "current"]
        numbers |= {reading.after[state] for state in states}
        at_limit = Spans(reading, inputs | dict.fromkeys(states, limit), starts)
        for number in numbers:
            node = reading.nodes[number]
            # What is added to something is the sum less that.
            for part, other in (node.values, node.values[::-1]) if node.name == "add" else ():
                low, high = at_limit.of(other)
                limits[part] = limit[0] - high, limit[1] - low
        limits |= dict.fromkeys(numbers, limit) | {reading.names[state]: limit for state in states}
    return Spans(reading, inputs, starts, limits)


def _hull(spans: Iterable[Span]) -> Span:
    lows, highs = zip(*spans, strict=True)
    return min(lows), max(highs)


def _sum(row: Row, spans: Mapping[int, Span]) -> Span:
    products = [(weight * spans[column][0], weight * spans[column][1]) for column, weight in row.items()]
    return sum(min(ends) for ends in products), sum(max(ends) for ends in products)


def _held(held: Field, volumes: list[int], row: Row) -> Span:
    """Interval of a weighted sum of masses by the operating window."""
    low, high = 0, 0
    for cell, weight in row.items():
        if cell >= len(volumes):
            raise Unbounded(f"ledger {cell - len(volumes)} is sent to a face, and nothing bounds it")
        ends = weight * held.window.lower, weight * held.window.upper
        low, high = low + min(ends) // volumes[cell], high - (-max(ends) // volumes[cell])
    return low, high


def _largest_change(graph: IntegerGraph, held: Field, payloads: Mapping[tuple[str, int], Span]) -> int:
    """Largest change of a cell in one PDE step: by the operating window, by its packets, or by ``D W``."""
    window, volumes = held.window, held.inverse_volume
    spare = int(int(volumes.max()) > 1)
    changes = [(window.upper - window.lower) // int(volumes.min()) + spare]
    carried = [0] * held.size
    for channels in graph.channels:
        low, high = payloads[channels.population, channels.output]
        for holder, ends, _ in channels.ends:
            for cell in ends.tolist() if holder == held.holder else ():
                carried[cell] += max(-low, high)
    changes.append(max(carried[: held.cells], default=0))
    linear = linear_change(graph)
    return min(changes if linear is None else [*changes, linear])


def _rounding(graph: IntegerGraph, synapse: Synapse) -> int:
    """What the target adds to the sum of a synapse alone before it counts, in units of its mantissas."""
    reading = read(str(graph.population(synapse.target).program))
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

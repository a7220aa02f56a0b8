"""Interval analysis of all populations; uses 64-bit words only where every sum is known to fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.rows import Rows
from pisnn_deploy.graph import IntegerGraph, Synapse
from pisnn_deploy.graph.fields import Field
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.verify.folding import Folding
from pisnn_deploy.verify.limiting import WHOLE
from pisnn_deploy.verify.lines import distinct_faces, linear_change, steepest
from pisnn_deploy.verify.programs import Reading, read
from pisnn_deploy.verify.spans import WORD_BITS, Span, Spans, TooWide, Unbounded
from pisnn_deploy.verify.stored import rows_of, stored_rows
from pisnn_deploy.verify.sums import Ends, Weights, Whole, added, narrowed

Spread = dict[tuple[str, str], Span]
"""Interval of each quantity of each population and synapse."""

UNDECLARED = {
    *("arrival", "mass_before", "current_before", "residue_before"),
    *("size", "kept_size", "kept", "fired", "is_sent", "raised", "next_current", "positive"),
    *("correction", "corrected"),
}
"""Values without a declared width, because other declared values bound them."""


def intervals(graph: IntegerGraph) -> Spread:
    """Compute the interval of every quantity while masses stay in the operating window.

    Parameters
    ----------
    graph : IntegerGraph
        A well-formed graph whose layout follows its operator.

    Raises
    ------
    Unbounded
        If a value grows without limit, exceeds a word, or is impossible in any operating window.
    """
    known: Spread = {}
    payloads: dict[tuple[str, int], Span] = {}
    packets = {(channels.population, channels.output) for channels in graph.channels}
    channels, valued = {name for name, _ in packets}, {*graph.order.answers, *graph.order.asking}
    for name, ranges in _populations(graph).items():
        known |= {(name, quantity): span for quantity, span in ranges.declared.items()}
        for output, (lows, highs) in enumerate(ranges.sent):
            low, high = int(lows.min()), int(highs.max())
            # Channels send changes of their residues with either coding, and requests as values.
            is_change = (graph.coding == "delta" or name in channels) and (name, output) not in packets
            is_change = is_change and name not in valued
            payloads[name, output] = (low - high, high - low) if is_change else (low, high)
    for field_ in graph.fields:
        carried = _carried(graph, field_, payloads)
        known[field_.holder, "mass"] = payloads[field_.holder, 0] = mass_interval(field_)
        if graph.coding == "delta":
            change = _largest_change(graph, field_, carried)
            payloads[field_.holder, 0] = -change, change
        if field_.reservoirs.size:
            ledger = (1 << (declared_bits(graph, field_.holder, "ledger") - 1)) - 1
            known[field_.holder, "ledger"] = -ledger, ledger
        _require_words_of_holders(field_, carried, known)
    for population in graph.populations:
        used_outputs = {
            s.output for s in graph.synapses if s.source == population.name and s.target not in graph.holders
        }
        is_packet = any(name == population.name for name, _ in packets)
        outputs = used_outputs or (set() if is_packet else {0})
        if outputs:
            known[population.name, "payload"] = _hull(payloads[population.name, output] for output in outputs)
    readings = {population.name: read(str(population.program)) for population in graph.populations}
    for synapse in graph.synapses:
        rounding = _rounding(readings[synapse.target], synapse)
        known |= _synapse_intervals(synapse, payloads[synapse.source, synapse.output], rounding)
    return known


def mass_interval(field_: Field) -> Span:
    """Interval of a cell's mass in quanta; one quantum wider on either side if volumes differ."""
    window, thinnest = field_.window, int(field_.inverse_volume.min())
    if int(field_.inverse_volume.max()) == 1:
        return window.lower, window.upper
    return min(0, -(-window.lower // thinnest) - 1), max(0, window.upper // thinnest + 1)


@dataclass
class _Ranges:
    """Intervals of a population: of its declared quantities, and of the outputs of the analysed neurons.

    `place` maps each neuron to its index among the analysed ones, -1 for others.
    """

    place: NDArray[np.int64]
    declared: dict[str, Span] = field(default_factory=dict)
    sent: tuple[Ends, ...] = ()


def _populations(graph: IntegerGraph) -> dict[str, _Ranges]:
    """Ranges of each population except the holders, in the order in which they fire."""
    known: dict[str, _Ranges] = {}
    faces, alike = graph.mesh.faces, distinct_faces(graph) if graph.operator else None
    for population in graph.populations:
        if population.name in graph.holders or population.name in graph.order.answers:
            continue
        neurons = np.arange(population.size)
        if alike is not None and alike.size < faces:
            # Analyse only faces that differ.
            neurons = neurons.reshape(faces, -1)[alike].reshape(-1)
        reading = read(str(population.program))
        nothing: Whole = np.zeros(neurons.size, np.int64)
        inputs: dict[str, Ends] = dict.fromkeys(reading.ports, (nothing, nothing))
        for (port, source, output), synapses in _into(graph, population).items():
            weights = Weights(synapses, neurons)
            if source in graph.order.answers:
                part = nothing, nothing + WHOLE  # a part, whatever is asked
            elif source in graph.holders:
                part = _mass_sums(graph.field_of(source), weights)
                part = _steep(graph, population, neurons, synapses, part) if graph.operator else part
            elif source == population.name:
                half = rest_sent(reading, output)
                ends = (np.full(weights.columns.size, end, np.int64) for end in (-half, half))
                part = weights.sums(*ends)
            else:
                place = known[source].place[weights.columns]
                if place.min(initial=0) < 0:
                    raise Unbounded(f"{population.name} has inputs from neurons of {source} at other faces")
                lows, highs = known[source].sent[output]
                part = weights.sums(lows[place], highs[place])
            inputs[port] = added(inputs[port][0], part[0]), added(inputs[port][1], part[1])
        inputs |= {name: (values[neurons],) * 2 for name, values in population.parameters.items()}
        known[population.name] = _run(graph, population, reading, inputs, neurons)
    for name in graph.order.answers:
        known[name] = _answers(graph, graph.population(name), known)
    return known


def rest_sent(reading: Reading, output: int) -> int:
    """Largest absolute residue that a channel sends; residues start at 0 and are rests of ``fire`` later."""
    node = reading.nodes[reading.sends[output]]
    if node.name != "rest":
        raise Unbounded("channels hear a value of channels that is not the rest of `fire`")
    return 1 << int(str(node.extra)) >> 1


def _answers(graph: IntegerGraph, population: Population, known: Mapping[str, _Ranges]) -> _Ranges:
    """Ranges of cells that answer channels, with the widest inputs of any cell."""
    reading, inputs = read(str(population.program)), {}
    cells = np.arange(population.size)
    for port in reading.ports:
        lows = highs = np.zeros(cells.size, np.object_)
        for (place, source, output), synapses in _into(graph, population).items():
            if place != port:
                continue
            weights = rows_of(synapses, cells)
            if source in graph.holders:
                low, high = mass_interval(graph.field_of(source))
            else:
                ends = known[source].sent[output]
                low, high = int(ends[0].min()), int(ends[1].max())
            more, less = (np.array(part.sums(), np.object_) for part in (_positive(weights), _positive(-weights)))
            lows, highs = lows + more * low - less * high, highs + more * high - less * low
        inputs[port] = _whole_ends(lows, highs)
    inputs |= {name: _whole_ends(values, values) for name, values in population.parameters.items()}
    ranges = _run(graph, population, reading, inputs, np.arange(1))
    ranges.place = np.zeros(population.size, np.int64)
    return ranges


def _positive(weights: Rows) -> Rows:
    return weights.valued(lambda values: np.maximum(values, 0))


def _whole_ends(lows: Whole, highs: Whole) -> Ends:
    """The smallest and the largest of all neurons."""
    return narrowed(np.array([lows.min()], np.object_)), narrowed(np.array([highs.max()], np.object_))


def _steep(
    graph: IntegerGraph, population: Population, neurons: NDArray[np.int64], synapses: list[Synapse], ends: Ends
) -> Ends:
    """Restrict sums of masses to what differences between neighbours allow in each row."""
    folding, faces = Folding(graph), graph.mesh.faces
    lows, highs = (end.astype(np.object_) for end in ends)
    for number, row in enumerate(stored_rows(synapses, neurons)):
        steep = steepest(graph, folding, int(neurons[number]) * faces // population.size, row)
        if steep is not None:
            lows[number], highs[number] = max(lows[number], steep[0]), min(highs[number], steep[1])
    return narrowed(lows), narrowed(highs)


def _into(graph: IntegerGraph, population: Population) -> dict[tuple[str, str, int], list[Synapse]]:
    """Synapses into a population, by port, source population and output."""
    synapses: dict[tuple[str, str, int], list[Synapse]] = {}
    for synapse in graph.synapses:
        # Synapses to a port that the program does not have take no effect.
        if synapse.target == population.name and synapse.port in population.program.ports:
            synapses.setdefault((synapse.port, synapse.source, synapse.output), []).append(synapse)
    return synapses


def _run(
    graph: IntegerGraph,
    population: Population,
    reading: Reading,
    inputs: Mapping[str, Ends],
    neurons: NDArray[np.int64],
) -> _Ranges:
    """Run interval analysis on each neuron of a population, once per distinct inputs.

    Channels that send to holders alone are analysed once per distinct parameters.
    """
    others = {*graph.holders, population.name, *graph.order.answers}
    alone = not any(s.source == population.name and s.target not in others for s in graph.synapses)
    windows = [graph.field_of(c.source_holder).window for c in graph.channels if c.population == population.name]
    current = windows[0].current if windows else None
    # States of a delayed program start with its first inputs.
    late = not reading.heard.intersection(reading.sends)
    first = {state for state, number in reading.after.items() if late and number in reading.heard}
    starts = {
        state: (int(values.min()), int(values.max()))
        for state, values in population.started().items()
        if state not in first and values.size
    }
    place = np.full(population.size, -1, np.int64)
    place[neurons] = np.arange(neurons.size)
    ranges = _Ranges(place)
    member = _groups([ends for name, ends in inputs.items() if not alone or name in reading.parameters], neurons.size)
    order = np.argsort(member, kind="stable")
    at = np.searchsorted(member[order], np.arange(int(member.max(initial=-1)) + 1))
    lows = {name: np.minimum.reduceat(ends[0][order], at).tolist() for name, ends in inputs.items()}
    highs = {name: np.maximum.reduceat(ends[1][order], at).tolist() for name, ends in inputs.items()}
    sent: list[list[Span]] = [[] for _ in reading.sends]
    for group in range(at.size):
        spans = {name: (int(lows[name][group]), int(highs[name][group])) for name in inputs}
        values = _spans(reading, spans, starts, current)
        _require_words(population.name, reading, values)
        for name, number in declared_quantities(reading).items():
            quantity = population.quantity(name)
            span = values.of(number)
            ranges.declared[quantity] = _hull((ranges.declared.get(quantity, span), span))
        for output, number in zip(sent, reading.sends, strict=True):
            output.append(values.of(number))
    ends_of = (np.array(spans, np.object_).reshape(-1, 2).T for spans in sent)
    ranges.sent = tuple((narrowed(low)[member], narrowed(high)[member]) for low, high in ends_of)
    return ranges


def _groups(inputs: list[Ends], count: int) -> NDArray[np.int64]:
    """Group neurons of equal inputs; return the group number of each, int64 [neurons]."""
    member = np.zeros(count, np.int64)
    for values in {id(end): end for ends in inputs for end in ends}.values():
        distinct, place = np.unique(values, return_inverse=True)
        if distinct.size > 1:
            member = np.unique(member * distinct.size + place.reshape(-1), return_inverse=True)[1].reshape(-1)
    return member


def _require_words(population: str, reading: Reading, values: Spans) -> None:
    """Refuse values that exceed a word, with or without a declared width."""
    try:
        for number in reading.names.values():
            values.of(number)
    except TooWide as error:
        raise TooWide(f"{population} {error}") from None


def declared_quantities(reading: Reading) -> dict[str, int]:
    """Node numbers of the values with a declared width, by name."""
    names = {
        name: number
        for name, number in reading.names.items()
        if (name not in UNDECLARED or (name == "arrival" and not _keeps_sum(reading)))
        and name not in reading.parameters
    }
    # A delayed input is declared as `drive`, too.
    if not reading.heard.intersection(reading.sends):
        waiting = [number for number in reading.after.values() if number in reading.heard]
        names |= {"drive": waiting[0]} if waiting else {}
    return names


def _keeps_sum(reading: Reading) -> bool:
    """Whether what arrives is added to a constant, a parameter or a state, so that the sum is kept and declared."""
    arrival, kept = (
        reading.names.get("arrival"),
        {reading.names[name] for name in (*reading.parameters, *reading.states)},
    )
    return any(
        node.name == "add"
        and arrival in node.values
        and any(value in kept or reading.nodes[value].name == "constant" for value in node.values)
        for node in reading.nodes
    )


def _spans(reading: Reading, inputs: dict[str, Span], starts: Mapping[str, Span], current: int | None) -> Spans:
    """Intervals of a program's values, limited by the largest current that the audit allows."""
    limits: dict[int, Span] = {}
    if current is not None:
        limit = -current, current
        numbers = {reading.names["current"]} if "current" in reading.names else set()
        states = [state for state, number in reading.after.items() if number in numbers or state == "current"]
        numbers |= {reading.after[state] for state in states}
        at_limit = Spans(reading, inputs | dict.fromkeys(states, limit), starts)
        for number in numbers:
            node = reading.nodes[number]
            # A term of a limited sum is the sum minus the other term.
            for part, term in (node.values, node.values[::-1]) if node.name == "add" else ():
                low, high = at_limit.of(term)
                limits[part] = limit[0] - high, limit[1] - low
        limits |= dict.fromkeys(numbers, limit) | {reading.names[state]: limit for state in states}
    return Spans(reading, inputs, starts, limits)


def _hull(spans: Iterable[Span]) -> Span:
    lows, highs = zip(*spans, strict=True)
    return min(lows), max(highs)


def _mass_sums(field_: Field, weights: Weights) -> Ends:
    """Intervals of weighted sums of masses, from the operating window."""
    volumes = field_.inverse_volume
    beyond = weights.columns[weights.columns >= volumes.size]
    if beyond.size:
        raise Unbounded(f"ledger {int(beyond[0]) - volumes.size} is sent to a face, but has no bound")
    lows, highs = (np.full(weights.columns.size, end, np.int64) for end in (field_.window.lower, field_.window.upper))
    return weights.sums(lows, highs, volumes[weights.columns])


def _largest_change(graph: IntegerGraph, field_: Field, carried: NDArray[np.object_]) -> int:
    """Largest change of a cell in one PDE step, from the operating window, its packets or ``D W``."""
    window, volumes = field_.window, field_.inverse_volume
    spare = int(int(volumes.max()) > 1)
    changes = [(window.upper - window.lower) // int(volumes.min()) + spare]
    changes.append(int(max(carried[: field_.cells], default=0)))
    linear = linear_change(graph)
    return min(changes if linear is None else [*changes, linear])


def _carried(graph: IntegerGraph, field_: Field, payloads: Mapping[tuple[str, int], Span]) -> NDArray[np.object_]:
    """Largest change of each holder by the packets of a PDE step, in quanta."""
    carried = np.zeros(field_.size, np.object_)
    for channels in graph.channels:
        low, high = payloads[channels.population, channels.output]
        for holder, ends, _ in channels.ends:
            if holder == field_.holder:
                carried += np.bincount(ends, minlength=field_.size).astype(np.object_) * max(-low, high)
    return carried


def _require_words_of_holders(field_: Field, carried: NDArray[np.object_], known: Spread) -> None:
    """Refuse masses that may exceed a word within the PDE step in which they leave their range."""
    for quantity, changes in (("mass", carried[: field_.cells]), ("ledger", carried[field_.cells :])):
        low, high = known.get((field_.holder, quantity), (0, 0))
        bits = (max(-low, high) + int(max(changes, default=0))).bit_length() + 1
        if bits > WORD_BITS:
            raise TooWide(f"{field_.holder} {quantity} may take {bits} signed bits in a step; {WORD_BITS} are possible")


def _rounding(reading: Reading, synapse: Synapse) -> int:
    """Constant that the target adds to a synapse's sum before using it, in units of its mantissas."""
    port = reading.names.get(synapse.port)
    for node in reading.nodes:
        others = [reading.nodes[value] for value in node.values if value != port]
        if node.name == "add" and port in node.values and others and isinstance(others[0].extra, int):
            constant = others[0].extra if others[0].name == "constant" else 0
            return constant << -synapse.exponent if synapse.exponent < 0 else constant >> synapse.exponent
    return 0


def _synapse_intervals(synapse: Synapse, payload: Span, rounding: int) -> Spread:
    """Intervals of products, and of partial sums of a row's products in any order."""
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
    """Declared width of a quantity in bits; 1 if none is declared."""
    return next((b.bits for b in graph.bounds if (b.population, b.quantity) == (population, quantity)), 1)

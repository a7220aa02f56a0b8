"""Rules on the tables of a core: states, addresses, axons and delays of neurons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.checks.capacity import per_core
from pisnn_deploy.checks.numbers import biases
from pisnn_deploy.checks.rule import GRAPH, Subject, Violation, allowed, excess, rule, unpublished
from pisnn_deploy.core.arithmetic import signed_width
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.lines import lines_of
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.graph.stock import STATE_BITS, STATES, is_stock


def state_bits(graph: IntegerGraph) -> Mapping[str, int]:
    """Bits of state that a neuron keeps between time steps, by population.

    In delta coding a receiver keeps its accumulated drive, and a hidden neuron the value that it sent last; in dense
    coding both keep their bias. A current is kept unless the leak removes it entirely. With a limiter faces keep the
    masses at their ends, unless these arrive in the time step in which faces fire. Stock processes keep states of the
    width that Lava declares.

    Returns
    -------
    mapping of str to int
        Bits by population; undeclared widths count as 0.
    """
    if is_stock(graph):
        return {name: STATE_BITS * states for name, states in STATES.items()}
    declared = {(bound.population, bound.quantity): bound.bits for bound in graph.bounds}
    bits = {}
    for population in graph.populations:
        kept = {population.quantity(value) for value in (*population.program.after, *_remembered(graph, population))}
        bits[population.name] = sum(declared.get((population.name, quantity), 0) for quantity in kept)
    if graph.coding == "dense":
        for name, bias in biases(graph).items():
            bits[name] += signed_width(int(bias.min(initial=0)), int(bias.max(initial=0))) if bias.any() else 0
    return bits


def _remembered(graph: IntegerGraph, population: Population) -> Iterator[str]:
    """Yield values that a neuron keeps outside its program: inputs that ports accumulate, and the last output."""
    if population.name in graph.holders:
        return
    delta = graph.coding == "delta"
    for port in population.program.ports:
        waits = any(
            graph.depths[population.name] - graph.depths[s.source] > 1 for s in graph.into(population.name, port)
        )
        if delta or waits:
            # If the program adds a bias to the input, the accumulator holds the sum.
            readers = [o for o in population.program.operations if port in o.values and o.name == "add"]
            yield readers[0].results[0] if readers else port
    if delta and population.name not in {channels.population for channels in graph.channels}:
        yield from population.program.sends


def _on_each_core(subject: Subject, of_a_neuron: Mapping[str, int]) -> NDArray[np.int64]:
    """Sum over the neurons of each used core, int64 [cores]."""
    graph, counts = subject.graph, subject.counts
    total = np.zeros(counts.core.size, np.int64)
    for name, amount in of_a_neuron.items():
        if counts.placed and graph.placement is not None:
            at = np.searchsorted(counts.core, graph.placement.core[name])
        else:
            at = np.zeros(graph.size(name), np.int64)
        total += amount * np.bincount(at, minlength=total.size)
    return total


@rule("PD113", "state-words")
def state_words(subject: Subject) -> Iterator[Violation]:
    """The states of a core's neurons take at most `core.neuron_state_words` words.

    States are the values that a neuron keeps between time steps, packed into whole words of `core.word_bits` for each
    neuron. A neuron with several wide states takes two words, and a core then holds half as many neurons.

    Fix: place the populations on more cores, or use narrower states.
    """
    graph, word = subject.graph, subject.profile.core.word_bits.value
    each = {name: lines_of(graph, name) * -(-bits // word) for name, bits in state_bits(graph).items()}
    limit = subject.profile.core.neuron_state_words
    yield from per_core(subject, _on_each_core(subject, each), limit, "words of neuron states")


@rule("PD114", "neuron-addresses")
def neuron_addresses(subject: Subject) -> Iterator[Violation]:
    """Every neuron of a core has an address of `synapse.index_bits` bits.

    A stored synapse refers to its target neuron by an index in the core. A larger index is truncated silently, and the
    packet arrives at another neuron.

    Fix: place the populations on more cores.
    """
    bits, counts = subject.profile.synapse.index_bits.value, subject.counts
    addresses = 1 << bits
    for index in np.flatnonzero(counts.neurons > addresses):
        used = int(counts.neurons[index])
        place = f"core {int(counts.core[index])}" if counts.placed else GRAPH
        yield Violation(place, used, addresses, f"{used} neurons, but indices of {bits} bits address only {addresses}")


@rule("PD115", "axons-per-neuron")
def axons_per_neuron(subject: Subject) -> Iterator[Violation]:
    """A neuron takes at most `core.neuron_output_axons_max` output axon entries.

    It takes one for each synapse population and core that it reaches, so a neuron with targets on many cores reaches
    this limit before its core reaches that of PD107.

    Fix: place the targets of the neuron on fewer cores.
    """
    limit = subject.profile.core.neuron_output_axons_max
    yield from unpublished(subject, limit, "output axons of a neuron")
    for name, used in subject.counts.most_axons.items():
        severity = excess(used, limit)
        if severity:
            most = allowed(limit, severity)
            some = "" if severity == "error" else " by one source"
            message = f"one of its neurons takes {used} output axon entries, but may take at most {most}{some}"
            yield Violation(name, used, most, message, severity)


@rule("PD116", "delay-slots")
def delay_slots(subject: Subject) -> Iterator[Violation]:
    """The neurons of a core have at most `delay.accumulators_max` slots for delayed input together.

    Each neuron has one accumulator for each time step of the longest delay, at least `delay.slots_lowest`. The graphs
    of this project need no more than that, because all inputs arrive in the next time step.

    Fix: place the populations on more cores.
    """
    delay = subject.profile.delay
    yield from unpublished(subject, delay.accumulators_max, "delay slots in a core")
    if delay.accumulators_max.value is None:
        return
    slots = subject.counts.neurons * (delay.slots_lowest.value or 1)
    yield from per_core(subject, slots, delay.accumulators_max, "delay slots", silent=True)


@rule("PD117", "spike-counters")
def spike_counters(subject: Subject) -> Iterator[Violation]:
    """All cells can be monitored at once with `io.spike_counters` counters on each embedded processor.

    A graph runs without monitoring, and states can be read after the run. Counting the spikes of all membranes during
    the run takes a counter for each; with fewer counters, cells are monitored in turns and time steps take longer on
    the host. Therefore this is information and never an error.

    Fix: monitor the cells in turns, or read the masses after the run.
    """
    counters = subject.profile.io.spike_counters
    processors, chips = subject.profile.chip.embedded_processors, subject.profile.system.chips
    yield from unpublished(subject, counters, "spike counters")
    if counters.value is None or processors.value is None or chips.value is None:
        return
    available = counters.value * processors.value * chips.value
    cells = subject.graph.mesh.cells * lines_of(subject.graph, "membrane")
    if cells > available:
        turns = -(-cells // available)
        message = f"{cells} membranes send spikes, but {available} counters need {turns} turns to monitor them"
        yield Violation("membrane", cells, available, message, "info")

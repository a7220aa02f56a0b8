"""Rules on the tables of a core: states, addresses, axons and delays of neurons, tables and products of programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.checks.capacity import per_core
from pisnn_deploy.checks.rule import GRAPH, Subject, Violation, allowed, excess, rule, unpublished
from pisnn_deploy.core.arithmetic import signed_width
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.lines import lines_of
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.programs import Operand
from pisnn_deploy.programs.language import MAX_TABLE_BITS
from pisnn_deploy.target.states import state_bits


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
    graph = subject.graph
    cells = sum(field.cells * lines_of(graph, field.holder) for field in graph.fields)
    if cells > available:
        turns = -(-cells // available)
        message = f"{cells} membranes send spikes, but {available} counters need {turns} turns to monitor them"
        yield Violation(graph.holders[0], cells, available, message, "info")


@rule("PD118", "lookup-tables")
def lookup_tables(subject: Subject) -> Iterator[Violation]:
    """The tables that the programs of a core look up take at most `microcode.table_words` words.

    A core stores the tables of each population of which it has neurons once. An entry has at most 24 bits, so a word
    holds as many entries as fit `core.word_bits`.

    Fix: place populations with different tables on different cores, or compute the law's terms with products.
    """
    graph, counts, limit = subject.graph, subject.counts, subject.profile.microcode.table_words
    entries = max(1, subject.profile.core.word_bits.value // MAX_TABLE_BITS)
    words = np.zeros(counts.core.size, np.int64)
    for population in graph.populations:
        own = sum(-(-len(table.entries) // entries) for table in population.program.tables)
        words += own * (_on_each_core(subject, {population.name: 1}) > 0)
    if not words.any():
        return
    if limit.is_unpublished:
        message = f"not checked: the tables of a core take up to {int(words.max())} words, no limit is published"
        yield Violation(GRAPH, int(words.max()), None, f"{message} for {subject.profile.name}", "info")
    yield from per_core(subject, words, limit, "words of tables", silent=True)


@rule("PD119", "products")
def products(subject: Subject) -> Iterator[Violation]:
    """Programs multiply two values only if the target's can, and full products fit into `microcode.product_bits`.

    Levels, fluxes and rates of a law may need products of values that change. A constant factor is no such product: it
    is a shift, or the decay of a current.

    Fix: choose a target with products, such as loihi2, a coarser quantum, or a law whose terms are functions of one
    value, for which tables suffice.
    """
    graph, microcode = subject.graph, subject.profile.microcode
    widest = {population.name: _widest_product(graph, population) for population in graph.populations}
    widest = {name: bits for name, bits in widest.items() if bits}
    for name, bits in widest.items():
        if microcode.multiply.value is False:
            message = f"its program multiplies two values, but programs of {subject.profile.name} cannot"
            yield Violation(name, "product", "none", message)
            continue
        severity = excess(bits, microcode.product_bits)
        if severity:
            most = allowed(microcode.product_bits, severity)
            some = "" if severity == "error" else " by one source"
            message = f"a full product needs {bits} signed bits, but {most} are available{some}"
            yield Violation(name, bits, most, message, severity)
    if widest and microcode.product_bits.is_unpublished and microcode.multiply.value is not False:
        bits = max(widest.values())
        message = f"not checked: the widest product has {bits} bits, no limit is published for {subject.profile.name}"
        yield Violation(GRAPH, bits, None, message, "info")


def _widest_product(graph: IntegerGraph, population: Population) -> int:
    """Signed bits of the widest full product of two values; 0 without one."""
    declared = {b.quantity: (b.lower, b.upper) for b in graph.bounds if b.population == population.name}

    def ends(operand: Operand) -> tuple[int, int]:
        if isinstance(operand, int):
            return operand, operand
        values = population.parameters.get(operand)
        if values is not None:
            return int(values.min(initial=0)), int(values.max(initial=0))
        return declared.get(population.quantity(operand), (-(1 << 31), (1 << 31) - 1))

    widest = 0
    for operation in population.program.operations:
        if operation.name == "mul_shr" and not any(isinstance(value, int) for value in operation.values):
            corners = [a * b for a in ends(operation.values[0]) for b in ends(operation.values[1])]
            widest = max(widest, signed_width(min(corners), max(corners)))
    return widest

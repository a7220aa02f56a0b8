"""Rules on numbers: weights, widths, payloads and decay constants."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pisnn_deploy.checks.report import Severity
from pisnn_deploy.checks.rule import Subject, Violation, allowed, excess, rule, shortfall, unpublished
from pisnn_deploy.core.arithmetic import signed_width
from pisnn_deploy.graph import Bound, IntegerGraph, Synapse
from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.graph.lines import stored_synapses
from pisnn_deploy.graph.stock import stored_exponent
from pisnn_deploy.graph.traits import BINARY
from pisnn_deploy.programs.facts import decay_constants, thresholds

PAYLOADS = frozenset({"payload", "packet"})
ACCUMULATOR = "accumulator"
STATES = frozenset({"mass", "drive", "current", "residue", "activation"})
DECLARED = STATES | {"potential", "packet"}
"""Values of programs that must have a width."""


def required_quantities(graph: IntegerGraph) -> list[tuple[str, str]]:
    """Population and quantity of every width that a graph must declare."""
    carriers = {channels.population for channels in graph.channels}
    found = []
    for population in graph.populations:
        quantities = dict.fromkeys(map(population.quantity, population.program.names))
        found += [(population.name, quantity) for quantity in quantities if quantity in DECLARED]
        found += [] if population.name in carriers else [(population.name, "payload")]
    found += [(field.holder, "ledger") for field in graph.fields if field.reservoirs.size]
    return found + [(synapse.name, ACCUMULATOR) for synapse in graph.synapses]


def biases(graph: IntegerGraph) -> dict[str, Integers]:
    """Biases of each population that has some."""
    return {p.name: p.parameters["bias"] for p in graph.populations if "bias" in p.parameters}


def _bounds(subject: Subject, quantities: frozenset[str]) -> Iterator[Bound]:
    return (bound for bound in subject.graph.bounds if bound.quantity in quantities)


def _first_entry(synapse: Synapse, wrong: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> str:
    entry = int(np.flatnonzero(wrong)[0])
    row = int(np.searchsorted(synapse.row_starts, entry, side="right")) - 1
    return f"the first is {int(synapse.mantissas[entry])} from neuron {int(synapse.columns[entry])} to neuron {row}"


@rule("PD001", "weight-mantissas")
def weight_mantissas(subject: Subject) -> Iterator[Violation]:
    """Every stored weight is a mantissa that the target can hold without changing it.

    A synapse population with weights of both signs is stored in mixed mode, which loses the lowest bit: its mantissas
    must be multiples of `weights.step_mixed` between `weights.mantissa_lowest_mixed` and
    `weights.mantissa_limit_mixed`. One of a single sign keeps every integer up to `weights.mantissa_limit_single`.
    Targets clip and truncate without a word, and then packets no longer sum to zero.

    Fix: quantise the model with fewer weight bits, or split the synapse population into an excitatory and an inhibitory
    one.
    """
    weights = subject.profile.weights
    for synapse in (line.synapse for line in stored_synapses(subject.graph)):
        distinct = synapse.distinct_mantissas
        if not distinct.size:
            continue
        mixed = int(distinct.min()) < 0 < int(distinct.max())
        highest = weights.mantissa_limit_mixed.value if mixed else weights.mantissa_limit_single.value
        lowest = weights.mantissa_lowest_mixed.value if mixed else -weights.mantissa_limit_single.value
        mode = "mixed mode" if mixed else "single-sign mode"
        step = weights.step_mixed.value if mixed else 1
        if int(distinct.max()) <= highest and int(distinct.min()) >= lowest and not (distinct % step).any():
            # Millions of connections repeat these few; they are only spelled out to name one that is wrong.
            continue
        mantissas = synapse.mantissas
        outside = (mantissas > highest) | (mantissas < lowest)
        if outside.any():
            found = int(mantissas[np.flatnonzero(outside)[0]])
            yield Violation(
                synapse.name,
                found,
                highest if found > highest else lowest,
                f"{int(outside.sum())} of {mantissas.size} mantissas are outside {lowest} to {highest} ({mode}); "
                f"{_first_entry(synapse, outside)}",
            )
        off = mantissas % step != 0
        if off.any():
            yield Violation(
                synapse.name,
                int(mantissas[np.flatnonzero(off)[0]]),
                step,
                f"{int(off.sum())} of {mantissas.size} mantissas are no multiple of {step} ({mode}); "
                f"{_first_entry(synapse, off)}",
            )


@rule("PD002", "weight-exponent")
def weight_exponent(subject: Subject) -> Iterator[Violation]:
    """The shared exponent of every synapse population is one that the target can hold.

    It must be between `weights.exponent_lowest` and `weights.exponent_highest`. The exponent is a small signed field,
    one for all weights of a synapse population.

    Fix: choose weight exponents (or a threshold exponent) for the model that need a smaller shift.
    """
    lowest, highest = subject.profile.weights.exponent_lowest, subject.profile.weights.exponent_highest
    for synapse in (line.synapse for line in stored_synapses(subject.graph)):
        exponent = stored_exponent(subject.graph, synapse)
        below, above = shortfall(exponent, lowest), excess(exponent, highest)
        severity = below or above
        if severity:
            least, most, some = lowest.value, highest.value, ""
            if severity == "warning":
                least = least if lowest.high is None else lowest.high
                most = most if highest.low is None else highest.low
                some = " by one source"
            yield Violation(
                synapse.name,
                exponent,
                least if below else most,
                f"the weight exponent is {exponent}, and {least} to {most} are possible{some}",
                severity,
            )


@rule("PD003", "bounds-declared")
def bounds_declared(subject: Subject) -> Iterator[Violation]:
    """Every state, payload and accumulator has a declared width that holds its proved interval.

    The rules on widths judge declared widths. What is not declared cannot be judged, and a width that does not hold its
    own interval would stop a run.

    Fix: compile the model with the standard pipeline, whose `bound` pass declares all widths.
    """
    graph = subject.graph
    declared = {(bound.population, bound.quantity) for bound in graph.bounds}
    for population, quantity in required_quantities(graph):
        if (population, quantity) not in declared:
            yield Violation(population, None, None, f"no width is declared for the {quantity}, so it was not checked")
    for bound in graph.bounds:
        needed = signed_width(bound.lower, bound.upper)
        if bound.lower > bound.upper:
            message = f"the interval of the {bound.quantity} is empty: {bound.lower} to {bound.upper}"
            yield Violation(bound.population, bound.lower, bound.upper, message)
        elif bound.bits < needed:
            yield Violation(
                bound.population,
                needed,
                bound.bits,
                f"the {bound.quantity} ranges from {bound.lower} to {bound.upper} and needs {needed} bits, "
                f"but {bound.bits} are declared",
            )


@rule("PD004", "state-width")
def state_width(subject: Subject) -> Iterator[Violation]:
    """Every state of a neuron fits `state.bits` signed bits.

    States are the membrane's mass, the flux compartment's current and residue, and the drive and activation of hidden
    neurons; in delta coding also the flux compartment's drive, which it accumulates. A state that leaves its width
    wraps or saturates, and either loses mass or breaks the proofs.

    Fix: use fewer quanta per unit, a smaller threshold exponent or smaller weight exponents, or narrow the operating
    range.
    """
    limit = subject.profile.state.bits
    for bound in _bounds(subject, STATES):
        if subject.graph.coding == "dense" and (bound.population, bound.quantity) == ("flux", "drive"):
            continue
        severity = excess(bound.bits, limit)
        if severity:
            width = allowed(limit, severity)
            message = f"the {bound.quantity} needs {bound.bits} signed bits, and a state holds {width}"
            yield Violation(bound.population, bound.bits, width, message, severity)


@rule("PD005", "payload-width")
def payload_width(subject: Subject) -> Iterator[Violation]:
    """Every payload fits the widest legal payload of at most `payload.bits` bits.

    A payload is sent in one of `payload.legal_widths_bits`, rounded up from the signed width that was declared for it.
    Targets without graded spikes are the matter of rule graded-spikes, and binary spikes carry no payload.

    Fix: use fewer quanta per unit, use delta coding, or narrow the operating range or its slope.
    """
    payload = subject.profile.payload
    if not payload.graded.value or BINARY.is_of(subject.graph):
        return
    legal = payload.legal_widths_bits.value
    widest = max((width for width in legal if width <= payload.bits.value), default=0)
    disputed = payload.bits.value if payload.bits.low is None else payload.bits.low
    narrowest = max((width for width in legal if width <= disputed), default=0)
    for bound in _bounds(subject, PAYLOADS):
        if bound.bits > narrowest:
            severity: Severity = "error" if bound.bits > widest else "warning"
            most = widest if severity == "error" else narrowest
            some = "" if severity == "error" else " by one source"
            message = f"the {bound.quantity} needs {bound.bits} signed bits, and a spike carries at most {most}{some}"
            yield Violation(bound.population, bound.bits, most, message, severity)


@rule("PD006", "graded-spikes")
def graded_spikes(subject: Subject) -> Iterator[Violation]:
    """A target whose spikes are binary receives no population that sends integers.

    Packets, changes of mass and activations are signed integers: a spike that carries none would drop magnitude and
    sign. Sent as one binary spike for each bit, they lose nothing.

    Fix: compile the model for this target, which gives each bit of a payload a line of its own (compile --spikes
    binary), or take a target with graded spikes, such as loihi2.
    """
    if subject.profile.payload.graded.value or BINARY.is_of(subject.graph):
        return
    senders = {synapse.source for synapse in subject.graph.synapses}
    for population in subject.graph.chain:
        if population in senders:
            yield Violation(
                population,
                "graded",
                "binary",
                f"its spikes carry integers, and {subject.profile.name} has binary spikes only",
            )


@rule("PD007", "accumulator-width")
def accumulator_width(subject: Subject) -> Iterator[Violation]:
    """The sum of mantissa times payload over all inputs of a neuron fits `accumulator.bits` signed bits.

    The accumulator is summed before the exponent is applied, and its overflow is silent.

    Fix: use smaller weight exponents or fewer quanta per unit; payloads are smallest with delta coding.
    """
    limit = subject.profile.accumulator.bits
    yield from unpublished(subject, limit, "the accumulator's width")
    for bound in _bounds(subject, frozenset({ACCUMULATOR})):
        severity = excess(bound.bits, limit)
        if severity:
            width = allowed(limit, severity)
            some = "" if severity == "error" else " by one source"
            message = f"the accumulator needs {bound.bits} signed bits, and holds {width}{some}"
            yield Violation(bound.population, bound.bits, width, message, severity)


@rule("PD008", "decay-constant")
def decay_constant(subject: Subject) -> Iterator[Violation]:
    """The leak of the flux compartments is between 1 and 2 to the power of `decay.bits`.

    The target stores the leak less one, because it adds one to the decay constant of a current.

    Fix: train the model with a leak in that range; 4096 is memoryless.
    """
    limit = 1 << subject.profile.decay.bits.value
    for population in subject.graph.populations:
        for leak in decay_constants(population.program):
            if not 1 <= leak <= limit:
                bound = 1 if leak < 1 else limit
                yield Violation(population.name, leak, bound, f"the leak is {leak}, and 1 to {limit} are possible")


@rule("PD009", "programmable-neurons")
def programmable_neurons(subject: Subject) -> Iterator[Violation]:
    """Neurons of the target run programs.

    A membrane that holds its mass and a flux compartment that keeps what it did not fire are no leaky
    integrate-and-fire neurons. On a target that has only those, synapses and spikes can be laid out, but the neurons
    themselves must run somewhere else, such as on its embedded processors.

    Fix: take a target with programmable neurons, such as loihi2; or run the neurons yourself and ignore this rule.
    """
    if not subject.profile.state.programmable.value:
        for population in subject.graph.chain:
            message = f"it is no integrate-and-fire neuron, and {subject.profile.name} has no others"
            yield Violation(population, "program", "integrate-and-fire", message)


@rule("PD010", "threshold-width")
def threshold_width(subject: Subject) -> Iterator[Violation]:
    """The firing threshold fits `threshold.bits` unsigned bits.

    It is two to the power of the threshold exponent, on the scale of the weighted input; of stock processes it is the
    send threshold.

    Fix: use a smaller threshold exponent.
    """
    limit = subject.profile.threshold.bits
    for population in subject.graph.populations:
        used = max((threshold.bit_length() for threshold in thresholds(population.program)), default=0)
        severity = excess(used, limit)
        if severity:
            most = allowed(limit, severity)
            some = "" if severity == "error" else " by one source"
            message = f"the threshold needs {used} bits, and {most} are possible{some}"
            yield Violation(population.name, used, most, message, severity)


@rule("PD011", "bias-width")
def bias_width(subject: Subject) -> Iterator[Violation]:
    """Every bias fits `bias.bits` signed bits.

    Biases are added to the weighted input: those of trained layers, and what reservoirs show to the faces near them. In
    delta coding a neuron accumulates its input from a start that holds the bias already, and keeps no other.

    Fix: use delta coding, fewer quanta per unit, or smaller weight exponents.
    """
    graph, limit = subject.graph, subject.profile.bias.bits
    if graph.coding == "delta":
        return
    yield from unpublished(subject, limit, "the width of a bias")
    for name, bias in biases(graph).items():
        if not bias.any():
            continue
        used = signed_width(int(bias.min()), int(bias.max()))
        severity = excess(used, limit)
        if severity:
            most = allowed(limit, severity)
            some = "" if severity == "error" else " by one source"
            message = f"a bias needs {used} signed bits, and {most} are possible{some}"
            yield Violation(name, used, most, message, severity)

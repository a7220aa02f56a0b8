"""Rules on numbers: weights, widths, payloads and decay constants."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pisnn_deploy.checks.report import Severity
from pisnn_deploy.checks.rule import (
    AnySubject,
    Subject,
    Violation,
    allowed,
    common_rule,
    excess,
    rule,
    shortfall,
    unpublished,
)
from pisnn_deploy.core.arithmetic import signed_width
from pisnn_deploy.graph import Bound, IntegerGraph, Synapse
from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.graph.lines import stored_synapses
from pisnn_deploy.graph.stock import stored_exponent
from pisnn_deploy.graph.traits import BINARY
from pisnn_deploy.programs.facts import decay_constants, thresholds
from pisnn_deploy.target.states import remembered

PAYLOADS = frozenset({"payload", "packet"})
ACCUMULATOR = "accumulator"
STATES = frozenset({"mass", "drive", "current", "residue", "activation"})
DECLARED = STATES | {"potential", "packet"}
"""Values of programs that need a declared width."""


def required_quantities(graph: IntegerGraph) -> list[tuple[str, str]]:
    """Return population and quantity of every width that a graph must declare."""
    carriers = {channels.population for channels in graph.channels}
    required = []
    for population in graph.populations:
        quantities = dict.fromkeys(map(population.quantity, population.program.names))
        required += [(population.name, quantity) for quantity in quantities if quantity in DECLARED]
        required += [] if population.name in carriers else [(population.name, "payload")]
    required += [(field.holder, "ledger") for field in graph.fields if field.reservoirs.size]
    return required + [(synapse.name, ACCUMULATOR) for synapse in graph.synapses]


def biases(graph: IntegerGraph) -> dict[str, Integers]:
    """Biases by population, for populations that have any."""
    return {p.name: p.parameters["bias"] for p in graph.populations if "bias" in p.parameters}


def _bounds(subject: Subject, quantities: frozenset[str]) -> Iterator[Bound]:
    return (bound for bound in subject.graph.bounds if bound.quantity in quantities)


def _first_entry(synapse: Synapse, wrong: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> str:
    entry = int(np.flatnonzero(wrong)[0])
    row = int(np.searchsorted(synapse.row_starts, entry, side="right")) - 1
    return f"the first is {int(synapse.mantissas[entry])} from neuron {int(synapse.columns[entry])} to neuron {row}"


@rule("PD001", "weight-mantissas")
def weight_mantissas(subject: Subject) -> Iterator[Violation]:
    """Every stored weight is a mantissa that the target stores unchanged.

    A synapse population with weights of both signs is stored in mixed mode, which loses the lowest bit: its mantissas
    must be multiples of `weights.step_mixed` between `weights.mantissa_lowest_mixed` and
    `weights.mantissa_limit_mixed`. With a single sign all integers up to `weights.mantissa_limit_single` are possible.
    Targets clip and truncate silently, and then packets do not sum to zero.

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
            # Fast path: millions of connections share a few mantissas, and only an error needs all of them.
            continue
        mantissas = synapse.mantissas
        outside = (mantissas > highest) | (mantissas < lowest)
        if outside.any():
            mantissa = int(mantissas[np.flatnonzero(outside)[0]])
            yield Violation(
                synapse.name,
                mantissa,
                highest if mantissa > highest else lowest,
                f"{int(outside.sum())} of {mantissas.size} mantissas are outside {lowest} to {highest} ({mode}); "
                f"{_first_entry(synapse, outside)}",
            )
        off = mantissas % step != 0
        if off.any():
            yield Violation(
                synapse.name,
                int(mantissas[np.flatnonzero(off)[0]]),
                step,
                f"{int(off.sum())} of {mantissas.size} mantissas are not multiples of {step} ({mode}); "
                f"{_first_entry(synapse, off)}",
            )


@rule("PD002", "weight-exponent")
def weight_exponent(subject: Subject) -> Iterator[Violation]:
    """The weight exponent of every synapse population fits its field on the target.

    It must be between `weights.exponent_lowest` and `weights.exponent_highest`. All weights of a synapse population
    share the exponent, a small signed field.

    Fix: choose weight exponents (or a threshold exponent) of the model that need a smaller shift.
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
                f"the weight exponent is {exponent}, but must be from {least} to {most}{some}",
                severity,
            )


@common_rule("PD003", "bounds-declared")
def bounds_declared(subject: AnySubject) -> Iterator[Violation]:
    """Every state, payload and accumulator has a declared width that fits its proved interval.

    The rules on widths check declared widths, so an undeclared one cannot be checked. A width that does not fit its
    interval would stop a run.

    Fix: compile the model with the standard pipeline, whose `bound` pass declares all widths.
    """
    graph = subject.graph
    declared = {(bound.population, bound.quantity) for bound in graph.bounds}
    for population, quantity in required_quantities(graph):
        if (population, quantity) not in declared:
            yield Violation(population, None, None, f"the {quantity} has no declared width, so it was not checked")
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
    """Every state of a neuron fits into `state.bits` signed bits.

    States are the membrane's mass, the flux compartment's current and residue, and the drive and activation of hidden
    neurons; in delta coding also the flux compartment's accumulated drive, and what other neurons accumulate and sent
    last. A state that exceeds its width wraps or
    saturates, which loses mass or invalidates the proofs.

    Fix: use fewer quanta per unit, a smaller threshold exponent or smaller weight exponents, or narrow the operating
    range.
    """
    limit, graph = subject.profile.state.bits, subject.graph
    carriers = {channels.population for channels in graph.channels}
    others = {(p.name, p.quantity(value)) for p in graph.between_fields for value in remembered(graph, p)}
    for bound in graph.bounds:
        if bound.quantity not in STATES and (bound.population, bound.quantity) not in others:
            continue
        if subject.graph.coding == "dense" and bound.quantity == "drive" and bound.population in carriers:
            continue
        severity = excess(bound.bits, limit)
        if severity:
            width = allowed(limit, severity)
            message = f"the {bound.quantity} needs {bound.bits} signed bits, but a state holds {width}"
            yield Violation(bound.population, bound.bits, width, message, severity)


@rule("PD005", "payload-width")
def payload_width(subject: Subject) -> Iterator[Violation]:
    """Every payload fits into the widest legal payload of at most `payload.bits` bits.

    A payload is sent in one of `payload.legal_widths_bits`, rounded up from its declared signed width. The rule
    graded-spikes covers targets without graded spikes; binary spikes have no payload.

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
            message = f"the {bound.quantity} needs {bound.bits} signed bits, but a spike carries at most {most}{some}"
            yield Violation(bound.population, bound.bits, most, message, severity)


@rule("PD006", "graded-spikes")
def graded_spikes(subject: Subject) -> Iterator[Violation]:
    """No population sends integers on a target with binary spikes.

    Packets, changes of mass and activations are signed integers, and a binary spike would drop magnitude and sign. As
    one binary spike for each bit they are sent exactly.

    Fix: compile the model for this target, which gives each bit of a payload its own line (`--spikes binary`), or use
    a target with graded spikes, such as loihi2.
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
                f"its spikes carry integers, but {subject.profile.name} has only binary spikes",
            )


@rule("PD007", "accumulator-width")
def accumulator_width(subject: Subject) -> Iterator[Violation]:
    """The sum of mantissa times payload over all inputs of a neuron fits into `accumulator.bits` signed bits.

    The accumulator sums inputs before the exponent is applied, and overflows silently.

    Fix: use smaller weight exponents or fewer quanta per unit; payloads are smallest with delta coding.
    """
    limit = subject.profile.accumulator.bits
    yield from unpublished(subject, limit, "the accumulator's width")
    for bound in _bounds(subject, frozenset({ACCUMULATOR})):
        severity = excess(bound.bits, limit)
        if severity:
            width = allowed(limit, severity)
            some = "" if severity == "error" else " by one source"
            message = f"the accumulator needs {bound.bits} signed bits, but holds {width}{some}"
            yield Violation(bound.population, bound.bits, width, message, severity)


@rule("PD008", "decay-constant")
def decay_constant(subject: Subject) -> Iterator[Violation]:
    """The leak of the flux compartments is between 1 and 2 to the power of `decay.bits`.

    The target stores the leak minus one, because it adds one to the decay constant of a current.

    Fix: train the model with a leak in that range; 4096 is memoryless.
    """
    limit = 1 << subject.profile.decay.bits.value
    for population in subject.graph.populations:
        for leak in decay_constants(population.program):
            if not 1 <= leak <= limit:
                bound = 1 if leak < 1 else limit
                yield Violation(population.name, leak, bound, f"the leak is {leak}, but must be from 1 to {limit}")


@rule("PD009", "programmable-neurons")
def programmable_neurons(subject: Subject) -> Iterator[Violation]:
    """The target has programmable neurons.

    Membranes that keep their mass and flux compartments that keep a residue are not leaky integrate-and-fire neurons.
    On a target that has only those, synapses and spikes can be placed, but the neurons must run elsewhere, such as on
    embedded processors.

    Fix: use a target with programmable neurons, such as loihi2, or run the neurons elsewhere and ignore this rule.
    """
    if not subject.profile.state.programmable.value:
        for population in subject.graph.chain:
            message = f"it is not an integrate-and-fire neuron, but {subject.profile.name} has no others"
            yield Violation(population, "program", "integrate-and-fire", message)


@rule("PD010", "threshold-width")
def threshold_width(subject: Subject) -> Iterator[Violation]:
    """The firing threshold fits into `threshold.bits` unsigned bits.

    It is two to the power of the threshold exponent, on the scale of the weighted input; for stock processes it is the
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
            message = f"the threshold needs {used} bits, but {most} are available{some}"
            yield Violation(population.name, used, most, message, severity)


@rule("PD011", "bias-width")
def bias_width(subject: Subject) -> Iterator[Violation]:
    """Every bias fits into `bias.bits` signed bits.

    Biases are added to the weighted input. They come from trained layers, and from reservoirs next to a face. In delta
    coding the bias is part of the initial accumulated input, and not stored separately.

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
            message = f"a bias needs {used} signed bits, but {most} are available{some}"
            yield Violation(name, used, most, message, severity)

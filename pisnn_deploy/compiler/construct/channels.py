"""Channels: C-LIF neurons that turn rates into packets between holders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.compiler.construct.assembly import Signal, Tap, divided
from pisnn_deploy.compiler.construct.plan import Plan, Sender, Term
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.core.rows import from_triplets
from pisnn_deploy.graph import Synapse
from pisnn_deploy.graph.connections import Explicit, Incidence
from pisnn_deploy.graph.fields import Channels
from pisnn_deploy.graph.layout import MIXED_SIGN_EXPONENT
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.programs.neurons import flux

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
MOST_GUARD = 12
"""Most fraction bits of a rate beyond those of its field."""
MOST_EXPONENT = 22


class TooFine(UsageError):
    """Rates that need more bits than a current has, with the finest quantum tried.

    Attributes
    ----------
    field : str
        Field whose quantum is too fine.
    bits : int
        By how many bits, at least.
    """

    def __init__(self, field: str, bits: int, terms: str) -> None:
        super().__init__(
            f"field {field}: currents of {terms} need {bits} more bits than a word has; give a coarser quantum"
        )
        self.field, self.bits = field, bits


@dataclass(frozen=True)
class Way:
    """Where the packets of a population of channels come from and go to, and what drives them.

    Attributes
    ----------
    name : str
        Of the population.
    source_field, target_field : str
        Fields of the holders.
    source, target : int64 array [channels]
        Holder that a positive packet leaves and enters.
    terms : sequence of Term
        Rates, whose rows are channels.
    constant : float64 array [channels]
        What is always added, times ``2^exponent`` of the clock.
    """

    name: str
    source_field: str
    target_field: str
    source: Integers
    target: Integers
    terms: Sequence[Term]
    constant: Floats


@dataclass(frozen=True)
class _Scaled:
    """A way with the fraction bits of its rates, and the number of each term's signal in its block."""

    way: Way
    fraction: int
    numbers: Sequence[int]


def fraction_of_rates(plan: Plan, way: Way) -> int:
    """Most fraction bits of the rates of a way whose currents and potentials fit a word.

    Raises
    ------
    TooFine
        Not even the field's own fraction bits fit.
    """
    bits = plan.bits[way.source_field]
    low, high = way.constant.copy(), way.constant.copy()
    for term in way.terms:
        unit = 2.0**-term.value.fraction
        ends = [term.factor * end[term.column] * unit for end in term.block.ends(term.value)]
        low += np.bincount(term.row, np.minimum(*ends), low.size)
        high += np.bincount(term.row, np.maximum(*ends), high.size)
    largest = max(float(-low.min(initial=0.0)), float(high.max(initial=0.0)))
    roundings = 1 + sum(int(np.abs(term.factor).max(initial=0)) for term in way.terms)
    most = min((term.value.fraction - 1 for term in way.terms if term.is_local), default=bits + MOST_GUARD)
    sent = {term.value.fraction for term in way.terms if term.is_sent}
    for fraction in sorted(sent) or range(bits + MOST_GUARD, bits - 1, -1):
        exponent = plan.clock.exponent + fraction - bits
        # Each rate is rounded once, and the constant.
        current = largest * 2.0**fraction + roundings
        if not sent and fraction > max(bits, most):
            continue
        if 1 <= exponent <= MOST_EXPONENT and current + 2.0 ** (exponent - 1) < 2.0 ** (plan.word - 1):
            return fraction
    excess = largest * 2.0**bits + roundings + 2.0 ** (plan.clock.exponent - 1)
    terms = ", ".join(dict.fromkeys(term.block.where for term in way.terms)) or way.name
    raise TooFine(way.source_field, max(1, int(np.ceil(np.log2(max(excess, 1.0) / 2.0 ** (plan.word - 1))))), terms)


def add_channels(plan: Plan, ways: Sequence[Way], holders: Mapping[str, int]) -> tuple[Channels, ...]:
    """Build the populations of all channels and of the blocks that drive them.

    Parameters
    ----------
    holders : mapping of str to int
        Number of holders of each field.
    """
    scaled = []
    for way in ways:
        fraction = fraction_of_rates(plan, way)
        scaled.append(_Scaled(way, fraction, [term.block.send(term.value, fraction) for term in way.terms]))
    blocks = dict.fromkeys(term.block for way in ways for term in way.terms)
    sent: dict[Sender, list[Signal]] = {block: block.finish() for block in blocks}
    return tuple(_channels(plan, entry, sent, holders) for entry in scaled)


def _channels(
    plan: Plan, scaled: _Scaled, sent: Mapping[Sender, Sequence[Signal]], holders: Mapping[str, int]
) -> Channels:
    way, clock = scaled.way, plan.clock
    size, assembly = int(way.source.size), plan.assembly
    exponent = clock.exponent + scaled.fraction - plan.bits[way.source_field]
    bias = np.rint(way.constant * 2.0**scaled.fraction).astype(np.int64)
    taps = [
        Tap(sent[term.block][number], term.row, term.column, term.factor)
        for term, number in zip(way.terms, scaled.numbers, strict=True)
    ]
    taps, always = divided(taps, size, scaled.fraction)
    bias += always
    assembly.populations.append(Population(way.name, size, flux(exponent), {"bias": bias}))
    nothing = np.zeros(0, np.int64)  # a port needs a synapse, also where the bias is all
    assembly.connect(
        taps or [Tap(plan.signals[way.source_field], nothing, nothing, nothing)],
        way.name,
        size,
        "arrival",
        scaled.fraction,
    )
    ends = ((way.source_field, way.source, -1), (way.target_field, way.target, 1))
    for name in dict.fromkeys((way.source_field, way.target_field)):
        synapse = f"{way.name}-to-{name}"
        if way.source_field == way.target_field:
            route: Incidence | Explicit = Incidence(way.source, way.target, holders[name], 2)
        else:
            ((_, holder, sign),) = (end for end in ends if end[0] == name)
            number = np.arange(size, dtype=np.int64)
            rows = from_triplets(holder, number, np.full(size, 2 * sign, np.int64), (holders[name], size))
            route = Explicit(rows.starts, rows.columns, rows.values, rows.width)
        assembly.synapses.append(Synapse(synapse, way.name, name, route, MIXED_SIGN_EXPONENT))
    return Channels(way.name, way.source_field, way.target_field, way.source, way.target)

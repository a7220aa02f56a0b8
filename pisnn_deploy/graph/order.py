"""The order in which the populations of a graph run in a PDE step.

A population runs when everything that it hears in the PDE step has arrived. Channels whose packets depend on answers
send what they ask first, with the part of their program that needs no answer, and run as a whole after the answers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from pisnn_deploy.graph.populations import Asking, Population, asking, depths
from pisnn_deploy.graph.synapse import Synapse

_ASKS = "?"
"""Marks the part of channels that asks; no population has a name with it."""


@dataclass(frozen=True)
class Order:
    """Order of the populations of a graph.

    Attributes
    ----------
    depths : dict of str to int
        Phase in which each population runs, in ascending order.
    asking : dict of str to Asking
        What channels send before they run, by population.
    asks_at : dict of str to int
        Phase in which they do.
    answers : tuple of str
        Populations that hear what channels ask, and answer it.
    """

    depths: dict[str, int]
    asking: dict[str, Asking]
    asks_at: dict[str, int]
    answers: tuple[str, ...]


def order_of(
    holders: Iterable[str],
    populations: Iterable[Population],
    synapses: Iterable[Synapse],
    packets: Collection[tuple[str, int]],
) -> Order:
    """Return the order of populations.

    Parameters
    ----------
    holders : iterable of str
        Populations that hold mass.
    packets : collection of (str, int)
        Populations and their outputs that send packets.

    Raises
    ------
    CycleError
        Some populations form a cycle.
    """
    grounded, all_of = {*holders}, {population.name: population for population in populations}
    synapses = [
        synapse
        for synapse in synapses
        if synapse.source in all_of and synapse.target in all_of and not _is_heard_again(all_of, synapse)
    ]
    links, channels = {(synapse.source, synapse.target) for synapse in synapses}, {name for name, _ in packets}
    outputs: defaultdict[str, set[int]] = defaultdict(set)
    answering: set[str] = set()
    for synapse in synapses:
        name, target = synapse.source, synapse.target
        if name in channels and (name, synapse.output) not in packets and synapse.output >= 0:
            is_output = synapse.output < len(all_of[name].program.sends)
            if is_output and target not in grounded and (target, name) in links:
                outputs[name].add(synapse.output)
                answering.add(target)
    parts = {name: asking(all_of[name], outputs[name]) for name in all_of if name in outputs}
    edges = []
    for synapse in synapses:
        asks = synapse.output in outputs.get(synapse.source, ())
        edges.append((synapse.source + _ASKS if asks else synapse.source, synapse.target))
        if synapse.target in parts and synapse.port in parts[synapse.target].part.program.ports:
            edges.append((synapse.source, synapse.target + _ASKS))
    edges += [(name + _ASKS, name) for name in parts]
    every = depths(grounded, (*all_of, *(name + _ASKS for name in parts)), edges)
    return Order(
        {name: depth for name, depth in every.items() if not name.endswith(_ASKS)},
        parts,
        {name.removesuffix(_ASKS): depth for name, depth in every.items() if name.endswith(_ASKS)},
        tuple(name for name in every if name in answering),
    )


def _is_heard_again(populations: Mapping[str, Population], synapse: Synapse) -> bool:
    """Whether a population sends a state to itself, which arrives in the next PDE step."""
    return synapse.source == synapse.target and populations[synapse.source].state_sent(synapse.output) is not None

"""Random faults, from a seeded generator."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from pisnn_deploy.faults.memory import WEIGHT_BITS, word_bits
from pisnn_deploy.faults.places import owners
from pisnn_deploy.faults.spec import PACKET_KINDS, STATES, Fault, Kind
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.lines import stored_synapses

_Draw = Callable[[IntegerGraph, np.random.Generator, int], Fault]


def random_fault(graph: IntegerGraph, family: str, step: int, generator: np.random.Generator) -> Fault:
    """Draw a fault at a random place.

    Parameters
    ----------
    graph : IntegerGraph
        Compiled to the end, placed if cores are to die.
    family : str
        One of `FAMILIES`.
    step : int
        PDE step of the fault; what hits memories comes in a random time step of it.
    generator : numpy Generator
        Drawn from in a fixed order.
    """
    return FAMILIES[family](graph, generator, step)


def _state(place: str) -> _Draw:
    def draw(graph: IntegerGraph, generator: np.random.Generator, step: int) -> Fault:
        owner = _owner(graph, place, generator)
        index = _below(generator, graph.size(owner))
        bit = _below(generator, word_bits(graph, place, index, owner))
        return Fault("flip", place, index, step, _phase(graph, generator), bit=bit, of=_named(graph, place, owner))

    return draw


def _weight(kind: Kind, *, of_route: bool) -> _Draw:
    def draw(graph: IntegerGraph, generator: np.random.Generator, step: int) -> Fault:
        lines = [line.synapse for line in stored_synapses(graph) if (line.synapse.target in graph.holders) == of_route]
        synapse = lines[_below(generator, len(lines))]
        phase = _phase(graph, generator)
        if kind == "sign-mode":
            return Fault(kind, "weight", 0, step, phase, synapse.name)
        index, bit = _below(generator, synapse.entries), _below(generator, WEIGHT_BITS)
        return Fault(kind, "weight", index, step, phase, synapse.name, bit)

    return draw


def _packet(kind: Kind) -> _Draw:
    def draw(graph: IntegerGraph, generator: np.random.Generator, step: int) -> Fault:
        owner = _owner(graph, "packet", generator)
        face = _below(generator, graph.size(owner))
        end = generator.choice(["source", "target"] if kind == "misroute" else ["both", "source", "target"])
        delay = 1 + _below(generator, 3) if kind == "delay" else 0
        (channels,) = (channels for channels in graph.channels if channels.population == owner)
        holders = channels.source_holder if end == "source" else channels.target_holder
        other = _below(generator, graph.size(holders)) if kind == "misroute" else 0
        return Fault(
            kind, "packet", face, step, end=end.item(), delay=delay, other=other, of=_named(graph, "packet", owner)
        )

    return draw


def _dead(graph: IntegerGraph, generator: np.random.Generator, step: int) -> Fault:
    cores = 1 if graph.placement is None else graph.placement.cores
    return Fault("dead", "core", _below(generator, cores), step, _phase(graph, generator))


def _stale(*, of_membranes: bool) -> _Draw:
    def draw(graph: IntegerGraph, generator: np.random.Generator, step: int) -> Fault:
        populations = [name for name in graph.chain if (name in graph.holders) == of_membranes]
        population = populations[_below(generator, len(populations))]
        return Fault("stale", population, _below(generator, graph.size(population)), step)

    return draw


def _owner(graph: IntegerGraph, place: str, generator: np.random.Generator) -> str:
    """Any population that has a state or sends packets; nothing is drawn where there is only one."""
    known = owners(graph, place)
    return known[0] if len(known) == 1 else known[_below(generator, len(known))]


def _named(graph: IntegerGraph, place: str, owner: str) -> str:
    """Name of a population in a specification, which leaves out the only one."""
    return owner if len(owners(graph, place)) > 1 else ""


def _phase(graph: IntegerGraph, generator: np.random.Generator) -> int:
    return _below(generator, int(graph.period or 1))


def _below(generator: np.random.Generator, limit: int) -> int:
    return int(generator.integers(limit))


FAMILIES: Mapping[str, _Draw] = {
    **{f"flip {place}": _state(place) for place in STATES},
    "flip weight of the route": _weight("flip", of_route=True),
    "flip weight of the flux network": _weight("flip", of_route=False),
    **{f"{kind} packet": _packet(kind) for kind in PACKET_KINDS},
    "dead core": _dead,
    "sign mode of the route": _weight("sign-mode", of_route=True),
    "sign mode of the flux network": _weight("sign-mode", of_route=False),
    "stale membrane": _stale(of_membranes=True),
    "stale flux network": _stale(of_membranes=False),
}
"""Families of faults, by name."""

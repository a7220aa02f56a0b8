"""What a graph can be known to be. Passes name facts that they require and ensure; the pipeline verifies both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pisnn_deploy.graph import FloatGraph, IntegerGraph, TwoPointGraph


@dataclass(frozen=True)
class Fact:
    """A named predicate on graphs.

    Attributes
    ----------
    name : str
    holds : callable
        Takes a graph, returns whether the fact holds.
    """

    name: str
    holds: Callable[[object], bool]


def _quantised(graph: object) -> bool:
    return isinstance(graph, IntegerGraph) and (bool(graph.operator) or graph.materials is not None)


def _bounded(graph: object) -> bool:
    if not isinstance(graph, IntegerGraph):
        return False
    bounded = {(bound.population, bound.quantity) for bound in graph.bounds}
    wanted = {("membrane", "mass"), ("membrane", "payload"), *(("flux", name) for name in FLUX_QUANTITIES)}
    for population in graph.between_fields:
        wanted |= {(population.name, name) for name in ("drive", "activation", "payload")}
    wanted |= {(synapse.name, "accumulator") for synapse in graph.synapses}
    channels = graph.sole_channels
    wanted |= {(channels.name, channels.quantity(port)) for port in channels.program.ports[1:]}  # what else is heard
    return wanted <= bounded


def _encoded(graph: object) -> bool:
    return isinstance(graph, IntegerGraph) and all(population.lines for population in graph.populations)


def _limited(graph: object) -> bool:
    """Whether channels hear of the masses at both of their ends."""
    return isinstance(graph, IntegerGraph) and {"source_mass", "target_mass"} <= set(graph.sole_channels.program.ports)


FLUX_QUANTITIES = ("drive", "current", "potential", "packet", "residue")
"""Bounded quantities of a flux compartment; the potential is the residue with the current added, before it fires."""
UNRECORDED = {"recorded": False}
"""Metadata of an option of a pass that its record leaves out: a mesh, arrays, a graph."""

LOWERED = Fact("lowered", lambda graph: isinstance(graph, FloatGraph))
TWO_POINT = Fact("lowered to two-point fluxes", lambda graph: isinstance(graph, TwoPointGraph))
QUANTISED = Fact("quantised", _quantised)
SCHEDULED = Fact(
    "scheduled", lambda graph: isinstance(graph, IntegerGraph) and None not in (graph.coding, graph.period)
)
LIMITED = Fact("limited", _limited)
BOUNDED = Fact("bounded", _bounded)
ENCODED = Fact("encoded in binary spikes", _encoded)
PROVED = Fact("proved", lambda graph: isinstance(graph, IntegerGraph) and graph.certificate is not None)
PLACED = Fact("placed", lambda graph: isinstance(graph, IntegerGraph) and graph.placement is not None)

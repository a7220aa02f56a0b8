"""Facts: predicates on graphs that passes require and ensure; the pipeline verifies both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pisnn_deploy.graph import CellGraph, FloatGraph, IntegerGraph, MultiPointGraph, TwoPointGraph
from pisnn_deploy.programs.neurons import undeclared


@dataclass(frozen=True)
class Fact:
    """A named predicate on graphs.

    Attributes
    ----------
    holds : callable
        Takes a graph, returns whether the fact holds.
    """

    name: str
    holds: Callable[[object], bool]


def _bounded(graph: object) -> bool:
    """Whether every payload, sum of a synapse and value of a program that needs a width has one."""
    if not isinstance(graph, IntegerGraph):
        return False
    bounded = {(bound.population, bound.quantity) for bound in graph.bounds}
    declared = {(synapse.name, "accumulator") for synapse in graph.synapses}
    declared |= {(synapse.source, "payload") for synapse in graph.synapses if synapse.target not in graph.holders}
    for population in graph.populations:
        program = population.program
        values = {*program.ports, *(result for operation in program.operations for result in operation.results)}
        declared |= {(population.name, population.quantity(value)) for value in values - undeclared(program)}
    return declared <= bounded


def _encoded(graph: object) -> bool:
    return isinstance(graph, IntegerGraph) and all(population.lines for population in graph.populations)


def _limited(graph: object) -> bool:
    """Whether channels hear what the cells at both of their ends keep back."""
    if not isinstance(graph, IntegerGraph):
        return False
    heard = [set(graph.population(channels.population).program.ports) for channels in graph.channels]
    return all({"source_short", "target_short"} <= ports for ports in heard)


UNRECORDED = {"recorded": False}
"""Metadata of options that a pass's record leaves out (meshes, arrays, graphs)."""

LOWERED = Fact("lowered", lambda graph: isinstance(graph, FloatGraph))
TWO_POINT = Fact("lowered to two-point fluxes", lambda graph: isinstance(graph, TwoPointGraph))
MULTI_POINT = Fact("lowered to multi-point fluxes", lambda graph: isinstance(graph, MultiPointGraph))
ON_CELLS = Fact("lowered to fluxes between cells of any kind", lambda graph: isinstance(graph, CellGraph))
QUANTISED = Fact("quantised", lambda graph: isinstance(graph, IntegerGraph))
SCHEDULED = Fact(
    "scheduled", lambda graph: isinstance(graph, IntegerGraph) and None not in (graph.coding, graph.period)
)
LIMITED = Fact("limited", _limited)
BOUNDED = Fact("bounded", _bounded)
ENCODED = Fact("encoded in binary spikes", _encoded)
PROVED = Fact("proved", lambda graph: isinstance(graph, IntegerGraph) and graph.certificate is not None)
PLACED = Fact("placed", lambda graph: isinstance(graph, IntegerGraph) and graph.placement is not None)

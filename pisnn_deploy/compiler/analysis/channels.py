"""Claims on graphs of any fields and channels, from their shape and their bounds alone."""

from __future__ import annotations

import numpy as np

from pisnn_deploy.compiler.analysis.constant_states import equation_claim
from pisnn_deploy.compiler.analysis.floors import floors_claim
from pisnn_deploy.core.rows import Rows, added
from pisnn_deploy.graph import Certificate, Claim, IntegerGraph, Synapse
from pisnn_deploy.graph.claims import Figure
from pisnn_deploy.graph.fields import Field
from pisnn_deploy.graph.shape import incidence, joined
from pisnn_deploy.graph.synapse import effective, truncated


def as_stored(synapse: Synapse) -> Rows:
    """Effective weights after the target's truncation: mixed-sign mantissas are floored to even numbers.

    Returns
    -------
    Rows, int64 [outputs, inputs]
        ``floor(mantissa) * 2^exponent``, floored as the target floors a sum that one input alone drives.
    """
    return synapse.mantissa_matrix().valued(lambda mantissas: effective(truncated(mantissas), synapse.exponent))


def wrong_route(graph: IntegerGraph) -> str:
    """The first packet that does not reach its ends by the weights that the target stores; empty without one."""
    for channels in graph.channels:
        for holder in sorted({channels.source_holder, channels.target_holder}):
            route = (s for s in graph.into(holder) if (s.source, s.output) == (channels.population, channels.output))
            expected = incidence(graph, channels, holder)
            wrong = (added(map(as_stored, route), expected.shape) - expected).without_zeros().columns
            if wrong.size:
                return (
                    f"the route of {channels.population} [{int(wrong.min())}], as the target stores it, does not carry "
                    f"its packets to and from their ends in {holder}"
                )
    return ""


def most_carried(graph: IntegerGraph, field: Field) -> list[int]:
    """Largest absolute change of each holder of a field in one PDE step by its packets, in quanta."""
    limits = {(bound.population, bound.quantity): max(-bound.lower, bound.upper) for bound in graph.bounds}
    carried = np.zeros(field.size, np.object_)  # Python integers, which do not wrap
    for channels in graph.channels:
        population = graph.population(channels.population)
        packet = limits[population.name, population.quantity(population.program.sends[channels.output])]
        for holder, ends, _ in channels.ends:
            if holder == field.holder:
                carried += np.bincount(ends, minlength=field.size).astype(np.object_) * packet
    return [int(change) for change in carried]


def certificate_of(graph: IntegerGraph, largest_ledger: int) -> Certificate:
    """Claims on a graph whose packets reach their ends; stability is left out, and without a law the equation.

    With a limiter, nothing takes from a positive field without asking (`pisnn_deploy.compiler.analysis.floors.taking`).

    Parameters
    ----------
    graph : IntegerGraph
        Bounded.
    largest_ledger : int
        Absolute value that a ledger holds.
    """
    sets = joined(graph).values()
    figures: dict[str, Figure] = {
        "channels": sum(channels.size for channels in graph.channels),
        "sets": 1 + max(int(numbers.max(initial=-1)) for numbers in sets),
        "reservoirs": sum(int(field.reservoirs.size) for field in graph.fields),
    }
    if figures["reservoirs"]:
        most = max(max(most_carried(graph, field)[field.cells :], default=0) for field in graph.fields)
        figures["ledger_steps"] = largest_ledger // max(1, most)
    return Certificate(
        Claim("proved", "joined-holders", figures),
        Claim("assumed", "operating-windows", {"bounds": len(graph.bounds), "fields": len(graph.fields)}),
        Claim("none", "no-theorem"),
        floors_claim(graph),
        equation_claim(graph),
    )

"""Populations that faults hit by the names of states and packets."""

from __future__ import annotations

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.faults.spec import PACKET_KINDS, STATES, Fault, wrong_place
from pisnn_deploy.graph.integer import IntegerGraph


def owners(graph: IntegerGraph, place: str) -> tuple[str, ...]:
    """Populations that have a state or send packets.

    Parameters
    ----------
    place : str
        ``membrane``, ``current``, ``residue`` or ``packet``.
    """
    return graph.holders if place == "membrane" else tuple(channels.population for channels in graph.channels)


def population_of_state(graph: IntegerGraph, place: str) -> str:
    """Return the only population that has a state.

    Raises
    ------
    UsageError
        If there are several.
    """
    (population, *others) = owners(graph, place)
    if others:
        raise UsageError(f"several populations have a {place}: {population}, {', '.join(others)}")
    return population


def resolved(graph: IntegerGraph, fault: Fault) -> str:
    """Return the population of a fault in a state or a packet, and an empty string for other faults.

    Raises
    ------
    UsageError
        If the graph has no such population, or several of which the fault names none.
    """
    if fault.place not in STATES and fault.kind not in PACKET_KINDS:
        return ""
    known = owners(graph, fault.place)
    if fault.of in known or (not fault.of and len(known) == 1):
        return fault.of or known[0]
    if fault.of:
        raise wrong_place(fault, f"{fault.of} has no {fault.place}; use {', '.join(known)}")
    raise wrong_place(
        fault,
        f"several populations have a {fault.place}; write {fault.place}[{known[0]},{fault.index}], or another of "
        f"{', '.join(known)}",
    )

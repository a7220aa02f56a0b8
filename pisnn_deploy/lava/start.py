"""Where a run on Lava begins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.lava.exchange import Exchange
from pisnn_deploy.programs import run
from pisnn_deploy.programs.arrays import Arrays

PACKET, CURRENT, RESIDUE = range(3)
"""Rows of what channels tell the audit."""


@dataclass(frozen=True)
class Start:
    """What populations hold and have sent when a run begins; an `pisnn_deploy.audit.invariants.Start`.

    Attributes
    ----------
    step : int
        PDE steps that were done before.
    goes_on : bool
        Whether another run ended there: it has counted what this one sends first.
    mass : int64 array [holders]
        Masses and ledgers of all fields, field after field.
    flux : int64 array [3, channels]
        Packets, currents and residues of all channels, population after population.
    states : mapping of str to mapping of str to int64 array [neurons]
        States of each population by name, but for masses, currents and residues.
    sent : mapping of str to tuple of int64 array [neurons]
        What each population has sent last, by output; populations that send packets alone are left out.
    packets_sent, quanta_sent : int
        Nothing: the caller adds what was counted before.
    """

    step: int
    goes_on: bool
    mass: Integers
    flux: Integers
    states: Mapping[str, Mapping[str, Integers]]
    sent: Mapping[str, tuple[Integers, ...]]
    packets_sent: int = 0
    quanta_sent: int = 0

    @cached_property
    def current(self) -> Integers:
        """Currents of all channels."""
        return np.asarray(self.flux[CURRENT])

    @cached_property
    def residue(self) -> Integers:
        """Residues of all channels."""
        return np.asarray(self.flux[RESIDUE])


def start_of(graph: IntegerGraph, files: Exchange, step: int, *, goes_on: bool) -> Start:
    """Where a run of a graph begins.

    Parameters
    ----------
    graph : IntegerGraph
        Compiled to the end.
    files : Exchange
        The run, with its arrays.
    step : int
        PDE steps that were done before.
    goes_on : bool
        Whether another run ended there.
    """
    mass = files.array("initial")
    states = _states(graph, mass)
    return Start(step, goes_on, mass, files.array("initial_flux"), states, _sent(graph, mass, states))


def arriving(graph: IntegerGraph, sent: Mapping[str, tuple[Integers, ...]], target: str, port: str) -> Integers:
    """What everything sent adds up to at a port, apart from packets.

    Parameters
    ----------
    graph : IntegerGraph
    sent : mapping of str to tuple of int64 array
        Values by population and output; populations that are left out send nothing.
    target, port : str

    Returns
    -------
    int64 array [neurons of the target]
    """
    total = np.zeros(graph.size(target), np.int64)
    packets = {(channels.population, channels.output) for channels in graph.channels}
    for synapse in graph.into(target, port):
        if synapse.source in sent and (synapse.source, synapse.output) not in packets:
            total += synapse.matrix() @ sent[synapse.source][synapse.output]
    return total


def _states(graph: IntegerGraph, mass: Integers) -> Mapping[str, Mapping[str, Integers]]:
    """States before the first PDE step; widths are checked when they are used."""
    if not any(population.is_late for population in graph.populations):
        return {population.name: population.started() for population in graph.populations}
    masses, first = {}, 0
    for field in graph.fields:
        masses[field.holder] = mass[first : first + field.cells]
        first += field.size
    return Semantics(replace(graph, bounds=())).begin(masses)


def _sent(
    graph: IntegerGraph, mass: Integers, states: Mapping[str, Mapping[str, Integers]]
) -> dict[str, tuple[Integers, ...]]:
    """What all populations send of some masses, apart from those that send packets alone."""
    sent: dict[str, tuple[Integers, ...]] = {}
    first = 0
    for field in graph.fields:
        told = mass[first : first + field.size].copy()
        told[field.cells :] = 0
        sent[field.holder] = (told,)
        first += field.size
    packets = Counter(channels.population for channels in graph.channels)
    for population in map(graph.population, graph.depths):
        name, program = population.name, population.program
        if name in sent or packets[name] == len(program.sends):
            continue
        arrivals = {port: arriving(graph, sent, name, port) for port in program.ports}
        sends = run(program, Arrays(), {**arrivals, **states[name], **population.parameters}).sends
        sent[name] = tuple(np.array(np.broadcast_to(value, population.size)) for value in sends)
    return sent

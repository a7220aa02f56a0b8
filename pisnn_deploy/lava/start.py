"""Start of a run on Lava."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pisnn_deploy.graph.columns import columns_of
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.lava.exchange import Exchange
from pisnn_deploy.programs import run
from pisnn_deploy.programs.arrays import Arrays

PACKET, CURRENT, RESIDUE = range(3)
"""Rows of a channel's report to the audit."""


@dataclass(frozen=True)
class Start:
    """States and sent values at the start of a run; implements `pisnn_deploy.audit.invariants.Start`.

    Attributes
    ----------
    step : int
        Number of PDE steps before this run.
    goes_on : bool
        Whether this run continues another one, which has counted the first spikes of this one.
    mass : int64 array [holders]
        Masses and ledgers of all fields, field by field, in quanta.
    flux : int64 array [3, channels]
        Packets (quanta), currents and residues (flux units) of all channels, population by population.
    states : mapping of str to mapping of str to int64 array [neurons]
        Other states of each population, by name.
    sent : mapping of str to tuple of int64 array [neurons]
        Last values sent by each population, by output, except for populations that send only packets.
    packets_sent, quanta_sent : int
        Always 0: the caller adds the counts of previous runs.
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
    """Return the start of a run of a graph.

    Parameters
    ----------
    graph : IntegerGraph
        A fully compiled graph.
    files : Exchange
        Folder of the run.
    step : int
        Number of PDE steps before this run.
    goes_on : bool
        Whether this run continues another one.
    """
    mass = files.array("initial")
    states, flux = _states(graph, mass, step), files.array("initial_flux")
    return Start(
        step, goes_on, mass, flux, states, _sent(graph, mass, states) | _sent_by_channels(graph, flux[RESIDUE])
    )


def arriving(graph: IntegerGraph, sent: Mapping[str, tuple[Integers, ...]], target: str, port: str) -> Integers:
    """Sum the values sent to a port, except packets.

    Parameters
    ----------
    sent : mapping of str to tuple of int64 array
        Values by population and output; missing populations send nothing.

    Returns
    -------
    int64 array [neurons of the target]
        Weighted sum of the values.
    """
    total = np.zeros(graph.size(target), np.int64)
    packets = {(channels.population, channels.output) for channels in graph.channels}
    for synapse in graph.into(target, port):
        if synapse.source in sent and (synapse.source, synapse.output) not in packets:
            total += synapse.matrix() @ sent[synapse.source][synapse.output]
    return total


def _states(graph: IntegerGraph, mass: Integers, step: int) -> Mapping[str, Mapping[str, Integers]]:
    """States before the first PDE step; their widths are checked when they are used."""
    if not any(population.is_late for population in graph.populations):
        return {population.name: population.states_at(step) for population in graph.populations}
    masses, first = {}, 0
    for field in graph.fields:
        masses[field.holder] = mass[first : first + field.cells]
        first += field.size
    return Semantics(replace(graph, bounds=())).begin(masses)


def _sent_by_channels(graph: IntegerGraph, residue: Integers) -> dict[str, tuple[Integers, ...]]:
    """Residues sent by channels that send theirs; nothing in place of packets."""
    sent: dict[str, tuple[Integers, ...]] = {}
    for columns in columns_of(graph).channels:
        outputs = range(len(graph.population(columns.population).program.sends))
        if any((columns.population, output) in graph.heard_again for output in outputs):
            residues, nothing = residue[columns.part].copy(), np.zeros(columns.count, np.int64)
            sent[columns.population] = tuple(
                residues if (columns.population, output) in graph.heard_again else nothing for output in outputs
            )
    return sent


def _sent(
    graph: IntegerGraph, mass: Integers, states: Mapping[str, Mapping[str, Integers]]
) -> dict[str, tuple[Integers, ...]]:
    """Values sent for some masses by all populations, except those that send only packets."""
    sent: dict[str, tuple[Integers, ...]] = {}
    first = 0
    for field in graph.fields:
        sent_mass = mass[first : first + field.size].copy()
        sent_mass[field.cells :] = 0
        sent[field.holder] = (sent_mass,)
        first += field.size
    packets = Counter(channels.population for channels in graph.channels)
    elsewhere = {*graph.order.asking, *graph.order.answers, *(name for name, _ in graph.heard_again)}
    for population in map(graph.population, graph.depths):
        name, program = population.name, population.program
        if name in sent or packets[name] == len(program.sends) or name in elsewhere:
            continue
        arrivals = {port: arriving(graph, sent, name, port) for port in program.ports}
        sends = run(program, Arrays(), {**arrivals, **states[name], **population.parameters}).sends
        sent[name] = tuple(np.array(np.broadcast_to(value, population.size)) for value in sends)
    return sent

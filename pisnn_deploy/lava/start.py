"""Where a run on Lava begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pisnn_deploy.graph.integer import IntegerGraph, Integers
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
    sent : mapping of str to tuple of int64 array [neurons]
        What each population has sent last, by output; that of channels is taken by their holders.
    packets_sent, quanta_sent : int
        Nothing: the caller adds what was counted before.
    """

    step: int
    goes_on: bool
    mass: Integers
    flux: Integers
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
    return Start(step, goes_on, mass, files.array("initial_flux"), _sent(graph, mass))


def arriving(graph: IntegerGraph, sent: Mapping[str, tuple[Integers, ...]], target: str, port: str) -> Integers:
    """What everything sent adds up to at a port.

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
    for synapse in graph.into(target, port):
        if synapse.source in sent:
            total += synapse.matrix() @ sent[synapse.source][synapse.output]
    return total


def _sent(graph: IntegerGraph, mass: Integers) -> dict[str, tuple[Integers, ...]]:
    """What holders, and what neither holds nor moves mass, send of some masses; widths are checked when it is used."""
    sent: dict[str, tuple[Integers, ...]] = {}
    first = 0
    for field in graph.fields:
        told = mass[first : first + field.size].copy()
        told[field.cells :] = 0
        sent[field.holder] = (told,)
        first += field.size
    of_channels = {channels.population for channels in graph.channels}
    for name in graph.depths:
        if name in sent or name in of_channels:
            continue
        population = graph.population(name)
        inputs = {port: arriving(graph, sent, name, port) for port in population.program.ports}
        sent[name] = run(
            population.program, Arrays(), {**inputs, **population.started(), **population.parameters}
        ).sends
    return sent

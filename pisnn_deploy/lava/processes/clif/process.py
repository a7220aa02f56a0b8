"""Hierarchical process of the C-LIF neurons."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess

from pisnn_deploy.formats.c.effects import Sides
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.lines import Line, lines_of, stored_synapses
from pisnn_deploy.lava.start import Start
from pisnn_deploy.lava.steering import NO_SIDES


class CLIF(AbstractProcess):
    """Conservative leaky integrate-and-fire neurons: holders of mass, channels between them, and the audit.

    All synapses between holders and channels are inside, so they cannot be connected in a way that loses packets. The
    populations that estimate fluxes are outside.

    Parameters
    ----------
    graph : IntegerGraph
        A fully compiled graph.
    start : Start
        Start of the run.
    folder : Path
        Folder of the run.
    sides : Sides
        Sides whose values other processes send.

    Attributes
    ----------
    out_* : OutPort
        Each output of its populations; see `outlet`.
    in_* : InPort
        Input of a population with sources outside; see `inlet`.
    mass_* : OutPort [1, holders]
        Masses and ledgers of each field, in every time step.
    side0, side1, ... : InPort [1]
        Value of each of the sides, if its own neurons see them.
    """

    def __init__(
        self, graph: IntegerGraph, start: Start, folder: Path, name: str = "clif", sides: Sides = NO_SIDES
    ) -> None:
        super().__init__(graph=graph, start=start, folder=folder, sides=sides, name=name)
        for population in filter(partial(is_within, graph), graph.chain):
            shape = (graph.size(population) * lines_of(graph, population),)
            for output in range(len(graph.population(population).program.sends)):
                setattr(self, outlet(population, output), OutPort(shape=shape))
        for field in graph.fields:
            setattr(self, f"mass_{field.name}", OutPort(shape=(1, field.size)))
        if sides.sides and is_within(graph, sides.population):
            for number in range(len(sides.sides)):
                setattr(self, f"side{number}", InPort(shape=(1,)))
        for line in stored_synapses(graph):
            source, target = line.synapse.source, line.synapse.target
            if is_within(graph, target) and not is_within(graph, source):
                setattr(self, inlet(line), InPort(shape=(graph.size(target),)))


def is_within(graph: IntegerGraph, population: str) -> bool:
    """Whether a population is part of `CLIF`, because it holds or moves mass."""
    return population in graph.holders or any(channels.population == population for channels in graph.channels)


def outlet(population: str, output: int) -> str:
    """Name of the port of `CLIF` for an output of one of its populations."""
    return f"out_{population}_{output}"


def inlet(line: Line) -> str:
    """Name of the input of `CLIF` for the target of a synapse."""
    return f"in_{line.synapse.target}_{line.synapse.port}"

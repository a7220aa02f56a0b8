"""Hierarchical process of the C-LIF neurons."""

from __future__ import annotations

from pathlib import Path

from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess

from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.lines import Line, lines_of, stored_synapses
from pisnn_deploy.lava.start import Start


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

    Attributes
    ----------
    out_* : OutPort
        Output of a population with targets outside; see `outlet`.
    in_* : InPort
        Input of a population with sources outside; see `inlet`.
    """

    def __init__(self, graph: IntegerGraph, start: Start, folder: Path, name: str = "clif") -> None:
        super().__init__(graph=graph, start=start, folder=folder, name=name)
        for line in stored_synapses(graph):
            source, target = line.synapse.source, line.synapse.target
            if is_within(graph, source) and not is_within(graph, target):
                shape = (graph.size(source) * lines_of(graph, source),)
                setattr(self, outlet(line), OutPort(shape=shape))
            if is_within(graph, target) and not is_within(graph, source):
                setattr(self, inlet(line), InPort(shape=(graph.size(target),)))


def is_within(graph: IntegerGraph, population: str) -> bool:
    """Whether a population is part of `CLIF`, because it holds or moves mass."""
    return population in graph.holders or any(channels.population == population for channels in graph.channels)


def outlet(line: Line) -> str:
    """Name of the output of `CLIF` for the source of a synapse."""
    return f"out_{line.synapse.source}_{line.synapse.output}"


def inlet(line: Line) -> str:
    """Name of the input of `CLIF` for the target of a synapse."""
    return f"in_{line.synapse.target}_{line.synapse.port}"

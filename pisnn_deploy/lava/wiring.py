"""The processes of a whole graph and the synapses between them."""

from __future__ import annotations

from pathlib import Path

from lava.proc.sparse.process import Sparse

from pisnn_deploy.formats.c.effects import Sides
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.lines import stored_synapses
from pisnn_deploy.lava.processes.clif.process import CLIF, inlet, is_within, outlet
from pisnn_deploy.lava.processes.neurons.process import Neurons
from pisnn_deploy.lava.start import Start
from pisnn_deploy.lava.steering import NO_SIDES
from pisnn_deploy.lava.synapse import connect_line, names_of_ports


def wire(
    graph: IntegerGraph, start: Start, folder: Path, sides: Sides = NO_SIDES
) -> tuple[CLIF, dict[str, Neurons], list[Sparse]]:
    """Connect `CLIF` (holders, channels and the audit) with the other populations.

    Returns
    -------
    clif : CLIF
        Holders and channels.
    around : dict of str to Neurons
        The other populations by name.
    synapses : list of Sparse
        Synapses between both, and between the others.
    """
    clif = CLIF(graph, start, folder, sides=sides)
    around = {name: Neurons(graph, name, start, folder, sides) for name in graph.chain if not is_within(graph, name)}
    synapses = []
    for line in stored_synapses(graph):
        source, target = around.get(line.synapse.source), around.get(line.synapse.target)
        if source is not None or target is not None:
            out, port = names_of_ports(graph, line)
            own = outlet(line.synapse.source, line.synapse.output)
            spikes = getattr(clif, own) if source is None else getattr(source, out)
            arrival = getattr(clif, inlet(line)) if target is None else getattr(target, port)
            synapses.append(connect_line(graph, line, spikes, arrival))
    return clif, around, synapses

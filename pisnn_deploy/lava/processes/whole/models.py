"""Model of a whole artifact as a network of processes."""

from __future__ import annotations

from typing import Any

from lava.magma.core.decorator import implements, tag
from lava.magma.core.model.sub.model import AbstractSubProcessModel

from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.lava.processes.clif.process import outlet
from pisnn_deploy.lava.processes.whole.process import CLIFNetwork, outlet_of
from pisnn_deploy.lava.wiring import wire


@implements(proc=CLIFNetwork)
@tag("fixed_pt")
class CLIFNetworkModel(AbstractSubProcessModel):
    """`CLIF`, the populations around it, and the synapses between them."""

    def __init__(self, proc: Any) -> None:
        parameters = proc.proc_params
        graph: IntegerGraph = parameters["graph"]
        sides = parameters["sides"]
        self.clif, around, synapses = wire(graph, parameters["start"], parameters["folder"], sides)
        for number, process in enumerate((*around.values(), *synapses)):
            setattr(self, f"process{number}", process)
        for name in graph.chain:
            for output in range(len(graph.population(name).program.sends)):
                inner = getattr(around[name], f"out{output}") if name in around else None
                inner = getattr(self.clif, outlet(name, output)) if inner is None else inner
                inner.connect(getattr(proc.out_ports, outlet_of(name, output)))
        for field in graph.fields:
            port = f"mass_{field.name}"
            getattr(self.clif, port).connect(getattr(proc.out_ports, port))
        seeing = around.get(sides.population, self.clif)
        for number in range(len(sides.sides)):
            port = f"side{number}"
            getattr(proc.in_ports, port).connect(getattr(seeing, port))

"""Model of the C-LIF neurons as a network of processes."""

from __future__ import annotations

from typing import Any

from lava.magma.core.decorator import implements, tag
from lava.magma.core.model.sub.model import AbstractSubProcessModel

from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.lines import stored_synapses
from pisnn_deploy.lava.processes.audit.process import Audit
from pisnn_deploy.lava.processes.clif.process import CLIF, inlet, is_within, outlet
from pisnn_deploy.lava.processes.neurons.process import Neurons
from pisnn_deploy.lava.start import Start
from pisnn_deploy.lava.synapse import connect_line, names_of_ports


@implements(proc=CLIF)
@tag("fixed_pt")
class CLIFModel(AbstractSubProcessModel):
    """Holders and channels, all synapses between them, and an audit of both."""

    def __init__(self, proc: Any) -> None:
        graph: IntegerGraph = proc.proc_params["graph"]
        start: Start = proc.proc_params["start"]
        folder, sides = proc.proc_params["folder"], proc.proc_params["sides"]
        members = {name: Neurons(graph, name, start, folder, sides) for name in graph.chain if is_within(graph, name)}
        self.audit = Audit(graph, start, folder)
        for number, (name, neurons) in enumerate(members.items()):
            setattr(self, f"population{number}", neurons)
            neurons.audit_out.connect(self.audit.port_of(name))
            for output in range(len(graph.population(name).program.sends)):
                getattr(neurons, f"out{output}").connect(getattr(proc.out_ports, outlet(name, output)))
        for field in graph.fields:
            members[field.holder].audit_out.connect(getattr(proc.out_ports, f"mass_{field.name}"))
        for number in range(len(sides.sides) if sides.population in members else 0):
            port = f"side{number}"
            getattr(proc.in_ports, port).connect(getattr(members[sides.population], port))
        connected_inlets = set()
        for number, line in enumerate(stored_synapses(graph)):
            out, port = names_of_ports(graph, line)
            source, target = members.get(line.synapse.source), members.get(line.synapse.target)
            if source is not None and target is not None:
                process = connect_line(graph, line, getattr(source, out), getattr(target, port))
                setattr(self, f"synapse{number}", process)
            elif target is not None and inlet(line) not in connected_inlets:
                connected_inlets.add(inlet(line))
                getattr(proc.in_ports, inlet(line)).connect(getattr(target, port))

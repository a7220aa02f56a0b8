"""The C-LIF neurons as a network of processes."""

from __future__ import annotations

from typing import Any

from lava.magma.core.decorator import implements, tag
from lava.magma.core.model.sub.model import AbstractSubProcessModel

from pisnn_deploy.graph.integer import FLUX, MEMBRANE, IntegerGraph
from pisnn_deploy.graph.lines import stored_synapses
from pisnn_deploy.graph.payload import payload_guard
from pisnn_deploy.processes.audit.process import Audit
from pisnn_deploy.processes.clif.process import CLIF
from pisnn_deploy.processes.flux.process import Flux
from pisnn_deploy.processes.membrane.process import Membrane
from pisnn_deploy.processes.synapse import sparse_process


@implements(proc=CLIF)
@tag("fixed_pt")
class CLIFModel(AbstractSubProcessModel):
    """Membranes to audit; flux compartments to audit; packets from flux compartments through the route to membranes."""

    def __init__(self, proc: Any) -> None:
        graph: IntegerGraph = proc.proc_params["graph"]
        initial, folder = proc.proc_params["initial"], proc.proc_params["folder"]
        flux, first_step = proc.proc_params["flux"], int(proc.proc_params["first_step"])
        period, dense = int(graph.period or 0), graph.coding == "dense"
        self.membrane = Membrane(
            initial=initial,
            cells=graph.mesh.cells,
            period=period,
            dense=dense,
            mass_bits=graph.bits(MEMBRANE, "mass"),
            ledger_bits=graph.bits(MEMBRANE, "ledger") if graph.mesh.reservoirs else 0,
            guard=payload_guard(graph, MEMBRANE),
            first_step=first_step,
            goes_on=bool(proc.proc_params["goes_on"]),
            folder=folder,
            event_slot=graph.chain.index(MEMBRANE),
            name=MEMBRANE,
        )
        self.flux = Flux(
            drive=proc.proc_params["drive"],
            state=flux,
            bias=graph.flux.bias,
            threshold_exponent=graph.flux.threshold_exponent,
            leak=graph.flux.leak,
            period=period,
            dense=dense,
            drive_bits=graph.bits(FLUX, "drive"),
            current_bits=graph.bits(FLUX, "current"),
            potential_bits=graph.bits(FLUX, "potential"),
            residue_bits=graph.bits(FLUX, "residue"),
            guard=payload_guard(graph, FLUX),
            first_step=first_step,
            folder=folder,
            event_slot=graph.chain.index(FLUX),
            name=FLUX,
        )
        self.audit = Audit(
            source=graph.mesh.source,
            target=graph.mesh.target,
            threshold_exponent=graph.flux.threshold_exponent,
            window=graph.window,
            initial=initial,
            reservoirs=graph.membrane.reservoirs,
            inverse_volume=None if graph.medium is None else graph.medium.inverse_volume,
            current=flux[1],
            residue=flux[2],
            first_step=first_step,
            period=period,
            folder=folder,
            name="audit",
        )
        for number, line in enumerate(line for line in stored_synapses(graph) if line.synapse.source == FLUX):
            route = sparse_process(line, graph.binary.get(FLUX))
            setattr(self, f"route{number}", route)
            self.flux.s_out.connect(route.s_in)
            route.a_out.connect(self.membrane.arrival)
        self.membrane.audit_out.connect(self.audit.mass_in)
        self.flux.audit_out.connect(self.audit.flux_in)
        self.membrane.s_out.connect(proc.out_ports.s_out)
        proc.in_ports.d_in.connect(self.flux.d_in)

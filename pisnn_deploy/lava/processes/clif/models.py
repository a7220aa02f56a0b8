"""The C-LIF neurons as a network of processes."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, tag
from lava.magma.core.model.sub.model import AbstractSubProcessModel

from pisnn_deploy.graph.integer import FLUX, MEMBRANE, IntegerGraph, Integers
from pisnn_deploy.graph.lines import stored_synapses
from pisnn_deploy.graph.payload import payload_guard
from pisnn_deploy.lava.processes.audit.process import Audit
from pisnn_deploy.lava.processes.clif.process import CLIF
from pisnn_deploy.lava.processes.flux.process import Flux
from pisnn_deploy.lava.processes.limited_flux.process import LimitedFlux
from pisnn_deploy.lava.processes.membrane.process import Membrane
from pisnn_deploy.lava.synapse import sparse_process


@implements(proc=CLIF)
@tag("fixed_pt")
class CLIFModel(AbstractSubProcessModel):
    """Membranes to audit; flux compartments to audit; packets from flux compartments through the route to membranes.

    With a limiter also membranes to the flux compartments at both ends of their faces.
    """

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
        limited = graph.flux.share_shift is not None
        make = LimitedFlux if limited else Flux
        self.flux = make(
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
            **(_limiter(graph, initial) if limited else {}),
        )
        self.audit = Audit(
            source=graph.mesh.source,
            target=graph.mesh.target,
            threshold_exponent=graph.flux.threshold_exponent,
            window=graph.window,
            initial=initial,
            reservoirs=graph.membrane.reservoirs,
            inverse_volume=None if graph.medium is None else graph.medium.inverse_volume,
            share_shift=graph.flux.share_shift,
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
        if isinstance(self.flux, LimitedFlux):
            ports = {"source_mass": self.flux.source_in, "target_mass": self.flux.target_in}
            for line in (line for line in stored_synapses(graph) if line.synapse.port in ports):
                heard = sparse_process(line, graph.binary.get(MEMBRANE))
                setattr(self, f"{line.synapse.port}{line.number}", heard)
                self.membrane.s_out.connect(heard.s_in)
                heard.a_out.connect(ports[line.synapse.port])
        self.membrane.audit_out.connect(self.audit.mass_in)
        self.flux.audit_out.connect(self.audit.flux_in)
        self.membrane.s_out.connect(proc.out_ports.s_out)
        proc.in_ports.d_in.connect(self.flux.d_in)


def _limiter(graph: IntegerGraph, initial: Integers) -> dict[str, Any]:
    """What flux compartments with a limiter are told besides."""
    ends = np.stack([graph.mesh.source, graph.mesh.target])
    return {
        "held": np.where(ends < graph.mesh.cells, initial[ends], 0),
        "boundless": ends >= graph.mesh.cells,
        "share_shift": graph.flux.share_shift,
        "mass_bits": (graph.bits(FLUX, "source-mass"), graph.bits(FLUX, "target-mass")),
        "share_bits": graph.bits(FLUX, "share"),
    }

"""The fixed-point model of the flux compartments."""

from __future__ import annotations

from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from pisnn_deploy.lava.flux_compartments import FluxCompartments
from pisnn_deploy.lava.processes.flux.process import Flux


@implements(proc=Flux, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class FluxModel(FluxCompartments):
    """Flux compartments without a limiter."""

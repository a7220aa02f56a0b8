"""Flux compartments that wait for a message that nobody sends."""

from __future__ import annotations

from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from pisnn_deploy.lava.processes.flux.models import FluxModel
from pisnn_deploy.lava.processes.flux.process import Flux


@implements(proc=Flux, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class DeadlockedModel(FluxModel):
    """Receives twice in PDE step 4."""

    def run_spk(self) -> None:
        """One time step."""
        if self.time_step == 10:
            self.d_in.recv()
        super().run_spk()


REPLACED_MODELS = {Flux: DeadlockedModel}

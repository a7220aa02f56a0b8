"""Membranes whose model raises."""

from __future__ import annotations

from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from pisnn_deploy.lava.processes.membrane.models import MembraneModel
from pisnn_deploy.lava.processes.membrane.process import Membrane


@implements(proc=Membrane, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class RaisingModel(MembraneModel):
    """Raises in PDE step 4."""

    def run_spk(self) -> None:
        """One time step."""
        if self.time_step == 10:
            raise ValueError("the model is broken")
        super().run_spk()


REPLACED_MODELS = {Membrane: RaisingModel}

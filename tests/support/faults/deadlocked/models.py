"""Flux compartments that wait for a message that nobody sends."""

from __future__ import annotations

from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from pisnn_deploy.lava.processes.neurons.models import NeuronsModel
from pisnn_deploy.lava.processes.neurons.process import Neurons


@implements(proc=Neurons, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class DeadlockedModel(NeuronsModel):
    """Receives twice in PDE step 4."""

    def run_spk(self) -> None:
        """One time step."""
        if self.time_step == 10 and self.plan.population.name == "flux":
            self.in0.recv()
        super().run_spk()


REPLACED_MODELS = {Neurons: DeadlockedModel}

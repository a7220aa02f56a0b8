"""Membranes of which one has a bit flipped."""

from __future__ import annotations

from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from pisnn_deploy.lava.processes.neurons.models import NeuronsModel
from pisnn_deploy.lava.processes.neurons.process import Neurons


@implements(proc=Neurons, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class FlippedBitModel(NeuronsModel):
    """Flips the lowest bit of cell 3 in the second time step of PDE step 4."""

    def run_spk(self) -> None:
        """One time step."""
        if self.time_step == 10 and self.plan.population.name == "membrane":
            self.kept[0, 3] ^= 1
        super().run_spk()


REPLACED_MODELS = {Neurons: FlippedBitModel}

"""Flux compartments of which one forgets to send a packet that it fired."""

from __future__ import annotations

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from pisnn_deploy.lava.processes.neurons.models import NeuronsModel, Spikes
from pisnn_deploy.lava.processes.neurons.process import Neurons


@implements(proc=Neurons, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class DroppedPacketModel(NeuronsModel):
    """Drops its first packet of PDE step 4."""

    def send(self, number: int, spikes: Spikes) -> None:
        """Send all packets but one."""
        if self.time_step == 10 and self.plan.population.name == "flux":
            spikes = spikes.copy()
            spikes[np.flatnonzero(spikes)[:1]] = 0
        super().send(number, spikes)


REPLACED_MODELS = {Neurons: DroppedPacketModel}

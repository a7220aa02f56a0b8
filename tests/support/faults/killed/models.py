"""Flux compartments whose process is killed."""

from __future__ import annotations

import os
import signal

from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from pisnn_deploy.lava.processes.neurons.models import NeuronsModel
from pisnn_deploy.lava.processes.neurons.process import Neurons


@implements(proc=Neurons, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class KilledModel(NeuronsModel):
    """Dies by SIGKILL in PDE step 4."""

    def run_spk(self) -> None:
        """One time step."""
        if self.time_step == 10 and self.plan.population.name == "flux":
            os.kill(os.getpid(), signal.SIGKILL)
        super().run_spk()


REPLACED_MODELS = {Neurons: KilledModel}

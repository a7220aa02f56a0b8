"""Flux compartments that forget what did not fire."""

from __future__ import annotations

from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.lava.processes.flux.models import FluxModel
from pisnn_deploy.lava.processes.flux.process import Flux


@implements(proc=Flux, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class LossyResetModel(FluxModel):
    """Resets to zero on firing."""

    def fire(self, drive: Integers, step: int) -> None:
        """Fire, and lose the residue of the compartments that fired."""
        super().fire(drive, step)
        self.state[2][self.state[0] != 0] = 0


REPLACED_MODELS = {Flux: LossyResetModel}

"""Flux compartments that forget what did not fire."""

from __future__ import annotations

from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.lava.processes.neurons.models import NeuronsModel
from pisnn_deploy.lava.processes.neurons.process import Neurons
from pisnn_deploy.programs import Operand


@implements(proc=Neurons, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class LossyResetModel(NeuronsModel):
    """Resets to zero on firing."""

    def computed(self, step: int) -> dict[Operand, Integers]:
        """Fire, and lose the residue of the compartments that fired."""
        values = super().computed(step)
        if self.plan.population.name == "flux":
            values["residue"][values["packet"] != 0] = 0
        return values


REPLACED_MODELS = {Neurons: LossyResetModel}

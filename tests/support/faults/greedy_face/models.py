"""Flux compartments whose limiter does nothing."""

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
class GreedyFaceModel(NeuronsModel):
    """Takes everything that fires."""

    def computed(self, step: int) -> dict[Operand, Integers]:
        """Withhold nothing."""
        values = super().computed(step)
        return {**values, "packet": values["fired"]} if self.plan.population.name == "flux" else values


REPLACED_MODELS = {Neurons: GreedyFaceModel}

"""Holders of which one loses a quantum."""

from __future__ import annotations

from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.lava.plan import PortPlan
from pisnn_deploy.lava.processes.neurons.models import NeuronsModel
from pisnn_deploy.lava.processes.neurons.process import Neurons


@implements(proc=Neurons, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class ForgetfulModel(NeuronsModel):
    """One quantum of the third cell of the second of two fields never arrives in PDE step 4."""

    def take(self, number: int, port: PortPlan, arrival: Integers) -> None:
        """Update a port."""
        step, _ = self.now()
        if step == 4 and self.plan.population.name == "g0-q":
            arrival[2] -= 1
        super().take(number, port, arrival)


REPLACED_MODELS = {Neurons: ForgetfulModel}

"""Flux compartments whose limiter does nothing."""

from __future__ import annotations

from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.lava.processes.limited_flux.models import LimitedFluxModel
from pisnn_deploy.lava.processes.limited_flux.process import LimitedFlux


@implements(proc=LimitedFlux, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class GreedyFaceModel(LimitedFluxModel):
    """Takes everything that fires."""

    def limit(self, fired: Integers, step: int) -> None:
        """Withhold nothing."""


REPLACED_MODELS = {LimitedFlux: GreedyFaceModel}

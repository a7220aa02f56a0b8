"""Neurons that refuse to run where something is loaded that takes longer than a short run and serves nothing."""

from __future__ import annotations

import sys

from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from pisnn_deploy.lava.processes.neurons.models import NeuronsModel, Spikes
from pisnn_deploy.lava.processes.neurons.process import Neurons


@implements(proc=Neurons, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class ParticularModel(NeuronsModel):
    """Raises in a process that has loaded one of the packages."""

    def send(self, number: int, spikes: Spikes) -> None:
        """Send packets."""
        loaded = [name for name in ("pandas", "pyarrow", "torch", "numba") if sys.modules.get(name)]
        if loaded:
            raise ImportError(f"loaded for nothing: {', '.join(loaded)}")
        super().send(number, spikes)


REPLACED_MODELS = {Neurons: ParticularModel}

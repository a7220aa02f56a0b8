"""Membranes of which one has a bit flipped."""

from __future__ import annotations

from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from pisnn_deploy.lava.processes.membrane.models import MembraneModel
from pisnn_deploy.lava.processes.membrane.process import Membrane


@implements(proc=Membrane, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class FlippedBitModel(MembraneModel):
    """Flips the lowest bit of cell 3 in the second time step of PDE step 4."""

    def run_spk(self) -> None:
        """One time step."""
        if self.time_step == 10:
            self.mass[3] ^= 1
        super().run_spk()


REPLACED_MODELS = {Membrane: FlippedBitModel}

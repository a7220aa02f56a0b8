"""Flux compartments of which one forgets to send a packet that it fired."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from pisnn_deploy.lava.processes.flux.models import FluxModel
from pisnn_deploy.lava.processes.flux.process import Flux


class _Dropping:
    def __init__(self, port: Any) -> None:
        self._port = port

    def send(self, packets: Any) -> None:
        kept = packets.copy()
        kept[np.flatnonzero(kept)[:1]] = 0
        self._port.send(kept)


@implements(proc=Flux, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class DroppedPacketModel(FluxModel):
    """Drops its first packet of PDE step 4."""

    def run_spk(self) -> None:
        """One time step."""
        whole = self.s_out
        if self.time_step == 10:
            self.s_out = _Dropping(whole)
        super().run_spk()
        self.s_out = whole


REPLACED_MODELS = {Flux: DroppedPacketModel}

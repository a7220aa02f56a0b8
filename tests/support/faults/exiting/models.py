"""An audit whose process leaves."""

from __future__ import annotations

import os

from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from pisnn_deploy.lava.processes.audit.models import AuditModel
from pisnn_deploy.lava.processes.audit.process import Audit


@implements(proc=Audit, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class ExitingModel(AuditModel):
    """Leaves in PDE step 4."""

    def run_spk(self) -> None:
        """One time step."""
        if self.time_step == 10:
            os._exit(0)
        super().run_spk()


REPLACED_MODELS = {Audit: ExitingModel}

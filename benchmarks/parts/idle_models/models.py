"""Models without arithmetic, for measuring what Lava itself costs."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.sparse.models import PySparseModelBitAcc
from lava.proc.sparse.process import Sparse

from pisnn_deploy.lava.phases import step_and_phase
from pisnn_deploy.lava.plan import Plan
from pisnn_deploy.lava.ports import PortsOfAudit, PortsOfNeurons, ports_of
from pisnn_deploy.lava.processes.audit.process import Audit
from pisnn_deploy.lava.processes.neurons.process import Neurons


@implements(proc=Neurons, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class IdleNeuronsModel(PortsOfNeurons):
    """Sends zeros, forgets what arrives."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._plan: Plan = proc_params["plan"]
        self._silence = np.zeros(self._plan.population.size, np.int32)

    def run_spk(self) -> None:
        """One time step, in the order of the real model."""
        (arrival,), (output,) = ports_of(self, "in", 1), ports_of(self, "out", 1)
        _, phase = step_and_phase(self.time_step, self._plan.period)
        if phase == self._plan.phase:
            arrival.recv()
        output.send(self._silence)
        self.audit_out.send(self.kept[: len(self._plan.audited)])
        if phase != self._plan.phase:
            arrival.recv()


@implements(proc=Audit, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class IdleAuditModel(PortsOfAudit):
    """Forgets what arrives."""

    def run_spk(self) -> None:
        """One time step."""
        for port in ports_of(self, "in", 2):
            port.recv()


@implements(proc=Sparse, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class IdleSparseModel(PySparseModelBitAcc):
    """Sends zeros, forgets what arrives."""

    def run_spk(self) -> None:
        """One time step."""
        self.a_out.send(self.a_buff)
        self.s_in.recv()


IDLE_MODELS = {
    Audit: IdleAuditModel,
    Neurons: IdleNeuronsModel,
    Sparse: IdleSparseModel,
}
"""Model class by process class."""

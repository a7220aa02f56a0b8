"""Models without arithmetic, for measuring what Lava itself costs."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.sparse.process import Sparse
from scipy.sparse import csr_matrix

from pisnn_deploy.lava.plan import Plan
from pisnn_deploy.lava.processes.audit.process import Audit
from pisnn_deploy.lava.processes.neurons.process import Neurons


@implements(proc=Neurons, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class IdleNeuronsModel(PyLoihiProcessModel):
    """Sends zeros, forgets what arrives."""

    in0: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    in1: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    in2: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    in3: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    in4: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    in5: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    in6: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    in7: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    out0: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    out1: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    out2: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    out3: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    audit_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    arrived: np.ndarray = LavaPyType(np.ndarray, np.int64)
    kept: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._plan: Plan = proc_params["plan"]
        self._silence = np.zeros(self._plan.population.size, np.int32)

    def run_spk(self) -> None:
        """One time step, in the order of the real model."""
        answering = (self.time_step - 1) % self._plan.period == self._plan.phase
        if answering:
            self.in0.recv()
        self.out0.send(self._silence)
        self.audit_out.send(self.kept[: len(self._plan.audited)])
        if not answering:
            self.in0.recv()


@implements(proc=Audit, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class IdleAuditModel(PyLoihiProcessModel):
    """Forgets what arrives."""

    in0: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    in1: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    in2: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    in3: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    in4: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    in5: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    in6: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    in7: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    in8: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    in9: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    in10: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    in11: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    in12: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    in13: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    in14: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    in15: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)

    def run_spk(self) -> None:
        """One time step."""
        self.in0.recv()
        self.in1.recv()


@implements(proc=Sparse, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class IdleSparseModel(PyLoihiProcessModel):
    """Sends zeros, forgets what arrives."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, bool)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    a_buff: np.ndarray = LavaPyType(np.ndarray, np.int32)
    weights: csr_matrix = LavaPyType(csr_matrix, np.int32)
    num_message_bits: np.ndarray = LavaPyType(np.ndarray, int)

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

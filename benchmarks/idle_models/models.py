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

from pisnn_deploy.lava.processes.audit.process import Audit
from pisnn_deploy.lava.processes.flux.process import Flux
from pisnn_deploy.lava.processes.membrane.process import Membrane


@implements(proc=Membrane, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class IdleMembraneModel(PyLoihiProcessModel):
    """Sends zeros, forgets what arrives."""

    arrival: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    audit_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    mass: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._period = int(proc_params["period"])
        self._silence = np.zeros(proc_params["holders"], np.int32)

    def run_spk(self) -> None:
        """One time step, in the order of the real model."""
        answering = (self.time_step - 1) % self._period == 0
        if answering:
            self.arrival.recv()
        self.s_out.send(self._silence)
        self.audit_out.send(self.mass)
        if not answering:
            self.arrival.recv()


@implements(proc=Flux, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class IdleFluxModel(PyLoihiProcessModel):
    """Sends zeros, forgets what arrives."""

    d_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    audit_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    bias: np.ndarray = LavaPyType(np.ndarray, np.int64)
    drive: np.ndarray = LavaPyType(np.ndarray, np.int64)
    state: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._period = int(proc_params["period"])
        self._silence = np.zeros(proc_params["faces"], np.int32)

    def run_spk(self) -> None:
        """One time step, in the order of the real model."""
        answering = (self.time_step - 1) % self._period == self._period - 1
        if answering:
            self.d_in.recv()
        self.s_out.send(self._silence)
        self.audit_out.send(self.state)
        if not answering:
            self.d_in.recv()


@implements(proc=Audit, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class IdleAuditModel(PyLoihiProcessModel):
    """Forgets what arrives."""

    mass_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    flux_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)

    def run_spk(self) -> None:
        """One time step."""
        self.mass_in.recv()
        self.flux_in.recv()


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
    Flux: IdleFluxModel,
    Membrane: IdleMembraneModel,
    Sparse: IdleSparseModel,
}
"""Model class by process class."""

"""The fixed-point model of the membrane compartments."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from pisnn_deploy.core.arithmetic import require_width
from pisnn_deploy.graph.integer import MEMBRANE, Integers
from pisnn_deploy.lava.exchange import Exchange
from pisnn_deploy.lava.processes.membrane.process import Membrane


@implements(proc=Membrane, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class MembraneModel(PyLoihiProcessModel):
    """Phase 0: ``m <- m + arrival``; sends ``m`` or its change. Silent in the other phases."""

    arrival: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    audit_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    mass: Integers = LavaPyType(np.ndarray, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._period = int(proc_params["period"])
        self._dense = bool(proc_params["dense"])
        self._bits = int(proc_params["mass_bits"])
        self._guard = proc_params["guard"]
        self._first_step = int(proc_params["first_step"])
        self._goes_on = bool(proc_params["goes_on"])
        self._events = Exchange(proc_params["folder"]).array("events")
        self._slot = int(proc_params["event_slot"])
        self._cells = int(proc_params["cells"])
        self._ledger_bits = int(proc_params["ledger_bits"])
        self._silence = np.zeros(proc_params["holders"] * self._guard.width, np.int32)

    def run_spk(self) -> None:
        """One time step."""
        step, phase = divmod(self.time_step - 1, self._period)
        step += self._first_step
        if phase:
            self.s_out.send(self._silence)
            self.audit_out.send(self.mass)
            self.arrival.recv()
            return
        change = self.arrival.recv()
        self.mass += change
        cells = self._cells
        require_width(self.mass[:cells], self._bits, MEMBRANE, "mass", step)
        payload = self.payload(change)
        if cells < self.mass.size:
            require_width(self.mass[cells:], self._ledger_bits, MEMBRANE, "ledger", step)
            payload = payload.copy()
            payload[cells:] = 0
        self._guard.require(payload, step)
        spikes = self._guard.spikes(payload)
        self.s_out.send(spikes)
        self.audit_out.send(self.mass)
        if self.time_step > 1 or not self._goes_on:
            self._events[self._slot] += np.count_nonzero(spikes)

    def payload(self, change: Integers) -> Integers:
        """What membranes have to say after a change of their masses.

        Parameters
        ----------
        change : int64 array [holders]

        Returns
        -------
        int64 array [holders]
            Not to be written.
        """
        return self.mass if self._dense else change

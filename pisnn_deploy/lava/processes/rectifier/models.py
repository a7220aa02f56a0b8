"""The fixed-point model of a hidden population."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from pisnn_deploy.core.arithmetic import rectify, require_width
from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.lava.exchange import Exchange
from pisnn_deploy.lava.processes.rectifier.process import Rectifier


@implements(proc=Rectifier, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class RectifierModel(PyLoihiProcessModel):
    """At its phase: ``a = relu(drive + bias) >> shift``; sends ``a`` or its change. Silent in the other phases."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    bias: Integers = LavaPyType(np.ndarray, np.int64)
    drive: Integers = LavaPyType(np.ndarray, np.int64)
    activation: Integers = LavaPyType(np.ndarray, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._population = str(proc_params["name"])
        self._shift = int(proc_params["shift"])
        self._phase = int(proc_params["phase"])
        self._period = int(proc_params["period"])
        self._dense = bool(proc_params["dense"])
        self._drive_bits = int(proc_params["drive_bits"])
        self._activation_bits = int(proc_params["activation_bits"])
        self._guard = proc_params["guard"]
        self._first_step = int(proc_params["first_step"])
        self._goes_on = bool(proc_params["goes_on"])
        self._events = Exchange(proc_params["folder"]).array("events")
        self._slot = int(proc_params["event_slot"])
        self._silence = np.zeros(proc_params["neurons"] * self._guard.width, np.int32)

    def run_spk(self) -> None:
        """One time step."""
        step, phase = divmod(self.time_step - 1, self._period)
        step += self._first_step
        if phase != self._phase:
            self.s_out.send(self._silence)
            self.a_in.recv()
            return
        arrival = self.a_in.recv()
        if self._dense:
            np.add(arrival, self.bias, out=self.drive)
        else:
            self.drive += arrival
        require_width(self.drive, self._drive_bits, self._population, "drive", step)
        activation = rectify(self.drive, self._shift)
        require_width(activation, self._activation_bits, self._population, "activation", step)
        payload = activation if self._dense else activation - self.activation
        self._guard.require(payload, step)
        spikes = self._guard.spikes(payload)
        self.s_out.send(spikes)
        self.activation[:] = activation
        if self.time_step > self._period or not self._goes_on:
            self._events[self._slot] += np.count_nonzero(spikes)

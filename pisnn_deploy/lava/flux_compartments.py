"""What the fixed-point models of flux compartments share, with a limiter and without."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType

from pisnn_deploy.core.arithmetic import MEMORYLESS, decay, packets, require_width
from pisnn_deploy.graph.integer import FLUX, Integers
from pisnn_deploy.lava.exchange import Exchange


class FluxCompartments(PyLoihiProcessModel):
    """Last phase: current, residue and packets; silent in the other phases.

    The rows of ``state`` are the packets of this time step, the current and the residue: what the audit hears.
    """

    d_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    audit_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    bias: Integers = LavaPyType(np.ndarray, np.int64)
    drive: Integers = LavaPyType(np.ndarray, np.int64)
    state: Integers = LavaPyType(np.ndarray, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._exponent = int(proc_params["threshold_exponent"])
        self._leak = int(proc_params["leak"])
        self._period = int(proc_params["period"])
        self._dense = bool(proc_params["dense"])
        self._drive_bits = int(proc_params["drive_bits"])
        self._current_bits = int(proc_params["current_bits"])
        # Without memory the current is the drive, which was looked at already.
        self._has_own_current = self._leak != MEMORYLESS or self._current_bits < self._drive_bits
        self._potential_bits = int(proc_params["potential_bits"])
        self._residue_bits = int(proc_params["residue_bits"])
        self._guard = proc_params["guard"]
        self._first_step = int(proc_params["first_step"])
        self._events = Exchange(proc_params["folder"]).array("events")
        self._slot = int(proc_params["event_slot"])
        self._silence = np.zeros(proc_params["faces"] * self._guard.width, np.int32)

    def run_spk(self) -> None:
        """One time step."""
        step, phase = divmod(self.time_step - 1, self._period)
        step += self._first_step
        if phase != self._period - 1:
            self.s_out.send(self._silence)
            self.state[0] = 0
            self.audit_out.send(self.state)
            self.d_in.recv()
            return
        arrival = self.d_in.recv()
        if self._dense:
            np.add(arrival, self.bias, out=self.drive)
        else:
            self.drive += arrival
        require_width(self.drive, self._drive_bits, FLUX, "drive", step)
        self.fire(self.drive, step)
        spikes = self._guard.spikes(self.state[0])
        self.s_out.send(spikes)
        self.audit_out.send(self.state)
        self._events[self._slot] += np.count_nonzero(spikes)

    def fire(self, drive: Integers, step: int) -> None:
        """Turn the drive into packets, current and residue.

        Parameters
        ----------
        drive : int64 array [faces]
        step : int
            PDE step for error messages.
        """
        fired, current, residue = self.state
        if self._leak == MEMORYLESS:
            current[:] = drive
        else:
            np.add(decay(current, self._leak), drive, out=current)
        if self._has_own_current:
            require_width(current, self._current_bits, FLUX, "current", step)
        residue += current
        require_width(residue, self._potential_bits, FLUX, "potential", step)
        fired[:] = packets(residue, self._exponent)
        residue -= fired << self._exponent
        self.limit(fired, step)
        self._guard.require(fired, step)
        require_width(residue, self._residue_bits, FLUX, "residue", step)

    def limit(self, fired: Integers, step: int) -> None:
        """Take from packets, in place, what must not leave; nothing without a limiter.

        Parameters
        ----------
        fired : int64 array [faces]
        step : int
            PDE step for error messages.
        """

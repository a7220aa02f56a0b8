"""The fixed-point model of the audit."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.lava.bookkeeping import Bookkeeping
from pisnn_deploy.lava.processes.audit.process import Audit


@implements(proc=Audit, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class AuditModel(PyLoihiProcessModel):
    """Observes membranes and flux compartments, writes the trace, and stops the run at the first broken invariant."""

    mass_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    flux_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._period = int(proc_params["period"])
        self._first_step = int(proc_params["first_step"])
        self._books = Bookkeeping(proc_params)

    def run_spk(self) -> None:
        """One time step."""
        mass = self.mass_in.recv()
        flux = self.flux_in.recv()
        step, phase = divmod(self.time_step - 1, self._period)
        step += self._first_step
        absorbing, firing = phase == 0, phase == self._period - 1
        with self._books.counting():
            self.observe(step, mass, flux, absorbing=absorbing, firing=firing)
        if absorbing:
            self._books.absorbed(step, mass)
        if firing:
            self._books.fired(flux)
        self._books.done(self.time_step)

    def observe(self, step: int, mass: Integers, flux: Integers, *, absorbing: bool, firing: bool) -> None:
        """Compare the states of one time step with the books.

        Parameters
        ----------
        step : int
            PDE step.
        mass : int64 array [holders]
        flux : int64 array [3, faces]
            Packets, current and residue.
        absorbing, firing : bool

        Raises
        ------
        InvariantViolation
        """
        packets, current, residue = flux
        self._books.audit.observe_membranes(step, mass, absorbing=absorbing)
        self._books.audit.observe_flux(step, packets, current, residue, firing=firing)

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

from pisnn_deploy import invariants
from pisnn_deploy.errors import InvariantViolation
from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.processes import exchange
from pisnn_deploy.processes.audit.process import Audit

_NEVER = -1
"""PDE step after the last one that the trace keeps."""


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
        window, source = proc_params["window"], proc_params["source"]
        self._books = invariants.Audit(
            source,
            proc_params["target"],
            proc_params["threshold_exponent"],
            window.lower,
            window.upper,
            window.difference,
            window.current,
            proc_params["initial"],
            proc_params["reservoirs"],
            proc_params["residue"],
            proc_params["inverse_volume"],
            proc_params["share_shift"],
        )
        files = exchange.Exchange(proc_params["folder"])
        self._first_step = int(proc_params["first_step"])
        self._kept = [*files.array("kept").tolist(), _NEVER]
        self._mass = files.array("mass")
        self._transported = files.array("transported")
        self._in_flight = files.array("in_flight")
        self._flux = files.array("flux")
        self._last_step = int(files.array("last_step")[0])
        self._end = {name: files.array(f"end_{name}") for name in ("mass", "flux", "transported")}
        self._fired_last = files.array("initial_flux").copy()
        self._status = files.array("status")
        self._sum = files.array("initial_transported").copy()
        self._row = 0
        self._arriving = 0

    def run_spk(self) -> None:
        """One time step."""
        mass = self.mass_in.recv()
        flux = self.flux_in.recv()
        packets, current, residue = flux
        step, phase = divmod(self.time_step - 1, self._period)
        step += self._first_step
        absorbing, firing = phase == 0, phase == self._period - 1
        try:
            self._books.observe_membranes(step, mass, absorbing=absorbing)
            if absorbing:
                self._absorbed(step, mass)
            self._books.observe_flux(step, packets, current, residue, firing=firing)
        except InvariantViolation:
            self._status[exchange.VIOLATIONS] = list(self._books.counts.values())
            raise
        if firing:
            self._fired(flux)
        self._status[exchange.TIME_STEPS] = self.time_step

    def _absorbed(self, step: int, mass: Integers) -> None:
        if step == self._kept[self._row]:
            self._mass[self._row] = mass
            self._transported[self._row] = self._sum
            self._in_flight[self._row] = self._arriving
            if len(self._flux):
                self._flux[self._row] = self._fired_last
            self._row += 1
            self._status[exchange.ROWS] = self._row
        if step == self._last_step:
            self._end["mass"][:], self._end["flux"][:], self._end["transported"][:] = mass, self._fired_last, self._sum
        self._status[exchange.STEPS] = step

    def _fired(self, flux: Integers) -> None:
        self._sum += flux[0]
        self._fired_last[:] = flux
        self._arriving = self._books.quanta_sent - int(self._status[exchange.QUANTA])
        self._status[exchange.PACKETS] = self._books.packets_sent
        self._status[exchange.QUANTA] = self._books.quanta_sent

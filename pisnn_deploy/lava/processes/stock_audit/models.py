"""The fixed-point model of the audit of stock processes."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from pisnn_deploy.core.arithmetic import require_width
from pisnn_deploy.graph.integer import FLUX, MEMBRANE, Integers
from pisnn_deploy.lava.bookkeeping import Bookkeeping
from pisnn_deploy.lava.exchange import Exchange
from pisnn_deploy.lava.processes.stock_audit.process import StockAudit


@implements(proc=StockAudit, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class StockAuditModel(PyLoihiProcessModel):
    """Follows the residues by the rule of `pisnn_deploy.graph.stock`, so a face that breaks it breaks I3."""

    mass_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    drive_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    packets_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        graph = proc_params["graph"]
        self._send_threshold = graph.stock.send_threshold
        self._bits = {(bound.population, bound.quantity): bound.bits for bound in graph.bounds}
        self._slots = [graph.chain.index(name) for name in (MEMBRANE, FLUX)]
        self._residue = proc_params["residue"].astype(np.int64)
        self._first_step = int(proc_params["first_step"])
        self._counted = bool(proc_params["goes_on"])
        self._events = Exchange(proc_params["folder"]).array("events")
        self._books = Bookkeeping(proc_params, underway=True)

    def run_spk(self) -> None:
        """One time step."""
        mass = self.mass_in.recv()[:-1]
        drive, packets = self.drive_in.recv(), self.packets_in.recv()
        step = self.time_step - 1 + self._first_step
        self._require(mass, MEMBRANE, "mass", step)
        self._books.observe_membranes(step, mass, absorbing=True)
        if not (self._counted and self.time_step == 1):
            self._events[self._slots[0]] += np.count_nonzero(mass)
        if step < self._books.last_step:
            self._fired(step, drive, packets)
        else:  # what is sent in this time step belongs to a PDE step that the run does not do
            self._books.end_current(drive)
        self._books.done(self.time_step)

    def _fired(self, step: int, drive: Integers, packets: Integers) -> None:
        potential = self._residue + drive
        self._residue = np.where(np.abs(potential) >= self._send_threshold, 0, potential)
        parts = (("current", drive), ("potential", potential), ("packet", packets), ("residue", self._residue))
        for quantity, values in parts:
            self._require(values, FLUX, quantity, step)
        self._books.observe_flux(step, np.stack([packets, drive, self._residue]), firing=True)
        self._events[self._slots[1]] += np.count_nonzero(packets)

    def _require(self, values: Integers, population: str, quantity: str, step: int) -> None:
        require_width(values, self._bits[population, quantity], population, quantity, step)

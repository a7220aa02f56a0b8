"""Fixed-point model of the audit."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.ports import PyInPort
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from pisnn_deploy.core.errors import InvariantViolation, UsageError
from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.lava.audit_input import audit_input
from pisnn_deploy.lava.bookkeeping import Bookkeeping
from pisnn_deploy.lava.phases import step_and_phase
from pisnn_deploy.lava.ports import PortsOfAudit, ports_of
from pisnn_deploy.lava.processes.audit.process import Audit


@implements(proc=Audit, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class AuditModel(PortsOfAudit):
    """Checks holders and channels, writes the trace, and stops the run at the first violation."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        graph, start = proc_params["graph"], proc_params["start"]
        self._input = audit_input(graph, start)
        self._books = Bookkeeping(graph, start, proc_params["folder"])
        self._period = int(graph.period or 0)
        self._start = start

    @cached_property
    def _ports(self) -> tuple[PyInPort, ...]:
        """Ports with a sender."""
        return ports_of(self, "in", len(self._input.shapes))

    def run_spk(self) -> None:
        """Run one time step."""
        messages = [port.recv() for port in self._ports]
        step, phase = step_and_phase(self.time_step, self._period, self._start.step)
        books, audit_input = self._books, self._input
        if step > books.last_step:
            raise UsageError(
                f"PDE step {step}: the network was created for {books.last_step} steps; create it for more"
            )
        absorbing = phase == 0
        # Packets after the last PDE step would belong to the next one.
        firing = books.firing.get(phase, ()) if step < books.last_step else ()
        mass = audit_input.mass(messages, step)
        try:
            flux = self.observe(
                step, mass, partial(audit_input.flux, messages, step), absorbing=absorbing, firing=firing
            )
        except InvariantViolation:
            books.stopped()
            raise
        if absorbing:
            books.absorbed(step, mass)
        if firing:
            books.fired(flux, firing)
        elif not audit_input.reports_every_step:
            books.end_current(audit_input.next_current(messages))
        counts_holders = absorbing and not (self._start.goes_on and self.time_step == 1)
        for slot, count in audit_input.events(messages, holders=counts_holders, channels=bool(firing)).items():
            books.events[slot] += count
        books.done(self.time_step)

    def observe(
        self, step: int, mass: Integers, listen: Callable[[], Integers], *, absorbing: bool, firing: tuple[int, ...]
    ) -> Integers:
        """Check the states of one time step.

        Parameters
        ----------
        step : int
            PDE step.
        mass : int64 array [holders]
            Masses and ledgers.
        listen : callable
            Returns packets, currents and residues, int64 [3, channels].
        absorbing : bool
            Whether packets arrive.
        firing : tuple of int
            Numbers of the graph's channels that fire.

        Returns
        -------
        int64 array [3, channels]
            Packets, currents and residues; empty if channels report only when they fire and do not.
        """
        books = self._books
        books.audit.observe_membranes(step, mass, absorbing=absorbing)
        if not (firing or self._input.reports_every_step):
            return _NOTHING
        flux = listen()
        for number, (packets, current, residue) in enumerate(books.by_population(flux)):
            is_firing = number in firing
            books.audit.observe_flux(step, packets, current, residue, firing=is_firing, number=number)
        return flux


_NOTHING: Integers = np.zeros((3, 0), np.int64)

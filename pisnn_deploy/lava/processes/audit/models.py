"""The fixed-point model of the audit."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.ports import PyInPort
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from pisnn_deploy.core.errors import InvariantViolation
from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.lava.bookkeeping import Bookkeeping
from pisnn_deploy.lava.hearing import hearing
from pisnn_deploy.lava.plan import step_and_phase
from pisnn_deploy.lava.ports import PortsOfAudit, ports_of
from pisnn_deploy.lava.processes.audit.process import Audit


@implements(proc=Audit, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class AuditModel(PortsOfAudit):
    """Observes holders and channels, writes the trace, and stops the run at the first broken invariant."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        graph, start = proc_params["graph"], proc_params["start"]
        self._hearing = hearing(graph, start)
        self._books = Bookkeeping(graph, start, proc_params["folder"])
        self._period = int(graph.period or 0)
        self._start = start

    @cached_property
    def _ears(self) -> tuple[PyInPort, ...]:
        """The ports that hear something."""
        return ports_of(self, "in", len(self._hearing.ears))

    def run_spk(self) -> None:
        """One time step."""
        messages = [port.recv() for port in self._ears]
        step, phase = step_and_phase(self.time_step, self._period, self._start.step)
        books, heard = self._books, self._hearing
        absorbing = phase == 0
        # What is sent after the last PDE step belongs to one that the run does not do.
        firing = books.firing.get(phase, ()) if step < books.last_step else ()
        mass = heard.mass(messages, step)
        try:
            flux = self.observe(step, mass, partial(heard.flux, messages, step), absorbing=absorbing, firing=firing)
        except InvariantViolation:
            books.stopped()
            raise
        if absorbing:
            books.absorbed(step, mass)
        if firing:
            books.fired(flux, firing)
        elif not heard.hears_rest:
            books.end_current(heard.on_its_way(messages))
        counts_holders = absorbing and not (self._start.goes_on and self.time_step == 1)
        for slot, count in heard.events(messages, holders=counts_holders, channels=bool(firing)).items():
            books.events[slot] += count
        books.done(self.time_step)

    def observe(
        self, step: int, mass: Integers, listen: Callable[[], Integers], *, absorbing: bool, firing: tuple[int, ...]
    ) -> Integers:
        """Compare the states of one time step with the books.

        Parameters
        ----------
        step : int
            PDE step.
        mass : int64 array [holders]
            Masses and ledgers.
        listen : callable
            Gives packets, currents and residues, int64 [3, channels].
        absorbing : bool
            Whether packets arrive.
        firing : tuple of int
            Populations of channels that fire.

        Returns
        -------
        int64 array [3, channels]
            What was heard of the channels; nothing where they are only heard firing.

        Raises
        ------
        InvariantViolation
        """
        books = self._books
        books.audit.observe_membranes(step, mass, absorbing=absorbing)
        if not (firing or self._hearing.hears_rest):
            return _NOTHING
        flux = listen()
        for number, (packets, current, residue) in enumerate(books.by_population(flux)):
            is_firing = number in firing
            books.audit.observe_flux(step, packets, current, residue, firing=is_firing, number=number)
        return flux


_NOTHING: Integers = np.zeros((3, 0), np.int64)

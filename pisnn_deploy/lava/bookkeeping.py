"""What an audit inside a running graph does with what it observes: invariants, trace, and where the run ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pisnn_deploy.audit import invariants
from pisnn_deploy.core.errors import InvariantViolation
from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.lava import exchange

_NEVER = -1
"""PDE step after the last one that the trace keeps."""


class Bookkeeping:
    """Checks the conservation invariants and keeps the trace of one run.

    Attributes
    ----------
    audit : invariants.Audit
    last_step : int
        PDE step with which the run ends.

    Parameters
    ----------
    parameters : mapping
        Those of `pisnn_deploy.lava.processes.audit.process.Audit`.
    underway : bool
        Whether the currents at the start are still on their way to the flux compartments.
    """

    def __init__(self, parameters: Mapping[str, Any], *, underway: bool = False) -> None:
        window = parameters["window"]
        self.audit = invariants.Audit(
            parameters["source"],
            parameters["target"],
            parameters["threshold_exponent"],
            window.lower,
            window.upper,
            window.difference,
            window.current,
            parameters["initial"],
            parameters["reservoirs"],
            parameters["residue"],
            parameters["inverse_volume"],
            None if underway else parameters["current"],
            None if underway else parameters["share_shift"],
        )
        files = exchange.Exchange(parameters["folder"])
        self._kept = [*files.array("kept").tolist(), _NEVER]
        self._mass = files.array("mass")
        self._transported = files.array("transported")
        self._in_flight = files.array("in_flight")
        self._flux = files.array("flux")
        self._end = {name: files.array(f"end_{name}") for name in ("mass", "flux", "transported")}
        self._fired_last = files.array("initial_flux").copy()
        self._fired_last[1] *= not underway
        self._status = files.array("status")
        self._sum = files.array("initial_transported").copy()
        self._row = 0
        self._arriving = 0
        self.last_step = int(files.array("last_step")[0])

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Note how many violations there were when the first one stops the run."""
        try:
            yield
        except InvariantViolation:
            self._status[exchange.VIOLATIONS] = list(self.audit.counts.values())
            raise

    def observe_membranes(self, step: int, mass: Integers, *, absorbing: bool) -> None:
        """Check masses and ledgers after one time step, and keep them where the trace does.

        Parameters
        ----------
        step : int
            PDE step.
        mass : int64 array [holders]
        absorbing : bool
            Whether packets arrive in this time step.

        Raises
        ------
        InvariantViolation
        """
        with self.counting():
            self.audit.observe_membranes(step, mass, absorbing=absorbing)
        if absorbing:
            self.absorbed(step, mass)

    def observe_flux(self, step: int, flux: Integers, *, firing: bool) -> None:
        """Check packets, currents and residues after one time step, and count what fired.

        Parameters
        ----------
        step : int
            PDE step.
        flux : int64 array [3, faces]
        firing : bool
            Whether compartments fire in this time step.

        Raises
        ------
        InvariantViolation
        """
        packets, current, residue = flux
        with self.counting():
            self.audit.observe_flux(step, packets, current, residue, firing=firing)
        if firing:
            self.fired(flux)

    def end_current(self, current: Integers) -> None:
        """Say what the flux compartments receive after the last PDE step, where they do not keep it themselves.

        Parameters
        ----------
        current : int64 array [faces]
        """
        self._end["flux"][1] = current

    def done(self, time_step: int) -> None:
        """Say that a time step has been looked at.

        Parameters
        ----------
        time_step : int
        """
        self._status[exchange.TIME_STEPS] = time_step

    def absorbed(self, step: int, mass: Integers) -> None:
        """Keep what membranes hold after a PDE step, where the trace does.

        Parameters
        ----------
        step : int
        mass : int64 array [holders]
        """
        if step == self._kept[self._row]:
            self._mass[self._row] = mass
            self._transported[self._row] = self._sum
            self._in_flight[self._row] = self._arriving
            if len(self._flux):
                self._flux[self._row] = self._fired_last
            self._row += 1
            self._status[exchange.ROWS] = self._row
        if step == self.last_step:
            self._end["mass"][:], self._end["flux"][:], self._end["transported"][:] = mass, self._fired_last, self._sum
        self._status[exchange.STEPS] = step

    def fired(self, flux: Integers) -> None:
        """Count what fired in a PDE step.

        Parameters
        ----------
        flux : int64 array [3, faces]
        """
        self._sum += flux[0]
        self._fired_last[:] = flux
        self._arriving = self.audit.quanta_sent - int(self._status[exchange.QUANTA])
        self._status[exchange.PACKETS] = self.audit.packets_sent
        self._status[exchange.QUANTA] = self.audit.quanta_sent

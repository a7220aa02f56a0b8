"""The audit's bookkeeping in a running graph: invariants, trace and final state."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path

from pisnn_deploy.audit.invariants import Audit
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.lava import exchange
from pisnn_deploy.lava.plan import plan_of
from pisnn_deploy.lava.row_file import RowFile
from pisnn_deploy.lava.start import CURRENT, PACKET, Start

_NEVER = -1
"""Marks the end of the PDE steps of the trace."""


class Bookkeeping:
    """Checks the conservation invariants and keeps the trace of one run.

    Attributes
    ----------
    audit : Audit
        Audit of all fields and channels.
    columns : tuple of slice
        Slice of each of the graph's channels among all of them.
    firing : mapping of int to tuple of int
        Numbers of the graph's channels that fire, by phase.
    events : int64 array [populations]
        Number of spikes, in memory shared with the populations.
    last_step : int
        Last PDE step of the run.

    Parameters
    ----------
    graph : IntegerGraph
        A fully compiled graph.
    start : Start
        Start of the run.
    folder : Path
        Folder of the run.
    """

    def __init__(self, graph: IntegerGraph, start: Start, folder: Path) -> None:
        self.audit = Audit(graph, start)
        plans = [plan_of(graph, channels.population) for channels in graph.channels]
        ends = list(accumulate(channels.size for channels in graph.channels))
        self.columns = tuple(map(slice, (0, *ends), ends))
        self.firing = {
            plan.phase: tuple(number for number, other_plan in enumerate(plans) if other_plan.phase == plan.phase)
            for plan in plans
        }
        files = exchange.Exchange(folder)
        self.events = files.array("events")
        self._kept = [*files.array("kept").tolist(), _NEVER]
        self._mass = RowFile(files, "mass")
        self._transported = RowFile(files, "transported")
        self._in_flight = files.array("in_flight")
        self._flux = RowFile(files, "flux")
        self._end = {name: files.array(f"end_{name}") for name in ("mass", "flux", "transported")}
        self._fired_last = start.flux.copy()
        for plan, columns in zip(plans, self.columns, strict=True):
            if plan.population.is_late:  # these currents have not arrived yet
                self._fired_last[CURRENT, columns] = 0
        self._status = files.array("status")
        self._sum = files.array("initial_transported").copy()
        self._row = 0
        self._arriving = 0
        self.last_step = int(files.array("last_step")[0])

    def by_population(self, flux: Integers) -> list[Integers]:
        """Split packets, currents and residues by the graph's channels.

        Parameters
        ----------
        flux : int64 array [3, channels]
            Values of all channels.
        """
        return [flux] if len(self.columns) == 1 else [flux[:, columns] for columns in self.columns]

    def stopped(self) -> None:
        """Store the number of violations, and of the packets of channels that were checked, when the run stops."""
        self._status[exchange.VIOLATIONS] = list(self.audit.counts.values())
        self._status[exchange.PACKETS] = self.audit.packets_sent
        self._status[exchange.QUANTA] = self.audit.quanta_sent

    def end_current(self, current: Integers) -> None:
        """Store the currents that arrive after the last PDE step, for channels that do not keep them.

        Parameters
        ----------
        current : int64 array [faces]
            Currents of all channels, in flux units.
        """
        self._end["flux"][1] = current

    def done(self, time_step: int) -> None:
        """Mark a time step as audited."""
        self._status[exchange.TIME_STEPS] = time_step

    def absorbed(self, step: int, mass: Integers) -> None:
        """Store the masses after a PDE step, if it is in the trace.

        Parameters
        ----------
        mass : int64 array [holders]
            Masses and ledgers, in quanta.
        """
        if step == self._kept[self._row]:
            self._mass.write(self._row, mass)
            self._transported.write(self._row, self._sum)
            self._in_flight[self._row] = self._arriving
            if self._flux.count:
                self._flux.write(self._row, self._fired_last)
            self._row += 1
            self._status[exchange.ROWS] = self._row
        self._arriving = 0
        if step == self.last_step:
            self._end["mass"][:], self._end["flux"][:], self._end["transported"][:] = mass, self._fired_last, self._sum
        self._status[exchange.STEPS] = step

    def fired(self, flux: Integers, firing: tuple[int, ...]) -> None:
        """Count the packets of a time step.

        Parameters
        ----------
        flux : int64 array [3, channels]
            Packets, currents and residues.
        firing : tuple of int
            Numbers of the graph's channels that fired.
        """
        for number in firing:
            columns = self.columns[number]
            self._sum[columns] += flux[PACKET, columns]
            self._fired_last[:, columns] = flux[:, columns]
        self._arriving += self.audit.quanta_sent - int(self._status[exchange.QUANTA])
        self._status[exchange.PACKETS] = self.audit.packets_sent
        self._status[exchange.QUANTA] = self.audit.quanta_sent

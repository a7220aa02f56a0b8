"""Runs with faults on the `fast` backend: kernels up to the first fault, then the chip simulator `Machine`."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from pisnn_deploy.audit.invariants import Audit
from pisnn_deploy.audit.recovery import Recovery
from pisnn_deploy.faults.injection import Injector
from pisnn_deploy.faults.machine import Machine
from pisnn_deploy.graph.columns import columns_of
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.runs.run import RunState
from pisnn_deploy.runs.stepping import Stepper, Tally


class FaultyStepper:
    """A run on a `Machine`, audited after every time step.

    Parameters
    ----------
    start : RunState
        State to start from.
    recovers : bool
        Whether violations are repaired.
    machine : type
        Class of the simulator; tests replace it.
    """

    def __init__(
        self,
        graph: IntegerGraph,
        start: RunState,
        injector: Injector,
        *,
        recovers: bool = False,
        machine: type[Machine] = Machine,
    ) -> None:
        self._graph = graph
        self._now = start
        self._begun = start.step > 0
        flux = np.stack([np.zeros_like(start.current), start.current, start.residue])
        self.machine = machine(graph, start.step, start.mass, flux, injector, counts_start=not self._begun)
        self.machine.events.update(start.events)
        self.audit = Audit(graph, start)
        self._columns = columns_of(graph).channels
        self._phases = [graph.depths[channels.population] for channels in self._columns]
        self._packets = np.zeros_like(start.current)
        self._recovery = Recovery(self.audit) if recovers else None

    def begin(self) -> None:
        """Check the initial state and count its spikes."""
        self._time_step()
        self._begun = True
        self._now = replace(self._now, mass=self.machine.mass.copy(), events=dict(self.machine.events))

    def advance(self, steps: int) -> None:
        """Run PDE steps, checking every time step."""
        if not self._begun:
            self.begin()
        elif self.machine.time == (self._now.step, 0):
            self._time_step()  # a continued run: its first spikes are counted already
        for _ in range(steps):
            for _ in range(self.machine.phases):
                self._time_step()
            packets = self._packets.copy()
            self._now = RunState(
                self._now.step + 1,
                self.machine.mass.copy(),
                self.machine.kept_current,
                self.machine.flux[2].copy(),
                self._now.transported + packets,
                int(np.abs(packets).sum()),
                self.audit.packets_sent,
                self.audit.quanta_sent,
                dict(self.machine.events),
            )

    def state(self) -> RunState:
        """Return the current state."""
        return self._now

    def tally(self) -> Tally:
        """Return the counts so far."""
        audit = self.audit
        events, counts = dict(self.machine.events), dict(audit.counts)
        healed = () if self._recovery is None else tuple(self._recovery.detections)
        return Tally(self._now.step, audit.packets_sent, audit.quanta_sent, events, counts, healed)

    def _time_step(self) -> None:
        step, phase = self.machine.time
        self.machine.advance()
        observations = [partial(self.audit.observe_membranes, step, self.machine.mass, absorbing=phase == 0)]
        for number, (channels, depth) in enumerate(zip(self._columns, self._phases, strict=True)):
            packets, current, residue = self.machine.flux[:, channels.part]
            if phase == depth:
                self._packets[channels.part] = packets
            observations.append(
                partial(self.audit.observe_flux, step, packets, current, residue, firing=phase == depth, number=number)
            )
        if self._recovery is None:
            for observe in observations:
                observe()
            return
        books = self._recovery.observe(*observations)
        if books is not None:
            self.machine.mend(*books)


class RelayedStepper:
    """A run on kernels up to the first fault, and on a machine with faults after that.

    Parameters
    ----------
    kernels : Stepper
        Stepper at the start of the run.
    """

    def __init__(self, graph: IntegerGraph, kernels: Stepper, injector: Injector, *, recovers: bool) -> None:
        self._graph = graph
        self._kernels = kernels
        self._injector = injector
        self._recovers = recovers
        self._faulty: FaultyStepper | None = None
        # A fault in the first time step of a PDE step occurs before its packets arrive.
        self._last = injector.first_step() - 1

    def begin(self) -> None:
        """Check the initial state and count its spikes."""
        self._runner(self._kernels.state().step).begin()

    def advance(self, steps: int) -> None:
        """Run PDE steps, checking every one."""
        before = min(steps, max(0, self._last - self.state().step)) if self._faulty is None else 0
        if before:
            self._kernels.advance(before)
        if steps > before:
            self._runner(self.state().step).advance(steps - before)

    def state(self) -> RunState:
        """Return the current state."""
        return (self._faulty or self._kernels).state()

    def tally(self) -> Tally:
        """Return the counts so far."""
        return (self._faulty or self._kernels).tally()

    def _runner(self, step: int) -> Stepper:
        if self._faulty is None and step >= self._last:
            self._faulty = FaultyStepper(self._graph, self._kernels.state(), self._injector, recovers=self._recovers)
        return self._faulty or self._kernels

"""A chip in plain numpy, time step by time step, with faults: what the processes on Lava do, without Lava.

Memories and messages are those of the hardware: accumulators that take changes, stored synapses, spikes that arrive one
time step after they were sent. Without faults a PDE step gives the integers of `pisnn_deploy.graph.semantics`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pisnn_deploy.core.arithmetic import decay, packets, rectify, require_width
from pisnn_deploy.faults.injection import Injector
from pisnn_deploy.graph.integer import FLUX, MEMBRANE, IntegerGraph, Integers, Rectifier
from pisnn_deploy.graph.lines import stored_synapses
from pisnn_deploy.graph.payload import payload_guard
from pisnn_deploy.graph.semantics import Semantics


class Machine:
    """All compartments and synapses of a graph.

    Parameters
    ----------
    graph : IntegerGraph
        Compiled to the end.
    step : int
        PDE step with which to begin.
    mass : int64 array [holders]
    flux : int64 array [3, faces]
        Packets, currents and residues.
    injector : Injector
    counts_start : bool
        Whether the spikes of the first time step of each population count as events.

    Attributes
    ----------
    mass, flux : int64 arrays
        What the memories hold, and in the first row of `flux` what has just been fired.
    events : dict of str to int
        Spikes by population.
    """

    def __init__(
        self, graph: IntegerGraph, step: int, mass: Integers, flux: Integers, injector: Injector, *, counts_start: bool
    ) -> None:
        self._graph = graph
        self._injector = injector
        self._dense = graph.coding == "dense"
        self._period = int(graph.period or 0)
        self._time = self._begin = step * self._period
        self._counts_start = counts_start
        self.mass = mass.copy()
        self.flux = flux.copy()
        self.events = dict.fromkeys(graph.chain, 0)
        # Widths are checked when values are used.
        self._activations = Semantics(replace(graph, bounds=())).activations(mass)
        self._biases = {population.name: population.bias for population in (*graph.hidden,)} | {FLUX: graph.flux.bias}
        self._drives = {
            target: graph.matrix(source, target) @ activation + self._biases[target]
            for source, target, activation in zip(graph.chain, graph.chain[1:], self._activations, strict=False)
        }
        self._guards = {name: payload_guard(graph, name) for name in graph.chain}
        self._synapses = [(line.synapse, injector.synapse(line)) for line in stored_synapses(graph)]
        self._arriving = {name: np.zeros(graph.size(name), np.int64) for name in graph.chain}
        self._told = mass.copy()
        self._untold = np.zeros_like(mass)

    @property
    def time(self) -> tuple[int, int]:
        """PDE step and phase of the next time step."""
        return divmod(self._time, self._period)

    def advance(self) -> None:
        """Do one time step.

        Raises
        ------
        OverflowViolation
            A value outside its declared bits.
        """
        step, phase = self.time
        for place, words in ((MEMBRANE, self.mass), ("current", self.flux[1]), ("residue", self.flux[2])):
            self._injector.flip(place, words, step, phase)
        self.flux[0] = 0
        if phase == 0:
            self._absorb(step)
        elif phase < self._period - 1:
            self._answer(self._graph.hidden[phase - 1], step, phase)
        else:
            self._fire(step, phase)
        self._time += 1

    def mend(self, mass: Integers, current: Integers, residue: Integers) -> None:
        """Set the states right; what membranes have told wrongly is made good when they send next.

        Parameters
        ----------
        mass : int64 array [holders]
        current, residue : int64 array [faces]
        """
        self.mass[:], self.flux[1], self.flux[2] = mass, current, residue
        self._untold = self.mass - self._told

    def _absorb(self, step: int) -> None:
        change = self._arrivals(MEMBRANE, step, 0)
        self.mass += change
        cells, graph = self._graph.mesh.cells, self._graph
        require_width(self.mass[:cells], graph.bits(MEMBRANE, "mass"), MEMBRANE, "mass", step)
        if cells < self.mass.size:
            require_width(self.mass[cells:], graph.bits(MEMBRANE, "ledger"), MEMBRANE, "ledger", step)
        payload = self.mass.copy() if self._dense else change + self._untold
        self._untold[:] = 0
        self._told += payload
        payload[cells:] = 0
        self._send(MEMBRANE, payload, step, 0)

    def _answer(self, population: Rectifier, step: int, phase: int) -> None:
        name, graph = population.name, self._graph
        drive = self._drive(name, step, phase)
        require_width(drive, graph.bits(name, "drive"), name, "drive", step)
        activation = rectify(drive, population.shift)
        require_width(activation, graph.bits(name, "activation"), name, "activation", step)
        payload = activation if self._dense else activation - self._activations[phase]
        self._activations[phase] = activation
        self._send(name, payload, step, phase)

    def _fire(self, step: int, phase: int) -> None:
        flux, bits = self._graph.flux, self._graph.bits
        drive = self._drive(FLUX, step, phase)
        require_width(drive, bits(FLUX, "drive"), FLUX, "drive", step)
        dead = self._injector.dead(FLUX, step, phase)
        frozen = self.flux[:, dead]
        fired, current, residue = self.flux
        current[:] = decay(current, flux.leak) + drive
        require_width(current, bits(FLUX, "current"), FLUX, "current", step)
        residue += current
        require_width(residue, bits(FLUX, "potential"), FLUX, "potential", step)
        fired[:] = packets(residue, flux.threshold_exponent)
        self._guards[FLUX].require(fired, step)
        residue -= fired << flux.threshold_exponent
        require_width(residue, bits(FLUX, "residue"), FLUX, "residue", step)
        self.flux[:, dead] = frozen
        self._send(FLUX, fired, step, phase)

    def _arrivals(self, population: str, step: int, phase: int) -> Integers:
        """What arrives at a population that updates, nothing where an accumulator keeps its value."""
        arriving = self._arriving[population]
        self._arriving[population] = np.zeros_like(arriving)
        arriving[self._injector.held(population, step, phase)] = 0
        return arriving

    def _drive(self, population: str, step: int, phase: int) -> Integers:
        drive = self._drives[population]
        arriving = self._arrivals(population, step, phase)
        if self._dense:
            held = self._injector.held(population, step, phase)
            arriving[held] = (drive - self._biases[population])[held]
            drive = self._biases[population] + arriving
        else:
            drive = drive + arriving
        self._drives[population] = drive
        return drive

    def _send(self, population: str, payload: Integers, step: int, phase: int) -> None:
        guard = self._guards[population]
        if population != FLUX:
            guard.require(payload, step)
        spikes = guard.spikes(payload).reshape(-1, payload.size)
        if self._counts_start or self._time >= self._begin + self._period or (phase and population == FLUX):
            self.events[population] += int(np.count_nonzero(spikes))
        dead = self._injector.dead(population, step, phase)
        if dead.size:
            spikes = spikes.copy()
            spikes[:, dead] = 0
        for stored, synapse in self._synapses:
            if stored.source == population:
                self._arriving[stored.target] += synapse.product(spikes[synapse.line], step, phase)

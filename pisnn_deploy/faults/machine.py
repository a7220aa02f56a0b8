"""A chip in plain numpy, time step by time step, with faults: what the processes on Lava do, without Lava.

Memories and messages are those of the hardware: accumulators that take changes, stored synapses, spikes that arrive one
time step after they were sent. What a neuron does stands in its program. Without faults a PDE step gives the integers
of `pisnn_deploy.graph.semantics`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.arithmetic import require_width
from pisnn_deploy.faults.injection import Injector
from pisnn_deploy.graph.integer import FLUX, MEMBRANE, IntegerGraph, Integers
from pisnn_deploy.graph.lines import stored_synapses
from pisnn_deploy.graph.payload import payload_guard
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.programs import run


class Machine:
    """All neurons and synapses of a graph.

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
        What the memories hold, and in the first row of `flux` what has just been fired; the currents are those that
        were added when faces fired last.
    events : dict of str to int
        Spikes by population.
    phases : int
        Time steps of a PDE step; where faces answer in the time step of the masses, its two halves.
    """

    def __init__(
        self, graph: IntegerGraph, step: int, mass: Integers, flux: Integers, injector: Injector, *, counts_start: bool
    ) -> None:
        self._graph = graph
        self._injector = injector
        self._dense = graph.coding == "dense"
        self._answering = tuple(map(graph.population, graph.depths))
        self.phases = len(self._answering)
        self._time = self._begin = step * self.phases
        self._counts_start = counts_start
        self.mass, self.flux = mass.copy(), flux.copy()
        self.events = dict.fromkeys(graph.chain, 0)
        (mass_before,) = graph.population(MEMBRANE).program.states
        self._memory = {MEMBRANE: {mass_before: self.mass}, FLUX: self._memory_of_faces()}
        self._bits = {(bound.population, bound.quantity): bound.bits for bound in graph.bounds}
        self._guards = {name: payload_guard(graph, name) for name in graph.chain}
        self._synapses = [(line.synapse, injector.synapse(line, self.phases)) for line in stored_synapses(graph)]
        # Widths are checked when values are used.
        answers = Semantics(replace(graph, bounds=())).activations(mass)
        self._told = dict(zip(graph.chain, answers, strict=False)) | {MEMBRANE: mass.copy()}
        self._untold = np.zeros_like(mass)
        ports = [(population.name, port) for population in self._answering for port in population.program.ports]
        self._arriving = {(name, port): np.zeros(graph.size(name), np.int64) for name, port in ports}
        self._accumulated = {key: arriving.copy() for key, arriving in self._arriving.items()}
        for synapse in graph.synapses:
            if synapse.source in self._told:
                heard = synapse.matrix() @ self._told[synapse.source]
                self._accumulated[synapse.target, synapse.port] += heard

    @property
    def time(self) -> tuple[int, int]:
        """PDE step and phase of the next time step."""
        return divmod(self._time, self.phases)

    @property
    def kept_current(self) -> Integers:
        """What faces keep of their currents, a copy; 0 where their program keeps nothing."""
        *kept, _ = self._memory[FLUX].values()
        return kept[0].copy() if kept else np.zeros_like(self.flux[1])

    def advance(self) -> None:
        """Do one time step.

        Raises
        ------
        OverflowViolation
            A value outside its declared bits.
        """
        step, phase = self.time
        for place, words in self._words():
            self._injector.flip(place, words, step, phase)
        self.flux[0] = 0
        self._answer(self._answering[phase], step, phase)
        self._time += 1

    def mend(self, mass: Integers, current: Integers, residue: Integers) -> None:
        """Set the states right; what membranes have told wrongly is made good when they send next.

        Parameters
        ----------
        mass : int64 array [holders]
        current, residue : int64 array [faces]
        """
        self.mass[:], self.flux[1], self.flux[2] = mass, current, residue
        self._untold = self.mass - self._told[MEMBRANE]

    def _memory_of_faces(self) -> dict[str, Integers]:
        """States of the faces by name, the residue last: rows of `flux` where they are what it shows."""
        program = self._graph.sole_channels.program
        *kept, residue = program.states
        memory = {name: self.flux[1] if program.after[0] == "current" else self.flux[1].copy() for name in kept}
        return {**memory, residue: self.flux[2]}

    def _words(self) -> Iterator[tuple[str, Integers]]:
        """Words of state by the names that faults have for them."""
        *kept, residue = self._memory[FLUX].values()
        yield MEMBRANE, self.mass
        yield "current", kept[0] if kept else self.flux[1]
        yield "residue", residue

    def _answer(self, population: Population, step: int, phase: int) -> None:
        """Run the program of a population, keep its states, and send; neurons of dead cores do neither."""
        name, memory = population.name, self._memory.get(population.name, {})
        reader = self._injector.reader(population, step, partial(self._look, population, step))
        heard = self._heard(population, step, phase)
        inputs = {**heard, **memory, **population.parameters}
        result = run(population.program, reader, {key: reader.result(key, value) for key, value in inputs.items()})
        alive = np.ones(population.size, np.bool_)
        alive[self._injector.dead(name, step, phase)] = False
        # Values of the program may be the memories themselves: nothing is written before all is read.
        after = {state: np.where(alive, value, memory[state]) for state, value in result.states.items()}
        sent = np.array(np.broadcast_to(result.sends[0], population.size))
        payload = sent if name == FLUX else self._payload(name, sent, heard)
        self._guards[name].require(payload, step)
        if name == FLUX:
            self.flux[0] = payload = np.where(alive, sent, 0)
            self.flux[1] = np.where(alive, result.values["current"], self.flux[1])
        for state, value in after.items():
            memory[state][:] = value
        self._send(name, payload, alive, step, phase)

    def _payload(self, name: str, sent: Integers, heard: dict[str, Integers]) -> Integers:
        """What tells a new value: itself, or how far it has moved."""
        told, self._told[name] = self._told[name], sent
        if name != MEMBRANE:
            return sent if self._dense else sent - told
        (arrived,) = heard.values()
        change = arrived + self._untold
        self._untold = np.zeros_like(sent)
        payload = sent if self._dense else change
        self._told[name] = told + payload
        payload[self._graph.mesh.cells :] = 0
        return payload

    def _heard(self, population: Population, step: int, phase: int) -> dict[str, Integers]:
        """What each port gives to the program: what arrived at a holder, else what its accumulator comes to."""
        name = population.name
        held = self._injector.held(name, step, phase)
        values = {}
        for port in population.program.ports:
            arriving = self._arriving[name, port]
            before = self._accumulated[name, port]
            self._arriving[name, port] = np.zeros_like(arriving)
            value = arriving if self._dense or name == MEMBRANE else before + arriving
            value[held] = 0 if name == MEMBRANE else before[held]
            self._accumulated[name, port] = values[port] = value
        return values

    def _look(self, population: Population, step: int, name: str, values: Integers) -> None:
        """Refuse a value outside its declared bits."""
        parts = [(population.quantity(name), values)]
        if population.name == MEMBRANE and name in population.program.sends:
            cells = self._graph.mesh.cells
            parts = [("mass", values[:cells]), ("ledger", values[cells:])]
        for quantity, part in parts:
            bits = self._bits.get((population.name, quantity))
            if bits is not None:
                require_width(part, bits, population.name, quantity, step)

    def _send(self, population: str, payload: Integers, alive: NDArray[np.bool_], step: int, phase: int) -> None:
        spikes = self._guards[population].spikes(payload).reshape(-1, payload.size)
        if self._counts_start or self._time >= self._begin + self.phases or (phase and population == FLUX):
            self.events[population] += int(np.count_nonzero(spikes))
        spikes = np.where(alive, spikes, 0)
        for stored, synapse in self._synapses:
            if stored.source == population:
                arriving = self._arriving[stored.target, stored.port]
                arriving += synapse.product(spikes[synapse.line], step, phase)

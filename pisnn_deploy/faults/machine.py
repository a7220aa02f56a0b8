"""Simulator of a chip with faults, in plain numpy and time step by time step; equivalent to the processes on Lava.

Memories and messages are those of the hardware: accumulators of changes, stored synapses, and spikes that arrive one
time step after they were sent. Neurons run their programs. Without faults a PDE step gives the same integers as
`pisnn_deploy.graph.semantics`.
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
        A fully compiled graph.
    step : int
        First PDE step.
    mass : int64 array [holders]
        Masses and ledgers, in quanta.
    flux : int64 array [3, faces]
        Packets (quanta), currents and residues (flux units).
    injector : Injector
        Faults of the run.
    counts_start : bool
        Whether the spikes of the first time step of each population count as events.

    Attributes
    ----------
    mass, flux : int64 arrays
        Contents of the memories. The first row of `flux` has the packets of the last time step, the second the
        currents of the last firing.
    events : dict of str to int
        Spikes by population.
    phases : int
        Time steps per PDE step; 2 halves if faces fire in the time step of the masses.
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
        # The graph has no bounds here, because widths are checked when values are used.
        answers = Semantics(replace(graph, bounds=())).between(mass)
        self._last_sent = {MEMBRANE: mass.copy()} | {name: result.sends[0] for name, result in answers.items()}
        self._unsent = np.zeros_like(mass)
        ports = [(population.name, port) for population in self._answering for port in population.program.ports]
        self._arriving = {(name, port): np.zeros(graph.size(name), np.int64) for name, port in ports}
        self._accumulated = {key: arriving.copy() for key, arriving in self._arriving.items()}
        for synapse in graph.synapses:
            if synapse.source in self._last_sent:
                drive = synapse.matrix() @ self._last_sent[synapse.source]
                self._accumulated[synapse.target, synapse.port] += drive

    @property
    def time(self) -> tuple[int, int]:
        """PDE step and phase of the next time step."""
        return divmod(self._time, self.phases)

    @property
    def kept_current(self) -> Integers:
        """Copy of the currents that faces keep; 0 if their program keeps none."""
        *currents, _ = self._memory[FLUX].values()
        return currents[0].copy() if currents else np.zeros_like(self.flux[1])

    def advance(self) -> None:
        """Simulate one time step.

        Raises
        ------
        OverflowViolation
            If a value exceeds its declared bits.
        """
        step, phase = self.time
        for place, words in self._words():
            self._injector.flip(place, words, step, phase)
        self.flux[0] = 0
        self._answer(self._answering[phase], step, phase)
        self._time += 1

    def mend(self, mass: Integers, current: Integers, residue: Integers) -> None:
        """Overwrite the states; membranes correct what they sent wrongly with their next spikes.

        Parameters
        ----------
        mass : int64 array [holders]
            Masses and ledgers, in quanta.
        current, residue : int64 array [faces]
            Currents and residues, in flux units.
        """
        self.mass[:], self.flux[1], self.flux[2] = mass, current, residue
        self._unsent = self.mass - self._last_sent[MEMBRANE]

    def _memory_of_faces(self) -> dict[str, Integers]:
        """States of the faces by name, the residue last; views of `flux` where possible."""
        program = self._graph.sole_channels.program
        *currents, residue = program.states
        memory = {name: self.flux[1] if program.after[0] == "current" else self.flux[1].copy() for name in currents}
        return {**memory, residue: self.flux[2]}

    def _words(self) -> Iterator[tuple[str, Integers]]:
        """Yield states by the names that faults use."""
        *currents, residue = self._memory[FLUX].values()
        yield MEMBRANE, self.mass
        yield "current", currents[0] if currents else self.flux[1]
        yield "residue", residue

    def _answer(self, population: Population, step: int, phase: int) -> None:
        """Run the program of a population, store its states and send; neurons of dead cores do nothing."""
        name, memory = population.name, self._memory.get(population.name, {})
        reader = self._injector.reader(population, step, partial(self._look, population, step))
        port_values = self._heard(population, step, phase)
        inputs = {**port_values, **memory, **population.parameters}
        result = run(population.program, reader, {key: reader.result(key, value) for key, value in inputs.items()})
        alive = np.ones(population.size, np.bool_)
        alive[self._injector.dead(name, step, phase)] = False
        # Results may be views of the memories, so all are read before any is written.
        after = {state: np.where(alive, value, memory[state]) for state, value in result.states.items()}
        sent = np.array(np.broadcast_to(result.sends[0], population.size))
        payload = sent if name == FLUX else self._payload(name, sent, port_values)
        self._guards[name].require(payload, step)
        if name == FLUX:
            self.flux[0] = payload = np.where(alive, sent, 0)
            self.flux[1] = np.where(alive, result.values["current"], self.flux[1])
        for state, value in after.items():
            memory[state][:] = value
        self._send(name, payload, alive, step, phase)

    def _payload(self, name: str, sent: Integers, port_values: dict[str, Integers]) -> Integers:
        """Payload that transmits a new value: the value itself, or its change."""
        last_sent, self._last_sent[name] = self._last_sent[name], sent
        if name != MEMBRANE:
            return sent if self._dense else sent - last_sent
        (arrived,) = port_values.values()
        change = arrived + self._unsent
        self._unsent = np.zeros_like(sent)
        payload = sent if self._dense else change
        self._last_sent[name] = last_sent + payload
        payload[self._graph.mesh.cells :] = 0
        return payload

    def _heard(self, population: Population, step: int, phase: int) -> dict[str, Integers]:
        """Input of each port: for a holder what arrived, else the accumulator."""
        name = population.name
        stale = self._injector.held(name, step, phase)
        values = {}
        for port in population.program.ports:
            arriving = self._arriving[name, port]
            before = self._accumulated[name, port]
            self._arriving[name, port] = np.zeros_like(arriving)
            value = arriving if self._dense or name == MEMBRANE else before + arriving
            value[stale] = 0 if name == MEMBRANE else before[stale]
            self._accumulated[name, port] = values[port] = value
        return values

    def _look(self, population: Population, step: int, name: str, values: Integers) -> None:
        """Refuse values that exceed their declared bits."""
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

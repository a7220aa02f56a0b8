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
from pisnn_deploy.graph.columns import columns_of
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.lines import stored_synapses
from pisnn_deploy.graph.payload import payload_guard
from pisnn_deploy.graph.populations import Asking, Population
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.programs import run
from pisnn_deploy.programs.neurons import LOW


class Machine:
    """All neurons and synapses of a graph.

    Parameters
    ----------
    graph : IntegerGraph
        A fully compiled graph.
    step : int
        First PDE step.
    mass : int64 array [holders]
        Masses and ledgers of all fields, in quanta.
    flux : int64 array [3, channels]
        Packets (quanta), currents and residues (flux units) of all channels.
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
        self.phases = 1 + max(graph.depths.values())
        self._time = self._begin = step * self.phases
        self._counts_start = counts_start
        self.mass, self.flux = mass.copy(), flux.copy()
        self.events = dict.fromkeys(graph.chain, 0)
        columns = columns_of(graph)
        self._holders = {
            field.holder: self.mass[field.first_holder : field.held_reservoirs.stop] for field in columns.fields
        }
        self._channels = {channels.population: self.flux[:, channels.part] for channels in columns.channels}
        self._memory = {name: self._memory_of_channels(name) for name in self._channels}
        self._memory |= {
            name: dict.fromkeys(graph.population(name).program.states, words) for name, words in self._holders.items()
        }
        self._memory |= {p.name: p.states_at(step) for p in graph.between_fields if p.clock is not None}
        self._bits = {(bound.population, bound.quantity): bound.bits for bound in graph.bounds}
        outputs = [(p.name, output) for p in graph.populations for output in range(len(p.program.sends))]
        self._guards = {(name, output): payload_guard(graph, name, output) for name, output in outputs}
        self._synapses = [(line.synapse, injector.synapse(line, self.phases)) for line in stored_synapses(graph)]
        # The graph has no bounds here, because widths are checked when values are used.
        answers = Semantics(replace(graph, bounds=())).between(mass, step)
        self._last_sent = {(name, 0): words.copy() for name, words in self._holders.items()}
        self._last_sent |= {
            (name, output): value for name, result in answers.items() for output, value in enumerate(result.sends)
        }
        self._last_sent |= {
            (name, output): self._memory[name][state].copy() for (name, output), state in graph.heard_again.items()
        }
        self._unsent = {name: np.zeros_like(words) for name, words in self._holders.items()}
        ports = [(population.name, port) for population in graph.populations for port in population.program.ports]
        self._arriving = {(name, port): np.zeros(graph.size(name), np.int64) for name, port in ports}
        self._accumulated = {key: arriving.copy() for key, arriving in self._arriving.items()}
        senders = {*graph.order.answers, *graph.order.asking}
        self._forgetful = {(s.target, s.port) for s in graph.synapses if s.source in senders}
        for synapse in graph.synapses:
            if (synapse.source, synapse.output) in self._last_sent:
                drive = synapse.matrix() @ self._last_sent[synapse.source, synapse.output]
                self._accumulated[synapse.target, synapse.port] += drive

    @property
    def time(self) -> tuple[int, int]:
        """PDE step and phase of the next time step."""
        return divmod(self._time, self.phases)

    @property
    def kept_current(self) -> Integers:
        """Copy of the currents that channels keep; 0 if their program keeps none."""
        kept = []
        for name, flux in self._channels.items():
            *currents, _ = self._memory[name].values()
            kept.append(currents[0].copy() if currents else np.zeros_like(flux[1]))
        return np.concatenate(kept)

    def advance(self) -> None:
        """Simulate one time step.

        Raises
        ------
        OverflowViolation
            If a value exceeds its declared bits.
        """
        step, phase = self.time
        for population, quantity, words in self._words():
            self._injector.flip(population, quantity, words, step, phase)
        self.flux[0] = 0
        for name, at in self._graph.order.asks_at.items():
            if at == phase:
                self._ask(self._graph.order.asking[name], step, phase)
        for name, depth in self._graph.depths.items():
            if depth == phase:
                self._answer(self._graph.population(name), step, phase)
        self._time += 1

    def mend(self, mass: Integers, current: Integers, residue: Integers) -> None:
        """Overwrite the states; holders correct what they sent wrongly with their next spikes.

        Accumulators of residues are overwritten, too, because the next spikes of channels would come too late.

        Parameters
        ----------
        mass : int64 array [holders]
            Masses and ledgers, in quanta.
        current, residue : int64 array [channels]
            Currents and residues, in flux units.
        """
        self.mass[:], self.flux[1], self.flux[2] = mass, current, residue
        self._unsent = {name: words - self._last_sent[name, 0] for name, words in self._holders.items()}
        for (name, output), state in self._graph.heard_again.items():
            self._last_sent[name, output] = self._memory[name][state].copy()
            heard = [s for s in self._graph.synapses if (s.source, s.output, s.target) == (name, output, name)]
            for synapse in heard:
                self._accumulated[name, synapse.port] = np.zeros_like(self._memory[name][state])
                self._arriving[name, synapse.port] = np.zeros_like(self._memory[name][state])
            for synapse in heard:
                self._accumulated[name, synapse.port] += synapse.matrix() @ self._last_sent[name, output]

    def _memory_of_channels(self, name: str) -> dict[str, Integers]:
        """States of channels by name, the residue last; views of `flux` where possible."""
        program, flux = self._graph.population(name).program, self._channels[name]
        *currents, residue = program.states
        memory = {state: flux[1] if program.after[0] == "current" else flux[1].copy() for state in currents}
        return {**memory, residue: flux[2]}

    def _words(self) -> Iterator[tuple[str, str, Integers]]:
        """Yield states by population and quantity."""
        for name, words in self._holders.items():
            yield name, "mass", words
        for name, flux in self._channels.items():
            *currents, residue = self._memory[name].values()
            yield name, "current", currents[0] if currents else flux[1]
            yield name, "residue", residue

    def _ask(self, asking: Asking, step: int, phase: int) -> None:
        """Send what channels ask before they run; neurons of dead cores send nothing."""
        part, name = asking.part, asking.part.name
        reader = self._injector.reader(part, step, lambda value, values: None)
        memory, stale = self._memory[name], self._injector.held(name, step, phase)
        inputs = {state: memory[state] for state in part.program.states} | dict(part.parameters)
        for port in part.program.ports:
            inputs[port] = self._arrived(name, port, stale)
        result = run(part.program, reader, {key: reader.result(key, value) for key, value in inputs.items()})
        alive = np.ones(part.size, np.bool_)
        alive[self._injector.dead(name, step, phase)] = False
        for output, sent in zip(asking.outputs, result.sends, strict=True):
            payload = np.array(np.broadcast_to(sent, part.size))
            self._guards[name, output].require(payload, step)
            self._send(name, output, payload, alive, phase)

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
        sent = [np.array(np.broadcast_to(value, population.size)) for value in result.sends]
        flux = self._channels.get(name)
        payloads = self._payloads_of_channels(name, sent, alive) if flux is not None else None
        payloads = self._payloads(name, sent, port_values) if payloads is None else payloads
        for output, payload in enumerate(payloads):
            self._guards[name, output].require(payload, step)
        if flux is not None:
            flux[0] = payloads[0] = np.where(alive, sent[0], 0)
            flux[1] = np.where(alive, result.values["current"], flux[1])
        for state, value in after.items():
            memory[state][:] = value
        asking = self._graph.order.asking.get(name)
        for output, payload in enumerate(payloads):
            if asking is None or output not in asking.outputs:
                self._send(name, output, payload, alive, phase)

    def _payloads_of_channels(self, name: str, sent: list[Integers], alive: NDArray[np.bool_]) -> list[Integers]:
        """Packets, and changes of residues."""
        payloads = []
        for output, value in enumerate(sent):
            is_residue = (name, output) in self._graph.heard_again
            payloads.append(np.where(alive, value - self._last_sent[name, output], 0) if is_residue else value)
            if is_residue:
                self._last_sent[name, output] = self._last_sent[name, output] + payloads[output]
        return payloads

    def _payloads(self, name: str, sent: list[Integers], port_values: dict[str, Integers]) -> list[Integers]:
        """Payloads that transmit new values: the values themselves, or their changes."""
        if name in self._graph.order.answers:
            return sent
        before = [self._last_sent[name, output] for output in range(len(sent))]
        if name not in self._holders:
            self._last_sent |= {(name, output): value for output, value in enumerate(sent)}
            return sent if self._dense else [value - last for value, last in zip(sent, before, strict=True)]
        (mass,), (arrived,) = sent, port_values.values()
        change = arrived + self._unsent[name]
        self._unsent[name] = np.zeros_like(mass)
        payload = mass if self._dense else change
        self._last_sent[name, 0] = before[0] + payload
        payload[self._graph.field_of(name).cells :] = 0
        return [payload]

    def _heard(self, population: Population, step: int, phase: int) -> dict[str, Integers]:
        """Input of each port: for a holder what arrived, else the accumulator."""
        name = population.name
        stale = self._injector.held(name, step, phase)
        values = {}
        for port in population.program.ports:
            value = self._arrived(name, port, stale)
            self._arriving[name, port] = np.zeros_like(value)
            self._accumulated[name, port] = values[port] = value
        return values

    def _arrived(self, name: str, port: str, stale: Integers) -> Integers:
        """Content of a port: what arrived in this PDE step, or that with what accumulated before."""
        arriving, before = self._arriving[name, port], self._accumulated[name, port]
        forgets = name in self._holders or (name, port) in self._forgetful
        adds_up = not self._dense or (name in self._channels and port == LOW)
        value = before + arriving if adds_up and not forgets else arriving.copy()
        value[stale] = 0 if forgets else before[stale]
        return value

    def _look(self, population: Population, step: int, name: str, values: Integers) -> None:
        """Refuse values that exceed their declared bits."""
        parts = [(population.quantity(name), values)]
        if population.name in self._holders and name in population.program.sends:
            cells = self._graph.field_of(population.name).cells
            parts = [("mass", values[:cells]), ("ledger", values[cells:])]
        for quantity, part in parts:
            bits = self._bits.get((population.name, quantity))
            if bits is not None:
                require_width(part, bits, population.name, quantity, step)

    def _send(self, population: str, output: int, payload: Integers, alive: NDArray[np.bool_], phase: int) -> None:
        guard, step = self._guards[population, output], self._time // self.phases
        spikes = guard.spikes(payload).reshape(-1, payload.size)
        fires = phase > 0 and (population in self._channels or population in self._graph.order.answers)
        if guard.reach and (self._counts_start or fires or self._time >= self._begin + self.phases):
            self.events[population] += int(np.count_nonzero(spikes))
        spikes = np.where(alive, spikes, 0)
        for stored, synapse in self._synapses:
            if (stored.source, stored.output) == (population, output):
                arriving = self._arriving[stored.target, stored.port]
                arriving += synapse.product(spikes[synapse.line], step, phase)

"""Fixed-point model of a population."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from numpy.typing import NDArray

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.formats.c.effects import BIAS, Sides
from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.lava.exchange import Exchange
from pisnn_deploy.lava.phases import step_and_phase
from pisnn_deploy.lava.plan import Plan, PortPlan, Watch, Word
from pisnn_deploy.lava.ports import PortsOfNeurons, ports_of
from pisnn_deploy.lava.probing import ProbeWriter
from pisnn_deploy.lava.processes.neurons.process import Neurons
from pisnn_deploy.lava.steering import Steering
from pisnn_deploy.programs import Operand, run
from pisnn_deploy.programs.arrays import Arrays
from pisnn_deploy.programs.tape import Call, Tape

Spikes = NDArray[np.signedinteger[Any]]


@implements(proc=Neurons, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class NeuronsModel(PortsOfNeurons):
    """Runs the program at its phase and sends the results or their changes; silent in other phases."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        plan: Plan = proc_params["plan"]
        self.plan = plan
        self._first_step = int(proc_params["first_step"])
        self._goes_on = bool(proc_params["goes_on"])
        files, probe = Exchange(proc_params["folder"]), proc_params["probe"]
        self._probe = None if probe is None else ProbeWriter(files, probe)
        sides: Sides = proc_params["sides"]
        self._steering = Steering(sides, plan.population.parameters[BIAS]) if sides.sides else None
        self._events = files.array("events")
        self._last_step = int(files.array("last_step")[0])
        size = plan.population.size
        self._early = [np.zeros(size, np.int64) if port.early else None for port in plan.ports]
        rows = [plan.kept.index(word) for word in plan.audited]
        self._audited = slice(len(rows)) if rows == [*range(len(rows))] else rows
        self._watches_of_payloads = plan.payload_watches
        self._silence = np.zeros(size * max((guard.width for guard in plan.guards), default=1), np.int32)

    @cached_property
    def _inputs(self) -> tuple[PyInPort, ...]:
        """Port of the process for each port of the program."""
        return ports_of(self, "in", len(self.plan.ports))

    @cached_property
    def _outputs(self) -> tuple[PyOutPort, ...]:
        return ports_of(self, "out", len(self.plan.guards))

    @cached_property
    def _memory(self) -> dict[Word, Integers]:
        """Memory by word, int64 [neurons] each."""
        return dict(zip(self.plan.kept, self.kept, strict=False))

    @cached_property
    def _packets(self) -> tuple[Integers, ...]:
        """Memory of the packets of this time step, for the audit."""
        return tuple(remembered for word, remembered in self._memory.items() if word.role == "sent")

    @cached_property
    def _remembered(self) -> tuple[tuple[Integers, str], ...]:
        """Memory of each word, and the value that is stored in it."""
        return tuple((remembered, word.value) for word, remembered in self._memory.items())

    @cached_property
    def _operands(self) -> dict[str, Integers]:
        """Ports, states and parameters of the program, as views of the memory."""
        population = self.plan.population
        ports = dict(zip(population.program.ports, self.arrived, strict=False))
        states = {word.name: remembered for word, remembered in self._memory.items() if word.role == "state"}
        steered = {} if self._steering is None else {BIAS: self._steering.bias}
        return {**ports, **states, **population.parameters, **steered}

    @cached_property
    def _recorded(self) -> tuple[tuple[Call, ...], dict[Operand, Integers]]:
        """Calls that run the program, and the arrays of its values."""
        program, tape, inputs = self.plan.population.program, Tape(self.plan.population.size), {**self._operands}
        # Copy states that are sent or stored unchanged, because their words are overwritten before that.
        for state in {*(word.value for word in self.plan.kept), *program.sends}.intersection(program.states):
            inputs[state] = tape.copy(inputs[state])
        values: dict[Operand, Integers] = {}
        values.update(run(program, tape, inputs).values)
        for word, remembered in self._memory.items():
            # The last sent value is needed until its change is computed.
            if word.role != "last_sent" and tape.move(values[word.value], remembered):
                values[word.value] = remembered
        return tape.calls, values

    @cached_property
    def _watched(self) -> tuple[tuple[Integers, Watch], ...]:
        """Values with range checks."""
        _, values = self._recorded
        return tuple((values[watch.value][watch.neurons], watch) for watch in self.plan.watches)

    def run_spk(self) -> None:
        """Run one time step."""
        step, phase = self.now()
        if self._steering is not None:
            self._hear_sides(self._steering, step, phase)
        # Packets after the last PDE step would belong to the next one.
        runs = step < self._last_step or not self.plan.fires
        if phase == self.plan.phase and runs:
            self.answer(step)
        elif phase == self.plan.asks_at and runs:
            self.ask(step, phase)
        else:
            self.rest(phase)

    def _hear_sides(self, steering: Steering, step: int, phase: int) -> None:
        """Receive the values of sides; those of the first time step of a PDE step count."""
        for number, port in enumerate(ports_of(self, "side", steering.count)):
            message = port.recv()
            if phase == 0 and step < self._last_step:
                if not port.csp_ports:
                    raise UsageError(f"side {steering.name(number)}: nothing is connected to its port")
                steering.set(number, message, step, self.time_step)

    def now(self) -> tuple[int, int]:
        """Return PDE step and phase of this time step."""
        return step_and_phase(self.time_step, self.plan.period, self._first_step)

    def rest(self, phase: int) -> None:
        """Run a time step in which the program does not run; store early inputs.

        Parameters
        ----------
        phase : int
            Phase of the time step.
        """
        for port in self._outputs:
            port.send(self._silence)
        for remembered in self._packets:
            remembered[:] = 0
        self._tell_audit()
        self._receive_early(phase)

    def _receive_early(self, phase: int) -> None:
        """Receive at every port, and keep what belongs to early inputs."""
        for plan, port, early in zip(self.plan.ports, self._inputs, self._early, strict=True):
            arrival = port.recv()
            if early is not None and phase in plan.early:
                early += arrival

    def ask(self, step: int, phase: int) -> None:
        """Run the time step in which the process sends what other populations answer before it runs.

        Parameters
        ----------
        step, phase : int
            PDE step, and the time step of it.
        """
        self._receive_early(phase)
        heard = {}
        for number, (name, port_plan, early) in enumerate(
            zip(self.plan.population.program.ports, self.plan.ports, self._early, strict=True)
        ):
            if early is not None:
                heard[name] = self.heard_early(number, port_plan, early)
        sends = dict(zip(self._asks, self.asked({**self._operands, **heard}, step), strict=True))
        for number in range(len(self._outputs)):
            if number not in sends:
                self._outputs[number].send(self._silence)
                continue
            payload = np.array(np.broadcast_to(sends[number], self.plan.population.size))
            self._send_payload(number, payload, step, counts=True)
        for remembered in self._packets:
            remembered[:] = 0
        self._tell_audit()

    def heard_early(self, number: int, port: PortPlan, early: Integers) -> Integers:
        """Content of a port before the program runs.

        Parameters
        ----------
        number : int
            Number of the port.
        port : PortPlan
            Plan of the port.
        early : int64 array [neurons]
            What arrived at it in this PDE step.
        """
        return self.arrived[number] + early if port.accumulates else early.copy()

    def asked(self, inputs: Mapping[str, Integers], step: int) -> tuple[Integers, ...]:
        """Return what the process asks.

        Parameters
        ----------
        inputs : mapping of str to int64 array [neurons]
            Ports, states and parameters of the program.
        step : int
            PDE step, for messages.
        """
        assert self.plan.asking is not None
        return run(self.plan.asking.part.program, Arrays(), inputs).sends

    @property
    def _asks(self) -> tuple[int, ...]:
        return () if self.plan.asking is None else self.plan.asking.outputs

    def answer(self, step: int) -> None:
        """Run the time step in which the program runs.

        Parameters
        ----------
        step : int
            PDE step.
        """
        for number, (port, early) in enumerate(zip(self.plan.ports, self._early, strict=True)):
            arrival = self._inputs[number].recv()
            if early is not None:
                arrival += early
                early.fill(0)
            self.take(number, port, arrival)
        counts = self.plan.fires or self.time_step > self.plan.period or not self._goes_on
        for number, payload in enumerate(self.payloads(self.computed(step))):
            if not self.plan.sends_at_last(number):
                self._outputs[number].send(self._silence)
                continue
            self._send_payload(number, payload, step, counts)
        if self._probe is not None:
            self._probe.remembered(self.kept, step)
        self._tell_audit()

    def _send_payload(self, number: int, payload: Integers, step: int, counts: bool) -> None:
        """Check the range of a payload, send its spikes, and count them where they are events."""
        watch, guard = self._watches_of_payloads[number], self.plan.guards[number]
        if watch is not None:
            watch.look(payload, step)
        if self._probe is not None:
            self._probe.sent(number, payload, step)
        spikes = guard.spikes(payload)
        self.send(number, spikes)
        if counts and guard.reach:
            self._events[self.plan.slot] += np.count_nonzero(spikes)

    def take(self, number: int, port: PortPlan, arrival: Integers) -> None:
        """Update a port with its input since the last PDE step.

        Parameters
        ----------
        number : int
            Number of the port.
        port : PortPlan
            Plan of the port.
        arrival : int64 array [neurons]
            Input, which may be overwritten.
        """
        if port.accumulates:
            self.arrived[number] += arrival
        else:
            self.arrived[number] = arrival

    def computed(self, step: int) -> dict[Operand, Integers]:
        """Run the program and return every value by name.

        Parameters
        ----------
        step : int
            PDE step, for messages.
        """
        calls, values = self._recorded
        for call in calls:
            call()
        for looked_at, watch in self._watched:
            watch.look(looked_at, step)
        return values

    def payloads(self, values: dict[Operand, Integers]) -> list[Integers]:
        """Return the payload of each output, and store the memory.

        Parameters
        ----------
        values : dict of int64 array [neurons]
            Every value of the program.
        """
        senders, payloads = self.plan.senders, []
        for value, changes in zip(self.plan.population.program.sends, self.plan.changes, strict=True):
            payload = values[value]
            if not payload.shape:  # the same constant in all neurons
                payload = np.full(self.plan.population.size, payload)
            if changes:
                is_holder = self.plan.holders is not None  # its change is its input
                payload = self.arrived[0] if is_holder else payload - self._memory[Word("last_sent", value, value)]
            if senders < payload.size:
                payload = payload.copy()
                payload[senders:] = 0
            payloads.append(payload)
        for remembered, value in self._remembered:
            if values[value] is not remembered:
                remembered[:] = values[value]
        return payloads

    def send(self, number: int, spikes: Spikes) -> None:
        """Send spikes from an output.

        Parameters
        ----------
        number : int
            Number of the output.
        spikes : int array [neurons], or [lines * neurons]
            Payloads, or one spike for each bit.
        """
        self._outputs[number].send(spikes)

    def _tell_audit(self) -> None:
        if self.plan.audited:
            self.audit_out.send(self.kept[self._audited])

"""Fixed-point models with faults.

Each behaves like its base class, except for faults in memories, inputs and spikes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.sparse.models import PySparseModelBitAcc
from lava.proc.sparse.process import Sparse

from pisnn_deploy.audit.recovery import Recovery
from pisnn_deploy.faults.injection import Injector
from pisnn_deploy.faults.synapse import FaultySynapse, Words
from pisnn_deploy.graph.contract import CURRENT as CURRENT_NAME
from pisnn_deploy.graph.contract import RESIDUE as RESIDUE_NAME
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.lines import stored_synapses
from pisnn_deploy.lava.exchange import Exchange
from pisnn_deploy.lava.phases import step_and_phase
from pisnn_deploy.lava.plan import Plan, PortPlan
from pisnn_deploy.lava.processes.audit.models import AuditModel
from pisnn_deploy.lava.processes.audit.process import Audit
from pisnn_deploy.lava.processes.neurons.models import NeuronsModel, Spikes
from pisnn_deploy.lava.processes.neurons.process import Neurons
from pisnn_deploy.lava.start import CURRENT, RESIDUE
from pisnn_deploy.programs import Operand, run


@implements(proc=Neurons, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class FaultyNeuronsModel(NeuronsModel):
    """Neurons with faults in memories, inputs and spikes."""

    injector: Injector

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        plan, files = self.plan, Exchange(proc_params["folder"])
        self._name = plan.population.name
        self._states = dict(_states(plan))
        self._mended, self._right = files.array("mended"), _right(plan, files)
        self._last_sent: Integers | None = None
        self._unsent: Integers | int = 0

    def run_spk(self) -> None:
        """Run one time step."""
        step, phase = self.now()
        if self._last_sent is None:  # Lava sets the memories after creating the model
            self._last_sent = self.kept[0].copy()
        if self.time_step > 1 and self._mended[0] == self.time_step - 1:
            for row, right in self._right:
                self.kept[row] = right
            self._unsent = self.kept[0] - self._last_sent
        for row, quantity in self._states.items():
            self.injector.flip(self._name, quantity, self.kept[row], step, phase)
        super().run_spk()

    def take(self, number: int, port: PortPlan, arrival: Integers) -> None:
        """Update a port, except for stale accumulators."""
        stale = self.injector.held(self._name, *self.now())
        arrival[stale] = 0 if port.accumulates or port.takes_packets else self.arrived[number, stale]
        super().take(number, port, arrival)

    def heard_early(self, number: int, port: PortPlan, early: Integers) -> Integers:
        """Content of a port before the program runs, without what stale accumulators do not take."""
        heard = super().heard_early(number, port, early)
        stale = self.injector.held(self._name, *self.now())
        heard[stale] = 0 if port.takes_packets else self.arrived[number, stale]
        return heard

    def asked(self, inputs: Mapping[str, Integers], step: int) -> tuple[Integers, ...]:
        """Return what the process asks, with the bit flips of this PDE step."""
        asking = self.plan.asking
        assert asking is not None
        reader = self.injector.reader(asking.part, step, lambda name, values: None)
        inputs = {name: reader.result(name, inputs[name]) for name in asking.part.program.inputs}
        return run(asking.part.program, reader, inputs).sends

    def computed(self, step: int) -> dict[Operand, Integers]:
        """Run the program with the bit flips of this PDE step."""
        population = self.plan.population

        def look(name: str, values: Integers) -> None:
            for watch in self.plan.watches:
                if watch.value == name:
                    watch.check(np.broadcast_to(values, population.size)[watch.neurons], step)

        reader = self.injector.reader(population, step, look)
        inputs = {name: reader.result(name, value) for name, value in self._operands.items()}
        values: dict[Operand, Integers] = {}
        values.update(run(population.program, reader, inputs).values)
        return values

    def payloads(self, values: dict[Operand, Integers]) -> list[Integers]:
        """Return payloads that also correct wrong ones sent before; dead neurons keep their memory."""
        dead, plan = self.injector.dead(self._name, *self.now()), self.plan
        frozen = self.kept[:, dead]
        payloads = super().payloads(values)
        self.kept[:, dead] = frozen
        for payload, is_packet in zip(payloads, plan.packets, strict=True):
            if is_packet:
                payload[dead] = 0
        for remembered in self._packets:
            remembered[dead] = 0
        if plan.changes == (True,) and plan.holders is not None and self._last_sent is not None:
            (payload,) = payloads
            payloads = [payload := payload + self._unsent]
            payload[plan.senders :] = 0
            self._unsent = 0
            self._last_sent += payload
        return payloads

    def send(self, number: int, spikes: Spikes) -> None:
        """Send spikes, except from dead neurons."""
        dead = self.injector.dead(self._name, *self.now())
        if dead.size:
            spikes = spikes.copy()
            spikes.reshape(-1, self.plan.population.size)[:, dead] = 0
        super().send(number, spikes)


def _states(plan: Plan) -> Iterator[tuple[int, str]]:
    """Yield the rows of a population's memory that faults name, with their quantities."""
    if plan.holders is not None:
        yield 0, "mass"
    elif plan.moves_mass:
        for row, word in enumerate(plan.kept):
            if word.value in (CURRENT_NAME, RESIDUE_NAME):
                yield row, word.value


def _right(plan: Plan, files: Exchange) -> list[tuple[int, Integers]]:
    """Rows of a population's memory, and the shared arrays of their right values."""
    if plan.holders is not None:
        return [(0, files.array("right_mass")[plan.holders])]
    flux = files.array("right_flux")
    return [
        (plan.kept.index(word), flux[row, columns])
        for number, columns in enumerate(plan.channels)
        for row, word in enumerate(plan.audited_of_channel(number)[CURRENT:])
        if word.role != "sent"
    ]


@implements(proc=Sparse, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class FaultySparseModel(PySparseModelBitAcc):
    """Synapses with faults; Lava's own model for those without."""

    injector: Injector
    first_step: int
    synapses: Mapping[str, FaultySynapse]
    a_buff: Words

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._faulty = self.synapses.get(str(proc_params["name"]))

    def run_spk(self) -> None:
        """Run one time step."""
        if self._faulty is None:
            super().run_spk()
            return
        self.a_out.send(self.a_buff)
        spikes = self.s_in.recv().reshape(-1, self._faulty.inputs)[self._faulty.line]
        self.a_buff = self._faulty.product(
            spikes, *step_and_phase(self.time_step, self.injector.period, self.first_step)
        )


@implements(proc=Audit, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class RecoveringAuditModel(AuditModel):
    """Audit that shares the right states, from which populations repair their memories one time step later."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._files = Exchange(proc_params["folder"])
        self._mended = self._files.array("mended")
        self._right = self._files.array("right_mass"), self._files.array("right_flux")
        self._recovery = Recovery(self._books.audit)

    def observe(
        self, step: int, mass: Integers, listen: Callable[[], Integers], *, absorbing: bool, firing: tuple[int, ...]
    ) -> Integers:
        """Check all states, and repair wrong ones."""
        flux = listen()
        audit = self._books.audit
        observations = [partial(audit.observe_membranes, step, mass, absorbing=absorbing)]
        for number, (packets, current, residue) in enumerate(self._books.by_population(flux)):
            is_firing = number in firing
            observations.append(
                partial(audit.observe_flux, step, packets, current, residue, firing=is_firing, number=number)
            )
        books = self._recovery.observe(*observations)
        if books is not None:
            mass[:], flux[CURRENT], flux[RESIDUE] = books
            self._right[0][:], self._right[1][:] = mass, flux[CURRENT:]
            self._mended[0] = self.time_step
            healed = [asdict(detection) for detection in self._recovery.detections]
            self._files.write_json(self._files.healed, {"healed": healed})
        return flux


_MODELS: Mapping[type[AbstractProcess], type] = {
    Neurons: FaultyNeuronsModel,
    Sparse: FaultySparseModel,
}


def faulty_models(
    graph: IntegerGraph, injector: Injector, first_step: int, *, recovers: bool
) -> Mapping[type[AbstractProcess], type]:
    """Return the models of a run with faults, by process class.

    Parameters
    ----------
    first_step : int
        Number of PDE steps before this run.
    recovers : bool
        Whether violations are repaired.
    """
    period = int(graph.period or 0)
    hit = {line.synapse.name: injector.synapse(line, period) for line in stored_synapses(graph)}
    synapses = {name: synapse for name, synapse in hit.items() if synapse.is_hit}
    # Attributes that the models declare without values.
    known = {"injector": injector, "first_step": first_step, "synapses": synapses}
    models = {**_MODELS, Audit: RecoveringAuditModel} if recovers else _MODELS
    # Subclasses for this run, because Lava passes only the parameters of processes to models.
    return {process: type(model.__name__, (model,), known) for process, model in models.items()}

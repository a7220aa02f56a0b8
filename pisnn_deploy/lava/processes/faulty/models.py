"""The fixed-point models that a faulty run takes in place of the usual ones.

Each does what its parent does, with memories, arrivals and spikes as the faults left them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
from pisnn_deploy.graph.integer import FLUX, MEMBRANE, IntegerGraph, Integers
from pisnn_deploy.graph.lines import stored_synapses
from pisnn_deploy.lava.exchange import Exchange
from pisnn_deploy.lava.processes.audit.models import AuditModel
from pisnn_deploy.lava.processes.audit.process import Audit
from pisnn_deploy.lava.processes.flux.models import FluxModel
from pisnn_deploy.lava.processes.flux.process import Flux
from pisnn_deploy.lava.processes.membrane.models import MembraneModel
from pisnn_deploy.lava.processes.membrane.process import Membrane
from pisnn_deploy.lava.processes.rectifier.models import RectifierModel
from pisnn_deploy.lava.processes.rectifier.process import Rectifier


class _Port:
    """A port of a model whose messages are changed on their way."""

    def __init__(self, port: Any, change: Callable[[Integers], Integers]) -> None:
        self._port = port
        self._change = change

    def recv(self) -> Integers:
        return self._change(self._port.recv())

    def send(self, spikes: Integers) -> None:
        self._port.send(self._change(spikes))


class _Times:
    """What the models share; `faulty_models` sets the attributes on the class that it makes."""

    injector: Injector
    first_step: int
    recovers: bool
    time_step: int

    def now(self) -> tuple[int, int]:
        """PDE step and phase of this time step."""
        step, phase = divmod(self.time_step - 1, self.injector.period)
        return step + self.first_step, phase

    def run_with(self, run: Callable[[], None], ports: Mapping[str, Callable[[Integers], Integers]]) -> None:
        """Do a time step with ports that change what passes through them."""
        own = {name: getattr(self, name) for name in ports}
        for name, change in ports.items():
            setattr(self, name, _Port(own[name], change))
        try:
            run()
        finally:
            for name, port in own.items():
                setattr(self, name, port)


def _silenced(neurons: Integers, size: int, spikes: Integers) -> Integers:
    """Spikes without those of some neurons."""
    kept = spikes.copy()
    kept.reshape(-1, size)[:, neurons] = 0
    return kept


def _kept(neurons: Integers, value: Integers | int, arrival: Integers) -> Integers:
    """What arrives, with a value in place of it at some neurons."""
    arrival[neurons] = value
    return arrival


@implements(proc=Membrane, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class FaultyMembraneModel(_Times, MembraneModel):
    """Membranes."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        files = Exchange(proc_params["folder"])
        self._mended, self._right = files.array("mended"), files.array("right_mass")
        self._told = files.array("initial").copy()
        self._untold = np.zeros_like(self._told)

    def run_spk(self) -> None:
        """One time step."""
        step, phase = self.now()
        if self.time_step > 1 and self._mended[0] == self.time_step - 1:
            self.mass[:] = self._right
            self._untold = self.mass - self._told
        self.injector.flip(MEMBRANE, self.mass, step, phase)
        ports = {
            "arrival": partial(_kept, self.injector.held(MEMBRANE, step, phase), 0),
            "s_out": partial(_silenced, self.injector.dead(MEMBRANE, step, phase), self.mass.size),
        }
        self.run_with(super().run_spk, ports)

    def payload(self, change: Integers) -> Integers:
        """What is sent, and with it what was told wrongly before."""
        payload = super().payload(change)
        if not self._dense:
            payload = payload + self._untold
            self._untold[:] = 0
            self._told += payload
        return payload


@implements(proc=Flux, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class FaultyFluxModel(_Times, FluxModel):
    """Flux compartments."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        files = Exchange(proc_params["folder"])
        self._mended, self._right = files.array("mended"), files.array("right_flux")

    def run_spk(self) -> None:
        """One time step."""
        step, phase = self.now()
        if self.time_step > 1 and self._mended[0] == self.time_step - 1:
            self.state[1:] = self._right
        for row, place in enumerate(("current", "residue"), 1):
            self.injector.flip(place, self.state[row], step, phase)
        held = self.injector.held(FLUX, step, phase)
        value = (self.drive - self.bias)[held] if self._dense else 0
        self.run_with(super().run_spk, {"d_in": partial(_kept, held, value)})

    def fire(self, drive: Integers, step: int) -> None:
        """Fire, except for compartments of dead cores."""
        dead = self.injector.dead(FLUX, *self.now())
        frozen = self.state[:, dead]
        frozen[0] = 0
        super().fire(drive, step)
        self.state[:, dead] = frozen


@implements(proc=Rectifier, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class FaultyRectifierModel(_Times, RectifierModel):
    """Hidden populations."""

    def run_spk(self) -> None:
        """One time step."""
        step, phase = self.now()
        held = self.injector.held(self._population, step, phase)
        value = (self.drive - self.bias)[held] if self._dense else 0
        dead = self.injector.dead(self._population, step, phase)
        ports = {"a_in": partial(_kept, held, value), "s_out": partial(_silenced, dead, self.drive.size)}
        self.run_with(super().run_spk, ports)


@implements(proc=Sparse, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class FaultySparseModel(_Times, PySparseModelBitAcc):
    """Synapses: Lava's own where no fault hits them."""

    synapses: Mapping[str, FaultySynapse]
    a_buff: Words

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._faulty = self.synapses.get(str(proc_params["name"]))

    def run_spk(self) -> None:
        """One time step."""
        if self._faulty is None:
            super().run_spk()
            return
        self.a_out.send(self.a_buff)
        spikes = self.s_in.recv().reshape(-1, self._faulty.inputs)[self._faulty.line]
        self.a_buff = self._faulty.product(spikes, *self.now())


@implements(proc=Audit, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class RecoveringAuditModel(_Times, AuditModel):
    """An audit that leaves the right states where membranes and flux compartments find them one time step later."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._files = Exchange(proc_params["folder"])
        self._mended = self._files.array("mended")
        self._right = self._files.array("right_mass"), self._files.array("right_flux")
        self._recovery = Recovery(self._books.audit)

    def observe(self, step: int, mass: Integers, flux: Integers, *, absorbing: bool, firing: bool) -> None:
        """Have both looked at, and put right what was wrong."""
        packets, current, residue = flux
        books = self._recovery.observe(
            partial(self._books.audit.observe_membranes, step, mass, absorbing=absorbing),
            partial(self._books.audit.observe_flux, step, packets, current, residue, firing=firing),
        )
        if books is not None:
            mass[:], current[:], residue[:] = books
            self._right[0][:], self._right[1][:] = mass, flux[1:]
            self._mended[0] = self.time_step
            healed = [asdict(detection) for detection in self._recovery.detections]
            self._files.write_json(self._files.healed, {"healed": healed})


_MODELS: Mapping[type[AbstractProcess], type] = {
    Membrane: FaultyMembraneModel,
    Flux: FaultyFluxModel,
    Rectifier: FaultyRectifierModel,
    Sparse: FaultySparseModel,
}


def faulty_models(
    graph: IntegerGraph, injector: Injector, first_step: int, *, recovers: bool
) -> Mapping[type[AbstractProcess], type]:
    """The models of a run with faults, by process class.

    Parameters
    ----------
    graph : IntegerGraph
    injector : Injector
    first_step : int
        PDE steps that were done before.
    recovers : bool
        Whether memories that the audit finds wrong are put right.

    Returns
    -------
    mapping
    """
    period = int(graph.period or 0)
    hit = {line.synapse.name: injector.synapse(line, period) for line in stored_synapses(graph)}
    synapses = {name: synapse for name, synapse in hit.items() if synapse.is_hit}
    known = {"injector": injector, "first_step": first_step, "synapses": synapses}
    models = {**_MODELS, Audit: RecoveringAuditModel} if recovers else _MODELS
    # Classes of this run: Lava gives its models nothing but the parameters of their processes.
    return {process: type(model.__name__, (model,), known) for process, model in models.items()}

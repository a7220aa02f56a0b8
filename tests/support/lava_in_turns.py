"""The models of a graph's Lava processes stepped in one process, without Lava's runtime: synapses are numpy here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.lines import stored_synapses
from pisnn_deploy.lava.exchange import Exchange
from pisnn_deploy.lava.processes.audit.models import AuditModel
from pisnn_deploy.lava.processes.audit.process import Audit
from pisnn_deploy.lava.processes.neurons.models import NeuronsModel
from pisnn_deploy.lava.processes.neurons.process import Neurons
from pisnn_deploy.lava.start import start_of
from pisnn_deploy.lava.synapse import names_of_ports

Integers = NDArray[np.int64]


class _In:
    """A port whose message is laid down before the time step."""

    def __init__(self, size: int) -> None:
        self.message = np.zeros(size, np.int64)

    def recv(self) -> Integers:
        return self.message.copy()


class _Out:
    """A port that keeps what was sent last."""

    def __init__(self) -> None:
        self.message = np.zeros(0, np.int64)

    def send(self, message: Integers) -> None:
        self.message = np.array(message)


def files_of(graph: IntegerGraph, folder: Path, steps: int) -> Exchange:
    """The arrays of a run from the graph's own masses that keeps every PDE step."""
    files = Exchange(folder)
    masses = [next(iter(graph.population(holder).started().values())) for holder in graph.holders]
    flux = np.zeros((3, sum(channels.size for channels in graph.channels)), np.int64)
    kept = np.arange(steps + 1)
    files.create(np.concatenate(masses), flux, flux[0], kept, steps, len(graph.chain), everything=False)
    return files


class InTurns:
    """A run whose models take turns.

    Parameters
    ----------
    graph : IntegerGraph
        With coding, period and bounds.
    folder : Path
        Empty; for what the models share.
    steps : int
        PDE steps of the run.
    """

    def __init__(self, graph: IntegerGraph, folder: Path, steps: int) -> None:
        files = files_of(graph, folder, steps)
        self._start = start_of(graph, files, 0, goes_on=False)
        self._graph, self._folder = graph, folder
        self.models: dict[str, Any] = {name: self._neurons(name) for name in graph.chain}
        process = Audit(graph, self._start, folder)
        self._inputs = {name: _In(1) for name in process._names}
        self.audit: Any = AuditModel(process.proc_params)
        for number, port in enumerate(self._inputs.values()):
            setattr(self.audit, f"in{number}", port)
        self._synapses = [
            (line, *names_of_ports(graph, line), line.synapse.mantissa_matrix()) for line in stored_synapses(graph)
        ]
        self._sums = [np.zeros(line.synapse.outputs, np.int64) for line, *_ in self._synapses]

    def _neurons(self, name: str) -> NeuronsModel:
        process = Neurons(self._graph, name, self._start, self._folder)
        model: Any = NeuronsModel(process.proc_params)
        model.arrived, model.kept = np.array(process.arrived.init), np.array(process.kept.init)
        for number in range(len(model.plan.ports)):
            setattr(model, f"in{number}", _In(model.plan.population.size))
        for number in range(len(model.plan.guards)):
            setattr(model, f"out{number}", _Out())
        model.audit_out = _Out()
        typed: NeuronsModel = model
        return typed

    def step(self, time_step: int) -> None:
        """One time step, counted from 1, of every model and the audit."""
        for model in self.models.values():
            model.time_step = time_step
            for number in range(len(model.plan.ports)):
                getattr(model, f"in{number}").message[:] = 0
        for (line, _, port, _), sums in zip(self._synapses, self._sums, strict=True):
            getattr(self.models[line.synapse.target], port).message[:] += sums
        for model in self.models.values():
            model.run_spk()
        for number, (line, output, _, matrix) in enumerate(self._synapses):
            spikes = getattr(self.models[line.synapse.source], output).message
            spikes = spikes.reshape(-1, line.synapse.inputs)[line.number].astype(np.int64)
            exponent = line.synapse.exponent
            self._sums[number] = (matrix @ spikes) << exponent if exponent > 0 else (matrix @ spikes) >> -exponent
        for name, audited in self._inputs.items():
            audited.message = self.models[name].audit_out.message
        self.audit.time_step = time_step
        self.audit.run_spk()

    def masses(self, steps: int) -> Integers:
        """Masses and ledgers of all fields after each PDE step, int64 [steps + 1, holders]."""
        rows = []
        for time_step in range(1, steps * int(self._graph.period or 0) + 2):
            self.step(time_step)
            if (time_step - 1) % int(self._graph.period or 0) == 0:
                rows.append(np.concatenate([self.models[holder].kept[0] for holder in self._graph.holders]))
        return np.stack(rows)

"""An integer graph as a compiled network of Lava processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from lava.magma.compiler.executable import Executable
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.sdn.models import PySigmaDeltaModelFixed, PySigmaModelFixed
from lava.proc.sdn.process import Sigma, SigmaDelta
from lava.proc.sparse.models import PySparseModelBitAcc
from lava.proc.sparse.process import Sparse

from pisnn_deploy.graph.integer import ARRIVAL, FLUX, MEMBRANE, IntegerGraph
from pisnn_deploy.graph.lines import stored_synapses
from pisnn_deploy.graph.payload import payload_guard
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.graph.stock import stock_network
from pisnn_deploy.lava.exchange import Exchange
from pisnn_deploy.lava.processes.audit.models import AuditModel
from pisnn_deploy.lava.processes.audit.process import Audit
from pisnn_deploy.lava.processes.clif.process import CLIF
from pisnn_deploy.lava.processes.flux.models import FluxModel
from pisnn_deploy.lava.processes.flux.process import Flux
from pisnn_deploy.lava.processes.limited_flux.models import LimitedFluxModel
from pisnn_deploy.lava.processes.limited_flux.process import LimitedFlux
from pisnn_deploy.lava.processes.membrane.models import MembraneModel
from pisnn_deploy.lava.processes.membrane.process import Membrane
from pisnn_deploy.lava.processes.rectifier.models import RectifierModel
from pisnn_deploy.lava.processes.rectifier.process import Rectifier
from pisnn_deploy.lava.processes.stock_audit.models import StockAuditModel
from pisnn_deploy.lava.processes.stock_audit.process import StockAudit
from pisnn_deploy.lava.shared_memory import channel_bytes, free_shared_memory, require_shared_memory
from pisnn_deploy.lava.stock import stock_processes
from pisnn_deploy.lava.synapse import sparse_process

MODELS: Mapping[type[AbstractProcess], type] = {
    Audit: AuditModel,
    StockAudit: StockAuditModel,
    Flux: FluxModel,
    LimitedFlux: LimitedFluxModel,
    Membrane: MembraneModel,
    Rectifier: RectifierModel,
    Sparse: PySparseModelBitAcc,
    Sigma: PySigmaModelFixed,
    SigmaDelta: PySigmaDeltaModelFixed,
}
"""The fixed-point model of each process."""

CHANNEL_SIZE = 2
"""Messages that a channel buffers. Lava's default of 64 needs 32 times the shared memory and is no faster."""


@dataclass(frozen=True)
class Network:
    """A compiled network.

    Attributes
    ----------
    root : AbstractProcess
        The process through which the network is run.
    executable : Executable
    actors : tuple of str
        Name and model class of each process, in the order in which the runtime starts them.
    """

    root: AbstractProcess
    executable: Executable
    actors: tuple[str, ...]


def build_network(
    graph: IntegerGraph,
    files: Exchange,
    first_step: int = 0,
    goes_on: bool = False,
    replaced_models: Mapping[type[AbstractProcess], type] | None = None,
) -> Network:
    """Build and compile the network of a graph.

    Parameters
    ----------
    graph : IntegerGraph
        Compiled to the end.
    files : Exchange
        The run, with its arrays.
    first_step : int
        PDE steps that were done before.
    goes_on : bool
        Whether another run ended there.
    replaced_models : mapping, optional
        Model class to take in place of the usual one, by process class.

    Returns
    -------
    Network

    Raises
    ------
    UsageError
        Lava would change a mantissa, or there is not enough shared memory.
    """
    replaced = dict(replaced_models or {})
    wire = _wire if graph.stock is None else _wire_stock
    root = wire(graph, files, first_step, goes_on)
    configuration = Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map=replaced)
    executable = root.compile(configuration, {"pypy_channel_size": CHANNEL_SIZE})
    for process in executable.proc_builders:
        expected = {**MODELS, **replaced}[type(process)]
        if process.model_class is not expected:
            raise AssertionError(f"Lava chose {process.model_class} for {process.name}, not {expected}")
    require_shared_memory(channel_bytes(executable), free_shared_memory())
    actors = tuple(f"{process.name} ({process.model_class.__name__})" for process in executable.proc_builders)
    return Network(root, executable, actors)


def _wire(graph: IntegerGraph, files: Exchange, first_step: int, goes_on: bool) -> AbstractProcess:
    mass = files.array("initial")
    unchecked = Semantics(replace(graph, bounds=()))  # the models check the widths, when the values are used
    activations = unchecked.activations(mass)
    chain = graph.chain
    biases = [*(population.bias for population in graph.hidden), graph.flux.bias]
    drives = [
        graph.matrix(source, target) @ activation + bias
        for source, target, activation, bias in zip(chain, chain[1:], activations, biases, strict=False)
    ]
    clif = CLIF(
        graph=graph,
        initial=mass,
        drive=drives[-1],
        flux=files.array("initial_flux"),
        first_step=first_step,
        goes_on=goes_on,
        folder=files.folder,
    )
    outputs: dict[str, Any] = {MEMBRANE: clif.s_out}
    inputs: dict[str, Any] = {FLUX: clif.d_in}
    for number, population in enumerate(graph.hidden, 1):
        rectifier = Rectifier(
            drive=drives[number - 1],
            activation=activations[number],
            bias=population.bias,
            shift=population.shift,
            phase=number,
            period=int(graph.period or 0),
            dense=graph.coding == "dense",
            drive_bits=graph.bits(population.name, "drive"),
            activation_bits=graph.bits(population.name, "activation"),
            guard=payload_guard(graph, population.name),
            first_step=first_step,
            goes_on=goes_on,
            folder=files.folder,
            event_slot=chain.index(population.name),
            name=population.name,
        )
        outputs[population.name], inputs[population.name] = rectifier.s_out, rectifier.a_in
    for line in stored_synapses(graph):
        source, target = line.synapse.source, line.synapse.target
        if source != FLUX and line.synapse.port == ARRIVAL:
            process = sparse_process(line, graph.binary.get(source))
            outputs[source].connect(process.s_in)
            process.a_out.connect(inputs[target])
    return clif


def _wire_stock(graph: IntegerGraph, files: Exchange, first_step: int, goes_on: bool) -> AbstractProcess:
    mass, (_, drive, residue) = files.array("initial"), files.array("initial_flux")
    processes = stock_processes(stock_network(graph, mass))
    # A run that goes on finds on their way, and kept back, what the one before it has left there.
    processes.drive.a_buff.init = drive.astype(np.int32)
    processes.faces.residue.init = residue.astype(np.int32)
    audit = StockAudit(
        graph=graph,
        initial=mass,
        residue=residue,
        first_step=first_step,
        goes_on=goes_on,
        folder=files.folder,
        name="audit",
    )
    processes.cells.s_out.connect(audit.mass_in)
    processes.drive.a_out.connect(audit.drive_in)
    processes.faces.s_out.connect(audit.packets_in)
    return processes.cells

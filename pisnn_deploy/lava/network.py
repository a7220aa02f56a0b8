"""Build and compile the network of Lava processes of an integer graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from lava.magma.compiler.executable import Executable
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.sdn.models import PySigmaDeltaModelFixed, PySigmaModelFixed
from lava.proc.sdn.process import Sigma, SigmaDelta
from lava.proc.sparse.models import PySparseModelBitAcc
from lava.proc.sparse.process import Sparse

from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.stock import is_stock, stock_network
from pisnn_deploy.lava.exchange import Exchange
from pisnn_deploy.lava.processes.audit.models import AuditModel
from pisnn_deploy.lava.processes.audit.process import Audit
from pisnn_deploy.lava.processes.neurons.models import NeuronsModel
from pisnn_deploy.lava.processes.neurons.process import Neurons
from pisnn_deploy.lava.shared_memory import channel_bytes, free_shared_memory, require_shared_memory
from pisnn_deploy.lava.start import Start, start_of
from pisnn_deploy.lava.stock import stock_processes
from pisnn_deploy.lava.wiring import wire

MODELS: Mapping[type[AbstractProcess], type] = {
    Audit: AuditModel,
    Neurons: NeuronsModel,
    Sparse: PySparseModelBitAcc,
    Sigma: PySigmaModelFixed,
    SigmaDelta: PySigmaDeltaModelFixed,
}
"""Fixed-point model of each process."""

CHANNEL_SIZE = 2
"""Messages that a channel buffers; Lava's default of 64 takes 32 times the shared memory and is not faster."""


@dataclass(frozen=True)
class Network:
    """A compiled network.

    Attributes
    ----------
    root : AbstractProcess
        Process that runs the network.
    actors : tuple of str
        Name and model class of each process, in the order in which they start.
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
        A fully compiled graph.
    files : Exchange
        Folder of the run.
    first_step : int
        Number of PDE steps before this run.
    goes_on : bool
        Whether this run continues another one.
    replaced_models : mapping, optional
        Replacements of model classes, by process class.

    Raises
    ------
    UsageError
        If Lava would change a mantissa, or there is too little shared memory.
    """
    replaced = dict(replaced_models or {})
    root_of = _wire_stock if is_stock(graph) else _wire_neurons
    root = root_of(graph, start_of(graph, files, first_step, goes_on=goes_on), files.folder)
    configuration = Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map=replaced)
    executable = root.compile(configuration, {"pypy_channel_size": CHANNEL_SIZE})
    for process in executable.proc_builders:
        expected = {**MODELS, **replaced}[type(process)]
        if process.model_class is not expected:
            raise AssertionError(f"Lava chose {process.model_class} for {process.name}, not {expected}")
    require_shared_memory(channel_bytes(executable), free_shared_memory())
    actors = tuple(f"{process.name} ({process.model_class.__name__})" for process in executable.proc_builders)
    return Network(root, executable, actors)


def _wire_neurons(graph: IntegerGraph, start: Start, folder: Path) -> AbstractProcess:
    clif, _, _ = wire(graph, start, folder)
    return clif


def _wire_stock(graph: IntegerGraph, start: Start, folder: Path) -> AbstractProcess:
    """Connect Lava's own processes with an audit of their messages."""
    processes = stock_processes(stock_network(graph, start.mass))
    # A continued run starts with the drive and the residues that the previous run left.
    processes.drive.a_buff.init = start.current.astype(np.int32)
    processes.faces.residue.init = start.residue.astype(np.int32)
    audit = Audit(graph, start, folder)
    processes.cells.s_out.connect(audit.port_of("mass"))
    processes.drive.a_out.connect(audit.port_of("drive"))
    processes.faces.s_out.connect(audit.port_of("packets"))
    return processes.cells

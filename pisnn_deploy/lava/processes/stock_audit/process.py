"""The process of the audit of stock processes."""

from __future__ import annotations

from pathlib import Path

from lava.magma.core.process.ports.ports import InPort
from lava.magma.core.process.process import AbstractProcess

from pisnn_deploy.graph.integer import IntegerGraph, Integers


class StockAudit(AbstractProcess):
    """Observes what stock processes send to each other. It is there to verify a run, and no part of the graph.

    Parameters
    ----------
    graph : IntegerGraph
        For stock processes, compiled to the end.
    initial : int64 array [cells]
        Masses at the start.
    residue : int64 array [faces]
        Residues at the start.
    first_step : int
        PDE steps that were done before.
    goes_on : bool
        Whether another run ended there; it has counted what the first masses send.
    folder : Path
        Folder of the run.
    name : str

    Attributes
    ----------
    mass_in : InPort [cells + 1]
        States of the cells, and the constant that rounds.
    drive_in : InPort [faces]
        What the faces receive.
    packets_in : InPort [faces]
        What they send.
    """

    def __init__(
        self,
        *,
        graph: IntegerGraph,
        initial: Integers,
        residue: Integers,
        first_step: int,
        goes_on: bool,
        folder: Path,
        name: str,
    ) -> None:
        super().__init__(
            graph=graph,
            source=graph.mesh.source,
            target=graph.mesh.target,
            threshold_exponent=graph.packet_exponent,
            window=graph.window,
            initial=initial,
            reservoirs=graph.membrane.reservoirs,
            inverse_volume=None,
            residue=residue,
            first_step=first_step,
            goes_on=goes_on,
            folder=folder,
            name=name,
        )
        self.mass_in = InPort(shape=(initial.size + 1,))
        self.drive_in = InPort(shape=residue.shape)
        self.packets_in = InPort(shape=residue.shape)

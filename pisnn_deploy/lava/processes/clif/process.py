"""The hierarchical process of the C-LIF neurons."""

from __future__ import annotations

from pathlib import Path

from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess

from pisnn_deploy.graph.integer import MEMBRANE, IntegerGraph, Integers
from pisnn_deploy.graph.lines import lines_of


class CLIF(AbstractProcess):
    """Conservative leaky integrate-and-fire neurons: membranes, flux compartments, the route of packets, the audit.

    The wiring between them is inside, so nobody can wire it in a way that loses packets.

    Parameters
    ----------
    graph : IntegerGraph
    initial : int64 array [holders]
        Masses and ledgers at the start.
    drive : int64 array [faces]
        Drive at the start, bias included (delta coding).
    flux : int64 array [3, faces]
        Packets, currents and residues at the start.
    first_step : int
        PDE steps that were done before.
    goes_on : bool
        Whether another run ended there.
    folder : Path
        Folder of the run.
    name : str

    Attributes
    ----------
    s_out : OutPort [holders], or [lines * holders]
        Payload of the membranes to the flux network.
    d_in : InPort [faces]
        Drive from the flux network.
    """

    def __init__(
        self,
        *,
        graph: IntegerGraph,
        initial: Integers,
        drive: Integers,
        flux: Integers,
        first_step: int,
        goes_on: bool,
        folder: Path,
        name: str = "clif",
    ) -> None:
        super().__init__(
            graph=graph,
            initial=initial,
            drive=drive,
            flux=flux,
            first_step=first_step,
            goes_on=goes_on,
            folder=folder,
            name=name,
        )
        self.s_out = OutPort(shape=(graph.membrane.size * lines_of(graph, MEMBRANE),))
        self.d_in = InPort(shape=(graph.flux.size,))

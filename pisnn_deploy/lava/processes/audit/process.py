"""Process of the audit."""

from __future__ import annotations

from pathlib import Path

from lava.magma.core.process.ports.ports import InPort
from lava.magma.core.process.process import AbstractProcess

from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.lava.audit_input import AUDIT_PORTS, audit_input
from pisnn_deploy.lava.start import Start


class Audit(AbstractProcess):
    """Checks the conservation invariants in every time step and records the trace; it does not run on a chip.

    Parameters
    ----------
    graph : IntegerGraph
        A fully compiled graph.
    start : Start
        Start of the run.
    folder : Path
        Folder of the run.

    Attributes
    ----------
    in0, in1, ... : InPort
        Inputs of the audit, see `port_of`.
    """

    def __init__(self, graph: IntegerGraph, start: Start, folder: Path, name: str = "audit") -> None:
        super().__init__(graph=graph, start=start, folder=folder, name=name)
        shapes = audit_input(graph, start).shapes
        self._names = tuple(shapes)
        for number, shape in enumerate([*shapes.values(), *[(1,)] * (AUDIT_PORTS - len(shapes))]):
            setattr(self, f"in{number}", InPort(shape=shape))

    def port_of(self, name: str) -> InPort:
        """Return the port of a sender.

        Parameters
        ----------
        name : str
            Key of `AuditInput.shapes`.
        """
        port: InPort = getattr(self, f"in{self._names.index(name)}")
        return port

"""The process of the audit."""

from __future__ import annotations

from pathlib import Path

from lava.magma.core.process.ports.ports import InPort
from lava.magma.core.process.process import AbstractProcess

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.lava.hearing import EARS, hearing
from pisnn_deploy.lava.start import Start


class Audit(AbstractProcess):
    """Checks the conservation invariants at every time step and keeps the trace. It is no part of what runs on a chip.

    Parameters
    ----------
    graph : IntegerGraph
        Compiled to the end.
    start : Start
        Where the run begins.
    folder : Path
        Folder of the run.
    name : str

    Attributes
    ----------
    in0, in1, ... : InPort
        What the audit hears, see `ear`.

    Raises
    ------
    UsageError
        There are more populations to hear than ports.
    """

    def __init__(self, graph: IntegerGraph, start: Start, folder: Path, name: str = "audit") -> None:
        super().__init__(graph=graph, start=start, folder=folder, name=name)
        ears = hearing(graph, start).ears
        if len(ears) > EARS:
            raise UsageError(f"the audit hears {len(ears)} populations; on Lava it has ports for {EARS}")
        self._ears = tuple(ears)
        for number, shape in enumerate([*ears.values(), *[(1,)] * (EARS - len(ears))]):
            setattr(self, f"in{number}", InPort(shape=shape))

    def ear(self, name: str) -> InPort:
        """The port that hears something.

        Parameters
        ----------
        name : str
            Key of `Hearing.ears`.
        """
        port: InPort = getattr(self, f"in{self._ears.index(name)}")
        return port

"""The process of the membrane compartments."""

from __future__ import annotations

from pathlib import Path

from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var

from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.processes.payload import PayloadGuard


class Membrane(AbstractProcess):
    """One membrane compartment per cell: it absorbs packets at phase 0 and sends its mass.

    Parameters
    ----------
    initial : int64 array [cells]
        Masses at the start.
    period : int
        Time steps per PDE step.
    dense : bool
        Send the mass itself, and not its change.
    mass_bits : int
        Declared signed width of the mass.
    guard : PayloadGuard
    folder : Path
        Folder of the run.
    event_slot : int
        Where this population counts its events.
    name : str

    Attributes
    ----------
    arrival : InPort [cells]
        Quanta that arrive.
    s_out : OutPort [cells]
        Payload to the flux network.
    audit_out : OutPort [cells]
        Masses, every time step.
    """

    def __init__(
        self,
        *,
        initial: Integers,
        period: int,
        dense: bool,
        mass_bits: int,
        guard: PayloadGuard,
        folder: Path,
        event_slot: int,
        name: str,
    ) -> None:
        super().__init__(
            cells=initial.size,
            period=period,
            dense=dense,
            mass_bits=mass_bits,
            guard=guard,
            folder=folder,
            event_slot=event_slot,
            name=name,
        )
        self.arrival = InPort(shape=initial.shape)
        self.s_out = OutPort(shape=initial.shape)
        self.audit_out = OutPort(shape=initial.shape)
        self.mass = Var(shape=initial.shape, init=initial)

"""The process of the membrane compartments."""

from __future__ import annotations

from pathlib import Path

from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var

from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.graph.payload import PayloadGuard


class Membrane(AbstractProcess):
    """One membrane compartment per cell, which absorbs packets at phase 0 and sends its mass; then one per reservoir,
    its ledger, which absorbs and never sends.

    Parameters
    ----------
    initial : int64 array [holders]
        Masses and ledgers at the start.
    cells : int
        How many of these are cells.
    period : int
        Time steps per PDE step.
    dense : bool
        Send the mass itself, and not its change.
    mass_bits, ledger_bits : int
        Declared signed widths of the mass of a cell and of a ledger.
    guard : PayloadGuard
    first_step : int
        PDE steps that were done before.
    goes_on : bool
        Whether another run ended there, and counted what this one sends first.
    folder : Path
        Folder of the run.
    event_slot : int
        Where this population counts its events.
    name : str

    Attributes
    ----------
    arrival : InPort [holders]
        Quanta that arrive.
    s_out : OutPort [holders], or [lines * holders]
        Payload to the flux network, see `PayloadGuard.spikes`.
    audit_out : OutPort [holders]
        Masses and ledgers, every time step.
    """

    def __init__(
        self,
        *,
        initial: Integers,
        cells: int,
        period: int,
        dense: bool,
        mass_bits: int,
        ledger_bits: int,
        guard: PayloadGuard,
        first_step: int,
        goes_on: bool,
        folder: Path,
        event_slot: int,
        name: str,
    ) -> None:
        super().__init__(
            holders=initial.size,
            cells=cells,
            period=period,
            dense=dense,
            mass_bits=mass_bits,
            ledger_bits=ledger_bits,
            guard=guard,
            first_step=first_step,
            goes_on=goes_on,
            folder=folder,
            event_slot=event_slot,
            name=name,
        )
        self.arrival = InPort(shape=initial.shape)
        self.s_out = OutPort(shape=(initial.size * guard.width,))
        self.audit_out = OutPort(shape=initial.shape)
        self.mass = Var(shape=initial.shape, init=initial)

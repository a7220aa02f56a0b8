"""The process of the flux compartments."""

from __future__ import annotations

from pathlib import Path

from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var

from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.graph.payload import PayloadGuard


class Flux(AbstractProcess):
    """One flux compartment per face: leaky current, residue, and packets with a conservative reset.

    Parameters
    ----------
    drive : int64 array [faces]
        Weighted input at the start, bias included (delta coding).
    state : int64 array [3, faces]
        Packets, currents and residues at the start.
    bias : int64 array [faces]
    threshold_exponent : int
        ``F``; theta is ``2^F``.
    leak : int
        Decay constant of the current, 1 to 4096.
    period : int
        Time steps per PDE step; faces fire in the last one.
    dense : bool
        Take the drive itself, and not its change.
    drive_bits, current_bits, potential_bits, residue_bits : int
        Declared signed widths.
    guard : PayloadGuard
    first_step : int
        PDE steps that were done before.
    folder : Path
        Folder of the run.
    event_slot : int
        Where this population counts its events.
    name : str

    Attributes
    ----------
    d_in : InPort [faces]
        Drive from the flux network.
    s_out : OutPort [faces], or [lines * faces]
        Packets, see `PayloadGuard.spikes`.
    audit_out : OutPort [3, faces]
        Packets, current and residue, every time step.
    """

    def __init__(
        self,
        *,
        drive: Integers,
        state: Integers,
        bias: Integers,
        threshold_exponent: int,
        leak: int,
        period: int,
        dense: bool,
        drive_bits: int,
        current_bits: int,
        potential_bits: int,
        residue_bits: int,
        guard: PayloadGuard,
        first_step: int,
        folder: Path,
        event_slot: int,
        name: str,
    ) -> None:
        super().__init__(
            faces=bias.size,
            threshold_exponent=threshold_exponent,
            leak=leak,
            period=period,
            dense=dense,
            drive_bits=drive_bits,
            current_bits=current_bits,
            potential_bits=potential_bits,
            residue_bits=residue_bits,
            guard=guard,
            first_step=first_step,
            folder=folder,
            event_slot=event_slot,
            name=name,
        )
        self.d_in = InPort(shape=bias.shape)
        self.s_out = OutPort(shape=(bias.size * guard.width,))
        self.audit_out = OutPort(shape=(3, *bias.shape))
        self.bias = Var(shape=bias.shape, init=bias)
        self.drive = Var(shape=bias.shape, init=drive)
        self.state = Var(shape=state.shape, init=state)

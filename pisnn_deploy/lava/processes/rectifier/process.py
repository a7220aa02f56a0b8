"""The process of a hidden population."""

from __future__ import annotations

from pathlib import Path

from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var

from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.graph.payload import PayloadGuard


class Rectifier(AbstractProcess):
    """A hidden population: ``a = relu(drive + bias) >> shift``, sent at its phase.

    Parameters
    ----------
    drive : int64 array [neurons]
        Weighted input at the start, bias included (delta coding).
    activation : int64 array [neurons]
        Activation at the start (delta coding).
    bias : int64 array [neurons]
    shift : int
    phase, period : int
        When it answers, and time steps per PDE step.
    dense : bool
        Take and send values themselves, and not their changes.
    drive_bits, activation_bits : int
        Declared signed widths.
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
    a_in, s_out : InPort, OutPort [neurons]
    """

    def __init__(
        self,
        *,
        drive: Integers,
        activation: Integers,
        bias: Integers,
        shift: int,
        phase: int,
        period: int,
        dense: bool,
        drive_bits: int,
        activation_bits: int,
        guard: PayloadGuard,
        first_step: int,
        goes_on: bool,
        folder: Path,
        event_slot: int,
        name: str,
    ) -> None:
        super().__init__(
            neurons=bias.size,
            shift=shift,
            phase=phase,
            period=period,
            dense=dense,
            drive_bits=drive_bits,
            activation_bits=activation_bits,
            guard=guard,
            first_step=first_step,
            goes_on=goes_on,
            folder=folder,
            event_slot=event_slot,
            name=name,
        )
        self.a_in = InPort(shape=bias.shape)
        self.s_out = OutPort(shape=(bias.size * guard.width,))
        self.bias = Var(shape=bias.shape, init=bias)
        self.drive = Var(shape=bias.shape, init=drive)
        self.activation = Var(shape=bias.shape, init=activation)

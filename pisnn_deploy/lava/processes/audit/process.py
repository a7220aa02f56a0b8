"""The process of the audit."""

from __future__ import annotations

from pathlib import Path

from lava.magma.core.process.ports.ports import InPort
from lava.magma.core.process.process import AbstractProcess

from pisnn_deploy.graph.integer import Integers, OperatingWindow


class Audit(AbstractProcess):
    """Checks the conservation invariants at every time step and keeps the trace.

    Parameters
    ----------
    source, target : int64 array [faces]
        Holders that a positive packet leaves and enters.
    threshold_exponent : int
    window : OperatingWindow
    initial : int64 array [holders]
        Masses and ledgers at the start.
    reservoirs : int64 array [reservoirs]
        Values that reservoirs show.
    inverse_volume : int64 array [cells] or None
        Where cells differ.
    share_shift : int or None
        With a limiter.
    current, residue : int64 array [faces]
        Of the flux compartments at the start.
    first_step : int
        PDE steps that were done before.
    period : int
        Time steps per PDE step.
    folder : Path
        Folder of the run.
    name : str

    Attributes
    ----------
    mass_in : InPort [holders]
        Masses and ledgers.
    flux_in : InPort [3, faces]
        Packets, current and residue.
    """

    def __init__(
        self,
        *,
        source: Integers,
        target: Integers,
        threshold_exponent: int,
        window: OperatingWindow,
        initial: Integers,
        reservoirs: Integers,
        inverse_volume: Integers | None,
        share_shift: int | None,
        current: Integers,
        residue: Integers,
        first_step: int,
        period: int,
        folder: Path,
        name: str,
    ) -> None:
        super().__init__(
            source=source,
            target=target,
            threshold_exponent=threshold_exponent,
            window=window,
            initial=initial,
            reservoirs=reservoirs,
            inverse_volume=inverse_volume,
            share_shift=share_shift,
            current=current,
            residue=residue,
            first_step=first_step,
            period=period,
            folder=folder,
            name=name,
        )
        self.mass_in = InPort(shape=initial.shape)
        self.flux_in = InPort(shape=(3, *source.shape))

"""The process of the flux compartments with a limiter."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.process.ports.ports import InPort
from lava.magma.core.process.variable import Var

from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.lava.processes.flux.process import Flux


class LimitedFlux(Flux):
    """Flux compartments that never take more than the cells at their ends can give.

    Parameters
    ----------
    held : int64 array [2, faces]
        Masses at the sources and at the targets at the start (delta coding).
    boundless : bool array [2, faces]
        Ends that are reservoirs, which give without limit.
    share_shift : int
        ``s``: a cell gives at most ``max(m, 0) >> s`` through a face.
    mass_bits : tuple of int
        Declared signed widths of the masses at sources and targets.
    share_bits : int
        Declared signed width of a share.
    **flux
        See `Flux`.

    Attributes
    ----------
    source_in, target_in : InPort [faces]
        Masses, or their changes, at both ends.
    """

    def __init__(
        self,
        *,
        held: Integers,
        boundless: np.ndarray[Any, np.dtype[np.bool_]],
        share_shift: int,
        mass_bits: tuple[int, int],
        share_bits: int,
        **flux: Any,
    ) -> None:
        super().__init__(**flux)
        self.proc_params["boundless"] = boundless
        self.proc_params["share_shift"] = share_shift
        self.proc_params["mass_bits"] = mass_bits
        self.proc_params["share_bits"] = share_bits
        self.source_in = InPort(shape=held.shape[1:])
        self.target_in = InPort(shape=held.shape[1:])
        self.held = Var(shape=held.shape, init=held)

"""The fixed-point model of the flux compartments with a limiter."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.ports import PyInPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from pisnn_deploy.core.arithmetic import BOUNDLESS, limit_packets, require_width, shares
from pisnn_deploy.graph.integer import FLUX, Integers
from pisnn_deploy.lava.flux_compartments import FluxCompartments
from pisnn_deploy.lava.processes.limited_flux.process import LimitedFlux

_ARRIVAL = 1
"""Phase in which what membranes sent at phase 0 arrives."""


@implements(proc=LimitedFlux, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class LimitedFluxModel(FluxCompartments):
    """Keeps the masses at both ends of each face, and drops what these cannot give."""

    source_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    target_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    held: Integers = LavaPyType(np.ndarray, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._boundless = proc_params["boundless"]
        self._share_shift = int(proc_params["share_shift"])
        self._mass_bits = proc_params["mass_bits"]
        self._share_bits = int(proc_params["share_bits"])

    def run_spk(self) -> None:
        """One time step."""
        arrival = self.source_in.recv(), self.target_in.recv()
        step, phase = divmod(self.time_step - 1, self._period)
        if phase == _ARRIVAL:
            for held, arrived, bits, end in zip(
                self.held, arrival, self._mass_bits, ("source-mass", "target-mass"), strict=True
            ):
                if self._dense:
                    held[:] = arrived
                else:
                    held += arrived
                require_width(held, bits, FLUX, end, self._first_step + step)
        super().run_spk()

    def limit(self, fired: Integers, step: int) -> None:
        """Take from packets, in place, what the cells at their ends cannot give.

        Parameters
        ----------
        fired : int64 array [faces]
        step : int
            PDE step for error messages.
        """
        given = shares(self.held, self._share_shift)
        require_width(given, self._share_bits, FLUX, "share", step)
        given[self._boundless] = BOUNDLESS
        fired[:] = limit_packets(fired, *given)

"""Model of the heater."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from at_home.heater.process import Heater


@implements(proc=Heater, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class HeaterModel(PyLoihiProcessModel):
    """Reads first, then sends."""

    heat: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    field: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    numbers: Any = LavaPyType(np.ndarray, np.int64)
    read: Any = LavaPyType(np.ndarray, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._fails_at = proc_params["fails_at"]

    def run_spk(self) -> None:
        """Run one time step."""
        self.read[0] += self.field.recv().sum()
        if self.time_step == self._fails_at:
            raise ArithmeticError("the heater burned out")
        self.heat.send(self.numbers[self.time_step - 1 : self.time_step])

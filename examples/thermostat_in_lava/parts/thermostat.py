"""A thermostat as a Lava process: it reads a field and sends the value of a side."""

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


class Thermostat(AbstractProcess):
    """Heats while one cell is colder than the target; all temperatures in quanta."""

    def __init__(self, shape, cell, target, cold, hot):
        super().__init__()
        self.field = InPort(shape=shape)
        self.heat = OutPort(shape=(1,))
        self.settings = Var(shape=(4,), init=np.array([cell, target, cold, hot]))
        self.heated = Var(shape=(1,), init=0)


@implements(proc=Thermostat, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class ThermostatModel(PyLoihiProcessModel):
    """Reads in every time step, then sends: the network takes the value in the same time step."""

    field: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    heat: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    settings: np.ndarray = LavaPyType(np.ndarray, np.int64)
    heated: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def run_spk(self):
        """Run one time step."""
        cell, target, cold, hot = self.settings
        is_cold = self.field.recv()[0, cell] < target
        self.heated[0] += is_cold
        self.heat.send(np.array([hot if is_cold else cold]))

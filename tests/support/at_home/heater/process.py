"""A heater: sends a number from a list in every time step, and adds up what it reads."""

from __future__ import annotations

import numpy as np
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from numpy.typing import NDArray


class Heater(AbstractProcess):
    """Sends one number after the other.

    Parameters
    ----------
    numbers : array [time steps]
        What to send in each time step.
    reads : tuple of int
        Shape of what it reads.
    """

    def __init__(self, numbers: NDArray[np.int64], reads: tuple[int, ...]) -> None:
        super().__init__()
        self.proc_params["fails_at"] = 0
        self.heat = OutPort(shape=(1,))
        self.field = InPort(shape=reads)
        self.numbers = Var(shape=numbers.shape, init=numbers)
        self.read = Var(shape=(1,), init=0)

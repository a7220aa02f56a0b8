"""Program reader in numpy that flips bits of values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pisnn_deploy.faults.memory import flipped
from pisnn_deploy.programs.arrays import Arrays, Integers, Look


@dataclass(frozen=True)
class Flip:
    """Flip of a bit of a named value, right after the value is computed.

    Attributes
    ----------
    value : str
        Name of a port, state, parameter or result of the program.
    neuron, bit : int
        Number of the neuron, and of the bit (0 for the lowest).
    width : int
        Number of bits of the value's word.
    """

    value: str
    neuron: int
    bit: int
    width: int


class FlippedArrays(Arrays):
    """`Arrays` with some bits flipped.

    Parameters
    ----------
    flips : sequence of Flip
        Flips of the population in the PDE step.
    neurons : int
        Size of the population.
    look : callable, optional
        Called with values before and after bits are flipped.
    """

    def __init__(self, flips: Sequence[Flip], neurons: int, look: Look | None = None) -> None:
        super().__init__(look)
        self._flips = tuple(flips)
        self._neurons = neurons

    def result(self, name: str, value: Integers) -> Integers:
        value = super().result(name, value)
        for flip in self._flips:
            if flip.value == name:
                value = np.array(np.broadcast_to(value, self._neurons))
                value[flip.neuron] = flipped(int(value[flip.neuron]), flip.bit, flip.width)
                value = super().result(name, value)
        return value

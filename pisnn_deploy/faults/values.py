"""Programs in numpy with bits of their values flipped: the reader of a faulty chip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pisnn_deploy.faults.memory import flipped
from pisnn_deploy.programs.arrays import Arrays, Integers, Look


@dataclass(frozen=True)
class Flip:
    """A bit of a named value that is flipped as soon as the value is there.

    Attributes
    ----------
    value : str
        Name in the program: of a port, a state, a parameter or a result.
    neuron, bit : int
        Number of the neuron, and of the bit: 0 for the lowest.
    width : int
        Bits of the word that holds the value.
    """

    value: str
    neuron: int
    bit: int
    width: int


class FlippedArrays(Arrays):
    """int64 arrays as `Arrays` has them, with some bits flipped.

    Parameters
    ----------
    flips : sequence of Flip
        Of this population in this PDE step.
    neurons : int
        Size of the population.
    look : callable, optional
        Sees values before and after bits are flipped.
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

"""Programs run neuron by neuron on Python's integers: what every other reader is compared with."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.programs import Program, run
from pisnn_deploy.programs.whole import Whole

Integers = NDArray[np.int64]
NEURONS = 8


def in_whole(program: Program, inputs: Mapping[str, Integers]) -> dict[str, list[int]]:
    """Every value of every neuron, one neuron at a time."""
    values: dict[str, list[int]] = {name: [] for name in program.names}
    for neuron in range(NEURONS):
        one = {name: int(given[neuron]) for name, given in inputs.items()}
        for name, value in run(program, Whole(), one).values.items():
            values[name].append(value)
    return values

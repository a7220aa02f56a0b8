"""Interval analysis of the integer flux network over the operating window.

Everything here works on the shared kernel, so its cost does not depend on the mesh. At walls the folded weights are
sums of kernel weights on the same values, for which the kernel's interval holds as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pisnn_deploy.arithmetic import MEMORYLESS
from pisnn_deploy.graph import IntegerLayer, OperatingWindow

Interval = tuple[int, int]


@dataclass(frozen=True)
class NetworkIntervals:
    """Intervals of a flux network and of its flux compartment.

    Attributes
    ----------
    drives : tuple of interval
        Of each layer, bias included; the last is the drive of the flux compartment.
    activations : tuple of interval
        Of each hidden layer.
    current, potential, residue, packet : interval
        Of the flux compartment; the potential is the residue with the current added, before firing.
    """

    drives: tuple[Interval, ...]
    activations: tuple[Interval, ...]
    current: Interval
    potential: Interval
    residue: Interval
    packet: Interval


def network_intervals(
    operator: Sequence[IntegerLayer], window: OperatingWindow, threshold_exponent: int, leak: int
) -> NetworkIntervals:
    """Intervals that hold while the masses stay in the operating window.

    Parameters
    ----------
    operator : sequence of IntegerLayer
    window : OperatingWindow
    threshold_exponent, leak : int
        Of the flux compartment.

    Returns
    -------
    NetworkIntervals
        All in Python integers, so that nothing can wrap.
    """
    inputs: list[Interval] = [(window.lower, window.upper)] * operator[0].weight.shape[1]
    drives, activations = [], []
    for number, layer in enumerate(operator):
        difference = window.difference if number == 0 else None
        outputs = [
            _affine([int(w) for w in row], int(bias), inputs, difference)
            for row, bias in zip(layer.weight, layer.bias, strict=True)
        ]
        drives.append(_hull(outputs))
        if number + 1 < len(operator):
            inputs = [(max(low, 0) >> layer.shift, max(high, 0) >> layer.shift) for low, high in outputs]
            activations.append(_hull(inputs))
    low, high = drives[-1]
    # The leak keeps at most (4096 - leak) / 4096 of the current: a geometric series.
    current = (-(max(-low, 0) * MEMORYLESS // leak), max(high, 0) * MEMORYLESS // leak)
    half = (1 << threshold_exponent) // 2
    potential = (current[0] - half, current[1] + half)
    packet = (-((half - 1 - potential[0]) >> threshold_exponent), (potential[1] + half - 1) >> threshold_exponent)
    return NetworkIntervals(tuple(drives), tuple(activations), current, potential, (-half, half), packet)


def _affine(weights: list[int], bias: int, inputs: list[Interval], difference: int | None) -> Interval:
    """Interval of ``sum(w a) + bias``; a zero-sum row also through the differences of neighbouring inputs."""
    low = bias + sum(w * (inputs[i][0] if w > 0 else inputs[i][1]) for i, w in enumerate(weights))
    high = bias + sum(w * (inputs[i][1] if w > 0 else inputs[i][0]) for i, w in enumerate(weights))
    if difference is not None and sum(weights) == 0:
        # Summation by parts: sum(w a) = -sum(C_i (a_{i+1} - a_i)) with C_i = w_0 + ... + w_i.
        reach = difference * sum(abs(int(c)) for c in np.cumsum(weights))
        low, high = max(low, bias - reach), min(high, bias + reach)
    return low, high


def _hull(intervals: Sequence[Interval]) -> Interval:
    return min(low for low, _ in intervals), max(high for _, high in intervals)

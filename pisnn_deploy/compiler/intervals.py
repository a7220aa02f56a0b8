"""Interval analysis of the integer flux network over the operating window.

Everything here works on the shared kernel, so its cost does not depend on the mesh. At walls the folded weights are
sums of kernel weights on the same values, for which the kernel's interval holds as well once the values that ghost
cells may have are counted in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pisnn_deploy.arithmetic import MEMORYLESS
from pisnn_deploy.graph import IntegerLayer, OperatingWindow
from pisnn_deploy.mesh import Window

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


def shown(seen: Window, window: OperatingWindow, along: int) -> OperatingWindow:
    """The operating window of what faces see: masses, and ghost cells beyond reservoirs.

    Parameters
    ----------
    seen : Window
        With offsets in quanta.
    window : OperatingWindow
        Small enough for all products to fit int64.
    along : int
        Positions of a face's window along its axis.

    Returns
    -------
    OperatingWindow
        In Python integers. Two ghost cells beside each other may differ by more than the cells that they mirror, if
        their reservoirs do.
    """
    up, down = np.maximum(seen.numerator, 0).sum(axis=2), np.minimum(seen.numerator, 0).sum(axis=2)
    low = int(((up * window.lower + down * window.upper) // seen.denominator + seen.offset).min())
    high = int((-((-up * window.upper - down * window.lower) // seen.denominator) + seen.offset).max())
    difference = window.difference
    if seen.denominator > 1:
        difference = None  # parabolas are steeper than the field that they continue
    elif difference is not None:
        lines = (seen.cell.shape[0], along, -1)
        sign, offset = seen.numerator.reshape(lines), seen.offset.reshape(lines)
        turns = np.diff(sign, axis=1) != 0
        # Beside a wall stand a cell and its reflection; what was reflected twice is no such cell.
        upright = np.where(sign[:, 1:] > 0, offset[:, 1:], offset[:, :-1])
        if (turns & (upright != 0)).any():
            difference = None
        else:
            difference += int(np.abs(np.diff(offset, axis=1))[~turns].max(initial=0))
    return OperatingWindow(low, high, difference, window.current)


def network_intervals(
    operator: Sequence[IntegerLayer], window: OperatingWindow, threshold_exponent: int, leak: int, along: int
) -> NetworkIntervals:
    """Intervals that hold while the masses stay in the operating window.

    Parameters
    ----------
    operator : sequence of IntegerLayer
    window : OperatingWindow
        Of what faces see, see `shown`.
    threshold_exponent, leak : int
        Of the flux compartment.
    along : int
        Positions of a face's window along its axis.

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
            _affine([int(w) for w in row], int(bias), inputs, difference, along)
            for row, bias in zip(layer.weight, layer.bias, strict=True)
        ]
        drives.append(_hull(outputs))
        if number + 1 < len(operator):
            inputs = [(max(low, 0) >> layer.shift, max(high, 0) >> layer.shift) for low, high in outputs]
            activations.append(_hull(inputs))
    low, high = drives[-1]
    # The leak keeps at most (4096 - leak) / 4096 of the current: a geometric series.
    current = (-(max(-low, 0) * MEMORYLESS // leak), max(high, 0) * MEMORYLESS // leak)
    if window.current is not None:
        limit = window.current
        kept = limit * (MEMORYLESS - leak) // MEMORYLESS
        current = (max(current[0], -limit), min(current[1], limit))
        drives[-1] = (max(low, -limit - kept), min(high, limit + kept))
    half = (1 << threshold_exponent) // 2
    potential = (current[0] - half, current[1] + half)
    packet = (-((half - 1 - potential[0]) >> threshold_exponent), (potential[1] + half - 1) >> threshold_exponent)
    return NetworkIntervals(tuple(drives), tuple(activations), current, potential, (-half, half), packet)


def _affine(weights: list[int], bias: int, inputs: list[Interval], difference: int | None, along: int) -> Interval:
    """Interval of ``sum(w a) + bias``; if each line of cells along the face's axis has weights that sum to zero, also
    through the differences of neighbours on these lines.
    """
    low = bias + sum(w * (inputs[i][0] if w > 0 else inputs[i][1]) for i, w in enumerate(weights))
    high = bias + sum(w * (inputs[i][1] if w > 0 else inputs[i][0]) for i, w in enumerate(weights))
    if difference is None:
        return low, high
    partial = np.cumsum(np.array(weights, np.int64).reshape(along, -1), axis=0)
    if not partial[-1].any():
        # Summation by parts: sum(w a) = -sum(C_i (a_{i+1} - a_i)) with C_i = w_0 + ... + w_i.
        reach = difference * int(np.abs(partial).sum())
        low, high = max(low, bias - reach), min(high, bias + reach)
    return low, high


def _hull(intervals: Sequence[Interval]) -> Interval:
    return min(low for low, _ in intervals), max(high for _, high in intervals)

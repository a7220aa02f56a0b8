"""Spikes that a population sends: payloads checked against their width and the accumulators that receive them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.arithmetic import bit_lines, require_width
from pisnn_deploy.core.errors import OverflowViolation
from pisnn_deploy.core.rows import Rows
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.synapse import effective

Integers = NDArray[np.int64]

_MESSAGE_BITS = 32
_ACCUMULATOR_BITS = 32
_ACCUMULATOR_LIMIT = (1 << (_ACCUMULATOR_BITS - 1)) - 1


@dataclass(frozen=True)
class PayloadGuard:
    """Checks of the payloads of a population.

    Lava's synapses sum in int32 and wrap silently. The compiler's bounds exclude that inside the operating range; a
    payload that is larger than they foresaw is checked here before it is sent.

    Attributes
    ----------
    population, quantity : str
        Names for the message.
    bits : int
        Declared signed width.
    largest : int
        Absolute payload up to which no accumulator can wrap.
    reach : tuple of (str, Rows)
        Name and absolute mantissas, int64 [post, pre], of each synapse that receives the payload, times ``2^exponent``
        where that is larger.
    lines : int
        Lines of binary spikes; 0 where spikes carry integers.
    """

    population: str
    quantity: str
    bits: int
    largest: int
    reach: tuple[tuple[str, Rows], ...]
    lines: int = 0

    @property
    def width(self) -> int:
        """Most spikes that one neuron can send in a time step."""
        return max(1, self.lines)

    def spikes(self, values: Integers) -> Integers:
        """Encode payloads as spikes: the integers themselves, or zeros and ones, line after line.

        Parameters
        ----------
        values : int64 array [neurons]
            Payload of each neuron; 0 sends nothing.

        Returns
        -------
        int64 array [neurons], or [lines * neurons]
            Spikes on each line.
        """
        return bit_lines(values, self.lines).reshape(-1) if self.lines else values

    def require(self, values: Integers, step: int) -> None:
        """Refuse payloads that do not fit.

        Parameters
        ----------
        values : int64 array
            Payloads.
        step : int
            PDE step for the message.

        Raises
        ------
        OverflowViolation
            The payload leaves its width, or an accumulator could wrap on it.
        """
        require_width(values, self.bits, self.population, self.quantity, step)
        if self.largest >> (self.bits - 1) or int(np.abs(values).max()) <= self.largest:
            return
        magnitude = np.abs(values)
        for name, matrix in self.reach:
            sums = matrix @ magnitude
            if sums.size and int(sums.max()) > _ACCUMULATOR_LIMIT:
                index = int(np.argmax(sums > _ACCUMULATOR_LIMIT))
                raise OverflowViolation(name, "accumulator", index, step, int(sums[index]), _ACCUMULATOR_BITS)


def payload_guard(graph: IntegerGraph, population: str, output: int = 0) -> PayloadGuard:
    """Build the payload guard of a population's output."""
    is_packet = any((channels.population, channels.output) == (population, output) for channels in graph.channels)
    quantity = "packet" if is_packet else "payload"
    # A positive exponent shifts the sum within the same width.
    reach = tuple(
        (s.name, abs(s.mantissa_matrix()).valued(partial(effective, exponent=max(0, s.exponent))))
        for s in graph.synapses
        if (s.source, s.output) == (population, output)
    )
    is_declared = any((bound.population, bound.quantity) == (population, quantity) for bound in graph.bounds)
    # Only an output without targets may have no bound.
    bits = graph.bits(population, quantity) if reach or is_declared else _MESSAGE_BITS
    lines = graph.population(population).lines
    return PayloadGuard(population, quantity, min(bits, _MESSAGE_BITS), _largest(reach), reach, lines)


def _largest(reach: Sequence[tuple[str, Rows]]) -> int:
    sums = [int(matrix.sums().max()) for _, matrix in reach]
    return _ACCUMULATOR_LIMIT // max([1, *sums])

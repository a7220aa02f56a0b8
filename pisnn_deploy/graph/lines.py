"""Binary spikes: a payload as one spike for each bit that is set, each bit on a line of its own.

A target without graded spikes cannot send an integer. A neuron with a payload of `B` signed bits then has `B` lines,
and line `b` fires where bit `b` of the two's-complement payload is set. Its synapses are those of the graded payload
with ``2^b`` times the weight, and with ``-2^b`` times the weight on the last line, which is the sign. So the sum over
the lines is the graded product, integer for integer, and the meaning of the graph does not change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from pisnn_deploy.core.arithmetic import bit_lines
from pisnn_deploy.graph.integer import IntegerGraph, Integers, Synapse

LARGEST_EXPONENT = 7
"""Weight exponents of targets end here; further factors of two go into the mantissas."""


@dataclass(frozen=True)
class Line:
    """A synapse population as it is stored.

    Attributes
    ----------
    synapse : Synapse
        Synapse whose source neurons are those of the line.
    number : int
        Line of the source population, 0 where spikes are graded.
    """

    synapse: Synapse
    number: int


def lines_of(graph: IntegerGraph, population: str) -> int:
    """Number of lines on which a population sends.

    Returns
    -------
    int
        1 where spikes are graded.
    """
    return max(1, graph.population(population).lines)


def stored_synapses(graph: IntegerGraph) -> Iterator[Line]:
    """Synapse populations as the target stores them: the graph's own, or one for each line of their sources."""
    for synapse in graph.synapses:
        count = graph.population(synapse.source).lines
        if not count:
            yield Line(synapse, 0)
        else:
            yield from (Line(_line_synapse(synapse, bit, count), bit) for bit in range(count))


def _line_synapse(synapse: Synapse, bit: int, count: int) -> Synapse:
    exponent = min(synapse.exponent + bit, max(synapse.exponent, LARGEST_EXPONENT))
    factor = 1 << (synapse.exponent + bit - exponent)
    factor = -factor if bit == count - 1 else factor
    connections = synapse.connections.revalued(lambda values: values * factor)
    return replace(synapse, name=f"{synapse.name}-bit{bit}", connections=connections, exponent=exponent)


def spikes(graph: IntegerGraph, population: str, payload: Integers) -> int:
    """Spikes that a population sends.

    Parameters
    ----------
    payload : int64 array [neurons]
        Payload of each neuron; 0 sends nothing.

    Returns
    -------
    int
        Payloads that are not zero; of binary spikes, the bits that are set.
    """
    count = graph.population(population).lines
    return int(np.count_nonzero(bit_lines(payload, count) if count else payload))

"""A synapse population: weighted connections from the output of one population to a port of another."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.rows import Rows
from pisnn_deploy.graph.connections import Connections, Explicit

Integers = NDArray[np.int64]
ARRIVAL = "arrival"
"""Port at which a neuron integrates; every program of this package uses this name."""


@dataclass(frozen=True)
class Synapse:
    """A population of weighted connections as the chip stores it: mantissas and one shared exponent.

    The effective weight is ``mantissa * 2^exponent``. Mantissas are even, because targets drop the lowest bit of
    weights of mixed sign. Several synapses may join the same two populations; their contributions add up.

    Attributes
    ----------
    connections : Explicit, Stencil, Blocks, Incidence or Ends
        Connections with mantissas as values.
    port : str
        Port of the target's program at which the contributions arrive.
    output : int
        Index among the values that the source's program sends.
    """

    name: str
    source: str
    target: str
    connections: Connections
    exponent: int
    port: str = ARRIVAL
    output: int = 0

    @property
    def entries(self) -> int:
        """Number of stored connections."""
        return self.connections.entries

    @property
    def inputs(self) -> int:
        """Size of the source population."""
        return self.connections.inputs

    @property
    def outputs(self) -> int:
        """Size of the target population."""
        return self.connections.outputs

    @property
    def row_starts(self) -> Integers:
        """Where the connections of each target neuron start, int64 [outputs + 1]."""
        return self.connections.rows.starts

    @property
    def columns(self) -> Integers:
        """Source neuron of each connection, int64 [entries]."""
        return self.connections.rows.columns

    @property
    def mantissas(self) -> Integers:
        """Mantissa of each connection, int64 [entries]."""
        return self.connections.rows.values

    @property
    def distinct_mantissas(self) -> Integers:
        """Deduplicated mantissas, int64."""
        return self.connections.distinct[1]

    def with_mantissas(self, mantissas: Integers) -> Synapse:
        """Replace the mantissas; the result has explicit connections.

        Parameters
        ----------
        mantissas : int64 array [entries]
            In the order of the connections.
        """
        return replace(self, connections=Explicit(self.row_starts, self.columns, mantissas, self.inputs))

    def mantissa_matrix(self) -> Rows:
        """Mantissas as a matrix [outputs, inputs], int64."""
        return self.connections.rows

    def matrix(self) -> Rows:
        """Effective integer weights as a matrix [outputs, inputs], int64.

        Raises
        ------
        ValueError
            A mantissa is not a multiple of ``2^-exponent``; `verify_graph` refuses such a graph earlier.
        """
        if not are_whole(self.mantissas, self.exponent):
            raise ValueError(f"synapse {self.name}: weights are not integers")
        return self.connections.rows.valued(lambda mantissas: effective(mantissas, self.exponent))


def truncated(mantissas: Integers) -> Integers:
    """Mantissas as targets store them: those of mixed signs lose their lowest bit.

    Parameters
    ----------
    mantissas : int64 array
        Mantissas of the graph.
    """
    if mantissas.size and mantissas.min() < 0 < mantissas.max():
        return (mantissas >> 1) << 1
    return mantissas


def effective(mantissas: Integers, exponent: int) -> Integers:
    """Effective weights: ``mantissa * 2^exponent``, rounded down, int64.

    Parameters
    ----------
    mantissas : int64 array
        Mantissas of the graph.
    """
    return mantissas << exponent if exponent >= 0 else mantissas >> -exponent


def are_whole(mantissas: Integers, exponent: int) -> bool:
    """Whether effective weights are integers without rounding."""
    return exponent >= 0 or not (mantissas & ((1 << -exponent) - 1)).any()

"""Lava's Sparse process for a synapse of the graph, with everything asserted that Lava swallows silently."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.proc.sparse.process import Sparse
from numpy.typing import NDArray
from scipy import sparse

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.lines import Line

_GRADED, _BINARY = 24, 0
"""Lava's message bits: at 0 it takes whatever arrives as a spike or none."""
_LARGEST_MANTISSA = 254


def stored_matrix(name: str, mantissas: sparse.csr_matrix, exponent: int, bits: int = _GRADED) -> Sparse:
    """Build the process of mantissas, whose sums of products are shifted by the exponent.

    Parameters
    ----------
    name : str
        Of the process.
    mantissas : scipy.sparse.csr_matrix, int64 [outputs, inputs]
    exponent : int
    bits : int
        Of a message.

    Returns
    -------
    Sparse

    Raises
    ------
    UsageError
        Lava would change a mantissa: odd, or beyond 254.
    """
    _refuse(name, mantissas.data, mantissas.data % 2 != 0, "is odd, Lava drops the lowest bit of weights of mixed sign")
    too_large = np.abs(mantissas.data) > _LARGEST_MANTISSA
    _refuse(name, mantissas.data, too_large, f"is beyond {_LARGEST_MANTISSA}, Lava clips it")
    process = Sparse(weights=mantissas, weight_exp=exponent, num_message_bits=bits, name=name)
    kept = {key: process.proc_params.get(key) for key in ("weight_exp", "num_message_bits", "sign_mode")}
    if kept != {"weight_exp": exponent, "num_message_bits": bits, "sign_mode": None}:
        raise AssertionError(f"synapse {name}: Lava kept {kept}")
    stored = process.weights.init
    if not isinstance(stored, sparse.csr_matrix) or stored.dtype.kind != "i" or (stored - mantissas).count_nonzero():
        raise AssertionError(f"synapse {name}: Lava changed the mantissas")
    return process


def _refuse(name: str, mantissas: Integers, wrong: NDArray[np.bool_], text: str) -> None:
    if wrong.any():
        raise UsageError(f"synapse {name}: mantissa {mantissas.reshape(-1)[int(np.argmax(wrong))]} {text}")


def connect_line(graph: IntegerGraph, line: Line, source: Any, target: Any) -> Sparse:
    """Make the process of a synapse population as it is stored, and connect it.

    Parameters
    ----------
    graph : IntegerGraph
        Whose synapse it is.
    line : Line
        The synapse population.
    source, target : OutPort or InPort
        Where its spikes come from, and where what they add up to arrives.

    Returns
    -------
    Sparse

    Raises
    ------
    UsageError
        Lava would change a mantissa: odd, beyond 254, or not a multiple of ``2^-exponent``.
    """
    synapse, lines = line.synapse, graph.population(line.synapse.source).lines
    rows = synapse.connections.rows
    # All lines of a source arrive at its one port.
    shape = (synapse.outputs, max(1, lines) * synapse.inputs)
    columns = rows.columns + line.number * synapse.inputs
    matrix = sparse.csr_matrix((rows.values.astype(int), columns, rows.starts), shape)
    process = stored_matrix(synapse.name, matrix, synapse.exponent, _BINARY if lines else _GRADED)
    scale = 1 << max(0, -synapse.exponent)
    uneven = matrix.data % scale != 0
    _refuse(synapse.name, matrix.data, uneven, f"is not a multiple of {scale}, Lava rounds its products down")
    source.connect(process.s_in)
    process.a_out.connect(target)
    return process


def names_of_ports(graph: IntegerGraph, line: Line) -> tuple[str, str]:
    """Names of the ports of `Neurons` that a synapse population joins: an output of its source, an input of its target.

    Parameters
    ----------
    graph : IntegerGraph
        Whose synapse it is.
    line : Line
        The synapse population.
    """
    ports = graph.population(line.synapse.target).program.ports
    return (
        f"out{line.synapse.output}",
        f"in{ports.index(line.synapse.port)}",
    )

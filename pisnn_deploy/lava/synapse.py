"""Lava's Sparse process for a synapse of the graph, with checks for everything that Lava changes silently."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.proc.sparse.process import Sparse
from numpy.typing import NDArray
from scipy import sparse

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.core.rows import Rows
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.lines import Line

_GRADED, _BINARY = 24, 0
"""Lava's message bits; with 0 bits every nonzero message counts as 1."""
_LARGEST_MANTISSA = 254


def stored_matrix(name: str, mantissas: Rows, exponent: int, bits: int = _GRADED) -> Sparse:
    """Build the process for a matrix of mantissas; the exponent shifts its sums.

    Parameters
    ----------
    name : str
        Name of the process.
    mantissas : Rows, int64 [outputs, inputs]
        Even integers from -254 to 254.
    bits : int
        Bits of a message.

    Raises
    ------
    UsageError
        If Lava would change a mantissa, because it is odd or exceeds 254.
    """
    odd = mantissas.values % 2 != 0
    _refuse(name, mantissas.values, odd, "is odd, and Lava clears the lowest bit of weights of mixed sign")
    too_large = np.abs(mantissas.values) > _LARGEST_MANTISSA
    _refuse(name, mantissas.values, too_large, f"exceeds {_LARGEST_MANTISSA}, and Lava would clip it")
    matrix = sparse.csr_matrix((mantissas.values.astype(int), mantissas.columns, mantissas.starts), mantissas.shape)
    process = Sparse(weights=matrix, weight_exp=exponent, num_message_bits=bits, name=name)
    settings = {key: process.proc_params.get(key) for key in ("weight_exp", "num_message_bits", "sign_mode")}
    if settings != {"weight_exp": exponent, "num_message_bits": bits, "sign_mode": None}:
        raise AssertionError(f"synapse {name}: Lava kept {settings}")
    stored = process.weights.init
    if not isinstance(stored, sparse.csr_matrix) or stored.dtype.kind != "i" or (stored - matrix).count_nonzero():
        raise AssertionError(f"synapse {name}: Lava changed the mantissas")
    return process


def _refuse(name: str, mantissas: Integers, wrong: NDArray[np.bool_], text: str) -> None:
    if wrong.any():
        raise UsageError(f"synapse {name}: mantissa {mantissas.reshape(-1)[int(np.argmax(wrong))]} {text}")


def connect_line(graph: IntegerGraph, line: Line, source: Any, target: Any) -> Sparse:
    """Create and connect the process of a stored synapse population.

    Parameters
    ----------
    graph : IntegerGraph
        Graph of the synapse population.
    line : Line
        The synapse population.
    source, target : OutPort or InPort
        Output of the source and input of the target.

    Raises
    ------
    UsageError
        If Lava would change a mantissa, because it is odd, exceeds 254, or is not a multiple of ``2^-exponent``.
    """
    synapse, lines = line.synapse, graph.population(line.synapse.source).lines
    rows = synapse.connections.rows
    # The single port of a source carries all its lines.
    columns = rows.columns + line.number * synapse.inputs
    matrix = Rows(rows.starts, columns, rows.values, max(1, lines) * synapse.inputs)
    process = stored_matrix(synapse.name, matrix, synapse.exponent, _BINARY if lines else _GRADED)
    scale = 1 << max(0, -synapse.exponent)
    uneven = matrix.values % scale != 0
    _refuse(
        synapse.name, matrix.values, uneven, f"is not a multiple of {scale}, and Lava would round its products down"
    )
    source.connect(process.s_in)
    process.a_out.connect(target)
    return process


def names_of_ports(graph: IntegerGraph, line: Line) -> tuple[str, str]:
    """Return the output of the source and the input of the target that a synapse population connects.

    Parameters
    ----------
    graph : IntegerGraph
        Graph of the synapse population.
    line : Line
        The synapse population.
    """
    ports = graph.population(line.synapse.target).program.ports
    return (
        f"out{line.synapse.output}",
        f"in{ports.index(line.synapse.port)}",
    )

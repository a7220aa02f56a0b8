"""Lava's Sparse process for a synapse of the graph, with everything asserted that Lava swallows silently."""

from __future__ import annotations

import numpy as np
from lava.proc.sparse.process import Sparse
from scipy import sparse

from pisnn_deploy.errors import UsageError
from pisnn_deploy.graph.integer import Synapse
from pisnn_deploy.graph.lines import Line

_GRADED, _BINARY = 24, 0
"""Lava's message bits: at 0 it takes whatever arrives as a spike or none."""
_LARGEST_MANTISSA = 254


def sparse_process(line: Line, lines: int | None = None) -> Sparse:
    """Build the process of a synapse population as it is stored.

    Parameters
    ----------
    line : Line
    lines : int, optional
        Lines of the source where its spikes are binary: all of them arrive at its one port.

    Returns
    -------
    Sparse

    Raises
    ------
    UsageError
        Lava would change a mantissa: odd, beyond 254, or not a multiple of ``2^-exponent``.
    """
    synapse, bits = line.synapse, _GRADED if lines is None else _BINARY
    for problem in mantissa_problems(synapse):
        raise UsageError(f"synapse {synapse.name}: {problem}")
    rows, inputs = synapse.connections.rows, synapse.inputs
    shape = (synapse.outputs, (lines or 1) * inputs)
    columns = rows.columns + line.number * inputs
    matrix = sparse.csr_matrix((rows.values.astype(int), columns, rows.starts), shape)
    process = Sparse(weights=matrix, weight_exp=synapse.exponent, num_message_bits=bits, name=synapse.name)
    kept = {name: process.proc_params.get(name) for name in ("weight_exp", "num_message_bits", "sign_mode")}
    if kept != {"weight_exp": synapse.exponent, "num_message_bits": bits, "sign_mode": None}:
        raise AssertionError(f"synapse {synapse.name}: Lava kept {kept}")
    stored = process.weights.init
    if not isinstance(stored, sparse.csr_matrix) or stored.dtype.kind != "i" or (stored - matrix).count_nonzero():
        raise AssertionError(f"synapse {synapse.name}: Lava changed the mantissas")
    return process


def mantissa_problems(synapse: Synapse) -> list[str]:
    """What Lava's fixed-point model would silently do to the mantissas of a synapse; empty if nothing."""
    mantissas = synapse.distinct_mantissas
    scale = 1 << max(0, -synapse.exponent)
    for wrong, text in (
        (mantissas % 2 != 0, "is odd, Lava drops the lowest bit of weights of mixed sign"),
        (np.abs(mantissas) > _LARGEST_MANTISSA, f"is beyond {_LARGEST_MANTISSA}, Lava clips it"),
        (mantissas % scale != 0, f"is not a multiple of {scale}, Lava rounds its products down"),
    ):
        if wrong.any():
            return [f"mantissa {mantissas.reshape(-1)[int(np.argmax(wrong))]} {text}"]
    return []

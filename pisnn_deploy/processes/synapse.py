"""Lava's Sparse process for a synapse of the graph, with everything asserted that Lava swallows silently."""

from __future__ import annotations

import numpy as np
from lava.proc.sparse.process import Sparse
from scipy import sparse

from pisnn_deploy.errors import UsageError
from pisnn_deploy.graph.integer import Synapse

_MESSAGE_BITS = 24
_LARGEST_MANTISSA = 254


def sparse_process(synapse: Synapse) -> Sparse:
    """Build the process of a synapse.

    Parameters
    ----------
    synapse : Synapse

    Returns
    -------
    Sparse

    Raises
    ------
    UsageError
        Lava would change a mantissa: odd, beyond 254, or not a multiple of ``2^-exponent``.
    """
    for problem in mantissa_problems(synapse):
        raise UsageError(f"synapse {synapse.name}: {problem}")
    matrix = sparse.csr_matrix(synapse.mantissa_matrix().astype(int))
    process = Sparse(weights=matrix, weight_exp=synapse.exponent, num_message_bits=_MESSAGE_BITS, name=synapse.name)
    kept = {name: process.proc_params.get(name) for name in ("weight_exp", "num_message_bits", "sign_mode")}
    if kept != {"weight_exp": synapse.exponent, "num_message_bits": _MESSAGE_BITS, "sign_mode": None}:
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

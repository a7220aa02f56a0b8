"""Connections of every weight of a matrix."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from pisnn_deploy.graph.connections import Explicit


def explicit(matrix: sparse.csr_matrix) -> Explicit:
    """A matrix [target, source] with sorted rows, without duplicates and zeros, as connections."""
    starts, columns = matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64)
    return Explicit(starts, columns, matrix.data, int(matrix.shape[1]))

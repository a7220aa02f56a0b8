"""Connections of every weight of a matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.rows import Rows, from_triplets
from pisnn_deploy.graph.connections import Explicit


def rows_of(dense: NDArray[Any]) -> Rows:
    """A dense matrix as sparse rows."""
    row, column = np.nonzero(dense)
    return from_triplets(row, column, dense[row, column].astype(np.int64), (len(dense), dense.shape[1]))


def explicit(matrix: Rows) -> Explicit:
    """A matrix [target, source] with sorted rows, without duplicates and zeros, as connections."""
    return Explicit(matrix.starts, matrix.columns, matrix.values, matrix.width)

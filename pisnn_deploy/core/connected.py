"""Connected sets of the vertices of a graph."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


def connected_sets(count: int, first: Integers, second: Integers) -> Integers:
    """Number of the connected set of each vertex of a graph, int64 [vertices]; sets in order of their first vertices.

    Parameters
    ----------
    count : int
        Number of vertices.
    first, second : int64 array [edges]
        Ends of each edge.
    """
    lowest = np.arange(count, dtype=np.int64)
    while True:
        low, high = np.minimum(lowest[first], lowest[second]), np.maximum(lowest[first], lowest[second])
        apart = low != high
        if not apart.any():
            return np.unique(lowest, return_inverse=True)[1].reshape(-1).astype(np.int64)
        first, second = first[apart], second[apart]
        np.minimum.at(lowest, high[apart], low[apart])
        while (lowest[lowest] != lowest).any():
            lowest = lowest[lowest]

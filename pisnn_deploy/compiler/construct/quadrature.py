"""Gauss-Legendre nodes and weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def unit_quadrature(count: int) -> tuple[Floats, Floats]:
    """Nodes and weights on the interval from -1/2 to 1/2; the weights sum to 1.

    Parameters
    ----------
    count : int
        Exact for polynomials of degree ``2 count - 1``.
    """
    nodes, weights = np.polynomial.legendre.leggauss(count)  # type: ignore[no-untyped-call]
    return np.asarray(nodes / 2, np.float64), np.asarray(weights / 2, np.float64)

"""Stability of fluxes of several values: a PDE step never increases the energy of the field."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.compiler.analysis.faces import face_weights, full_exponent, level_bits
from pisnn_deploy.graph import IntegerGraph

MOST_CELLS = 1024
"""Most cells for which the eigenvalues of the dense update are computed."""


def energy_norm(graph: IntegerGraph) -> float | None:
    """Largest factor by which a PDE step without rounding changes the energy ``sum_i V_i u_i^2`` of a field's root.

    In units of the root of the energy, the update is ``I - B`` with ``B = P^1/2 D W P^1/2 / 2^(F + s)`` and inverse
    volumes ``P``. Its norm is the root of the largest eigenvalue of ``I - (B + B^T - B^T B)``.

    Returns
    -------
    float or None
        None for more than 1024 cells.
    """
    mesh = graph.mesh
    if mesh.cells > MOST_CELLS:
        return None
    weights = face_weights(graph).between(0, mesh.cells).toarray().astype(np.float64)
    loss = np.zeros((mesh.holders, mesh.cells))
    np.add.at(loss, mesh.source, weights)
    np.subtract.at(loss, mesh.target, weights)
    root: NDArray[np.float64] = np.sqrt(graph.sole_field.inverse_volume.astype(np.float64))
    scaled = loss[: mesh.cells] * np.outer(root, root) / 2.0 ** (full_exponent(graph) + level_bits(graph))
    gained = scaled + scaled.T - scaled.T @ scaled
    return float(np.sqrt(1 - min(1.0, np.linalg.eigvalsh(gained)[0])))

"""Laying the flux network out on a mesh: from one shared kernel to sparse matrices and synapses."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from pisnn_deploy.graph.integer import FLUX, MEMBRANE, Integers, Synapse
from pisnn_deploy.mesh import Mesh, Window

MIXED_SIGN_EXPONENT = -1
"""Exponent of every synapse: targets drop the lowest bit of mixed-sign mantissas, so all mantissas are doubled."""
LARGEST_WEIGHT = 127
"""Largest effective weight of one synapse: its mantissa is at most 254."""


def window_matrix(weight: Integers, window: Window, holders: int) -> sparse.csr_matrix:
    """First layer as a matrix from membranes to the layer's neurons.

    Neuron ``f * outputs + o`` is output ``o`` at face ``f``. Where a ghost cell is the image of a cell that the window
    also holds, their weights add up. Reservoirs have no entries: what they add is in `window_bias`.

    Parameters
    ----------
    weight : int64 array [outputs, inputs]
    window : Window
        With ``[faces, inputs]`` arrays.
    holders : int
        Cells and reservoirs.

    Returns
    -------
    scipy.sparse.csr_matrix, int64 [faces * outputs, holders]

    Raises
    ------
    ValueError
        A folded weight would not be an integer.
    """
    faces, inputs, terms = window.cell.shape
    outputs = weight.shape[0]
    rows = np.repeat(np.arange(faces * outputs, dtype=np.int64), inputs * terms)
    columns = np.repeat(window.cell[:, None], outputs, axis=1).reshape(-1)
    data = (weight[:, :, None] * window.numerator[:, None]).reshape(-1)
    if (data % window.denominator).any():
        raise ValueError(f"weights must be multiples of {window.denominator}, the denominator of the ghost cells")
    data = data // window.denominator
    return _canonical(sparse.coo_matrix((data, (rows, columns)), (faces * outputs, holders)))


def window_bias(weight: Integers, bias: Integers, window: Window) -> Integers:
    """Bias of the first layer, with what odd reflections about reservoir values add.

    Parameters
    ----------
    weight : int64 array [outputs, inputs]
    bias : int64 array [outputs]
    window : Window
        With offsets in quanta.

    Returns
    -------
    int64 array [faces * outputs]
    """
    return np.asarray((window.offset @ weight.T + bias).reshape(-1), np.int64)


def pointwise_matrix(weight: Integers, faces: int) -> sparse.csr_matrix:
    """A later layer, which acts at each face alone, as a block-diagonal matrix.

    Parameters
    ----------
    weight : int64 array [outputs, inputs]
    faces : int

    Returns
    -------
    scipy.sparse.csr_matrix, int64 [faces * outputs, faces * inputs]
    """
    outputs, inputs = weight.shape
    face = np.arange(faces, dtype=np.int64)[:, None, None]
    rows, columns = np.broadcast_arrays(
        face * outputs + np.arange(outputs)[:, None], face * inputs + np.arange(inputs)[None, :]
    )
    data = np.broadcast_to(weight, rows.shape)
    shape = (faces * outputs, faces * inputs)
    return _canonical(sparse.coo_matrix((data.reshape(-1), (rows.reshape(-1), columns.reshape(-1))), shape))


def route_matrix(mesh: Mesh) -> sparse.csr_matrix:
    """Incidence ``D``: the route of the packets from faces to cells and reservoirs.

    Parameters
    ----------
    mesh : Mesh

    Returns
    -------
    scipy.sparse.csr_matrix, int64 [holders, faces]
    """
    face = np.arange(mesh.faces, dtype=np.int64)
    ones = np.ones(mesh.faces, np.int64)
    entries = (np.concatenate([ones, -ones]), (np.concatenate([mesh.target, mesh.source]), np.tile(face, 2)))
    return _canonical(sparse.coo_matrix(entries, (mesh.holders, mesh.faces)))


def synapses(source: str, target: str, matrix: sparse.csr_matrix) -> tuple[Synapse, ...]:
    """Encode an integer matrix as synapses that the target hardware stores without loss.

    1. Mantissas are doubled and the exponent is -1, so that dropping the lowest bit loses nothing.
    2. A weight beyond 127 is split over as many synapses as it takes; each holds what the ones before it left over.

    Parameters
    ----------
    source, target : str
        Populations.
    matrix : scipy.sparse.csr_matrix, int64 [target, source]

    Returns
    -------
    tuple of Synapse
        At least one, even if the matrix is empty.
    """
    name = "route" if (source, target) == (FLUX, MEMBRANE) else f"{source}-to-{target}"
    parts: list[Synapse] = []
    rest = matrix
    while not parts or rest.nnz:
        held = rest.copy()
        held.data = np.clip(rest.data, -LARGEST_WEIGHT, LARGEST_WEIGHT)
        rest = _canonical(rest - held)
        parts.append(
            Synapse(
                name=name if not parts else f"{name}-{len(parts) + 1}",
                source=source,
                target=target,
                row_starts=held.indptr.astype(np.int64),
                columns=held.indices.astype(np.int64),
                mantissas=2 * held.data.astype(np.int64),
                inputs=held.shape[1],
                exponent=MIXED_SIGN_EXPONENT,
            )
        )
    return tuple(parts)


def _canonical(matrix: sparse.coo_matrix | sparse.csr_matrix) -> sparse.csr_matrix:
    result: sparse.csr_matrix = matrix.tocsr().astype(np.int64)
    result.sum_duplicates()
    result.eliminate_zeros()
    result.sort_indices()
    return result

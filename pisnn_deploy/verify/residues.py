"""Check of the weights with which faces see the residues of others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pisnn_deploy.core.rows import from_triplets
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.integer import FLUX, MEMBRANE
from pisnn_deploy.verify.faces import known_face
from pisnn_deploy.verify.stored import stored, summed


def seen_residues(graph: IntegerGraph) -> Iterator[str]:
    """Yield an error if residues are not weighted like the masses of the cells that they belong to.

    Parameters
    ----------
    graph : IntegerGraph
        Of a flux network, well formed.
    """
    face = known_face(graph)
    if face is None or not face.sees_residues:
        return
    mesh, number = graph.mesh, np.arange(graph.mesh.faces)
    part_of_cells = from_triplets(
        np.concatenate([mesh.target, mesh.source]),
        np.concatenate([number, number]),
        np.repeat(np.array([1, -1], np.int64), number.size),
        (mesh.holders, number.size),
    ).first_rows(mesh.cells)
    expected = stored(graph, MEMBRANE, FLUX).between(0, mesh.cells) @ part_of_cells
    wrong = summed(graph.into(FLUX, "low"), (number.size, number.size)) - expected
    if not any(graph.between(MEMBRANE, FLUX)):
        yield "faces see residues, but not the cells that these belong to"
    elif wrong.without_zeros().entries:
        row = int(wrong.without_zeros().row_of[0])
        yield f"the weights of the residues that face {row} sees are not those of the cells that they belong to"

"""The checker's multi-point fluxes against those of the mesh, which are computed in another way."""

from __future__ import annotations

import numpy as np
import pytest
from two_point_graphs import four_triangles

from pisnn_deploy.mesh import CellMesh, multi_point_fluxes
from pisnn_deploy.verify.point_fluxes import coefficients


def tetrahedra() -> CellMesh:
    """A moved cube of five tetrahedra, with a reservoir on one face."""
    corners = np.array([[0, 1, 2, 4], [3, 1, 2, 7], [5, 1, 4, 7], [6, 2, 4, 7], [1, 2, 4, 7]])
    points = np.stack(np.meshgrid(*(np.arange(2.0),) * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    return CellMesh(
        points=points + np.random.default_rng(1).uniform(-0.15, 0.15, points.shape),
        corners=corners,
        source=np.array([0, 1, 2, 3, 0]),
        target=np.array([4, 4, 4, 4, 5]),
        face_corners=np.array([[1, 2, 4], [1, 2, 7], [1, 4, 7], [2, 4, 7], [0, 1, 2]]),
        material=np.zeros(5, np.int64),
        material_names=("",),
        group=np.zeros(1, np.int64),
        group_names=("side",),
    )


@pytest.mark.parametrize("dims", [2, 3])
def test_both_computations_agree(dims: int) -> None:
    mesh = four_triangles().with_reservoirs(("left", "right")) if dims == 2 else tetrahedra()
    conductivity = np.exp(np.random.default_rng(2).uniform(-3, 3, mesh.cells))
    ours, theirs = coefficients(mesh, conductivity).toarray(), multi_point_fluxes(mesh, conductivity).toarray()
    assert np.abs(ours - theirs).max() < 1e-13 * np.abs(ours).max() and np.count_nonzero(ours) > 3 * mesh.faces

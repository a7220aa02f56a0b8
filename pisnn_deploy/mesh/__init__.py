"""Finite-volume meshes: cells, faces, incidence and boundaries."""

from pisnn_deploy.mesh.boundary import NO_FLUX, PERIODIC, Side, parse_boundary, parse_shape
from pisnn_deploy.mesh.structured import Mesh, structured_mesh

__all__ = ["NO_FLUX", "PERIODIC", "Mesh", "Side", "parse_boundary", "parse_shape", "structured_mesh"]

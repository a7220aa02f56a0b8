"""Finite-volume meshes: cells, faces, incidence and boundaries."""

from pisnn_deploy.mesh.boundary import (
    AXES,
    DIRICHLET,
    NO_FLUX,
    PERIODIC,
    Boundary,
    Side,
    Sides,
    boundary_from_mapping,
    parse_boundary,
    parse_shape,
    reservoir_values,
    uniform_boundary,
)
from pisnn_deploy.mesh.structured import Mesh, Wall, Window, reservoir_layers, structured_mesh, window_cells
from pisnn_deploy.mesh.unstructured import MeshFile, UnstructuredMesh, non_orthogonality, read_mesh, read_mesh_file

__all__ = [
    "AXES",
    "DIRICHLET",
    "NO_FLUX",
    "PERIODIC",
    "Boundary",
    "Mesh",
    "MeshFile",
    "Side",
    "Sides",
    "UnstructuredMesh",
    "Wall",
    "Window",
    "boundary_from_mapping",
    "non_orthogonality",
    "parse_boundary",
    "parse_shape",
    "read_mesh",
    "read_mesh_file",
    "reservoir_layers",
    "reservoir_values",
    "structured_mesh",
    "uniform_boundary",
    "window_cells",
]

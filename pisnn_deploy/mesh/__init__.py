"""Finite-volume meshes: cells, faces, incidence and boundaries."""

from pisnn_deploy.mesh.base import FaceMesh
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
from pisnn_deploy.mesh.cell_mesh import CellMesh
from pisnn_deploy.mesh.groups import listed, unknown_group
from pisnn_deploy.mesh.mesh_file import MeshFile, read_mesh_file
from pisnn_deploy.mesh.multi_point import FluxesAroundPoints, centroids, fluxes_around_points, multi_point_fluxes
from pisnn_deploy.mesh.quality import Quality, two_point_quality
from pisnn_deploy.mesh.structured import Mesh, face_grid, reservoir_layers, structured_mesh
from pisnn_deploy.mesh.view import Line, View
from pisnn_deploy.mesh.window import Boxes, Wall, Window, distinct_faces, face_boxes, window_cells

__all__ = [
    "AXES",
    "DIRICHLET",
    "NO_FLUX",
    "PERIODIC",
    "Boundary",
    "Boxes",
    "CellMesh",
    "FaceMesh",
    "FluxesAroundPoints",
    "Line",
    "Mesh",
    "MeshFile",
    "Quality",
    "Side",
    "Sides",
    "View",
    "Wall",
    "Window",
    "boundary_from_mapping",
    "centroids",
    "distinct_faces",
    "face_boxes",
    "face_grid",
    "fluxes_around_points",
    "listed",
    "multi_point_fluxes",
    "parse_boundary",
    "parse_shape",
    "read_mesh_file",
    "reservoir_layers",
    "reservoir_values",
    "structured_mesh",
    "two_point_quality",
    "uniform_boundary",
    "unknown_group",
    "window_cells",
]

"""Meshes of VTK's legacy format."""

from fuzz.meshes import mesh_seeds, read_mesh
from fuzz.target import Target

TARGET = Target("input.vtk", read_mesh, mesh_seeds(".vtk", {"binary": False}, {"binary": True}))

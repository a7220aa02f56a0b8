"""Meshes of VTK's XML format."""

from fuzz.meshes import mesh_seeds, read_mesh
from fuzz.target import Target

TARGET = Target("input.vtu", read_mesh, mesh_seeds(".vtu", {"binary": False}, {"binary": True}))

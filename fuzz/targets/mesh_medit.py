"""Meshes of Medit."""

from fuzz.meshes import mesh_seeds, read_mesh
from fuzz.target import Target

TARGET = Target("input.mesh", read_mesh, mesh_seeds(".mesh", {}))

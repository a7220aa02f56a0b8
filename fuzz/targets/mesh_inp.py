"""Meshes of Abaqus."""

from fuzz.meshes import mesh_seeds, read_mesh
from fuzz.mutations import lines_changed
from fuzz.target import Target

GROUPED = b"""*Part, name=plate
*Node, nset=all
1, 0., 0.
2, 1., 0.
3, 1., 1.
4, 0., 1.
*Element, type=DC2D3, elset=iron
1, 1, 2, 3
*Element, type=CPS3
2, 1, 3, 4
*Elset, elset=tin, generate
2, 2, 1
*End Part
*Assembly, name=a
*Instance, name=one, part=plate
0.5, 0., 0.
0., 0., 0., 0., 0., 1., 90.
*End Instance
*Elset, elset=low, instance=one
1
*Surface, type=ELEMENT, name=cold
low, S1
*End Assembly
*Solid Section, elset=iron, material=iron
"""

TARGET = Target("input.inp", read_mesh, mesh_seeds(".inp", {}, more=(GROUPED,)), lines_changed)

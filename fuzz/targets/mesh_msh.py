"""Meshes of Gmsh, versions 2.2 and 4.1, text and binary."""

from fuzz.meshes import mesh_seeds, read_mesh
from fuzz.mutations import lines_changed
from fuzz.target import Target

GROUPED = b"""$MeshFormat
4.1 0 8
$EndMeshFormat
$PhysicalNames
3
1 1 "cold"
1 2 "all sides"
2 3 "plate"
$EndPhysicalNames
$Entities
1 2 1 0
1 0 0 0 0
1 0 0 0 1 0 0 2 1 2 2 1 -1
2 1 0 0 1 1 0 1 2 0
1 0 0 0 1 1 0 1 3 2 1 2
$EndEntities
$Nodes
2 4 1 9
1 1 1 2
1
9
0 0 0 0
1 0 0 1
2 1 0 2
3
4
1 1 0
0 1 0
$EndNodes
$Elements
3 4 1 4
1 1 1 1
1 1 9
1 2 1 1
2 9 3
2 1 2 2
3 1 9 3
4 1 3 4
$EndElements
"""

TARGET = Target(
    "input.msh",
    read_mesh,
    mesh_seeds(
        ".msh",
        *({"file_format": name, "binary": binary} for name in ("gmsh22", "gmsh") for binary in (False, True)),
        more=(GROUPED,),
    ),
    lines_changed,
    words=(b"$MeshFormat\n", b"$PhysicalNames\n", b"$Entities\n", b"$Nodes\n", b"$Elements\n", b"$EndNodes\n"),
)

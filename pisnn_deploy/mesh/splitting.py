"""Quadrilaterals and hexahedra become triangles and tetrahedra.

Each quadrilateral is cut by the diagonal from its lowest point, and each hexahedron into the tetrahedra that its lowest
point spans with the triangles of the three faces opposite. So two cells that share a face cut it along the same
diagonal (J. Dompierre et al., "How to Subdivide Pyramids, Prisms and Hexahedra into Tetrahedra", 8th International
Meshing Roundtable, 1999). A face whose points do not lie in a plane becomes two triangles, the same for both cells.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.mesh.content import BOXES, Elements, Indices, MeshContent, grouped

_FACES = np.array([(0, 3, 2, 1), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7)])
"""Corners of the faces of a hexahedron in the order of Gmsh and VTK, all seen from the same side."""
_SIMPLICES = {"quad": ("triangle", 2), "hexahedron": ("tetra", 6)}
BOX_OF_DIMENSION = {2: "quad", 3: "hexahedron"}
_NAMES = {"quad": "quadrilateral", "hexahedron": "hexahedron"}


def split_boxes(path: Path, content: MeshContent) -> MeshContent:
    """Split quadrilaterals and hexahedra; their groups become those of the parts.

    Raises
    ------
    FileError
        A part would have no volume, or lie outside of its cell: it is not convex, or its corners are in another order.
    """
    elements = {kind: found for kind, found in content.elements.items() if kind not in BOXES}
    for kind, (simplex, count) in _SIMPLICES.items():
        boxes = content.elements.get(kind)
        if boxes is None or not len(boxes.corners):
            continue
        inside = ((boxes.corners >= 0) & (boxes.corners < len(content.points))).all()
        if not inside:
            raise FileError(path, "has an element with an undefined point")
        parts = (_triangles if kind == "quad" else _tetrahedra)(boxes.corners)
        _require_convex(path, kind, np.asarray(content.points, np.float64), parts)
        elements[simplex] = _joined(elements[simplex], boxes, parts.reshape(-1, parts.shape[2]), count)
    return replace(content, elements=elements)


def _rotated(quads: Indices) -> Indices:
    """Corners of quadrilaterals from the lowest on, [..., 4]."""
    first = quads.argmin(axis=-1)[..., None]
    return np.take_along_axis(quads, (first + np.arange(4)) % 4, axis=-1)


def _triangles(quads: Indices) -> Indices:
    """Two triangles of each quadrilateral, [..., 2, 3]."""
    ordered = _rotated(quads)
    return np.stack([ordered[..., [0, 1, 2]], ordered[..., [0, 2, 3]]], axis=-2)


def _tetrahedra(hexahedra: Indices) -> Indices:
    """Six tetrahedra of each hexahedron, [hexahedra, 6, 4]."""
    lowest = hexahedra.argmin(axis=1)
    opposite = np.array([[face for face in range(6) if corner not in _FACES[face]] for corner in range(8)])
    corners = _FACES[opposite[lowest]].reshape(len(hexahedra), 12)
    triangles = _triangles(np.take_along_axis(hexahedra, corners, axis=1).reshape(-1, 3, 4)).reshape(-1, 6, 3)
    apex = np.repeat(hexahedra[np.arange(len(hexahedra)), lowest], 6).reshape(-1, 6, 1)
    return np.concatenate([apex, triangles], axis=2)


def _require_convex(path: Path, kind: str, points: NDArray[np.float64], parts: Indices) -> None:
    """Refuse cells whose parts have different orientations."""
    at = points[parts]
    edges = at[:, :, 1:] - at[:, :, :1]
    if kind == "hexahedron":
        turns = np.linalg.det(edges) if edges.shape[-1] == 3 else np.zeros(edges.shape[:2])
    else:
        padded = np.pad(edges, ((0, 0), (0, 0), (0, 0), (0, 3 - edges.shape[-1])))
        normals = np.cross(padded[:, :, 0], padded[:, :, 1])
        turns = (normals * normals.sum(axis=1, keepdims=True)).sum(axis=2)
    wrong = np.flatnonzero((turns * turns[:, :1] <= 0).any(axis=1))
    if wrong.size:
        raise FileError(
            path,
            f"has a {_NAMES[kind]} that is not convex, number {wrong[0]} of its kind counted from 0",
            remedy="move its points, or mesh with triangles and tetrahedra",
        )


def _joined(simplices: Elements, boxes: Elements, parts: Indices, count: int) -> Elements:
    """Elements with the parts of boxes after them."""
    before = len(simplices.corners)
    member = (before + boxes.member[:, None] * count + np.arange(count)).reshape(-1)
    group = len(simplices.names) + np.repeat(boxes.group, count)
    return grouped(
        np.concatenate([simplices.corners, parts]),
        (*simplices.names, *boxes.names),
        np.concatenate([simplices.member, member]),
        np.concatenate([simplices.group, group]),
    )

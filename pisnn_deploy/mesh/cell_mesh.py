"""What an integer graph keeps of an unstructured mesh: incidence, and the geometry that its integers come from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.mesh.base import FaceMesh, Indices, Line
from pisnn_deploy.mesh.unstructured import UnstructuredMesh


@dataclass(frozen=True)
class CellMesh(FaceMesh):
    """Cells of any shape, the faces between them and the reservoirs behind some of their outer faces.

    Attributes
    ----------
    points : float64 array [points, dims]
        Corners, in the file's unit of length.
    corners : int64 array [cells, dims + 1]
        Points of each cell.
    source, target : int64 array [faces]
        Holders on both sides: cells, then reservoirs.
    face_corners : int64 array [faces, dims]
        Points of each face.
    material : int64 array [cells]
        Index into `material_names`.
    material_names : tuple of str
    group : int64 array [reservoirs]
        Index into `group_names`.
    group_names : tuple of str
    """

    points: NDArray[np.float64]
    corners: Indices
    source: Indices
    target: Indices
    face_corners: Indices
    material: Indices
    material_names: tuple[str, ...]
    group: Indices
    group_names: tuple[str, ...]

    @property
    def cells(self) -> int:
        """Number of cells."""
        return len(self.corners)

    @property
    def reservoirs(self) -> int:
        """Number of reservoirs."""
        return int(self.group.size)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a field: one number per cell."""
        return (self.cells,)

    @property
    def dimensions(self) -> int:
        """Number of axes of the space that the mesh lies in."""
        return int(self.points.shape[1])

    @property
    def boundary_text(self) -> str:
        """Conditions for people, such as ``dirichlet at hole and left, no-flux elsewhere``."""
        if not self.group_names:
            return "no-flux"
        return f"dirichlet at {' and '.join(self.group_names)}, no-flux elsewhere"

    def middle_line(self) -> Line:
        """Cells along x that the middle of the other axes crosses."""
        corners = self.points[self.corners]
        low, high = corners[..., 1:].min(axis=1), corners[..., 1:].max(axis=1)
        middle = (low.min(axis=0) + high.max(axis=0)) / 2
        crossed = np.flatnonzero(((low <= middle) & (middle <= high)).all(axis=1))
        along = corners[crossed, :, 0].mean(axis=1)
        order = np.argsort(along, kind="stable")
        return Line(np.asarray(crossed[order], np.int64), np.asarray(along[order], np.float64), "x", None)


def cell_mesh(mesh: UnstructuredMesh) -> CellMesh:
    """What a graph keeps of a mesh.

    Parameters
    ----------
    mesh : UnstructuredMesh

    Returns
    -------
    CellMesh
    """
    return CellMesh(
        mesh.points,
        mesh.corners,
        mesh.source,
        mesh.target,
        mesh.face_corners,
        mesh.material,
        mesh.material_names,
        mesh.group,
        mesh.group_names,
    )

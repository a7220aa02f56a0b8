"""What an integer graph keeps of an unstructured mesh: incidence, and the geometry that its integers come from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.mesh.structured import Indices, Number, arriving
from pisnn_deploy.mesh.unstructured import UnstructuredMesh


@dataclass(frozen=True)
class CellMesh:
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
    def faces(self) -> int:
        """Number of faces."""
        return int(self.source.size)

    @property
    def reservoirs(self) -> int:
        """Number of reservoirs."""
        return int(self.group.size)

    @property
    def holders(self) -> int:
        """Number of cells and reservoirs."""
        return self.cells + self.reservoirs

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

    def divergence(self, flux: NDArray[Number]) -> NDArray[Number]:
        """What arrives at each holder, ``D k``.

        Parameters
        ----------
        flux : int64 or float64 array [faces]

        Returns
        -------
        array [holders], same dtype
        """
        return arriving(flux, self.source, self.target, self.holders)


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

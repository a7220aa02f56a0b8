"""Meshes of triangles or tetrahedra."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.mesh.base import FaceMesh, Indices
from pisnn_deploy.mesh.boundary import AXES
from pisnn_deploy.mesh.geometry import Field, Geometry, face_geometry, volumes_and_centres
from pisnn_deploy.mesh.view import Line, View

LARGEST_COORDINATE = 1e100
"""Bound on coordinates, so that their products do not overflow."""


@dataclass(frozen=True)
class CellMesh(FaceMesh):
    """Simplices, the faces between them, and reservoirs behind Dirichlet faces.

    In a mesh from a file, interior faces come first, sorted by source and target, with ``source < target``. The
    Dirichlet faces of the boundary follow, sorted by cell, each with its own reservoir as target. Other boundary faces
    carry no flux and are not listed.

    Attributes
    ----------
    points : float64 array [points, dims]
        Corners, in the file's unit of length; ``dims`` is 2 or 3.
    corners : int64 array [cells, dims + 1]
        Points of each cell, in the file's order of cells and corners.
    source, target : int64 array [faces]
        Holder on either side of each face: cells are numbered first, then reservoirs.
    face_corners : int64 array [faces, dims]
        Points of each face.
    material : int64 array [cells]
        Index into `material_names`.
    material_names : tuple of str
        Names of materials, sorted.
    group : int64 array [reservoirs]
        Index into `group_names`.
    group_names : tuple of str
        Boundary groups with reservoirs, sorted.
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
        """Number of reservoirs: one per Dirichlet face of the boundary."""
        return int(self.group.size)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a field: one number per cell."""
        return (self.cells,)

    @property
    def dimensions(self) -> int:
        """Number of spatial dimensions."""
        return int(self.points.shape[1])

    @property
    def grid(self) -> None:
        """None: the cells form no grid."""
        return None

    @property
    def simplices(self) -> tuple[Field, Indices]:
        """As `points` and `corners`."""
        return self.points, self.corners

    @property
    def volume(self) -> None:
        """None: cell volumes differ."""
        return None

    @property
    def material_of_cells(self) -> Indices:
        """As `material`."""
        return self.material

    @property
    def group_of_reservoirs(self) -> Indices:
        """As `group`."""
        return self.group

    @property
    def reservoirs_by_side(self) -> dict[str, Indices]:
        """Reservoirs of each group, by its name."""
        return {name: np.flatnonzero(self.group == number) for number, name in enumerate(self.group_names)}

    @property
    def boundary_text(self) -> str:
        """Boundary conditions as text, such as ``dirichlet at hole and left, no-flux elsewhere``."""
        if not self.group_names:
            return "no-flux"
        return f"dirichlet at {' and '.join(self.group_names)}, no-flux elsewhere"

    def centres(self) -> Field:
        """Circumcentre of each cell if it lies inside, else its centroid, float64 [cells, dims].

        Inside means that all barycentric coordinates are above 1e-3.
        """
        return volumes_and_centres(self.points[self.corners])[1]

    def geometry(self) -> Geometry:
        """Cell volumes, face areas, and distances from cell centres to faces."""
        volumes, centres = volumes_and_centres(self.points[self.corners])
        area, normal, on_face = face_geometry(self.points[self.face_corners])
        distance = np.zeros((self.faces, 2))
        for side, ends in enumerate((self.source, self.target)):
            inside = ends < self.cells
            away = on_face[inside] - centres[ends[inside]]
            distance[inside, side] = abs((normal[inside] * away).sum(axis=1))
        return Geometry(volumes, area, distance)

    def angles(self) -> Field:
        """Angle in degrees between the line of centres and the normal of each interior face, float64 [faces]."""
        inside = self.target < self.cells
        centres = self.centres()
        normal = face_geometry(self.points[self.face_corners[inside]])[1]
        between = centres[self.target[inside]] - centres[self.source[inside]]
        along = (between * normal).sum(axis=1)
        across = np.linalg.norm(between - along[:, None] * normal, axis=1)
        return np.asarray(np.degrees(np.arctan2(across, abs(along))), np.float64)

    def defects(self) -> Iterator[str]:
        """Yield inconsistencies: sizes that differ, indices out of range, a reservoir without exactly one face."""
        cells, faces = self.cells, self.faces
        if self.target.size != faces or self.material.size != cells:
            yield "mesh source, target and material have sizes that do not match"
            return
        if self.points.shape[1] not in (2, 3) or self.corners.shape[1] != self.points.shape[1] + 1:
            yield f"mesh cells have {self.corners.shape[1]} corners in {self.points.shape[1]} dimensions"
        if not cells:
            yield "the mesh has no cells"
            return
        if not np.abs(self.points).max(initial=0) < LARGEST_COORDINATE:
            yield f"mesh points have a coordinate that is not below {LARGEST_COORDINATE:g}"
        if self.face_corners.shape != (faces, self.points.shape[1]):
            yield "mesh face_corners does not have one point per face and dimension"
        for name, numbers, count in (
            ("corners", self.corners, len(self.points)),
            ("face_corners", self.face_corners, len(self.points)),
            ("material", self.material, len(self.material_names)),
            ("group", self.group, len(self.group_names)),
            ("source", self.source, cells),
            ("target", self.target, self.holders),
        ):
            if numbers.size and not 0 <= numbers.min() <= numbers.max() < count:
                yield f"mesh {name} has a value outside 0 to {count - 1}"
                return
        reservoirs = self.target[self.target >= cells]
        if not np.array_equal(np.sort(reservoirs), cells + np.arange(self.reservoirs)):
            yield "a reservoir of the mesh does not have exactly one face"

    def view(self, most_cells: int | None = None) -> View:
        """Draw triangles, or centres of cells: of tetrahedra (front ones last) and of too many triangles.

        Parameters
        ----------
        most_cells : int, optional
            Maximum number of cells to draw.
        """
        stride = 1 if most_cells is None else -(-self.cells // most_cells)
        cells = np.arange(stride // 2, self.cells, stride)
        low, high = self.points[:, :2].min(axis=0), self.points[:, :2].max(axis=0)
        extent = tuple(float(end) for axis in range(2) for end in (low[axis], high[axis]))
        names = tuple(AXES[:2])
        if self.dimensions == 2 and stride == 1:
            return View("triangles", cells, (cells.size,), extent, names, self.points[self.corners], self._borders())
        centres = self.points[self.corners[cells]].mean(axis=1)
        if self.dimensions == 3:
            order = np.argsort(centres[:, 2], kind="stable")
            cells, centres = cells[order], centres[order]
        return View(
            "points",
            cells,
            (cells.size,),
            extent,
            names,
            centres[:, None, :2],
            seen_along="" if self.dimensions == 2 else AXES[2],
            stride=stride,
        )

    def _borders(self) -> Field:
        """End points of each face between triangles of different materials, float64 [borders, 2, 2]."""
        inside = np.flatnonzero(self.target < self.cells)
        between = inside[self.material[self.source[inside]] != self.material[self.target[inside]]]
        return np.asarray(self.points[np.sort(self.face_corners[between], axis=1)], np.float64)

    def middle_line(self) -> Line:
        """Cells on the line along x through the middle of the other axes."""
        corners = self.points[self.corners]
        low, high = corners[..., 1:].min(axis=1), corners[..., 1:].max(axis=1)
        middle = (low.min(axis=0) + high.max(axis=0)) / 2
        crossed = np.flatnonzero(((low <= middle) & (middle <= high)).all(axis=1))
        along = corners[crossed, :, 0].mean(axis=1)
        order = np.argsort(along, kind="stable")
        return Line(np.asarray(crossed[order], np.int64), np.asarray(along[order], np.float64), AXES[0], None)

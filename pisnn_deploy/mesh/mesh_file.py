"""Read meshes of triangles or tetrahedra from files: cells, faces, materials and boundary groups."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import FileError, UsageError
from pisnn_deploy.core.optional import require
from pisnn_deploy.mesh.base import Indices
from pisnn_deploy.mesh.boundary import MAXIMUM_CELLS
from pisnn_deploy.mesh.cell_mesh import CellMesh
from pisnn_deploy.mesh.contact import contact_warnings, find_contact, require_no_overlaps
from pisnn_deploy.mesh.content import Elements, MeshContent
from pisnn_deploy.mesh.file_content import mesh_content
from pisnn_deploy.mesh.geometry import adjugates
from pisnn_deploy.mesh.groups import (
    boundary_groups,
    check_count,
    check_names,
    counted,
    elsewhere_named,
    free_name,
    unknown_group,
)
from pisnn_deploy.mesh.sides import equal_rows, first_twice, match_sides
from pisnn_deploy.mesh.splitting import BOX_OF_DIMENSION, split_boxes
from pisnn_deploy.mesh.welding import welded

LARGEST_COORDINATE = 1e30
"""Beyond this, products of lengths could overflow; below its reciprocal, they could vanish."""
DEFAULT_MATERIAL = "default"
"""Material of cells without a material in the file."""
_SIMPLICES = {2: "triangle", 3: "tetra"}
_SIDES = {2: "line", 3: "triangle"}
_DEGENERATE = 1e-12
"""Determinant of edges, relative to the longest edge's power, that may be mere rounding."""
_ROUNDING = 2**-40
"""Smallest height of a cell, relative to the largest coordinate."""


@dataclass(frozen=True)
class MeshFile:
    """A mesh from a file, before it is known which boundary groups have reservoirs.

    Attributes
    ----------
    path : Path
        The file that was read.
    points : float64 array [points, dims]
        Coordinates of the corners of cells, in the file's unit of length.
    corners : int64 array [cells, dims + 1]
        Points of each cell.
    material : int64 array [cells]
        Index into `material_names`.
    material_names : tuple of str
        Materials in use, sorted; ``default`` for cells without a material.
    interior : int64 array [interior faces, 2]
        Cells on both sides, the lower index first, sorted.
    interior_corners : int64 array [interior faces, dims]
        Points of each interior face.
    boundary : int64 array [boundary faces]
        Cell of each boundary face, sorted.
    boundary_corners : int64 array [boundary faces, dims]
        Points of each boundary face.
    boundary_member, boundary_group : int64 array [memberships]
        Boundary face, and index into `group_names`, sorted; each face is in at least one group.
    group_names : tuple of str
        Groups with a boundary face, sorted; ``rest`` for faces without a group.
    inside : mapping of str to int
        Number of interior faces in each group that has some.
    elsewhere : mapping of str to str
        What each group without a boundary face contains instead.
    warnings : tuple of str
        Warnings about the mesh.
    unread : str
        Why cell data is not used as materials; empty without such data.
    welded : int or None
        Number of points that were joined with others; None without welding.
    split : int
        Number of quadrilaterals or hexahedra that were split into triangles or tetrahedra.
    """

    path: Path
    points: NDArray[np.float64]
    corners: Indices
    material: Indices
    material_names: tuple[str, ...]
    interior: Indices
    interior_corners: Indices
    boundary: Indices
    boundary_corners: Indices
    boundary_member: Indices
    boundary_group: Indices
    group_names: tuple[str, ...]
    inside: Mapping[str, int] = field(default_factory=dict)
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    unread: str = ""
    welded: int | None = None
    split: int = 0

    def with_reservoirs(self, dirichlet: Collection[str]) -> CellMesh:
        """Put a reservoir behind each boundary face of some groups.

        Parameters
        ----------
        dirichlet : collection of str
            Names of these groups; all other boundary faces are walls.

        Raises
        ------
        UsageError
            No boundary face is in a group of that name.
        """
        for name in sorted(set(dirichlet) - set(self.group_names)):
            raise UsageError(f"{self.path}: {unknown_group(name, self.group_names, self.elsewhere)}")
        names = tuple(sorted(set(dirichlet)))
        place = {name: k for k, name in enumerate(names)}
        number = np.array([place.get(name, len(names)) for name in self.group_names], np.int64)
        group = np.full(len(self.boundary), len(names), np.int64)
        np.minimum.at(group, self.boundary_member, number[self.boundary_group])
        fixed = group < len(names)
        cells, reservoirs = len(self.corners), np.arange(np.count_nonzero(fixed))
        return CellMesh(
            points=self.points,
            corners=self.corners,
            source=np.concatenate([self.interior[:, 0], self.boundary[fixed]]),
            target=np.concatenate([self.interior[:, 1], cells + reservoirs]),
            face_corners=np.concatenate([self.interior_corners, self.boundary_corners[fixed]]),
            material=self.material,
            material_names=self.material_names,
            group=group[fixed],
            group_names=names,
        )

    def warnings_on(self, values: Mapping[str, float]) -> tuple[str, ...]:
        """Warnings about the groups that have a Dirichlet value.

        Raises
        ------
        UsageError
            A face is in two groups with different values.
        """
        sentences = []
        for name in sorted(set(values) & set(self.inside)):
            inside = counted(self.inside[name], self.points.shape[1] - 1)
            sentences.append(f"mesh: {inside} of group {name!r} lie inside the mesh, where no condition applies")
        chosen = np.isin(self.boundary_group, [k for k, name in enumerate(self.group_names) if name in values])
        member, group = self.boundary_member[chosen], self.boundary_group[chosen]
        same = np.flatnonzero(member[1:] == member[:-1])
        pairs, counts = np.unique(np.stack([group[same], group[same + 1]], axis=1), axis=0, return_counts=True)
        for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
            first, second = (self.group_names[k] for k in pair)
            shared = f"{counted(count, self.points.shape[1] - 1)} in both groups {first!r} and {second!r}"
            if values[first] != values[second]:
                raise UsageError(
                    f"{self.path}: has {shared}, which have the values {values[first]:g} and {values[second]:g}; "
                    "give both the same value"
                )
            sentences.append(f"mesh: {shared} have one reservoir each, which counts as part of {first!r}")
        return tuple(sentences)


def read_mesh_file(path: Path, weld: float | None = None) -> MeshFile:
    """Read a mesh of triangles or tetrahedra with its materials and boundary groups.

    Quadrilaterals and hexahedra are split into these.

    The elements of the highest dimension are the cells; elements of one dimension less define the boundary groups.
    Names come from Gmsh's physical groups (or the number of an unnamed group), from cell sets, or from integer cell
    data. A face may be in several groups. Points that are not corners of a cell are dropped.

    Parameters
    ----------
    path : Path
        Its suffix selects one of `pisnn_deploy.mesh.file_content.FORMATS`.
    weld : float, optional
        Join points that lie within this distance of each other, in the file's unit of length.

    Raises
    ------
    FileError
        The file is missing, not a file, too large, damaged, of an unknown format, or not a mesh of simplices: no cells
        or more than 2^26, other elements, triangles outside the xy plane, points that are not finite or undefined,
        cells that have no volume, are repeated or overlap, a face of more than two cells, a cell in two materials.
    UsageError
        The tolerance is not positive, or joins corners of a cell, or scipy is not installed.
    """
    path = Path(path)
    require(f"{path}: reading a mesh", "scipy")
    written = mesh_content(path)
    content = split_boxes(path, written)
    dims = _dimension(path, content)
    boxes = written.elements.get(BOX_OF_DIMENSION[dims])
    cells, elements = content.elements[_SIMPLICES[dims]], content.elements[_SIDES[dims]]
    check_names(path, "material", cells.names)
    check_names(path, "boundary group", elements.names)
    if len(cells.corners) > MAXIMUM_CELLS:
        raise FileError(path, f"has {len(cells.corners)} cells, more than {MAXIMUM_CELLS}")
    for numbers in (cells.corners, elements.corners):
        if numbers.size and not (numbers.min() >= 0 and numbers.max() < len(content.points)):
            raise FileError(path, "has an element with an undefined point")
    points, place, joined = _used_points(path, content.points, cells.corners, elements.corners, weld)
    corners = place[cells.corners]
    material, material_names = _materials(path, cells)
    _check_cells(path, points, corners, material, material_names)
    named = Elements(place[elements.corners], elements.member, elements.group, elements.names)
    sides = match_sides(path, points, corners, named)
    contact = find_contact(points, corners, sides.interior, sides.boundary, sides.boundary_corners)
    require_no_overlaps(path, points, corners, contact)
    warnings = [*content.warnings, *([f"mesh: {content.unread}"] if content.unread else [])]
    warnings += contact_warnings(points, corners, sides.boundary_corners, contact)
    if joined == 0:
        warnings.append(f"mesh: --weld joined no points, because none lie within {weld:g} of each other")
    member, group, group_names = boundary_groups(sides, elements.names)
    material, material_names = _without_unused(material, material_names)
    check_count(path, "material", material_names)
    check_count(path, "boundary group", group_names)
    return MeshFile(
        path,
        points,
        corners,
        material,
        material_names,
        sides.interior,
        sides.interior_corners,
        sides.boundary,
        sides.boundary_corners,
        member,
        group,
        group_names,
        sides.inside,
        elsewhere_named(content, dims, sides, group_names),
        tuple(warnings),
        content.unread,
        joined,
        0 if boxes is None else len(boxes.corners),
    )


def _used_points(
    path: Path, every: NDArray[Any], corners: Indices, elements: Indices, weld: float | None
) -> tuple[NDArray[np.float64], Indices, int | None]:
    """Points of cells, the index of each point of the file among them (or -1), and the number of joined points."""
    used = np.zeros(len(every), np.bool_)
    used[corners] = True
    dims = corners.shape[1] - 1
    if weld is None:
        return _coordinates(path, every, used, dims), np.where(used, np.cumsum(used) - 1, -1), None
    by_cells = used.copy()
    # Boundary elements may have points of their own.
    used[elements] = True
    points = _coordinates(path, every, used, dims)
    place = np.where(used, np.cumsum(used) - 1, -1)
    first = welded(path, points, place[corners], weld)
    remaining = np.unique(first[place[by_cells]])
    number = np.full(len(points) + 1, -1, np.int64)
    number[remaining] = np.arange(remaining.size)
    joined = int(np.count_nonzero(first != np.arange(len(points))))
    return points[remaining], number[np.append(first, len(points))][place], joined


def _dimension(path: Path, content: MeshContent) -> int:
    """Dimension of the cells; other cells than simplices are refused."""
    present = {kind: len(elements.corners) for kind, elements in content.elements.items()}
    dims = max([0, *content.others.values(), *(d for d, kind in ((1, "line"), *_SIMPLICES.items()) if present[kind])])
    if dims < 2:
        raise FileError(path, "has no cells", remedy="expected triangles or tetrahedra")
    others = sorted(kind for kind, dimension in content.others.items() if dimension == dims)
    if others:
        raise FileError(
            path,
            f"has elements of type {', '.join(others[:8])}",
            remedy="use triangles or tetrahedra",
        )
    return dims


def _materials(path: Path, cells: Elements) -> tuple[Indices, tuple[str, ...]]:
    """Material of each cell, as an index into sorted names; a cell in two materials is refused."""
    nameless = free_name(DEFAULT_MATERIAL, set(cells.names))
    twice = np.flatnonzero(cells.member[1:] == cells.member[:-1])
    if twice.size:
        number = int(cells.member[twice[0]])
        first, second = (cells.names[k] for k in cells.group[twice[0] : twice[0] + 2])
        raise _two_materials(path, number, first, second)
    names = tuple(sorted({*cells.names, nameless}))
    place = {name: k for k, name in enumerate(names)}
    material = np.full(len(cells.corners), place[nameless], np.int64)
    material[cells.member] = np.array([place[name] for name in cells.names], np.int64)[cells.group]
    return material, names


def _two_materials(path: Path, number: int, first: str, second: str) -> FileError:
    return FileError(
        path,
        f"has a cell in two materials, number {number} counted from 0: {first!r} and {second!r}",
        remedy="keep one",
    )


def _without_unused(index: Indices, names: tuple[str, ...]) -> tuple[Indices, tuple[str, ...]]:
    used, renumbered = np.unique(index, return_inverse=True)
    return renumbered.astype(np.int64), tuple(names[k] for k in used)


def _coordinates(path: Path, points: NDArray[Any], used: NDArray[np.bool_], dims: int) -> NDArray[np.float64]:
    """Coordinates of the used points, without z if the cells are triangles."""
    if points.ndim != 2 or points.dtype.kind not in "iuf" or not dims <= points.shape[1] <= 3:
        raise FileError(path, f"has points that do not have {dims} or 3 coordinates")
    coordinates = np.asarray(points, np.float64)
    if not (abs(coordinates) <= LARGEST_COORDINATE).all():
        raise FileError(path, f"has a coordinate that is not finite or beyond {LARGEST_COORDINATE:g}")
    coordinates = coordinates[used]
    if coordinates.shape[1] > dims:
        extent = np.ptp(coordinates, axis=0)
        if extent[2] > _DEGENERATE * extent[:2].max():
            raise FileError(path, "has triangles outside the xy plane", remedy="surfaces in space are not supported")
    return np.ascontiguousarray(coordinates[:, :dims])


def _check_cells(
    path: Path, points: NDArray[np.float64], corners: Indices, material: Indices, names: tuple[str, ...]
) -> None:
    at = points[corners]
    longest = np.zeros(len(corners))
    for i, j in itertools.combinations(range(corners.shape[1]), 2):
        longest = np.maximum(longest, np.linalg.norm(at[:, i] - at[:, j], axis=1))
    dims = points.shape[1]
    least = _DEGENERATE * np.maximum(longest, 1 / LARGEST_COORDINATE) ** dims
    # Far from the origin, rounding could move a centre onto a face.
    least = np.maximum(least, _ROUNDING * abs(points).max() * longest ** (dims - 1))
    thin = np.flatnonzero(abs(adjugates(at[:, 1:] - at[:, :1])[1]) <= least)
    if thin.size:
        raise FileError(path, f"has a cell without a volume, number {thin[0]} counted from 0")
    _, same = equal_rows(np.sort(corners, axis=1))
    twice = first_twice(same)
    if twice is not None:
        first, second = twice
        # In version 2 Gmsh writes an element of two groups twice.
        if material[first] != material[second]:
            raise _two_materials(path, first, *sorted((names[material[first]], names[material[second]])))
        raise FileError(path, f"has a cell twice, numbers {first} and {second} counted from 0")

"""Meshes of triangles or tetrahedra from files: cells, faces, materials and the groups of the boundary."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.errors import FileError, UsageError
from pisnn_deploy.mesh.boundary import MAXIMUM_CELLS
from pisnn_deploy.mesh.meshio_content import mesh_content
from pisnn_deploy.mesh.structured import Indices
from pisnn_deploy.mesh.unstructured import UnstructuredMesh, adjugates, face_geometry, volumes_and_centres

LARGEST_COORDINATE = 1e30
"""Beyond it products of lengths could overflow, and below its reciprocal they could vanish."""
DEFAULT_MATERIAL = "default"
"""Material of cells that the file gives none."""
REST = "rest"
"""Group of boundary faces that the file gives none."""
GROUP_NUMBERS = ("gmsh:physical", "medit:ref")
"""Where meshio keeps the number of each element's group; 0 is none."""
_SIMPLICES = {2: "triangle", 3: "tetra"}
_SIDES = {2: "line", 3: "triangle"}
_DEGENERATE = 1e-12
"""Determinant of edges, in units of the longest edge's power, from which rounding cannot be told."""
_ROUNDING = 2**-40
"""Least height of a cell, in units of the largest coordinate."""


@dataclass(frozen=True)
class MeshFile:
    """What a mesh file says, before it is decided which groups of its boundary have reservoirs.

    Attributes
    ----------
    path : Path
        Where it was read.
    points : float64 array [points, dims]
        Points that are corners of cells.
    corners : int64 array [cells, dims + 1]
        Points of each cell.
    material : int64 array [cells]
        Index into `material_names`.
    material_names : tuple of str
        Materials that some cell has, sorted; ``default`` for cells without any.
    interior : int64 array [interior faces, 2]
        Cells on both sides, the lower number first, sorted.
    interior_corners : int64 array [interior faces, dims]
        Points of each interior face.
    boundary : int64 array [boundary faces]
        The cell of each face of the boundary, sorted.
    boundary_corners : int64 array [boundary faces, dims]
        Points of each face of the boundary.
    boundary_group : int64 array [boundary faces]
        Index into `group_names`.
    group_names : tuple of str
        Groups that some face of the boundary has, sorted; ``rest`` for faces without any.
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
    boundary_group: Indices
    group_names: tuple[str, ...]

    def with_reservoirs(self, dirichlet: Collection[str]) -> UnstructuredMesh:
        """The mesh with a reservoir behind each boundary face of some groups.

        Parameters
        ----------
        dirichlet : collection of str
            Names of these groups; all other faces of the boundary are walls.

        Returns
        -------
        UnstructuredMesh

        Raises
        ------
        UsageError
            A name that no face of the boundary has.
        """
        for name in sorted(set(dirichlet) - set(self.group_names)):
            known = ", ".join(map(repr, self.group_names)) or "none: it has no boundary"
            raise UsageError(f"{self.path}: unknown boundary group {name!r}; the mesh has {known}")
        names = tuple(sorted(set(dirichlet)))
        place = {name: k for k, name in enumerate(names)}
        number = np.array([place.get(name, -1) for name in self.group_names], np.int64)
        group = number[self.boundary_group]
        held = group >= 0
        cells, reservoirs = len(self.corners), np.arange(np.count_nonzero(held))
        volumes, centres = volumes_and_centres(self.points[self.corners])
        area, normal, on_face = face_geometry(
            self.points[np.concatenate([self.interior_corners, self.boundary_corners[held]])]
        )
        source = np.concatenate([self.interior[:, 0], self.boundary[held]])
        target = np.concatenate([self.interior[:, 1], cells + reservoirs])
        distance = np.zeros((source.size, 2))
        for side, cell in enumerate((source, self.interior[:, 1])):
            count = cell.size
            away = on_face[:count] - centres[cell]
            distance[:count, side] = abs((normal[:count] * away).sum(axis=1))
        return UnstructuredMesh(
            self.points,
            self.corners,
            source,
            target,
            volumes,
            centres,
            area,
            distance,
            self.material,
            self.material_names,
            group[held],
            names,
        )


def read_mesh(path: Path, dirichlet: Collection[str]) -> UnstructuredMesh:
    """Read a mesh of triangles or tetrahedra.

    Parameters
    ----------
    path : Path
    dirichlet : collection of str
        Groups of the boundary that have reservoirs; all others are walls.

    Returns
    -------
    UnstructuredMesh

    Raises
    ------
    FileError
        As `read_mesh_file`.
    UsageError
        A name in `dirichlet` that no face of the boundary has.
    """
    return read_mesh_file(path).with_reservoirs(dirichlet)


def read_mesh_file(path: Path) -> MeshFile:
    """Read a mesh of triangles or tetrahedra with its materials and the groups of its boundary.

    The elements of the highest dimension are the cells; elements of one dimension less name the groups of the boundary.
    Names are those of Gmsh's physical groups (or the number of a group without a name) or of cell sets. Points that are
    no corner of a cell are left out.

    Parameters
    ----------
    path : Path
        A file in one of `pisnn_deploy.mesh.meshio_content.FORMATS`, which its suffix tells.

    Returns
    -------
    MeshFile

    Raises
    ------
    FileError
        No such file, not a file, too large, of an unknown format, damaged, or not a mesh of simplices: no cells or more
        than 2^26, other elements, triangles out of the xy plane, points that are not finite or not there, cells without
        a volume, twice there or overlapping a neighbour, a face of more than two cells, an element in two groups.
    """
    path = Path(path)
    content = mesh_content(path)
    blocks = [block for block in content.cells if len(block.data)]
    dims = max((int(block.dim) for block in blocks), default=0)
    if dims < 2:
        raise FileError(path, "has no cells", remedy="expected triangles or tetrahedra")
    others = sorted({str(block.type) for block in blocks if block.dim == dims} - {_SIMPLICES[dims]})
    if others:
        raise FileError(
            path, f"has elements of type {', '.join(others)}", remedy="expected triangles or tetrahedra only"
        )
    corners, material, material_names = _elements(path, content, _SIMPLICES[dims], dims, DEFAULT_MATERIAL)
    elements, element_group, group_names = _elements(path, content, _SIDES[dims], dims - 1, REST)
    if len(corners) > MAXIMUM_CELLS:
        raise FileError(path, f"has {len(corners)} cells, more than {MAXIMUM_CELLS}")
    points = np.asarray(content.points)
    for numbers in (corners, elements):
        if numbers.size and not (numbers.min() >= 0 and numbers.max() < len(points)):
            raise FileError(path, "has an element with a point that is not there")
    used = np.zeros(len(points), np.bool_)
    used[corners] = True
    place = np.where(used, np.cumsum(used) - 1, -1)
    corners, elements = place[corners], place[elements]
    plane = _coordinates(path, points, used, dims)
    _check_cells(path, plane, corners)

    # An element with a point of no cell is no side of one, and one without a group says nothing.
    mine = (elements >= 0).all(axis=1) & (element_group != group_names.index(REST))
    faces = _sides(path, plane, corners, elements[mine], element_group[mine], group_names)
    material, material_names = _without_unused(material, material_names)
    group, group_names = _without_unused(faces.group, group_names)
    return MeshFile(
        path,
        plane,
        corners,
        material,
        material_names,
        faces.interior,
        faces.interior_corners,
        faces.boundary,
        faces.boundary_corners,
        group,
        group_names,
    )


@dataclass(frozen=True)
class _Sides:
    """Faces of a mesh: those between two cells, and those of one cell with their groups."""

    interior: Indices
    interior_corners: Indices
    boundary: Indices
    boundary_corners: Indices
    group: Indices


def _elements(
    path: Path, content: Any, kind: str, dims: int, nameless: str
) -> tuple[Indices, Indices, tuple[str, ...]]:
    """Corners of all elements of a kind, the group of each as an index, and the names of the groups, sorted."""
    mine = [k for k, block in enumerate(content.cells) if block.type == kind and len(block.data)]
    data = [np.asarray(content.cells[k].data) for k in mine]
    count = {"line": 2, "triangle": 3, "tetra": 4}[kind]
    if any(d.dtype.kind not in "iu" or d.ndim != 2 or d.shape[1] != count for d in data):
        raise FileError(path, f"has elements of type {kind} whose corners are not {count} integers")
    empty = np.zeros((0, count), np.int64)
    corners = np.concatenate([empty, *(d.astype(np.int64) for d in data)])
    if not data:
        return corners, np.zeros(0, np.int64), (nameless,)
    numbers = next((content.cell_data[key] for key in GROUP_NUMBERS if key in content.cell_data), None)
    if numbers is not None:
        names_of = _group_names(content.field_data, dims)
        # Gmsh may give a group's number a sign, for the orientation.
        tags = abs(np.concatenate([np.asarray(numbers[k]) for k in mine]))
        if tags.dtype.kind not in "iu" or tags.shape != (len(corners),):
            raise FileError(path, "has elements whose group is not an integer")
        found, index = np.unique(tags, return_inverse=True)
        given = [nameless if tag == 0 else names_of.get(tag, str(tag)) for tag in found.tolist()]
        names = tuple(sorted({*given, nameless}))
        place = {name: k for k, name in enumerate(names)}
        return corners, np.array([place[name] for name in given], np.int64)[index], names
    group, names = _sets(path, content, mine, [len(d) for d in data], nameless)
    return corners, group, names


def _group_names(field_data: Mapping[str, Any], dims: int) -> dict[int, str]:
    """Names of Gmsh's physical groups of a dimension, by number; other field data is passed over."""
    names = {}
    for name, held in field_data.items():
        entry = np.asarray(held)
        if entry.dtype.kind in "iu" and entry.shape == (2,) and entry[1] == dims:
            names[int(entry[0])] = str(name)
    return names


def _sets(
    path: Path, content: Any, blocks: list[int], sizes: list[int], nameless: str
) -> tuple[Indices, tuple[str, ...]]:
    """Groups of the elements of some blocks by cell sets."""
    # meshio keeps entities of Gmsh there too, which are no sets of cells.
    sets = {str(name): members for name, members in content.cell_sets.items() if not str(name).startswith("gmsh:")}
    names = tuple(sorted({*sets, nameless}))
    place = {name: k for k, name in enumerate(names)}
    parts = []
    for k, size in zip(blocks, sizes, strict=True):
        part = np.full(size, -1, np.int64)
        for name, members in sets.items():
            held = members[k] if k < len(members) else None
            held = np.zeros(0, np.int64) if held is None else np.asarray(held).reshape(-1)
            if not held.size:
                continue
            if held.dtype.kind not in "iu" or held.min() < 0 or held.max() >= size:
                raise FileError(path, f"has a cell set {name!r} with an element that is not there")
            taken = part[held]
            if (taken >= 0).any():
                other = names[int(taken.max())]
                raise FileError(path, f"has an element in two cell sets, {other!r} and {name!r}", remedy="keep one")
            part[held] = place[name]
        part[part < 0] = place[nameless]
        parts.append(part)
    return np.concatenate(parts), names


def _without_unused(index: Indices, names: tuple[str, ...]) -> tuple[Indices, tuple[str, ...]]:
    found, renumbered = np.unique(index, return_inverse=True)
    return renumbered.astype(np.int64), tuple(names[k] for k in found)


def _coordinates(path: Path, points: NDArray[Any], used: NDArray[np.bool_], dims: int) -> NDArray[np.float64]:
    """Coordinates of the used points, without the third one if the cells are triangles."""
    if points.ndim != 2 or points.dtype.kind not in "iuf" or not dims <= points.shape[1] <= 3:
        raise FileError(path, f"has points that are not {dims} or 3 numbers")
    coordinates = np.asarray(points, np.float64)
    if not (abs(coordinates) <= LARGEST_COORDINATE).all():
        raise FileError(path, f"has a point that is not finite or beyond {LARGEST_COORDINATE:g}")
    coordinates = coordinates[used]
    if coordinates.shape[1] > dims:
        extent = np.ptp(coordinates, axis=0)
        if extent[2] > _DEGENERATE * extent[:2].max():
            raise FileError(path, "has triangles out of the xy plane", remedy="surfaces in space are not supported")
    return np.ascontiguousarray(coordinates[:, :dims])


def _check_cells(path: Path, points: NDArray[np.float64], corners: Indices) -> None:
    at = points[corners]
    longest = np.zeros(len(corners))
    for i, j in itertools.combinations(range(corners.shape[1]), 2):
        longest = np.maximum(longest, np.linalg.norm(at[:, i] - at[:, j], axis=1))
    dims = points.shape[1]
    least = _DEGENERATE * np.maximum(longest, 1 / LARGEST_COORDINATE) ** dims
    # Far from the origin centres are rounded, and must not be rounded onto a face.
    least = np.maximum(least, _ROUNDING * abs(points).max() * longest ** (dims - 1))
    thin = np.flatnonzero(abs(adjugates(at[:, 1:] - at[:, :1])[1]) <= least)
    if thin.size:
        raise FileError(path, f"has a cell without a volume, number {thin[0]} counted from 0")
    _, same = _equal_rows(np.sort(corners, axis=1))
    twice = np.flatnonzero(np.bincount(same) > 1)
    if twice.size:
        first, second = np.flatnonzero(same == twice[0])[:2]
        raise FileError(path, f"has a cell twice, numbers {first} and {second} counted from 0")


def _equal_rows(rows: Indices) -> tuple[Indices, Indices]:
    """The order that sorts the rows, and for each row a number that only equal rows share."""
    order = np.lexsort(rows.T[::-1])
    ordered = rows[order]
    new = np.ones(len(rows), np.int64)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    number = np.empty(len(rows), np.int64)
    number[order] = np.cumsum(new) - 1
    return order, number


def _sides(
    path: Path,
    points: NDArray[np.float64],
    corners: Indices,
    elements: Indices,
    element_group: Indices,
    names: tuple[str, ...],
) -> _Sides:
    """Match the sides of all cells with each other and with the elements that name groups."""
    count, per_cell = corners.shape
    opposite = [np.delete(np.arange(per_cell), k) for k in range(per_cell)]
    sides = np.concatenate([corners[:, kept] for kept in opposite])
    cell = np.tile(np.arange(count), per_cell)
    apex = corners.T.reshape(-1)
    order, face = _equal_rows(np.sort(np.concatenate([sides, elements]), axis=1))
    # The sort is stable, so the sides of a face stand before the elements on it.
    order = order[order < len(sides)]
    number, element_face = face[order], face[len(sides) :]
    cells_of = np.bincount(number, minlength=int(face.max()) + 1)
    if (cells_of > 2).any():
        shared = sides[order[np.searchsorted(number, np.argmax(cells_of))]]
        where = ", ".join(f"({', '.join(f'{x:g}' for x in point)})" for point in points[shared])
        raise FileError(path, f"has a face of more than two cells, between {where}")

    pairs = order[cells_of[number] == 2].reshape(-1, 2)
    pairs = np.take_along_axis(pairs, np.argsort(cell[pairs], axis=1), axis=1)
    interior = cell[pairs]
    by_cells = np.lexsort((interior[:, 1], interior[:, 0]))
    interior, pairs = interior[by_cells], pairs[by_cells]
    interior_corners = sides[pairs[:, 0]]
    _, normal, on_face = face_geometry(points[interior_corners])
    heights = [((points[apex[pairs[:, k]]] - on_face) * normal).sum(axis=1) for k in (0, 1)]
    folded = np.flatnonzero(np.sign(heights[0]) == np.sign(heights[1]))
    if folded.size:
        first, second = interior[folded[0]]
        raise FileError(path, f"has overlapping cells, numbers {first} and {second} counted from 0")

    alone = order[cells_of[number] == 1]
    alone = alone[np.argsort(cell[alone], kind="stable")]
    unnamed = len(names)
    group_of = np.full(cells_of.size, unnamed, np.int64)
    np.minimum.at(group_of, element_face, element_group)
    highest = np.full(cells_of.size, -1, np.int64)
    np.maximum.at(highest, element_face, element_group)
    torn = face[alone][(highest >= 0)[face[alone]] & (highest != group_of)[face[alone]]]
    if torn.size:
        one, other = names[group_of[torn[0]]], names[highest[torn[0]]]
        raise FileError(path, f"has a boundary face in two groups, {one!r} and {other!r}", remedy="keep one")
    group = group_of[face[alone]]
    group[group == unnamed] = names.index(REST)
    return _Sides(interior, interior_corners, cell[alone], sides[alone], group)

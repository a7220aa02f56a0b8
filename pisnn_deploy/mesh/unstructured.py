"""Meshes of triangles or tetrahedra from files, for the two-point flux scheme.

The flux through the face between two cells is taken from their two values alone, ``area / distance * (u_s - u_t)``.
That is exact for linear fields where the line between the two points that the values belong to is normal to the face,
and the circumcentres of simplices have that property: R. Eymard, T. Gallouet, R. Herbin, "Finite Volume Methods",
Handbook of Numerical Analysis VII, 2000, section 9 (admissible meshes). Where a circumcentre lies outside its cell
the centroid takes its place, and `non_orthogonality` says how far the scheme is from what it assumes.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import math
import stat
import sys
import warnings
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.errors import FileError, UsageError
from pisnn_deploy.mesh.boundary import MAXIMUM_CELLS
from pisnn_deploy.mesh.structured import Indices, Number

LARGEST_FILE = 2**30
"""Bytes."""
LARGEST_COORDINATE = 1e30
"""Beyond it products of lengths could overflow, and below its reciprocal they could vanish."""
FORMATS: Mapping[str, tuple[str, str]] = {
    ".inp": ("abaqus", "Abaqus"),
    ".mesh": ("medit", "Medit"),
    ".msh": ("gmsh", "Gmsh"),
    ".vtk": ("vtk", "VTK"),
    ".vtu": ("vtu", "VTU"),
}
"""By suffix: meshio's name of the format and the one for people. None of these readers unpickles or needs HDF5."""
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
_INSIDE = 1e-3
"""Least barycentric coordinate of a circumcentre that counts as inside.

Opposite a right angle it is 0 but for rounding, and next to 0 two centres would all but meet at their face: its
conductance would know no bound, and explicit time steps would vanish.
"""
_MEMORY, _MEMORY_PER_BYTE = 2**31, 64
"""Bytes that reading may take, and for each byte of the file: a few bytes may announce or unpack to terabytes."""


@dataclass(frozen=True)
class UnstructuredMesh:
    """Simplices, the faces through which packets pass, and reservoirs behind Dirichlet faces.

    A positive packet on face ``f`` leaves ``source[f]`` and enters ``target[f]``: the incidence ``D`` has -1 and +1
    there. Holders are the cells, then the reservoirs. Interior faces come first, sorted by source and target,
    with ``source < target``. Then comes one face for each Dirichlet face of the boundary, sorted by cell, with a
    reservoir of its own as its target. Other faces of the boundary let nothing pass and are not listed.

    Attributes
    ----------
    points : float64 array [points, dims]
        Coordinates of the corners, in the file's unit of length; ``dims`` is 2 or 3.
    corners : int64 array [cells, dims + 1]
        Points of each cell, in the file's order of cells and corners.
    source, target : int64 array [faces]
        Holders on both sides of each face.
    volumes : float64 array [cells]
        Volume of each cell, in 2D its area.
    centres : float64 array [cells, dims]
        The circumcentre where it lies inside the cell (all barycentric coordinates above 1e-3), else the centroid.
    area : float64 array [faces]
        Area of each face, in 2D its length.
    distance : float64 array [faces, 2]
        From the centre of source and of target to the face, along the normal of the face; 0 on a reservoir's side.
    material : int64 array [cells]
        Index into `material_names`.
    material_names : tuple of str
        Sorted.
    group : int64 array [reservoirs]
        Index into `group_names`.
    group_names : tuple of str
        Groups of the boundary that have reservoirs, sorted.
    """

    points: NDArray[np.float64]
    corners: Indices
    source: Indices
    target: Indices
    volumes: NDArray[np.float64]
    centres: NDArray[np.float64]
    area: NDArray[np.float64]
    distance: NDArray[np.float64]
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
        """Number of reservoirs: one per Dirichlet face of the boundary."""
        return int(self.group.size)

    @property
    def holders(self) -> int:
        """Number of cells and reservoirs."""
        return self.cells + self.reservoirs

    def divergence(self, flux: NDArray[Number]) -> NDArray[Number]:
        """What arrives at each holder, ``D k``.

        Parameters
        ----------
        flux : int64 or float64 array [faces]
            Signed packets through each face, or a float flux.

        Returns
        -------
        array [holders], same dtype
            What each cell gains, then what each reservoir gains.
        """
        gain = np.zeros(self.holders, flux.dtype)
        np.add.at(gain, self.target, flux)
        np.subtract.at(gain, self.source, flux)
        return gain


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
        volumes, centres = _volumes_and_centres(self.points[self.corners])
        area, normal, on_face = _faces(
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
        A file in one of the `FORMATS`, which its suffix tells.

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
    content = _content(path)
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


def non_orthogonality(mesh: UnstructuredMesh) -> NDArray[np.float64]:
    """Angle between the line of centres and the normal of each interior face; 0 is what the two-point scheme assumes.

    Parameters
    ----------
    mesh : UnstructuredMesh

    Returns
    -------
    float64 array [interior faces]
        Degrees.
    """
    interior = mesh.target < mesh.cells
    source, target = mesh.source[interior], mesh.target[interior]
    first, second = mesh.corners[source], mesh.corners[target]
    dims = mesh.points.shape[1]
    shared = first[(first[:, :, None] == second[:, None, :]).any(axis=2)].reshape(-1, dims)
    _, normal, _ = _faces(mesh.points[shared])
    between = mesh.centres[target] - mesh.centres[source]
    along = (between * normal).sum(axis=1)
    across = np.linalg.norm(between - along[:, None] * normal, axis=1)
    return np.asarray(np.degrees(np.arctan2(across, abs(along))), np.float64)


@dataclass(frozen=True)
class _Sides:
    """Faces of a mesh: those between two cells, and those of one cell with their groups."""

    interior: Indices
    interior_corners: Indices
    boundary: Indices
    boundary_corners: Indices
    group: Indices


def _content(path: Path) -> Any:
    """What meshio reads, whatever it raises or prints."""
    if path.suffix.lower() not in FORMATS:
        known = ", ".join(FORMATS)
        raise FileError(path, "is of an unknown format", remedy=f"expected a file with one of the suffixes {known}")
    file_format, name = FORMATS[path.suffix.lower()]
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise FileError(path, "is a directory")
        if not stat.S_ISREG(found.st_mode):
            raise FileError(path, "is not a regular file")
        if found.st_size > LARGEST_FILE:
            raise FileError(path, f"is larger than {LARGEST_FILE} bytes")
        if file_format in _CHECKS:
            _CHECKS[file_format](path)
        with path.open("rb"):
            pass
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror or error})") from error

    import meshio

    printed = io.StringIO()
    try:
        with (
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(io.StringIO()),
            warnings.catch_warnings(),
            _limited_memory(_MEMORY + _MEMORY_PER_BYTE * found.st_size),
        ):
            warnings.simplefilter("ignore")
            # numpy's warning of numbers that are none, of which it says that it will be an error.
            warnings.filterwarnings("error", "string or file could not be read", DeprecationWarning)
            return meshio.read(path, file_format=file_format)
    except MemoryError as error:
        raise FileError(path, f"is damaged, or not {name}: it asks for more memory than its size can need") from error
    # Readers raise whatever their parsing of damaged content happens to raise, and meshio ends the interpreter.
    except (Exception, SystemExit) as error:
        if isinstance(error, DeprecationWarning):
            reason = "text where numbers should be"
        else:
            reason = printed.getvalue() if isinstance(error, SystemExit) else f"{type(error).__name__}: {error}"
        reason = " ".join("".join(c if c.isprintable() else " " for c in reason).split())[:200].rstrip(": ")
        raise FileError(path, f"is damaged, or not {name}" + (f" ({reason})" if reason else "")) from error


def _check_abaqus(path: Path) -> None:
    """Refuse what meshio's reader of Abaqus files would read from elsewhere or put into the wrong cell sets."""
    sets: dict[str, list[str]] = {"ELEMENT": [], "ELSET": []}
    in_set = False
    with path.open(errors="replace") as stream:
        for line in stream:
            text = line.strip()
            if not text or text.startswith("**"):
                continue
            keyword, *parameters = (part.strip() for part in text.upper().split(","))
            if in_set and not keyword.startswith("*") and not keyword.isnumeric():
                raise FileError(path, "has a cell set that is made of other sets", remedy="list its elements")
            keyword = keyword.replace("*", "")
            if keyword == "INCLUDE":
                raise FileError(path, "includes another file", remedy="write the mesh into one file")
            if text.startswith("*"):
                in_set = keyword == "ELSET"
            if text.startswith("*") and keyword in sets:
                given = [value.strip() for key, _, value in (p.partition("=") for p in parameters) if key == "ELSET"]
                sets[keyword].append(given[0] if given else "")
    # meshio counts the sets of element blocks, not the blocks, and a set replaces one of the same name.
    if any(sets["ELEMENT"]) and "" in sets["ELEMENT"]:
        raise FileError(path, "has blocks of elements with and without a cell set", remedy="give each block one")
    names = [name for kind in sets.values() for name in kind if name]
    if len(set(names)) < len(names):
        raise FileError(path, "has two cell sets of the same name", remedy="give each a name of its own")


def _check_vtu(path: Path) -> None:
    """Refuse a mesh in several pieces, of which meshio's reader would keep the last one only."""
    pieces, tail, tag = 0, b"", b"<Piece"
    with path.open("rb") as stream:
        while chunk := stream.read(2**20):
            text = tail + chunk
            pieces += text.count(tag)
            tail = text[1 - len(tag) :]
    if pieces > 1:
        raise FileError(path, f"has {pieces} pieces", remedy="write the mesh as one piece")


_CHECKS = {"abaqus": _check_abaqus, "vtu": _check_vtu}


@contextlib.contextmanager
def _limited_memory(allowance: int) -> Iterator[None]:
    """Let this process grow by so many bytes only; beyond them numpy raises MemoryError. Does nothing but on Linux."""
    if sys.platform != "linux":
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limits = [now + allowance] + [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min(limits), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


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
    thin = np.flatnonzero(abs(_adjugates(at[:, 1:] - at[:, :1])[1]) <= least)
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
    _, normal, on_face = _faces(points[interior_corners])
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


def _adjugates(edges: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Vectors ``a_i`` normal to all edges ``e_j`` of a corner but ``e_i``, and ``a_i . e_i``, the determinant."""
    if edges.shape[2] == 2:
        adjugates = np.empty_like(edges)
        adjugates[:, 0, 0], adjugates[:, 0, 1] = edges[:, 1, 1], -edges[:, 1, 0]
        adjugates[:, 1, 0], adjugates[:, 1, 1] = -edges[:, 0, 1], edges[:, 0, 0]
    else:
        adjugates = np.cross(edges[:, [1, 2, 0]], edges[:, [2, 0, 1]])
    return adjugates, (adjugates[:, 0] * edges[:, 0]).sum(axis=1)


def _volumes_and_centres(at: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Volumes and centres of cells from their corners [cells, dims + 1, dims]."""
    edges = at[:, 1:] - at[:, :1]
    adjugates, determinant = _adjugates(edges)
    gradients = adjugates / determinant[:, None, None]
    # The circumcentre r, seen from corner 0, is equally far from it and from corner i: e_i . r = |e_i|^2 / 2.
    radius = (gradients * (edges**2).sum(axis=2)[:, :, None] / 2).sum(axis=1)
    barycentric = (gradients * radius[:, None, :]).sum(axis=2)
    least = np.minimum(barycentric.min(axis=1), 1 - barycentric.sum(axis=1))
    centres = np.where((least > _INSIDE)[:, None], at[:, 0] + radius, at.mean(axis=1))
    return abs(determinant) / math.factorial(at.shape[2]), centres


def _faces(at: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Area, unit normal and a point of faces from their corners [faces, dims, dims]."""
    if at.shape[2] == 2:
        along = at[:, 1] - at[:, 0]
        across = np.stack([along[:, 1], -along[:, 0]], axis=1)
    else:
        across = np.cross(at[:, 1] - at[:, 0], at[:, 2] - at[:, 0]) / 2
    area = np.linalg.norm(across, axis=1)
    # A corner: unlike a mean, it is not rounded, and far from the origin that is much.
    return area, across / area[:, None], at[:, 0]

"""Meshes of triangles and tetrahedra: their geometry, the two-point flux on them, and what is refused."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import meshio
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import linalg

from pisnn_deploy.core.errors import FileError, UsageError
from pisnn_deploy.mesh import CellMesh, file_content, mesh_file, read_mesh_file

PLATE = Path(__file__).parents[2] / "examples" / "plate_with_hole" / "plate.msh"
GROUPS = ("hole", "left", "rest", "right")

Points = NDArray[np.float64]
Indices = NDArray[np.int64]
Mesh = tuple[Points, Indices]

SQUARE: Mesh = (np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]]), np.array([[0, 1, 2], [0, 2, 3]]))


def read_mesh(path: Path, held: Collection[str]) -> CellMesh:
    """A mesh with reservoirs at some groups of its boundary."""
    return read_mesh_file(path).with_reservoirs(held)


def lattice(rows: int, columns: int, apex: float, height: float) -> Mesh:
    """Triangles between lattice lines; each row is shifted by `apex` against the one below."""
    across, up = np.meshgrid(np.arange(columns + 1), np.arange(rows + 1))
    points = np.stack([across + apex * up, height * up], axis=-1).reshape(-1, 2).astype(np.float64)
    number = np.arange(len(points)).reshape(rows + 1, columns + 1)
    a, b, c, d = number[:-1, :-1], number[:-1, 1:], number[1:, :-1], number[1:, 1:]
    return points, np.concatenate([np.stack(t, axis=-1).reshape(-1, 3) for t in ((a, b, c), (b, d, c))])


def disphenoids(count: int) -> Mesh:
    """Tetrahedra of a body-centred lattice: two neighbouring centres and an edge of the square between them."""
    corners: dict[tuple[int, ...], int] = {}

    def number(*place: int) -> int:
        return corners.setdefault(place, len(corners))

    cells = []
    for x, y, z, axis in itertools.product(range(count), range(count), range(count), range(3)):
        centre = [2 * x + 1, 2 * y + 1, 2 * z + 1]
        beyond = centre.copy()
        beyond[axis] += 2
        if beyond[axis] > 2 * count:
            continue
        others = [a for a in range(3) if a != axis]
        ring = []
        for first, second in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
            corner = centre.copy()
            corner[axis] += 1
            corner[others[0]] += first
            corner[others[1]] += second
            ring.append(number(*corner))
        pairs = zip(ring, ring[1:] + ring[:1], strict=True)
        cells += [(number(*centre), number(*beyond), one, other) for one, other in pairs]
    return np.array(list(corners), np.float64) / 2, np.array(cells, np.int64)


def kuhn(count: int) -> Mesh:
    """Six tetrahedra a cube."""
    side = count + 1
    points = np.stack(np.meshgrid(*(np.arange(side),) * 3, indexing="ij"), axis=-1).reshape(-1, 3) / count
    cells = []
    for base in itertools.product(range(count), repeat=3):
        for order in itertools.permutations(range(3)):
            place, cell = list(base), []
            for axis in (None, *order):
                if axis is not None:
                    place[axis] += 1
                cell.append((place[0] * side + place[1]) * side + place[2])
            cells.append(cell)
    return points, np.array(cells, np.int64)


def write(path: Path, mesh: Mesh, extra: dict[str, Indices] | None = None, **content: Any) -> Path:
    points, cells = mesh
    kind = "triangle" if cells.shape[1] == 3 else "tetra"
    if points.shape[1] == 2:
        points = np.column_stack([points, np.zeros(len(points))])
    options: dict[str, Any] = {"binary": False} if path.suffix in (".msh", ".vtk") else {}
    options.update({"file_format": "gmsh22"} if path.suffix == ".msh" else {})
    meshio.Mesh(points, [*(extra or {}).items(), (kind, cells)], **content).write(path, **options)
    return path


def grouped(path: Path, mesh: Mesh, sides: Indices, side_tags: list[int], tags: list[int], **names: Any) -> Path:
    """A Gmsh file with physical groups."""
    data = [np.array(side_tags), np.array(tags)]
    kind = "line" if sides.shape[1] == 2 else "triangle"
    cell_data = {"gmsh:physical": data, "gmsh:geometrical": data}
    field_data = {name: np.array(entry) for name, entry in names.items()}
    return write(path, mesh, {kind: sides}, cell_data=cell_data, field_data=field_data)


def shared_normals(mesh: CellMesh) -> tuple[Points, Points]:
    """Measure and unit normal of each interior face, from scratch."""
    measures, normals = [], []
    for source, target in zip(mesh.source, mesh.target, strict=True):
        if target >= mesh.cells:
            break
        shared = sorted(set(mesh.corners[source]) & set(mesh.corners[target]))
        assert len(shared) == mesh.points.shape[1], "neighbours share a whole face"
        edges = mesh.points[shared[1:]] - mesh.points[shared[0]]
        gram = float(np.linalg.det(edges @ edges.T))
        measures.append(np.sqrt(gram) / len(edges))
        normals.append(np.linalg.svd(edges)[2][-1])
    return np.array(measures), np.array(normals)


def check_incidence(mesh: CellMesh) -> None:
    packets = np.random.default_rng(3).integers(-(2**60), 2**60, mesh.faces)
    assert mesh.divergence(packets).dtype == np.int64 and mesh.divergence(packets).size == mesh.holders
    # Modulo 2^64 where it overflows, and still exact.
    assert mesh.divergence(packets).sum() == 0
    assert np.array_equal(mesh.target[mesh.target >= mesh.cells], mesh.cells + np.arange(mesh.reservoirs))
    assert (mesh.source < mesh.cells).all() and (mesh.source < mesh.target).all()
    interior = np.stack([mesh.source, mesh.target], axis=1)[mesh.target < mesh.cells]
    assert np.array_equal(interior, np.unique(interior, axis=0)), "sorted, and no face twice"
    assert (mesh.target[len(interior) :] >= mesh.cells).all(), "interior faces come first"
    assert (np.diff(mesh.source[len(interior) :]) >= 0).all()
    assert (mesh.geometry().distance[: len(interior)] > 0).all() and (
        mesh.geometry().distance[len(interior) :, 0] > 0
    ).all()
    assert (mesh.geometry().distance[len(interior) :, 1] == 0).all()
    for face in range(min(mesh.faces, 50)):
        unit = np.zeros(mesh.faces, np.int64)
        unit[face] = 1
        gain = mesh.divergence(unit)
        assert np.count_nonzero(gain) == 2 and gain[mesh.source[face]] == -1 and gain[mesh.target[face]] == 1


def check_linear(mesh: CellMesh, faces: NDArray[np.bool_] | None = None) -> None:
    """The two-point flux of a linear field is the exact one."""
    slope = np.array([0.7, -1.3, 0.4])[: mesh.points.shape[1]]
    measures, normals = shared_normals(mesh)
    count = len(measures)
    chosen = np.ones(count, np.bool_) if faces is None else faces
    source, target = mesh.source[:count], mesh.target[:count]
    between = mesh.centres()[target] - mesh.centres()[source]
    normals *= np.sign((between * normals).sum(axis=1))[:, None]
    field = mesh.centres() @ slope
    flux = mesh.geometry().area[:count] / mesh.geometry().distance[:count].sum(axis=1) * (field[source] - field[target])
    assert np.allclose(mesh.geometry().area[:count], measures)
    assert np.allclose(flux[chosen], (-measures * (normals @ slope))[chosen], atol=1e-10)


def plate() -> CellMesh:
    return read_mesh(PLATE, ("left", "right", "hole"))


def test_the_plate() -> None:
    mesh = plate()
    assert mesh.material_names == ("copper", "steel") and mesh.group_names == ("hole", "left", "right")
    assert (mesh.cells, mesh.reservoirs) == (1926, 66) and PLATE.stat().st_size < 200_000
    polygon = 24 / 2 * 0.18**2 * np.sin(2 * np.pi / 24)
    geometry = mesh.geometry()
    assert geometry.volumes.sum() == pytest.approx(2 - polygon, rel=1e-5)
    ring = 40 / 2 * 0.31**2 * np.sin(2 * np.pi / 40) - polygon
    assert geometry.volumes[mesh.material == 0].sum() == pytest.approx(ring, rel=1e-4), "the mesh follows the interface"
    assert geometry.area[mesh.target >= mesh.cells].sum() == pytest.approx(
        2 + 24 * 2 * 0.18 * np.sin(np.pi / 24), rel=1e-5
    )
    check_incidence(mesh)
    radius = np.linalg.norm(mesh.points[mesh.corners] - mesh.centres()[:, None], axis=2)
    circumcentred = np.ptp(radius, axis=1) < 1e-9
    assert circumcentred.sum() == 1916
    angle = mesh.angles()
    orthogonal = circumcentred[mesh.source[: angle.size]] & circumcentred[mesh.target[: angle.size]]
    assert angle[orthogonal].max() < 1e-5 and angle.max() < 20 and (angle > 1e-5).sum() < 30
    check_linear(mesh, orthogonal)


def test_boundary_groups_are_where_they_should_be() -> None:
    file = read_mesh_file(PLATE)
    assert file.group_names == GROUPS
    middle = file.points[file.boundary_corners].mean(axis=1)
    names = np.array(file.group_names)[file.boundary_group]
    assert (middle[names == "left", 0] == 0).all() and (middle[names == "right", 0] == 2).all()
    assert (np.hypot(*(middle[names == "hole"] - [1, 0.5]).T) < 0.18).all()
    assert np.isin(middle[names == "rest", 1], (0, 1)).all()
    walls = file.with_reservoirs(())
    assert walls.reservoirs == 0 and walls.faces == len(file.interior) and walls.group_names == ()
    assert file.with_reservoirs(GROUPS).reservoirs == len(file.boundary)


def test_steady_conduction_through_the_plate() -> None:
    mesh = plate()
    conductivity = np.array([8.0, 1.0])[mesh.material]
    held = np.array([2.0, 1.0, 0.0])[mesh.group]
    ends = np.append(conductivity, np.full(mesh.reservoirs, 1.0))
    geometry = mesh.geometry()
    resistance = geometry.distance[:, 0] / ends[mesh.source] + geometry.distance[:, 1] / ends[mesh.target]
    conductance = geometry.area / resistance
    assert np.allclose(mesh.conductances(ends), conductance, rtol=1e-14)
    faces = np.arange(mesh.faces)
    ones = np.ones(mesh.faces)
    incidence = sparse.csr_matrix(
        (np.append(-ones, ones), (np.append(mesh.source, mesh.target), np.append(faces, faces))),
        shape=(mesh.holders, mesh.faces),
    )
    laplacian = (incidence @ sparse.diags(conductance) @ incidence.T).tocsr()
    inner = laplacian[: mesh.cells]
    field = linalg.spsolve(inner[:, : mesh.cells].tocsc(), -inner[:, mesh.cells :] @ held)
    assert field.min() > 0 and field.max() < 2
    everything = np.append(field, held)
    gain = mesh.divergence(conductance * (everything[mesh.source] - everything[mesh.target]))
    assert abs(gain[: mesh.cells]).max() < 1e-10 and abs(gain.sum()) < 1e-10
    into = [gain[mesh.cells :][mesh.group == k].sum() for k in range(3)]
    assert into[0] < 0 < into[2], "heat leaves the hot hole and enters the cold side"


def test_equilateral_triangles(tmp_path: Path) -> None:
    height = np.sqrt(0.75)
    file = read_mesh_file(write(tmp_path / "mesh.vtk", lattice(4, 5, 0.5, height)))
    assert file.material_names == ("default",) and file.group_names == ("rest",)
    mesh = file.with_reservoirs(["rest"])
    geometry, interior = mesh.geometry(), mesh.target < mesh.cells
    assert geometry.volumes == pytest.approx(np.full(40, height / 2))
    assert geometry.area == pytest.approx(np.ones(mesh.faces))
    assert geometry.distance[interior] == pytest.approx(np.full((interior.sum(), 2), height / 3))
    assert geometry.distance[~interior, 0] == pytest.approx(np.full(18, height / 3))
    assert mesh.angles().max() < 1e-9
    check_incidence(mesh)
    check_linear(mesh)
    slope = np.array([0.7, -1.3])
    value = file.points[file.boundary_corners].mean(axis=1) @ slope
    edge = file.points[file.boundary_corners[:, 1]] - file.points[file.boundary_corners[:, 0]]
    normal = np.stack([edge[:, 1], -edge[:, 0]], axis=1)
    outwards = file.points[file.boundary_corners[:, 0]] - mesh.centres()[file.boundary]
    normal *= np.sign((normal * outwards).sum(axis=1))[:, None]
    flux = (mesh.geometry().area / mesh.geometry().distance.sum(axis=1))[~interior] * (
        mesh.centres()[file.boundary] @ slope - value
    )
    assert np.allclose(flux, -normal @ slope)


def test_right_triangles_have_their_centroids(tmp_path: Path) -> None:
    points, cells = lattice(3, 4, 0, 1)
    mesh = read_mesh(write(tmp_path / "mesh.vtk", (points / 2, cells)), ())
    assert mesh.centres() == pytest.approx((points / 2)[cells].mean(axis=1))
    diagonal = mesh.geometry().area > 0.6
    assert mesh.geometry().distance[diagonal] == pytest.approx(np.full((12, 2), 0.5 / 3 / np.sqrt(2)))
    assert mesh.geometry().distance[~diagonal] == pytest.approx(np.full((mesh.faces - 12, 2), 0.5 / 3))
    assert mesh.angles()[diagonal] == pytest.approx(np.zeros(12), abs=1e-6)
    assert mesh.angles()[~diagonal] == pytest.approx(np.full(mesh.faces - 12, np.degrees(np.arctan(0.5))))
    check_incidence(mesh)


@pytest.mark.parametrize(("apex", "circumcentred"), [(0.9999, False), (0.9, True)])
def test_nearly_right_angles_count_as_right(apex: float, circumcentred: bool, tmp_path: Path) -> None:
    mesh = read_mesh(write(tmp_path / "mesh.vtk", (np.array([[0, 0], [1, 0], [apex, 0.8]]), np.array([[0, 1, 2]]))), ())
    radius = np.linalg.norm(mesh.points - mesh.centres()[0], axis=1)
    assert (np.ptp(radius) < 1e-9) == circumcentred
    assert circumcentred or mesh.centres()[0] == pytest.approx(mesh.points.mean(axis=0))


def test_tetrahedra_with_their_circumcentres_inside(tmp_path: Path) -> None:
    count = 3
    mesh = read_mesh(write(tmp_path / "mesh.vtu", disphenoids(count)), ["rest"])
    between_cubes = 3 * count**2 * (count - 1)
    assert mesh.cells == 4 * between_cubes and mesh.geometry().volumes.sum() == pytest.approx(between_cubes / 3)
    assert mesh.geometry().volumes == pytest.approx(np.full(mesh.cells, 1 / 12))
    assert mesh.angles().max() < 1e-9
    check_incidence(mesh)
    check_linear(mesh)


def test_tetrahedra_of_a_cube(tmp_path: Path) -> None:
    points, cells = kuhn(2)
    sides = np.array([s for c in cells for s in itertools.combinations(c, 3) if (points[list(s), 0] == 0).all()])
    assert len(sides) == 8
    tags = [1] * 24 + [2] * 24
    path = grouped(tmp_path / "mesh.msh", (points, cells), sides, [7] * 8, tags, wall=[7, 2], air=[1, 3], oil=[2, 3])
    mesh = read_mesh(path, ["wall"])
    assert mesh.material_names == ("air", "oil") and np.bincount(mesh.material).tolist() == [24, 24]
    assert (
        mesh.group_names == ("wall",) and mesh.reservoirs == 8 and mesh.geometry().area[-8:].sum() == pytest.approx(1)
    )
    assert mesh.geometry().volumes.sum() == pytest.approx(1) and len(mesh.angles()) == (48 * 4 - 48) // 2
    assert mesh.centres() == pytest.approx(mesh.points[mesh.corners].mean(axis=1)), "circumcentres are on faces"
    check_incidence(mesh)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.floats(0.1, 0.9), st.integers(-9, 9), st.randoms())
def test_any_affine_lattice(rows: int, columns: int, apex: float, power: int, random: Any) -> None:
    scale = 10.0**power
    points, cells = lattice(rows, columns, apex, 1.1)
    order = list(range(len(points)))
    random.shuffle(order)
    renumbered = np.empty_like(points)
    renumbered[order] = points
    cells = np.array([random.sample(list(c), 3) for c in np.array(order)[cells]])
    random.shuffle(cell_order := list(range(len(cells))))
    with tempfile.TemporaryDirectory() as folder:
        mesh = read_mesh(write(Path(folder) / "mesh.vtk", (renumbered * scale, cells[cell_order])), ["rest"])
    assert mesh.geometry().volumes == pytest.approx(np.full(len(cells), 0.55 * scale**2))
    assert (
        mesh.reservoirs == 2 * (rows + columns)
        and mesh.faces == mesh.reservoirs + (3 * len(cells) - 2 * (rows + columns)) // 2
    )
    check_incidence(mesh)
    if 0.25 < apex < 0.75:
        assert mesh.angles().max() < 1e-5
        check_linear(mesh)


@pytest.mark.parametrize("suffix", sorted(file_content.FORMATS))
def test_every_format(suffix: str, tmp_path: Path) -> None:
    expected = read_mesh_file(write(tmp_path / "mesh.vtk", lattice(3, 3, 0.5, 0.9)))
    found = read_mesh_file(write(tmp_path / f"MESH{suffix}", lattice(3, 3, 0.5, 0.9)))
    assert np.array_equal(found.corners, expected.corners) and found.points == pytest.approx(expected.points)
    # meshio writes 1 for elements without a group there.
    assert found.material_names == ("1" if suffix == ".mesh" else "default",) and found.group_names == ("rest",)


def test_unused_points_and_elements_are_left_out(tmp_path: Path) -> None:
    points, cells = SQUARE
    more = np.concatenate([[[9.0, 9]], points, [[8, 8]]])
    lines = np.array([[0, 5], [1, 2], [1, 3], [1, 4]])
    path = grouped(tmp_path / "m.msh", (more, cells + 1), lines, [1, 2, 3, 0], [0, 9], inflow=[2, 1])
    file = read_mesh_file(path)
    assert file.points == pytest.approx(points) and np.array_equal(file.corners, cells)
    assert file.material_names == ("9", "default") and file.material.tolist() == [1, 0]
    assert file.group_names == ("inflow", "rest"), "a line within or outside names no boundary"
    assert [file.group_names[k] for k in file.boundary_group].count("inflow") == 1


def test_a_single_cell(tmp_path: Path) -> None:
    corner = np.concatenate([np.zeros((1, 3)), np.eye(3)])
    for dims, size in ((2, 1 / 2), (3, 1 / 6)):
        mesh: Mesh = (corner[: dims + 1, :dims], np.arange(dims + 1)[None])
        file = read_mesh_file(write(tmp_path / "m.vtk", mesh))
        assert file.with_reservoirs(()).faces == 0
        closed = file.with_reservoirs(["rest"])
        assert closed.geometry().volumes == pytest.approx([size]) and closed.reservoirs == dims + 1
        heights = closed.geometry().area * closed.geometry().distance.sum(axis=1) / dims
        assert heights.sum() == pytest.approx(size), "pyramids over the faces fill the cell"
        check_incidence(closed)


def test_far_from_the_origin(tmp_path: Path) -> None:
    points, cells = lattice(3, 3, 0.5, 1.0)
    near = read_mesh(write(tmp_path / "m.vtk", (points / 8, cells)), ["rest"])
    far = read_mesh(write(tmp_path / "m.vtk", (points / 8 + 2.0**30, cells)), ["rest"])
    assert np.array_equal(far.geometry().volumes, near.geometry().volumes) and np.array_equal(
        far.geometry().area, near.geometry().area
    )


def test_cells_need_not_be_connected(tmp_path: Path) -> None:
    points, cells = SQUARE
    mesh = read_mesh(
        write(tmp_path / "m.vtk", (np.concatenate([points, points + 5]), np.append(cells, cells + 4, 0))), ()
    )
    assert (mesh.cells, mesh.faces, mesh.reservoirs) == (4, 2, 0)


GMSH41 = """$MeshFormat
4.1 0 8
$EndMeshFormat
$PhysicalNames
3
1 1 "inflow"
2 2 "sand"
2 3 "clay"
$EndPhysicalNames
$Entities
0 1 2 0
1 0 0 0 1 0 0 1 1 0
1 0 0 0 1 1 0 1 2 0
2 0 0 0 1 1 0 1 -3 0
$EndEntities
$Nodes
1 4 1 40
2 1 0 4
10
20
30
40
0 0 0
1 0 0
1 1 0
0 1 0
$EndNodes
$Elements
3 3 1 3
1 1 1 1
1 10 20
2 1 2 1
2 10 20 30
2 2 2 1
3 10 30 40
$EndElements
"""


def test_gmsh_41_and_sparse_numbers_of_points(tmp_path: Path) -> None:
    path = tmp_path / "mesh.msh"
    path.write_text(GMSH41)
    mesh = read_mesh(path, ["inflow"])
    assert mesh.material_names == ("clay", "sand") and mesh.material.tolist() == [1, 0]
    assert mesh.group_names == ("inflow",) and mesh.source.tolist() == [0, 0] and mesh.target.tolist() == [1, 2]


ABAQUS = """*NODE
1, 0, 0, 0
2, 1, 0, 0
3, 1, 1, 0
4, 0, 1, 0
*ELEMENT, TYPE=CPS3
1, 1, 2, 3
2, 1, 3, 4
*ELEMENT, TYPE=T2D2
7, 1, 2
8, 2, 3
"""


def test_cell_sets(tmp_path: Path) -> None:
    path = tmp_path / "mesh.inp"
    path.write_text(ABAQUS + "*ELSET, ELSET=sand\n2\n*ELSET, ELSET=inflow\n7,\n")
    file = read_mesh_file(path)
    assert file.material_names == ("default", "sand") and file.material.tolist() == [0, 1]
    assert file.group_names == ("inflow", "rest") and file.boundary_group.tolist().count(0) == 1


def test_unknown_groups(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read_mesh(PLATE, ["left", "top"])
    assert str(caught.value) == f"{PLATE}: unknown group 'top'; the mesh has 'hole', 'left', 'rest', 'right'"


NAN = np.array([[0.0, 0], [1, 0], [1, np.nan], [0, 1]])
FIVE = np.array([[0.0, 0], [1, 0], [0.5, 1], [0.5, -1], [0.5, 2]])


@pytest.mark.parametrize(
    ("mesh", "problem"),
    [
        ((NAN, SQUARE[1]), "has a coordinate that is not finite or beyond 1e+30"),
        ((np.where(np.isnan(NAN), np.inf, NAN), SQUARE[1]), "has a coordinate that is not finite or beyond 1e+30"),
        ((SQUARE[0] * 1e40, SQUARE[1]), "has a coordinate that is not finite or beyond 1e+30"),
        ((SQUARE[0] * 1e-40, SQUARE[1]), "has a cell without a volume, number 0 counted from 0"),
        ((SQUARE[0] / 64 + 2.0**40, SQUARE[1]), "has a cell without a volume, number 0 counted from 0"),
        ((SQUARE[0], np.array([[0, 1, 4]])), "has an element with an undefined point"),
        ((SQUARE[0], np.array([[0, 1, -1]])), "has an element with an undefined point"),
        ((SQUARE[0], np.array([[0, 1, 2], [0, 2, 2]])), "has a cell without a volume, number 1 counted from 0"),
        ((SQUARE[0] * [1, 0], SQUARE[1]), "has a cell without a volume, number 0 counted from 0"),
        (
            (SQUARE[0], np.array([[0, 1, 2], [0, 2, 3], [1, 2, 0]])),
            "has a cell twice, numbers 0 and 2 counted from 0",
        ),
        (
            (FIVE, np.array([[0, 1, 2], [0, 3, 1], [1, 0, 4]])),
            "has a face of more than two cells, between (0, 0), (1, 0)",
        ),
        ((FIVE, np.array([[0, 1, 2], [1, 0, 4]])), "has overlapping cells, numbers 0 and 1 counted from 0"),
        (
            (np.column_stack([SQUARE[0], [0, 0, 0, 1]]), SQUARE[1]),
            "has triangles outside the xy plane; surfaces in space are not supported",
        ),
    ],
)
def test_refused_meshes(mesh: Mesh, problem: str, tmp_path: Path) -> None:
    path = write(tmp_path / "mesh.vtk", mesh)
    with pytest.raises(FileError) as caught:
        read_mesh(path, ())
    assert str(caught.value) == f"{path}: {problem}"


def test_refused_elements(tmp_path: Path) -> None:
    points, cells = kuhn(1)
    prism = {"pyramid": np.array([[0, 1, 2, 3, 4]]), "wedge": np.array([[0, 1, 2, 3, 4, 5]])}
    with pytest.raises(FileError, match="has elements of type pyramid, wedge; use triangles"):
        read_mesh_file(write(tmp_path / "mesh.vtk", (points, cells), prism))


@pytest.mark.parametrize("cells", [[], [("line", np.array([[0, 1]]))], [("vertex", np.array([[0]]))]])
def test_no_cells(cells: list[Any], tmp_path: Path) -> None:
    path = tmp_path / "mesh.vtu"
    meshio.Mesh(np.eye(3), cells).write(path)
    with pytest.raises(FileError) as caught:
        read_mesh_file(path)
    assert str(caught.value).startswith(f"{path}: ")
    if cells:
        assert str(caught.value) == f"{path}: has no cells; expected triangles or tetrahedra"


def test_a_boundary_face_in_two_groups_counts_in_each(tmp_path: Path) -> None:
    lines = np.array([[0, 1], [1, 0], [1, 2]])
    path = grouped(tmp_path / "mesh.msh", SQUARE, lines, [1, 2, 2], [3, 3], top=[1, 1], wet=[2, 1])
    file = read_mesh_file(path)
    assert file.group_names == ("rest", "top", "wet") and len(file.boundary_member) == 5
    assert [file.with_reservoirs([name]).reservoirs for name in file.group_names] == [2, 1, 2]
    both = file.with_reservoirs(["top", "wet"])
    assert both.reservoirs == 2 and both.group_names == ("top", "wet") and both.group.tolist() == [0, 1]


def test_what_is_said_of_groups_that_are_held(tmp_path: Path) -> None:
    lines = np.array([[0, 1], [1, 2], [0, 1], [0, 2]])
    path = grouped(tmp_path / "m.msh", SQUARE, lines, [1, 1, 2, 1], [3, 3], top=[1, 1], wet=[2, 1])
    file = read_mesh_file(path)
    inside = "mesh: 1 edge of group 'top' lie inside the mesh, where no condition applies"
    assert file.warnings_on({}) == file.warnings_on({"wet": 1.0, "rest": 0.0}) == ()
    assert file.warnings_on({"top": 1.0, "wet": 1.0}) == (
        inside,
        "mesh: 1 edge in both groups 'top' and 'wet' have one reservoir each, which counts as part of 'top'",
    )
    with pytest.raises(UsageError) as caught:
        file.warnings_on({"top": 1.0, "wet": 0.5})
    assert str(caught.value) == (
        f"{path}: has 1 edge in both groups 'top' and 'wet', which have the values 1 and 0.5; give both the same value"
    )


def test_a_group_of_the_file_is_not_mixed_with_what_has_none(tmp_path: Path) -> None:
    tags = {"rest": [1, 1], "default": [3, 2]}
    file = read_mesh_file(grouped(tmp_path / "m.msh", SQUARE, np.array([[0, 1]]), [1], [3, 0], **tags))
    assert file.group_names == ("rest", "unnamed") and file.boundary_group.tolist().count(0) == 1
    assert file.material_names == ("default", "unnamed") and file.material.tolist() == [0, 1]


def test_a_cell_in_two_materials(tmp_path: Path) -> None:
    problem = "has a cell in two materials, number 1 counted from 0: 'clay' and 'sand'; keep one"
    twice = tmp_path / "twice.msh"
    twice.write_text(GMSH41.replace("0 1 2 0\n", "0 1 2 0\n").replace("1 1 0 1 -3 0", "1 1 0 2 2 -3 0"))
    again = grouped(
        tmp_path / "22.msh",
        (SQUARE[0], SQUARE[1][[0, 1, 1]]),
        np.array([[0, 1]]),
        [9],
        [2, 2, 3],
        sand=[2, 2],
        clay=[3, 2],
    )
    for path in (twice, again):
        with pytest.raises(FileError) as caught:
            read_mesh_file(path)
        assert str(caught.value) == f"{path}: {problem}"


def test_too_many_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mesh_file, "MAXIMUM_CELLS", 1)
    with pytest.raises(FileError, match="has 2 cells, more than 1"):
        read_mesh_file(write(tmp_path / "mesh.vtk", SQUARE))


def test_what_is_no_file_of_a_mesh(tmp_path: Path) -> None:
    (tmp_path / "folder.msh").mkdir()
    os.mkfifo(tmp_path / "pipe.msh")
    with (tmp_path / "huge.msh").open("wb") as stream:
        stream.truncate(2**30 + 1)
    known = "expected one of the suffixes .inp, .mesh, .msh, .vtk, .vtu"
    for name, problem in {
        "none.msh": "cannot be read (No such file or directory)",
        "folder.msh": "is a directory",
        "pipe.msh": "is not a regular file",
        "huge.msh": "is larger than 1073741824 bytes",
        "mesh.xdmf": f"has an unknown format; {known}",
        "mesh": f"has an unknown format; {known}",
    }.items():
        with pytest.raises(FileError) as caught:
            read_mesh(tmp_path / name, ())
        assert str(caught.value) == f"{tmp_path / name}: {problem}"


def test_small_files_that_ask_for_much_memory(tmp_path: Path) -> None:
    head = "# vtk DataFile Version 3.0\n\nASCII\nDATASET STRUCTURED_POINTS\n"
    vtk = tmp_path / "mesh.vtk"
    vtk.write_text(head + "DIMENSIONS 40000 40000 1\nORIGIN 0 0 0\nSPACING 1 1 1\n")
    with pytest.raises(FileError) as caught:
        read_mesh_file(vtk)
    assert str(caught.value) == f"{vtk}: is damaged, or not VTK: it needs more memory than its size justifies"
    msh = tmp_path / "mesh.msh"
    for small, large in (
        ("1 4 1 40", "1 9999999999 1 40"),
        ("2 1 0 4", "2 1 0 9999999999"),
        ("3 3 1 3", "9999999999 3 1 3"),
    ):
        msh.write_text(GMSH41.replace(small, large))
        with pytest.raises(FileError, match=r"is damaged, or not Gmsh \((its section|a section|an element) "):
            read_mesh_file(msh)
    assert np.zeros(2**20).size, "the limit is gone"


def test_a_vtu_file_in_pieces(tmp_path: Path) -> None:
    path = write(tmp_path / "mesh.vtu", SQUARE)
    text = path.read_text()
    start, end = text.index("<Piece"), text.index("</Piece>") + len("</Piece>")
    path.write_text(text[:end] + text[start:end] + text[end:])
    with pytest.raises(FileError, match="has 2 pieces; write the mesh as one piece"):
        read_mesh_file(path)


@pytest.mark.parametrize("suffix", sorted(file_content.FORMATS))
@pytest.mark.parametrize("content", [b"", b"\x80\x04\x95", b"garbage\n", b"$MeshFormat\n", b"\x00" * 100])
def test_garbage(suffix: str, content: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / f"mesh{suffix}"
    path.write_bytes(content)
    with pytest.raises(FileError) as caught:
        read_mesh_file(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", ""), "meshio is not heard"


def contents() -> dict[str, bytes]:
    """A small mesh in all formats."""
    with tempfile.TemporaryDirectory() as folder:
        found = {s: write(Path(folder) / f"m{s}", SQUARE).read_bytes() for s in sorted(file_content.FORMATS)}
    return {**found, "41.msh": GMSH41.encode(), "2.inp": (ABAQUS + "*ELSET, ELSET=a\n1, 2\n").encode()}


CONTENTS = contents()


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(CONTENTS)), st.integers(0, 10**6), st.integers(0, 3), st.binary(max_size=3))
@example(".msh", 0, 0, b"")
def test_damage_is_refused_or_read(name: str, at: int, length: int, inserted: bytes) -> None:
    content = CONTENTS[name]
    at %= len(content)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"mesh{name}"
        path.write_bytes(content[:at] + inserted + content[at + length :])
        try:
            mesh = read_mesh(path, ())
        except FileError as error:
            assert "\n" not in str(error)
        else:
            assert np.isfinite(mesh.geometry().volumes).all() and (mesh.geometry().volumes > 0).all()
        path.write_bytes(content[:at])
        try:
            read_mesh(path, ())
        except FileError as error:
            assert "\n" not in str(error)

"""Gmsh's files: whatever the version, the form and the order, the same mesh; and what is damaged is refused."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from gmsh_writer import Entity, Form, msh
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.mesh import MeshFile, read_mesh_file, unknown_group

PLANE = np.array([(x, y, 0.0) for y in (0, 1, 2) for x in (0, 1, 2, 3)])
CELLS = np.array([t for k in (0, 1, 2, 4, 5, 6) for t in ((k, k + 1, k + 5), (k, k + 5, k + 4))])
FLAT = (
    Entity(CELLS[:5], (3,)),
    Entity(CELLS[5:], (4,)),
    Entity(np.array([(0, 4), (4, 8)]), (1, 2, 9)),
    Entity(np.array([(3, 7), (7, 11)]), (2,)),
    Entity(np.array([(0, 1), (1, 2)]), ()),
    Entity(np.array([(1, 6)]), (5,)),
)
FLAT_NAMES = {(1, 1): "left side", (1, 2): "steel", (1, 5): "probe", (2, 3): "steel", (2, 4): "copper", (0, 1): "top"}
CORNERS = np.concatenate([np.zeros((1, 3)), np.eye(3), np.ones((1, 3))])
SOLID = (
    Entity(np.array([(0, 1, 2, 3)]), (2,)),
    Entity(np.array([(1, 2, 3, 4)]), (3,)),
    Entity(np.array([(0, 1, 2), (0, 1, 3)]), (2, 7)),
)
SOLID_NAMES = {(3, 2): "iron", (3, 3): "tin", (2, 7): "wall", (2, 2): "iron"}
VERSIONS = ("2", "2.1", "2.2", "4", "4.1")


def meaning(file: MeshFile) -> object:
    """What a mesh says, without the order of anything."""

    def place(corners: NDArray[np.int64]) -> tuple[tuple[float, ...], ...]:
        return tuple(sorted(map(tuple, file.points[corners].tolist())))

    cells = {(place(c), file.material_names[m]) for c, m in zip(file.corners, file.material, strict=True)}
    pairs = zip(file.boundary_member, file.boundary_group, strict=True)
    sides = {(place(file.boundary_corners[face]), file.group_names[k]) for face, k in pairs}
    return cells, sides, dict(file.inside), dict(file.elsewhere)


def read(content: bytes) -> MeshFile:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mesh.msh"
        path.write_bytes(content)
        return read_mesh_file(path)


def test_every_group_of_an_entity_counts() -> None:
    file = read(msh(PLANE, FLAT, FLAT_NAMES, Form()))
    faces = {name: int((file.boundary_group == k).sum()) for k, name in enumerate(file.group_names)}
    assert faces == {"left side": 2, "steel": 4, "9": 2, "rest": 6}
    assert file.material_names == ("copper", "steel") and np.bincount(file.material).tolist() == [7, 5]
    assert file.inside == {"probe": 1} and file.elsewhere == {
        "probe": "(1 edge) lies inside the mesh",
        "copper": "(7 triangles) contains cells",
        "top": "contains points",
    }


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(VERSIONS),
    st.sampled_from((None, "<", ">")),
    st.booleans(),
    st.booleans(),
    st.integers(0, 10**6),
    st.booleans(),
)
@example("2.2", "<", True, True, 1, False)
@example("4.1", ">", True, True, 2, True)
def test_any_form_is_the_same_mesh(
    version: str, order: str | None, parametric: bool, partitioned: bool, seed: int, solid: bool
) -> None:
    if version == "4":
        order = None  # Gmsh writes version 4.0 as text only
    points, entities, names = (CORNERS, SOLID, SOLID_NAMES) if solid else (PLANE, FLAT, FLAT_NAMES)
    expected = meaning(read(msh(points, entities, names, Form())))
    form = Form(version, order, parametric, partitioned, seed)
    assert meaning(read(msh(points, entities, names, form))) == expected


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(VERSIONS), st.sampled_from((None, "<")), st.integers(0, 10**6))
def test_numbers_of_groups_mean_nothing(version: str, order: str | None, seed: int) -> None:
    order = None if version == "4" else order
    numbers = np.random.default_rng(seed).permutation(np.arange(1, 20)).tolist()
    # Groups without a name are called by their number, so that keeps it.
    other = {group: numbers[group] if group != 9 else 900 for group in range(12)}
    entities = [Entity(entity.corners, tuple(other[g] for g in entity.groups)) for entity in FLAT]
    names = {(dims, other[group]): name for (dims, group), name in FLAT_NAMES.items()} | {(1, 900): "9"}
    found = read(msh(PLANE, entities, names, Form(version, order, seed=seed)))
    assert meaning(found) == meaning(read(msh(PLANE, FLAT, FLAT_NAMES, Form())))


@pytest.mark.parametrize("form", [Form("2.2"), Form("2.2", "<"), Form("4.1"), Form("4.1", ">")])
@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, 10**6), length=st.integers(0, 4), inserted=st.binary(max_size=3))
def test_damage_is_refused_or_read(form: Form, at: int, length: int, inserted: bytes) -> None:
    content = msh(PLANE, FLAT, FLAT_NAMES, form)
    at %= len(content)
    for damaged in (content[:at] + inserted + content[at + length :], content[:at]):
        try:
            read(damaged)
        except FileError as error:
            assert "\n" not in str(error)


TEXT = msh(PLANE, FLAT, FLAT_NAMES, Form("2.2")).decode()


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("$MeshFormat\n2.2", "$MeshFormat\n3", "its version 3 is not supported; save as version 4.1"),
        ("$MeshFormat\n2.2", "$MeshFormat\n4.2", "its version 4.2 is not supported; save as version 4.1"),
        ("$MeshFormat\n2.2 0 8", "$MeshFormat\n2.2 7 8", "its section $MeshFormat has the type 7 and the size 8"),
        ("$MeshFormat\n2.2 0 8", "$MeshFormat\n", "its section $MeshFormat lacks a version, a type or a size"),
        ("$EndNodes", "$EndNode", "section '$Nodes' has no end"),
        ("$Nodes\n12", "$Nodes\n13", "a section ends too soon"),
        ("$Nodes\n12", "$Nodes\nmany", "a section starts with 'many', not with a number"),
        ("\n2 1.0 0.0 0.0", "\n1 1.0 0.0 0.0", "it defines node 1 twice"),
        ("\n2 1.0 0.0 0.0", "\n1.5 1.0 0.0 0.0", "it has a non-integer where an integer is expected"),
        ("\n2 1.0 0.0 0.0", "\n2 1.0 zero 0.0", "text where numbers should be"),
        ("$Elements\n23", "$Elements\n24", "its section $Elements ends too soon"),
        ("\n1 2 2 3 1 1 2 6", "\n1 2 2 3 1 1 2 60", "an element has an undefined node"),
        ("\n1 2 2 3 1 1 2 6", "\n1 99 2 3 1 1 2 6", "its element type 99 is unknown"),
        ("\n1 2 2 3 1 1 2 6", "\n1 2 -2 3 1 1 2 6", "its section $Elements has an element with -2 tags"),
        ('1 1 "left side"', 'one "left side"', "its section $PhysicalNames has the line 'one \"left side\"'"),
        ("$Elements", "$Elments", "section '$Elments' has no end"),
    ],
)
def test_what_is_wrong_is_named(old: str, new: str, reason: str, tmp_path: Path) -> None:
    assert TEXT.count(old) == 1
    path = tmp_path / "mesh.msh"
    path.write_text(TEXT.replace(old, new))
    with pytest.raises(FileError) as caught:
        read_mesh_file(path)
    assert str(caught.value) == f"{path}: is damaged, or not Gmsh ({reason})"


def test_version_1_and_files_without_groups(tmp_path: Path) -> None:
    path = tmp_path / "mesh.msh"
    path.write_text("$NOD\n1\n1 0 0 0\n$ENDNOD\n")
    with pytest.raises(FileError, match=r"version 1 is not supported; save as version 4\.1"):
        read_mesh_file(path)
    none = tuple(Entity(entity.corners, ()) for entity in FLAT)
    file = read(msh(PLANE, none, FLAT_NAMES, Form("2.2")))
    assert file.group_names == ("rest",) and file.material_names == ("default",)
    assert file.elsewhere["left side"] == "has no elements"
    assert file.warnings == (
        "mesh: no element is in a physical group; in version 2 of the format Mesh.SaveAll omits groups",
    )


def test_names_in_latin_1() -> None:
    content = msh(PLANE, FLAT, {**FLAT_NAMES, (1, 1): "heiß"}, Form("2.2")).replace("ß".encode(), b"\xdf")
    assert "heiß" in read(content).group_names


@pytest.mark.parametrize(
    "change", [("\n", "\r\n"), ("\n", "\n\n"), ("\n", " \t\n"), ("$MeshFormat", "\ufeffhi\n$MeshFormat")]
)
def test_white_space_means_nothing(change: tuple[str, str]) -> None:
    for version in ("2.2", "4.1"):
        text = msh(PLANE, FLAT, FLAT_NAMES, Form(version)).decode()
        assert meaning(read(text.replace(*change).encode())) == meaning(read(text.encode()))


def test_names_that_an_artifact_would_not_hold() -> None:
    long = "x" * 257
    for key, what in (((1, 1), "boundary group"), ((2, 3), "material")):
        with pytest.raises(FileError) as caught:
            read(msh(PLANE, FLAT, FLAT_NAMES | {key: long}, Form()))
        assert str(caught.value).endswith(
            f"has a {what} whose name has 257 characters, {long[:20]!r}...; use 1 to 256 characters"
        )
        assert read(msh(PLANE, FLAT, FLAT_NAMES | {key: long[:256]}, Form())).elsewhere


def test_too_many_materials() -> None:
    count = 65
    corners = np.arange(3 * count * count).reshape(-1, 3)
    place = np.stack([np.arange(count * count) % count, np.arange(count * count) // count], axis=1) * 2
    points = np.pad((place[:, None] + np.array([(0, 0), (1, 0), (0.5, 0.8)])).reshape(-1, 2), ((0, 0), (0, 1)))
    entities = [Entity(corners[k : k + 1], (k + 1,)) for k in range(4097)]
    with pytest.raises(FileError, match="has 4097 materials, more than 4096"):
        read(msh(points, entities, {}, Form("2.2")))


def test_long_lists_of_groups_are_cut() -> None:
    known = [f"g{k}" for k in range(30)]
    shown = ", ".join(map(repr, known[:20]))
    assert unknown_group("x", known, {}) == f"unknown group 'x'; the mesh has {shown}, ... (30 in all)"

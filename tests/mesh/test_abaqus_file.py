"""Abaqus input files: the same mesh in whatever form it is written, and a line for all that is not read."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.mesh import MeshFile, read_mesh_file

NODES = {1: (0.0, 0.0), 2: (1.0, 0.0), 3: (2.0, 0.0), 4: (0.5, 0.8), 5: (1.5, 0.8), 6: (2.5, 0.8)}
CELLS = {1: (1, 2, 4), 2: (2, 5, 4), 3: (2, 3, 5), 4: (3, 6, 5)}
PLAIN = """*HEADING
two metals
*NODE
1, 0., 0.
2, 1., 0.
3, 2., 0.
4, 0.5, 0.8
5, 1.5, 0.8
6, 2.5, 0.8
*ELEMENT, TYPE=DC2D3
1, 1, 2, 4
2, 2, 5, 4
3, 2, 3, 5
4, 3, 6, 5
*ELSET, ELSET=STEEL
1, 2
*ELSET, ELSET=COPPER
3, 4
*SURFACE, NAME=left, TYPE=ELEMENT
1, S3
"""
SOLID = """*NODE
1, 0, 0, 0
2, 1, 0, 0
3, 0, 1, 0
4, 0, 0, 1
5, 1, 1, 1
*ELEMENT, TYPE=DC3D4, ELSET=iron
7, 1, 2, 3, 4
*Element, type=C3D4, elset=tin
9, 2, 3, 4, 5
*SURFACE, NAME=floor
iron, S1
"""


def read(text: str) -> MeshFile:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mesh.inp"
        path.write_text(text)
        return read_mesh_file(path)


def meaning(file: MeshFile, *, upper: bool = False) -> object:
    """What a mesh says, without the order of anything."""

    def place(corners: NDArray[np.int64]) -> tuple[tuple[float, ...], ...]:
        return tuple(sorted(map(tuple, file.points[corners].round(9).tolist())))

    def name(text: str) -> str:
        return text.upper() if upper else text

    cells = {(place(c), name(file.material_names[m])) for c, m in zip(file.corners, file.material, strict=True)}
    pairs = zip(file.boundary_member, file.boundary_group, strict=True)
    return cells, {(place(file.boundary_corners[face]), name(file.group_names[k])) for face, k in pairs}


def written(random: Random) -> str:
    """The same mesh with blocks, cases, blanks and numbers as the random generator wants them."""
    element = dict(zip(CELLS, random.sample(range(1, 99), 4), strict=True))
    node = dict(zip(NODES, random.sample(range(1, 99), 6), strict=True))

    def keyword(text: str) -> str:
        spaced = text.replace(", ", random.choice((",", ", ", " , ")))
        return random.choice((str.upper, str.lower, str))(spaced) + "\n"

    def pieces(rows: list[str], head: str) -> list[str]:
        cut = random.randint(0, len(rows))
        random.shuffle(rows)
        return ["".join([keyword(head), *some]) for some in (rows[:cut], rows[cut:]) if some]

    points = [f"{node[k]}, {x!r}, {y!r}{random.choice(('', ', 0.', ','))}\n" for k, (x, y) in NODES.items()]
    kinds = ("CPS3", "cpe3", "DC2D3", "S3R", "CPE3T", "STRI3")
    blocks = pieces(points, random.choice(("*NODE", "*NODE, NSET=all")))
    random.shuffle(blocks)
    after = []
    for name, members in (("STEEL", (1, 2)), ("COPPER", (3, 4))):
        rows = []
        for k in members:
            corners = [str(node[c]) for c in CELLS[k]]
            turned = random.sample(corners, 3) if k != 1 else corners
            middle = random.choice((", ", ",\n"))
            rows.append(f"{element[k]}, {turned[0]}{middle}{turned[1]}, {turned[2]}\n")
        own = random.random() < 0.5
        blocks += pieces(rows, f"*ELEMENT, TYPE={random.choice(kinds)}" + (f", ELSET={name}" if own else ""))
        if not own:
            numbers = [element[k] for k in members]
            form = random.choice(("list", "two", "generate", "sets"))
            if form == "list":
                after.append(keyword(f"*ELSET, ELSET={name}") + ", ".join(map(str, numbers)) + ",\n")
            elif form == "two":
                after += [keyword(f"*ELSET, ELSET={name}") + f"{number}\n" for number in numbers]
            elif form == "generate":
                low, high = sorted(numbers)
                after.append(keyword(f"*ELSET, ELSET={name}, GENERATE") + f"{low}, {high}, {high - low}\n")
            else:
                after.append(keyword(f"*ELSET, ELSET={name}a") + f"{numbers[0]}\n")
                after.append(keyword(f"*ELSET, ELSET={name}") + f"{name}a, {numbers[1]}\n")
                # Only the set with a section is a material.
                sections = [keyword(f"*SOLID SECTION, ELSET={n}, MATERIAL=m") for n in ("STEEL", "COPPER")]
                after += random.sample(sections, 2)
    surface = keyword("*SURFACE, NAME=left, TYPE=ELEMENT") + f"{element[1]}, s3\n"
    body = "".join([*blocks, "** a comment\n", *after, surface])
    if random.random() < 0.5:
        return "*Heading\ntext, of = any kind\n" + body
    part = f"*Part, name=plate\n{body}*End Part\n*Assembly, name=A\n*Instance, name=I, part=PLATE\n"
    move = random.choice(("", "0., 0., 0.\n"))
    return (
        part + move + "*End Instance\n*Nset, nset=x, instance=I\n1\n*End Assembly\n*Step\n*Heat Transfer\n*End Step\n"
    )


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**9))
def test_any_form_is_the_same_mesh(seed: int) -> None:
    assert meaning(read(written(Random(seed))), upper=True) == meaning(read(PLAIN), upper=True)


def test_tetrahedra_and_surfaces() -> None:
    file = read(SOLID)
    assert file.material_names == ("iron", "tin") and file.group_names == ("floor", "rest")
    faces = file.points[file.boundary_corners[file.boundary_member[file.boundary_group == 0]]]
    assert len(faces) == 1 and (faces[..., 2] == 0).all()


def test_names_keep_the_case_they_were_first_written_in() -> None:
    file = read(PLAIN.replace("*ELSET, ELSET=COPPER\n3, 4", "*elset, elset=Tin\n3\n*ELSET, ELSET=TIN\n4"))
    assert file.material_names == ("STEEL", "Tin")


def test_instances_are_moved_copies() -> None:
    part = SOLID.replace("*SURFACE, NAME=floor\niron, S1\n", "")
    text = (
        f"*PART, NAME=p\n{part}*END PART\n*ASSEMBLY, NAME=a\n*INSTANCE, NAME=one, PART=p\n*END INSTANCE\n"
        "*INSTANCE, NAME=two, PART=P\n10., 0., 0.\n10., 0., 0., 10., 0., 1., 90.\n*END INSTANCE\n"
        "*ELSET, ELSET=_s, INSTANCE=two, INTERNAL\n7,\n*SURFACE, TYPE=ELEMENT, NAME=floor\n_s, S1\n"
        "*ELSET, ELSET=_s2, INSTANCE=one\n7\n*END ASSEMBLY\n*SOLID SECTION, ELSET=iron\n*SOLID SECTION, ELSET=tin\n"
    )
    file = read(text)
    assert len(file.corners) == 4 and file.material_names == ("iron", "tin")
    faces = file.points[file.boundary_corners[file.boundary_member[file.boundary_group == 0]]]
    assert file.group_names[0] == "floor" and len(faces) == 1 and (faces[..., 2] == 0).all()
    # Turned by a right angle about the vertical through (10, 0): x to y, y to -x.
    assert sorted(map(tuple, faces[0].round(9).tolist())) == [(9, 0, 0), (10, 0, 0), (10, 1, 0)]
    assert file.warnings[0].startswith("mesh: the cells form 2 disconnected parts")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "TYPE=DC2D3",
            "TYPE=DCAX3",
            "line 10: has axisymmetric elements (DCAX3); only plane and solid meshes are supported",
        ),
        (
            "TYPE=DC2D3",
            "TYPE=CPS4",
            "has elements of type CPS4; use triangles or tetrahedra",
        ),
        (
            "TYPE=DC2D3",
            "TYPE=UNKNOWN",
            "has elements of type UNKNOWN; use triangles or tetrahedra",
        ),
        (
            "TYPE=DC2D3",
            "TYP=DC2D3",
            "line 10: *ELEMENT lacks TYPE=",
        ),
        (
            "*NODE",
            "*NODE, SYSTEM=C",
            "line 3: *NODE uses another coordinate system; use rectangular coordinates",
        ),
        (
            "*ELSET, ELSET=STEEL\n1",
            "*ELGEN\n1",
            "line 15: *ELGEN generates parts of the mesh; list all nodes and elements explicitly",
        ),
        (
            "*ELSET, ELSET=STEEL\n",
            "*INCLUDE, INPUT=/etc/passwd\n",
            "line 15: includes another file; write the whole mesh to one file",
        ),
        (
            "*NODE\n",
            "*NODE, INPUT=nodes.txt\n",
            "line 3: includes another file; write the whole mesh to one file",
        ),
        (
            "3, 4\n*SURF",
            "3, 2, 4\n*SURF",
            "has a cell in two materials, number 1 counted from 0: 'COPPER' and 'STEEL'; keep one",
        ),
        (
            "ELSET=STEEL\n1, 2",
            "ELSET=STEEL\n1, top",
            "line 15: *ELSET has 'top', which is neither an element nor a set above this line",
        ),
        (
            "ELSET=STEEL\n1, 2",
            "ELSET=STEEL, GENERATE\n5, 1",
            "line 15: *ELSET cannot generate numbers from 5 to 1 in steps of 1",
        ),
        (
            "ELSET=STEEL\n1, 2",
            "ELSET=STEEL, GENERATE\n1, 1e99",
            "line 15: *ELSET has a number that is not an integer",
        ),
        (
            "2, 1., 0.",
            "2.5, 1., 0.",
            "line 3: *NODE has a number that is not an integer",
        ),
        (
            "ELSET=STEEL\n1, 2",
            "ELSET=STEEL, INSTANCE=I\n1",
            "line 15: there is no instance 'I' above this line",
        ),
        (
            "1, S3",
            "1, S4",
            "line 19: *SURFACE has the unknown side 'S4'; use S1, S2, ...",
        ),
        (
            "1, S3",
            "top, S3",
            "line 19: *SURFACE has 'TOP', which is neither an element nor a set above this line",
        ),
        (
            "2, 1., 0.",
            "1, 1., 0.",
            "defines node 1 twice",
        ),
        (
            "2, 2, 5, 4",
            "1, 2, 5, 4",
            "defines element 1 twice",
        ),
        (
            "2, 2, 5, 4",
            "2, 2, 8, 4",
            "has an element with the undefined node 8",
        ),
        (
            "2, 2, 5, 4",
            "2, 2, 5.5, 4",
            "line 10: *ELEMENT has a number that is not an integer",
        ),
        (
            "2, 2, 5, 4",
            "2, 2, 5, 4, 3",
            "line 10: *ELEMENT has the data '2, 2, 5, 4, 3', expected a number and 3 nodes",
        ),
        (
            "2, 2, 5, 4",
            "2, 2, 5",
            "line 10: *ELEMENT has the data '2, 2, 5', expected a number and 3 nodes",
        ),
        (
            "2, 1., 0.",
            "2, 1., zero",
            "line 3: *NODE has the data '2, 1., zero', expected at least 2 numbers",
        ),
        (
            "*HEADING\n",
            "",
            "is damaged, or not Abaqus (it does not start with a keyword)",
        ),
        (
            "*SURFACE, NAME",
            "*INSTANCE, PART=p, NAME",
            "line 19: there is no part 'p' above this line",
        ),
    ],
)
def test_what_is_not_read_is_named(old: str, new: str, problem: str, tmp_path: Path) -> None:
    assert old in PLAIN
    path = tmp_path / "mesh.inp"
    path.write_text(PLAIN.replace(old, new, 1))
    with pytest.raises(FileError) as caught:
        read_mesh_file(path)
    assert str(caught.value) == f"{path}: {problem}"


def test_what_takes_no_place_is_passed_over() -> None:
    more = "*ELEMENT, TYPE=MASS, ELSET=weight\n90, 1\n*ELEMENT, TYPE=SPRINGA\n91, 1, 2\n*NSET, NSET=corner\n1\n"
    file = read(PLAIN + more)
    assert meaning(file) == meaning(read(PLAIN))
    assert file.elsewhere["corner"] == "contains points"


@settings(max_examples=100, deadline=None)
@given(st.sampled_from((PLAIN, SOLID)), st.integers(0, 10**6), st.integers(0, 6), st.text(max_size=3))
def test_damage_is_refused_or_read(text: str, at: int, length: int, inserted: str) -> None:
    at %= len(text)
    try:
        read(text[:at] + inserted.replace("\r", "") + text[at + length :])
    except FileError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    "moved",
    [
        "1e3005, 0., 0.",
        "-1e309, 0., 0.\n0., 0., 0., 0., 0., 1., 90.",
        "0., 0., 0.\n0., 0., 0., 0., 0., 1., 1e999",
        "1e200, 0., 0.\n-1e200, 0., 0., 0., 0., 1e200, 90.",
        "nan, 0., 0.\n0., 0., 0., 0., 0., 0., 90.",
    ],
)
def test_an_instance_that_is_moved_beyond_all_numbers_is_refused(moved: str) -> None:
    text = f"*PART, NAME=p\n{SOLID}*END PART\n*ASSEMBLY, NAME=a\n*INSTANCE, NAME=one, PART=p\n{moved}\n*END INSTANCE\n"
    with pytest.raises(FileError) as caught:
        read(text + "*END ASSEMBLY\n")
    assert str(caught.value).endswith("has a coordinate that is not finite or beyond 1e+30")

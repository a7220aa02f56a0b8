"""Texts of meshes and boundaries."""

from __future__ import annotations

import pytest

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.mesh import boundary_from_mapping, parse_boundary, parse_shape, reservoir_layers, reservoir_values
from pisnn_deploy.mesh.structured import structured_mesh


@pytest.mark.parametrize(
    ("text", "dimensions", "expected", "shown"),
    [
        ("periodic", 1, (("periodic", "periodic"),), "periodic"),
        ("no-flux", 2, (("no-flux", "no-flux"),) * 2, "x: no-flux no-flux, y: no-flux no-flux"),
        (
            "y=no-flux x=periodic",
            2,
            (("periodic", "periodic"), ("no-flux", "no-flux")),
            "x: periodic, y: no-flux no-flux",
        ),
        ("dirichlet=0,1.5", 1, (("dirichlet", "dirichlet"),), "dirichlet=0 dirichlet=1.5"),
        ("x-=no-flux x+=dirichlet=2", 1, (("no-flux", "dirichlet"),), "no-flux dirichlet=2"),
        ("left=no-flux right=dirichlet=2", 1, (("no-flux", "dirichlet"),), "no-flux dirichlet=2"),
        (
            "top=dirichlet=2 bottom=no-flux x=periodic",
            2,
            (("periodic", "periodic"), ("no-flux", "dirichlet")),
            "x: periodic, y: no-flux dirichlet=2",
        ),
    ],
)
def test_boundary(text: str, dimensions: int, expected: tuple[tuple[str, str], ...], shown: str) -> None:
    found = parse_boundary(text, dimensions)
    assert found.sides == expected and found.text == shown


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("wall", "boundary 'wall': unknown condition; use periodic, no-flux or dirichlet=LOWER,UPPER"),
        ("z=periodic", "boundary 'z=periodic': unknown axis 'z'; use x, y, x-, x+ or left, right, bottom, top"),
        ("left=no-flux", "boundary 'left=no-flux': no condition for axis 'x'"),
        ("left=no-flux x-=no-flux", "boundary 'left=no-flux x-=no-flux': axis 'x' is given twice"),
        (
            "front=no-flux",
            "boundary 'front=no-flux': unknown axis 'front'; use x, y, x-, x+ or left, right, bottom, top",
        ),
        ("x=periodic", "boundary 'x=periodic': no condition for axis 'y'"),
        ("x=periodic x=periodic", "boundary 'x=periodic x=periodic': axis 'x' is given twice"),
        ("", "boundary '': no condition for axis 'x'"),
        ("dirichlet=0", "boundary 'dirichlet=0': expected two numbers, such as dirichlet=0,1"),
        ("dirichlet=0,1e300", "boundary 'dirichlet=0,1e300': expected two numbers, such as dirichlet=0,1"),
        ("dirichlet=0,nan", "boundary 'dirichlet=0,nan': expected two numbers, such as dirichlet=0,1"),
        (
            "x-=periodic x+=no-flux y=periodic",
            "boundary 'x-=periodic x+=no-flux y=periodic': axis 'x' is periodic at one side only",
        ),
        (
            "x-=dirichlet=1,2 x+=no-flux y=periodic",
            "boundary 'x-=dirichlet=1,2 x+=no-flux y=periodic': expected a number, such as dirichlet=1",
        ),
    ],
)
def test_wrong_boundary(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_boundary(text, 2)
    assert str(caught.value) == message


def test_a_file_may_give_a_value_for_each_cell_of_a_side() -> None:
    plain = {"x": "periodic", "y-": "no-flux", "y+": {"dirichlet": [1, 2.5, 3]}}
    boundary = boundary_from_mapping(plain, 2)
    mesh = structured_mesh((3, 2), (1.0, 1.0), boundary.sides)
    assert reservoir_values(boundary, reservoir_layers(mesh)) == (1.0, 2.5, 3.0)
    wrong = structured_mesh((4, 2), (1.0, 1.0), boundary.sides)
    with pytest.raises(UsageError) as caught:
        reservoir_values(boundary, reservoir_layers(wrong))
    assert str(caught.value) == "boundary side y+ has 3 values for 4 cells"


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ({"x": "wall"}, "x must be periodic, no-flux, or dirichlet with a number or a list of numbers"),
        ({"x": {"dirichlet": []}}, "x must be periodic, no-flux, or dirichlet with a number or a list of numbers"),
        ({"x": {"dirichlet": [True]}}, "x must be periodic, no-flux, or dirichlet with a number or a list of numbers"),
        ({"x": "periodic", "x+": "no-flux"}, "axis 'x' is given twice"),
        ({}, "no condition for axis 'x'"),
    ],
)
def test_wrong_boundary_file(plain: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        boundary_from_mapping(plain, 1)
    assert str(caught.value) == f"boundary file: {message}"


def test_shape() -> None:
    assert parse_shape("128") == (128,)
    assert parse_shape("64x32") == (64, 32)


@pytest.mark.parametrize("text", ["", "x", "-4", "1.5", "4x", "1x2x3x4", "٣", "0x5"])
def test_wrong_shape(text: str) -> None:
    with pytest.raises(UsageError, match=r"^mesh "):
        parse_shape(text)


def test_a_mesh_too_large_is_refused_before_it_is_made() -> None:
    with pytest.raises(UsageError) as caught:
        parse_shape("99999x99999")
    assert str(caught.value) == "mesh '99999x99999': 9999800001 cells, expected 1 to 67108864"

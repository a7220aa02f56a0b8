"""Texts of meshes and boundaries."""

from __future__ import annotations

import pytest

from pisnn_deploy.errors import UsageError
from pisnn_deploy.mesh import parse_boundary, parse_shape


@pytest.mark.parametrize(
    ("text", "dimensions", "expected"),
    [
        ("periodic", 1, ("periodic",)),
        ("no-flux", 2, ("no-flux", "no-flux")),
        ("y=no-flux x=periodic", 2, ("periodic", "no-flux")),
    ],
)
def test_boundary(text: str, dimensions: int, expected: tuple[str, ...]) -> None:
    assert parse_boundary(text, dimensions) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("wall", "boundary 'wall': unknown condition; use periodic or no-flux"),
        ("z=periodic", "boundary 'z=periodic': unknown axis 'z'; use x, y"),
        ("x=periodic", "boundary 'x=periodic': nothing is said of axis 'y'"),
        ("x=periodic x=periodic", "boundary 'x=periodic x=periodic': axis 'x' is given twice"),
        ("", "boundary '': nothing is said of axis 'x'"),
        (
            "dirichlet=0,1",
            "boundary 'dirichlet=0,1': Dirichlet sides are not supported yet; use periodic or no-flux",
        ),
    ],
)
def test_wrong_boundary(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_boundary(text, 2)
    assert str(caught.value) == message


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
    assert str(caught.value) == "mesh '99999x99999': 9999800001 cells; between 1 and 67108864 are possible"
